//! The queues, with what the services expect of them.

use std::collections::HashMap;

use anyhow::Context;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::QueueAttributeName;
use aws_smithy_http_client::tls;

use super::endpoints::Aws;
use super::stores::REACH_MAX;

/// Commands of customers, in sequence per customer.
pub(crate) const ORDERS: &str = "orders.fifo";
/// What the documents service works on.
pub(crate) const DOCUMENTS: &str = "documents.fifo";
/// What goes out to shops' own systems.
pub(crate) const WEBHOOKS: &str = "webhooks.fifo";
/// What shops' own systems are told of products: apart from orders' events, for an import may send a million.
pub(crate) const CATALOG_EVENTS: &str = "catalog-events.fifo";
/// Uploaded images to work on.
pub(crate) const MEDIA: &str = "media";

/// 14 days: an order waits as long as that for its worker.
const RETENTION_SECONDS: &str = "1209600";
const VISIBILITY_SECONDS: &str = "60";
/// Receives before SQS itself moves a message aside. Far above the workers' own ten attempts, since SQS also counts
/// receives that nobody handled (deploys, crashes, a bad message ahead in the group) and moves without a reason: it is
/// the net for messages that kill their worker.
const RECEIVES_MAX: u32 = 100;

/// Makes the queues, each with its dead-letter queue. Messages that are there already stay.
pub(crate) async fn provision(aws: &Aws) -> anyhow::Result<()> {
    let client = client(aws).await;
    for queue in [ORDERS, DOCUMENTS, WEBHOOKS, CATALOG_EVENTS, MEDIA] {
        let kind = if queue.ends_with(".fifo") {
            ".fifo"
        } else {
            ""
        };
        let dead_letters = format!("{}-dead-letters{kind}", queue.trim_end_matches(".fifo"));
        let is_fifo = !kind.is_empty();
        let dead_letters = make(&client, aws, &dead_letters, attributes(is_fifo, None)).await?;
        let arn = client
            .get_queue_attributes()
            .queue_url(&dead_letters)
            .attribute_names(QueueAttributeName::QueueArn)
            .send()
            .await
            .map_err(|error| anyhow::anyhow!("{}", DisplayErrorContext(error)))
            .with_context(|| format!("cannot read the attributes of {dead_letters}"))?
            .attributes
            .and_then(|mut found| found.remove(&QueueAttributeName::QueueArn))
            .with_context(|| format!("{dead_letters} has no ARN"))?;
        make(&client, aws, queue, attributes(is_fifo, Some(&arn))).await?;
    }
    Ok(())
}

/// Makes the queue, or brings one that an earlier version made to what is expected today.
async fn make(
    client: &Client,
    aws: &Aws,
    queue: &str,
    mut attributes: HashMap<QueueAttributeName, String>,
) -> anyhow::Result<String> {
    if let Ok(found) = client.get_queue_url().queue_name(queue).send().await
        && let Some(url) = found.queue_url
    {
        // What a queue is cannot be changed, and SQS refuses to hear it again.
        attributes.remove(&QueueAttributeName::FifoQueue);
        client
            .set_queue_attributes()
            .queue_url(&url)
            .set_attributes(Some(attributes))
            .send()
            .await
            .map_err(|error| anyhow::anyhow!("{}", DisplayErrorContext(error)))
            .with_context(|| format!("cannot set the attributes of {queue} at {}", aws.sqs_url))?;
        return Ok(url);
    }
    client
        .create_queue()
        .queue_name(queue)
        .set_attributes(Some(attributes))
        .send()
        .await
        .map_err(|error| anyhow::anyhow!("{}", DisplayErrorContext(error)))
        .with_context(|| format!("cannot make the queue {queue} at {}", aws.sqs_url))?
        .queue_url
        .with_context(|| format!("{} made {queue} and told no URL", aws.sqs_url))
}

/// High-throughput FIFO: sequence and deduplication per message group, which is the customer.
const FIFO: [(QueueAttributeName, &str); 3] = [
    (QueueAttributeName::FifoQueue, "true"),
    (QueueAttributeName::DeduplicationScope, "messageGroup"),
    (QueueAttributeName::FifoThroughputLimit, "perMessageGroupId"),
];

fn attributes(
    is_fifo: bool,
    dead_letters_arn: Option<&str>,
) -> HashMap<QueueAttributeName, String> {
    let mut attributes: HashMap<QueueAttributeName, String> = [
        (
            QueueAttributeName::MessageRetentionPeriod,
            RETENTION_SECONDS,
        ),
        (QueueAttributeName::VisibilityTimeout, VISIBILITY_SECONDS),
    ]
    .into_iter()
    .chain(FIFO.into_iter().filter(|_| is_fifo))
    .map(|(name, value)| (name, value.to_owned()))
    .collect();
    if let Some(arn) = dead_letters_arn {
        let policy =
            serde_json::json!({ "deadLetterTargetArn": arn, "maxReceiveCount": RECEIVES_MAX });
        attributes.insert(QueueAttributeName::RedrivePolicy, policy.to_string());
    }
    attributes
}

async fn client(aws: &Aws) -> Client {
    let http = if aws.sqs_url.starts_with("https:") {
        let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
        aws_smithy_http_client::Builder::new()
            .tls_provider(provider)
            .build_https()
    } else {
        aws_smithy_http_client::Builder::new().build_http()
    };
    let credentials = Credentials::new(&aws.access_key, &aws.secret_key, None, None, "stack");
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .region(Region::new(aws.region.clone()))
        .endpoint_url(&aws.sqs_url)
        .credentials_provider(credentials)
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        .timeout_config(
            TimeoutConfig::builder()
                .operation_attempt_timeout(REACH_MAX)
                .build(),
        )
        .load()
        .await;
    Client::new(&config)
}
