//! How to reach SQS.

use std::fmt;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_smithy_http_client::tls;

/// The longest long poll that SQS offers; the poll client's attempt timeout is this + 5 s
/// (a receive can hang past its wait: awslabs/aws-sdk-rust #1094).
const WAIT_MAX: Duration = Duration::from_secs(20);
const POLL_SLACK: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Where credentials come from.
#[derive(Clone, Default)]
pub enum SqsCredentials {
    /// The AWS default chain: environment, profile, ECS task role, instance role.
    #[default]
    DefaultChain,
    /// These, for endpoints on one's own machine and for tests.
    Static {
        /// `AWS_ACCESS_KEY_ID`.
        access_key_id: String,
        /// `AWS_SECRET_ACCESS_KEY`; never printed.
        secret_access_key: String,
    },
}

impl fmt::Debug for SqsCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DefaultChain => f.write_str("DefaultChain"),
            Self::Static { access_key_id, .. } => f
                .debug_struct("Static")
                .field("access_key_id", access_key_id)
                .finish_non_exhaustive(),
        }
    }
}

/// How to reach SQS.
#[derive(Clone, Debug, Default)]
pub struct SqsConfig {
    /// `AWS_REGION`; `None` asks the SDK's default chain.
    pub region: Option<String>,
    /// `AWS_ENDPOINT_URL`; `None` is AWS itself. An `http:` endpoint is reached without TLS.
    pub endpoint_url: Option<String>,
    /// Where credentials come from.
    pub credentials: SqsCredentials,
}

impl SqsConfig {
    /// An emulator on this machine, which does not look at credentials.
    pub fn local(endpoint_url: impl Into<String>) -> Self {
        Self {
            region: Some("us-east-1".to_owned()),
            endpoint_url: Some(endpoint_url.into()),
            credentials: SqsCredentials::Static {
                access_key_id: "test".to_owned(),
                secret_access_key: "test".to_owned(),
            },
        }
    }

    pub(super) async fn into_sdk(self) -> (aws_sdk_sqs::Config, aws_sdk_sqs::Config) {
        let plain_http = self
            .endpoint_url
            .as_deref()
            .is_some_and(|url| url.starts_with("http:"));
        let http_client = if plain_http {
            aws_smithy_http_client::Builder::new().build_http()
        } else {
            let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
            aws_smithy_http_client::Builder::new()
                .tls_provider(provider)
                .build_https()
        };
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http_client)
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if let Some(region) = self.region {
            loader = loader.region(Region::new(region));
        }
        if let Some(url) = self.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        if let SqsCredentials::Static {
            access_key_id,
            secret_access_key,
        } = self.credentials
        {
            loader = loader.credentials_provider(Credentials::new(
                access_key_id,
                secret_access_key,
                None,
                None,
                "configured",
            ));
        }
        let shared = loader.load().await;
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
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A receive that hangs past its wait is cut off by the SDK, and one that does not hang is not.
    #[tokio::test]
    async fn a_poll_may_take_its_wait_and_little_more_and_other_calls_may_not() {
        let (calls, polls) = SqsConfig::local("http://127.0.0.1:9").into_sdk().await;
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

    #[test]
    fn the_secret_is_never_printed() {
        let printed = format!(
            "{:?}",
            SqsCredentials::Static {
                access_key_id: "AKIA".to_owned(),
                secret_access_key: "hush".to_owned()
            }
        );
        assert!(
            printed.contains("AKIA") && !printed.contains("hush"),
            "{printed}"
        );
    }
}
