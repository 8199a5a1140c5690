use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(10);

/// Waits until `condition` is true, looking every 10 ms.
///
/// # Panics
/// After `within`, saying what was waited for.
pub async fn wait_for(what: &str, within: Duration, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + within;
    // A condition that hangs must not outlive the deadline either.
    while !tokio::time::timeout_at(deadline, condition())
        .await
        .unwrap_or(false)
    {
        assert!(
            Instant::now() < deadline,
            "waited {within:?} in vain until {what}"
        );
        sleep(POLL).await;
    }
}

/// Waits until `attempt` succeeds, trying every 10 ms, and returns what it found.
///
/// # Panics
/// After `within`, saying what was waited for and the last error.
pub async fn wait_for_ok<T, E: Display>(
    what: &str,
    within: Duration,
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let deadline = Instant::now() + within;
    let mut last = "the first attempt did not come back".to_owned();
    loop {
        match tokio::time::timeout_at(deadline, attempt()).await {
            Ok(Ok(value)) => return value,
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => {}
        }
        assert!(
            Instant::now() < deadline,
            "waited {within:?} in vain until {what}; last: {last}"
        );
        sleep(POLL).await;
    }
}
