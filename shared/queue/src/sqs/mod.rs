//! The real transport: aws-sdk-sqs, with its timeouts said aloud and its retries switched off, since the callers in
//! this crate retry within limits of their own.

mod config;
mod convert;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::operation::RequestId as _;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
    MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};

pub use config::{SqsConfig, SqsCredentials};
use convert::{call_error, entry_id, in_order, seconds};

use crate::message::{OutgoingMessage, Received, Sent};
use crate::transport::{
    BoxFuture, Depths, EntryResults, QueueUrl, ReceiveRequest, Transport, TransportError,
    VisibilityChange,
};

/// SQS by the AWS SDK: real SQS, or any endpoint that speaks its JSON protocol.
///
/// Cheap to clone; clones share the connections.
#[derive(Clone, Debug)]
pub struct SqsTransport {
    calls: Client,
    // Long polls need a longer attempt timeout; overriding it per call would cost more CPU than a second client.
    polls: Client,
}

impl SqsTransport {
    /// Prepares the clients. No connection is made: an endpoint that is down shows at the first call.
    pub async fn connect(config: SqsConfig) -> Self {
        let (calls, polls) = config::into_sdk(config).await;
        Self {
            calls: Client::from_conf(calls),
            polls: Client::from_conf(polls),
        }
    }

    /// The SDK's client, for what this port does not offer (creating queues in a test, redriving in an operator's tool).
    pub fn client(&self) -> &Client {
        &self.calls
    }

    async fn send(
        &self,
        queue: &QueueUrl,
        messages: &[OutgoingMessage],
    ) -> Result<EntryResults<Sent>, TransportError> {
        let mut entries = Vec::with_capacity(messages.len());
        for (position, message) in messages.iter().enumerate() {
            let mut entry = SendMessageBatchRequestEntry::builder()
                .id(entry_id(position))
                .message_body(message.body.clone())
                .set_message_group_id(message.group_id.clone())
                .set_message_deduplication_id(message.dedup_id.clone());
            for (name, value) in &message.attributes {
                entry = entry.message_attributes(name.clone(), convert::attribute_out(value)?);
            }
            entries.push(entry.build().map_err(convert::build_error)?);
        }
        count_request("SendMessageBatch");
        let answer = self
            .calls
            .send_message_batch()
            .queue_url(queue.as_str())
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(|error| call_error(&error))?;
        tracing::trace!(
            request_id = answer.request_id(),
            entries = messages.len(),
            "sent a batch"
        );
        let successful = answer.successful.into_iter().map(|entry| {
            (
                entry.id,
                Sent {
                    message_id: entry.message_id,
                    sequence_number: entry.sequence_number,
                },
            )
        });
        Ok(in_order(messages.len(), successful, answer.failed))
    }

    async fn poll(
        &self,
        queue: &QueueUrl,
        request: ReceiveRequest,
    ) -> Result<Vec<Received>, TransportError> {
        count_request("ReceiveMessage");
        let answer = self
            .polls
            .receive_message()
            .queue_url(queue.as_str())
            .max_number_of_messages(i32::try_from(request.messages_max).unwrap_or(10))
            .wait_time_seconds(seconds(request.wait))
            .visibility_timeout(seconds(request.visibility))
            .set_receive_request_attempt_id(request.attempt_id)
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(
                MessageSystemAttributeName::ApproximateFirstReceiveTimestamp,
            )
            .message_system_attribute_names(MessageSystemAttributeName::MessageDeduplicationId)
            .message_system_attribute_names(MessageSystemAttributeName::MessageGroupId)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .message_system_attribute_names(MessageSystemAttributeName::SequenceNumber)
            .send()
            .await
            .map_err(|error| call_error(&error))?;
        Ok(answer
            .messages
            .unwrap_or_default()
            .into_iter()
            .filter_map(convert::received)
            .collect())
    }

    async fn delete(
        &self,
        queue: &QueueUrl,
        receipts: &[String],
    ) -> Result<EntryResults<()>, TransportError> {
        let entries = receipts
            .iter()
            .enumerate()
            .map(|(position, receipt)| {
                DeleteMessageBatchRequestEntry::builder()
                    .id(entry_id(position))
                    .receipt_handle(receipt)
                    .build()
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(convert::build_error)?;
        count_request("DeleteMessageBatch");
        let answer = self
            .calls
            .delete_message_batch()
            .queue_url(queue.as_str())
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(|error| call_error(&error))?;
        Ok(in_order(
            receipts.len(),
            answer.successful.into_iter().map(|entry| (entry.id, ())),
            answer.failed,
        ))
    }

    async fn change(
        &self,
        queue: &QueueUrl,
        changes: &[VisibilityChange],
    ) -> Result<EntryResults<()>, TransportError> {
        let entries = changes
            .iter()
            .enumerate()
            .map(|(position, change)| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(entry_id(position))
                    .receipt_handle(&change.receipt_handle)
                    .visibility_timeout(seconds(change.visibility))
                    .build()
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(convert::build_error)?;
        count_request("ChangeMessageVisibilityBatch");
        let answer = self
            .calls
            .change_message_visibility_batch()
            .queue_url(queue.as_str())
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(|error| call_error(&error))?;
        Ok(in_order(
            changes.len(),
            answer.successful.into_iter().map(|entry| (entry.id, ())),
            answer.failed,
        ))
    }

    async fn attributes(&self, queue: &QueueUrl) -> Result<Depths, TransportError> {
        count_request("GetQueueAttributes");
        let answer = self
            .calls
            .get_queue_attributes()
            .queue_url(queue.as_str())
            .attribute_names(QueueAttributeName::ApproximateNumberOfMessages)
            .attribute_names(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)
            .attribute_names(QueueAttributeName::ApproximateNumberOfMessagesDelayed)
            .send()
            .await
            .map_err(|error| call_error(&error))?;
        let figure = |name: &QueueAttributeName| {
            answer
                .attributes()
                .and_then(|all| all.get(name))
                .and_then(|text| text.parse().ok())
                .unwrap_or(0)
        };
        Ok(Depths {
            visible: figure(&QueueAttributeName::ApproximateNumberOfMessages),
            in_flight: figure(&QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
            delayed: figure(&QueueAttributeName::ApproximateNumberOfMessagesDelayed),
        })
    }

    async fn url_of(&self, name: &str) -> Result<QueueUrl, TransportError> {
        count_request("GetQueueUrl");
        let answer = self
            .calls
            .get_queue_url()
            .queue_name(name)
            .send()
            .await
            .map_err(|error| call_error(&error))?;
        match answer.queue_url {
            Some(url) => Ok(QueueUrl::new(url)),
            None => Err(TransportError::NoSuchQueue(name.to_owned())),
        }
    }
}

/// Counts a request, which SQS charges for, answered or not.
fn count_request(action: &'static str) {
    metrics::counter!("sqs_requests_total", "action" => action).increment(1);
}

impl Transport for SqsTransport {
    fn queue_url<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<QueueUrl, TransportError>> {
        Box::pin(self.url_of(name))
    }

    fn depths<'a>(&'a self, queue: &'a QueueUrl) -> BoxFuture<'a, Result<Depths, TransportError>> {
        Box::pin(self.attributes(queue))
    }

    fn send_batch<'a>(
        &'a self,
        queue: &'a QueueUrl,
        messages: &'a [OutgoingMessage],
    ) -> BoxFuture<'a, Result<EntryResults<Sent>, TransportError>> {
        Box::pin(self.send(queue, messages))
    }

    fn receive<'a>(
        &'a self,
        queue: &'a QueueUrl,
        request: ReceiveRequest,
    ) -> BoxFuture<'a, Result<Vec<Received>, TransportError>> {
        Box::pin(self.poll(queue, request))
    }

    fn delete_batch<'a>(
        &'a self,
        queue: &'a QueueUrl,
        receipt_handles: &'a [String],
    ) -> BoxFuture<'a, Result<EntryResults<()>, TransportError>> {
        Box::pin(self.delete(queue, receipt_handles))
    }

    fn change_visibility_batch<'a>(
        &'a self,
        queue: &'a QueueUrl,
        changes: &'a [VisibilityChange],
    ) -> BoxFuture<'a, Result<EntryResults<()>, TransportError>> {
        Box::pin(self.change(queue, changes))
    }
}
