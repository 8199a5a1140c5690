//! How to reach SQS.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;

/// How to reach SQS.
pub use steelyard_aws::AwsConfig as SqsConfig;
pub use steelyard_aws::AwsCredentials as SqsCredentials;

/// The longest long poll that SQS offers; the poll client's attempt timeout is this + 5 s
/// (a receive can hang past its wait: awslabs/aws-sdk-rust #1094).
const WAIT_MAX: Duration = Duration::from_secs(20);
const POLL_SLACK: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) async fn into_sdk(config: SqsConfig) -> (aws_sdk_sqs::Config, aws_sdk_sqs::Config) {
    let shared = config
        .into_loader()
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .load()
        .await;
    let with_attempt_timeout = |attempt: Duration| {
        aws_sdk_sqs::config::Builder::from(&shared)
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .operation_attempt_timeout(attempt)
                    .build(),
            )
            .build()
    };
    (
        with_attempt_timeout(CALL_TIMEOUT),
        with_attempt_timeout(WAIT_MAX + POLL_SLACK),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A receive that hangs past its wait is cut off by the SDK, and one that does not hang is not.
    #[tokio::test]
    async fn a_poll_may_take_its_wait_and_little_more_and_other_calls_may_not() {
        let (calls, polls) = into_sdk(SqsConfig::local("http://127.0.0.1:9")).await;
        let attempt = |config: &aws_sdk_sqs::Config| {
            let timeouts = config.timeout_config().expect("timeouts are set");
            timeouts.operation_attempt_timeout().expect("bounded")
        };
        assert!(attempt(&polls) > WAIT_MAX && attempt(&polls) <= WAIT_MAX * 2);
        assert!(attempt(&calls) < WAIT_MAX);
        for config in [&calls, &polls] {
            let retries = config.retry_config().expect("retries are set");
            assert_eq!(retries.max_attempts(), 1, "the callers retry");
        }
    }
}
