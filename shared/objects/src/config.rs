//! How to reach S3.

use std::fmt;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_smithy_http_client::tls;

/// The longest that one call takes, its retries included.
pub const CALL_MAX: Duration = Duration::from_secs(60);
/// One try: some tens of MiB over a slow connection.
const ATTEMPT_MAX: Duration = Duration::from_secs(30);
const ATTEMPTS_MAX: u32 = 3;
const CONNECT_MAX: Duration = Duration::from_secs(2);

/// Where credentials come from.
#[derive(Clone, Default)]
pub enum S3Credentials {
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

impl fmt::Debug for S3Credentials {
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

/// How to reach S3.
#[derive(Clone, Debug, Default)]
pub struct S3Config {
    /// `AWS_REGION`; `None` asks the SDK's default chain.
    pub region: Option<String>,
    /// `AWS_ENDPOINT_URL_S3`, else `AWS_ENDPOINT_URL`; `None` is AWS itself. Another endpoint is addressed by path
    /// (`endpoint/bucket/key`), and without TLS if it begins with `http:`. Presigned requests name it, so those who
    /// get them must reach it, too.
    pub endpoint_url: Option<String>,
    /// Where credentials come from.
    pub credentials: S3Credentials,
}

impl S3Config {
    pub(crate) async fn into_sdk(self) -> (SdkConfig, aws_sdk_s3::Config) {
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
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_MAX)
            .operation_attempt_timeout(ATTEMPT_MAX)
            .operation_timeout(CALL_MAX)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http_client)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
            .timeout_config(timeouts)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        if let Some(region) = self.region {
            loader = loader.region(Region::new(region));
        }
        let by_path = self.endpoint_url.is_some();
        if let Some(url) = self.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        if let S3Credentials::Static {
            access_key_id,
            secret_access_key,
        } = self.credentials
        {
            let fixed =
                Credentials::new(access_key_id, secret_access_key, None, None, "configured");
            loader = loader.credentials_provider(fixed);
        }
        let shared = loader.load().await;
        let s3 = aws_sdk_s3::config::Builder::from(&shared)
            .force_path_style(by_path)
            .build();
        (shared, s3)
    }
}

#[cfg(test)]
mod tests {
    use super::S3Credentials;

    #[test]
    fn the_secret_is_never_printed() {
        let printed = format!(
            "{:?}",
            S3Credentials::Static {
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
