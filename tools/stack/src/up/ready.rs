//! Waiting until something answers.

use std::time::Duration;

use anyhow::bail;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use url::Url;

/// How long one look may take.
const LOOK_MAX: Duration = Duration::from_secs(2);
/// How long a part may take until it is ready: migrations of a large database are within it.
const READY_MAX: Duration = Duration::from_secs(90);
/// Between looks at a part that starts.
const POLL: Duration = Duration::from_millis(20);

/// Waits until `url` answers 200. A part that ends instead is reported in the words of `death`; `late` has more words
/// for one that takes too long.
pub(super) async fn wait(
    name: &str,
    url: &str,
    mut death: impl AsyncFnMut() -> Option<String>,
    late: impl Fn() -> String,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + READY_MAX;
    while !answers(url).await {
        if let Some(report) = death().await {
            bail!(report);
        }
        if Instant::now() >= deadline {
            bail!(
                "{name} was not ready after {} s{}",
                READY_MAX.as_secs(),
                late()
            );
        }
        sleep(POLL).await;
    }
    Ok(())
}

/// Whether a `GET` of this `http://` URL on this machine answers 200.
async fn answers(url: &str) -> bool {
    let look = async {
        let url = Url::parse(url).ok()?;
        let host = format!("{}:{}", url.host_str()?, url.port_or_known_default()?);
        let mut stream = TcpStream::connect(&host).await.ok()?;
        let request = format!(
            "GET {} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n",
            url.path()
        );
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.ok()?;
        Some(head.ends_with(b" 200"))
    };
    matches!(tokio::time::timeout(LOOK_MAX, look).await, Ok(Some(true)))
}
