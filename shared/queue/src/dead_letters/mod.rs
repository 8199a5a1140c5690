//! Looking into a dead-letter queue, and sending what is there back to where it came from.
//!
//! SQS has no way to look at messages without receiving them, and none to receive a certain one. So a look *holds*
//! what it can reach ([`DeadLetters::hold`]), and then puts it back ([`Held::put_back`]), or redrives some of it first
//! ([`Held::redrive`]). Nothing is lost by that: a look that breaks off gives everything back after
//! [`DeadLettersOptions::visibility`]. Nothing is reordered: messages keep their place, and the head of a group becomes
//! visible last. Nothing is burnt: a dead-letter queue has no redrive policy, and its retention does not
//! look at receives.
//!
//! # Limits
//! * SQS hands out at most ten messages of a group and no further ones while any of those is held. So a look reaches
//!   the **ten oldest letters of each group**, always these. What stands behind comes into reach as they
//!   are redriven or deleted. [`Held::is_complete`] says whether more may be there.
//! * A look makes at most [`DeadLettersOptions::receives_max`] receives, which is ten times as many letters.
//! * Two looks at once would hide letters from each other: a process takes turns; another process's look makes this one
//!   incomplete, and it says so.
//! * A redrive is not atomic: a letter is deleted after SQS has acknowledged the message that was made of it. A crash in
//!   between leaves both, and the receiver's inbox makes one effect of them.

mod hold;
mod letter;
mod redrive;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OnceCell};
use tokio::time::timeout;

pub use hold::Held;
pub use letter::{Letter, REDRIVEN, Redriven, Replacement, own_attributes};
pub use redrive::{Redrive, RedriveOutcome};

use crate::transport::{Depths, QueueUrl, Transport, TransportError};

/// Limits of a look.
#[derive(Clone, Copy, Debug)]
pub struct DeadLettersOptions {
    /// Receive calls of one look.
    pub receives_max: usize,
    /// How long letters are held if nobody puts them back. Whole seconds. A redrive sends no more when a third of it
    /// is left.
    pub visibility: Duration,
    /// One call may take this long.
    pub call_timeout: Duration,
}

impl Default for DeadLettersOptions {
    fn default() -> Self {
        Self {
            receives_max: 150,
            visibility: Duration::from_secs(60),
            call_timeout: Duration::from_secs(5),
        }
    }
}

/// One dead-letter queue.
pub struct DeadLetters {
    transport: Arc<dyn Transport>,
    queue: Arc<str>,
    options: DeadLettersOptions,
    url: OnceCell<QueueUrl>,
    turn: Mutex<()>,
}

impl DeadLetters {
    /// The dead-letter queue of this name; looked up at the first use.
    pub fn new(
        transport: Arc<dyn Transport>,
        queue: impl Into<Arc<str>>,
        options: DeadLettersOptions,
    ) -> Self {
        Self {
            transport,
            queue: queue.into(),
            options,
            url: OnceCell::new(),
            turn: Mutex::new(()),
        }
    }

    /// Its name.
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// How full it is.
    ///
    /// # Errors
    /// Those of the queue.
    pub async fn depths(&self) -> Result<Depths, TransportError> {
        self.bounded(async { self.transport.depths(self.url().await?).await })
            .await
    }

    async fn url(&self) -> Result<&QueueUrl, TransportError> {
        self.url
            .get_or_try_init(|| self.transport.queue_url(&self.queue))
            .await
    }

    async fn bounded<T>(
        &self,
        call: impl Future<Output = Result<T, TransportError>>,
    ) -> Result<T, TransportError> {
        let limit = self.options.call_timeout;
        timeout(limit, call).await.unwrap_or_else(|_elapsed| {
            Err(TransportError::Timeout(format!(
                "no answer within {limit:?}"
            )))
        })
    }
}

impl std::fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeadLetters")
            .field("queue", &self.queue)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
