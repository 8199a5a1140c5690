//! What the gateway is given to run with.

use std::sync::Arc;

use steelyard_queue::{SqsTransport, Transport};
use steelyard_runtime::http::Doors;
use steelyard_runtime::telemetry::Metrics;

use crate::config::Config;

/// Parts that tests and the one-process stack may swap.
pub struct Deps {
    /// The open listeners.
    pub doors: Doors,
    /// The process's metrics.
    pub metrics: Metrics,
    /// The way to the queue.
    pub transport: Arc<dyn Transport>,
}

impl Deps {
    /// The real parts.
    ///
    /// # Errors
    /// When a listener cannot be opened.
    pub async fn connect(config: &Config, metrics: Metrics) -> anyhow::Result<Self> {
        let doors = Doors::open(&config.listen).await?;
        let transport = Arc::new(SqsTransport::connect(config.sqs.clone()).await);
        Ok(Self {
            doors,
            metrics,
            transport,
        })
    }
}

impl std::fmt::Debug for Deps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deps")
            .field("doors", &self.doors)
            .finish_non_exhaustive()
    }
}
