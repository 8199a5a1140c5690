//! The buckets: in a private S3, or in the one that is named.

use std::path::Path;

use anyhow::Context;
use steelyard_locals3::{Public, Server};
use steelyard_objects::{Bucket, S3Config, S3Credentials};

use super::endpoints::Aws;

/// Invoices and other documents.
pub(super) const DOCUMENTS: &str = "documents";
/// Product images.
pub(super) const MEDIA: &str = "media";
/// What a CDN would deliver of them: anyone may read it, as in front of a real bucket.
const DELIVERED: Public<'_> = Public {
    bucket: MEDIA,
    prefix: "images/",
};

/// A private S3 that keeps its objects in `dir`.
pub(super) async fn serve(
    dir: &Path,
    access_key: &str,
    secret_key: &str,
) -> anyhow::Result<Server> {
    let buckets = [DOCUMENTS, MEDIA];
    let server = Server::start(dir, &buckets, &[DELIVERED], access_key, secret_key).await?;
    Ok(server)
}

/// Makes the buckets in an S3 that is not the stack's own, as far as they are not there.
pub(crate) async fn provision(aws: &Aws) -> anyhow::Result<()> {
    if aws.private {
        return Ok(());
    }
    for name in [DOCUMENTS, MEDIA] {
        let config = S3Config {
            region: Some(aws.region.clone()),
            endpoint_url: Some(aws.s3_url.clone()),
            credentials: S3Credentials::Static {
                access_key_id: aws.access_key.clone(),
                secret_access_key: aws.secret_key.clone(),
            },
        };
        let bucket = Bucket::connect(config, name).await;
        let made = bucket.make().await;
        made.with_context(|| format!("cannot make the bucket {name} at {}", aws.s3_url))?;
    }
    Ok(())
}
