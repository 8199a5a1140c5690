//! How the clients of SQS and S3 reach AWS, or what stands for it on one's own machine.

use std::fmt;

use aws_config::{BehaviorVersion, ConfigLoader, Region};
use aws_credential_types::Credentials;
use aws_smithy_http_client::tls;

/// Where credentials come from.
#[derive(Clone, Default)]
pub enum AwsCredentials {
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

impl fmt::Debug for AwsCredentials {
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

/// How to reach a service of AWS.
#[derive(Clone, Debug, Default)]
pub struct AwsConfig {
    /// `AWS_REGION`; `None` asks the SDK's default chain.
    pub region: Option<String>,
    /// `AWS_ENDPOINT_URL`, for S3 `AWS_ENDPOINT_URL_S3` before it; `None` is AWS itself. An `http:` endpoint is reached
    /// without TLS.
    pub endpoint_url: Option<String>,
    /// Where credentials come from.
    pub credentials: AwsCredentials,
}

impl AwsConfig {
    /// An emulator on this machine, which does not look at credentials.
    pub fn local(endpoint_url: impl Into<String>) -> Self {
        Self {
            region: Some("us-east-1".to_owned()),
            endpoint_url: Some(endpoint_url.into()),
            credentials: AwsCredentials::Static {
                access_key_id: "test".to_owned(),
                secret_access_key: "test".to_owned(),
            },
        }
    }

    /// The SDK's settings, to which a client adds its timeouts and retries.
    #[must_use]
    pub fn into_loader(self) -> ConfigLoader {
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
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http_client);
        if let Some(region) = self.region {
            loader = loader.region(Region::new(region));
        }
        if let Some(url) = self.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        if let AwsCredentials::Static {
            access_key_id,
            secret_access_key,
        } = self.credentials
        {
            let fixed =
                Credentials::new(access_key_id, secret_access_key, None, None, "configured");
            loader = loader.credentials_provider(fixed);
        }
        loader
    }
}

#[cfg(test)]
mod tests {
    use super::AwsCredentials;

    #[test]
    fn the_secret_is_never_printed() {
        let printed = format!(
            "{:?}",
            AwsCredentials::Static {
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
