//! How to reach S3.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};

/// How to reach S3. Another endpoint than AWS is addressed by path (`endpoint/bucket/key`); presigned requests name it, so
/// those who get them must reach it, too.
pub use steelyard_aws::AwsConfig as S3Config;
pub use steelyard_aws::AwsCredentials as S3Credentials;

/// The longest that one call takes, its retries included.
pub const CALL_MAX: Duration = Duration::from_secs(60);
/// One try: some tens of MiB over a slow connection.
const ATTEMPT_MAX: Duration = Duration::from_secs(30);
const ATTEMPTS_MAX: u32 = 3;
const CONNECT_MAX: Duration = Duration::from_secs(2);

pub(crate) async fn into_sdk(config: S3Config) -> (SdkConfig, aws_sdk_s3::Config) {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_MAX)
        .operation_attempt_timeout(ATTEMPT_MAX)
        .operation_timeout(CALL_MAX)
        .build();
    let by_path = config.endpoint_url.is_some();
    let shared = config
        .into_loader()
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
        .timeout_config(timeouts)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .load()
        .await;
    let s3 = aws_sdk_s3::config::Builder::from(&shared)
        .force_path_style(by_path)
        .build();
    (shared, s3)
}
