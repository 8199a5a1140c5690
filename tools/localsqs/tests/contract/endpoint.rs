//! What a case of the contract needs of the service it runs against, whichever that is.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use aws_sdk_sqs::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::send_message::SendMessageOutput,
    types::{Message, MessageSystemAttributeName as System, QueueAttributeName as Attribute},
};
use localsqs::Clock;
use uuid::Uuid;

/// Longest wait for something that a service does in its own time (AWS counts messages with a delay, for one).
const EVENTUALLY: Duration = Duration::from_secs(20);

/// A service that is to keep the contract.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) client: Client,
    /// The service's own clock, if a test may turn it. Else time passes by waiting.
    pub(crate) clock: Option<Clock>,
    created: Arc<Mutex<Vec<String>>>,
}

impl Endpoint {
    pub(crate) fn new(client: Client, clock: Option<Clock>) -> Self {
        Self {
            client,
            clock,
            created: Arc::default(),
        }
    }

    /// A name that no other case uses.
    pub(crate) fn name(&self, stem: &str) -> String {
        let (stem, suffix) = stem
            .strip_suffix(".fifo")
            .map_or((stem, ""), |stem| (stem, ".fifo"));
        format!(
            "{stem}-{}{suffix}",
            &Uuid::new_v4().simple().to_string()[..12]
        )
    }

    /// A new queue under a name of its own; FIFO if `stem` ends so.
    pub(crate) async fn queue(&self, stem: &str, attributes: &[(Attribute, &str)]) -> Queue {
        let name = self.name(stem);
        let mut request = self.client.create_queue().queue_name(&name);
        if name.ends_with(".fifo") {
            request = request.attributes(Attribute::FifoQueue, "true");
        }
        for (attribute, value) in attributes {
            request = request.attributes(attribute.clone(), *value);
        }
        let url = request.send().await.unwrap().queue_url.unwrap();
        self.created.lock().unwrap().push(url.clone());
        Queue {
            client: self.client.clone(),
            waits: self.clock.is_none(),
            name,
            url,
        }
    }

    /// A queue whose dead letters go to another; that one comes second.
    pub(crate) async fn queue_with_dead_letters(
        &self,
        stem: &str,
        receives_max: u32,
    ) -> (Queue, Queue) {
        let dead = self.queue(&format!("dead-{stem}"), &[]).await;
        let policy = redrive_policy(&dead.arn().await, receives_max);
        let queue = self
            .queue(
                stem,
                &[
                    (Attribute::RedrivePolicy, &policy),
                    (Attribute::VisibilityTimeout, "30"),
                ],
            )
            .await;
        (queue, dead)
    }

    /// Lets time pass.
    pub(crate) async fn pass(&self, seconds: u64) {
        match &self.clock {
            Some(clock) => clock.advance(Duration::from_secs(seconds)),
            // The passing of time is what the case is about; half a second for services that tick.
            None => {
                tokio::time::sleep(Duration::from_secs(seconds) + Duration::from_millis(500)).await;
            }
        }
    }

    /// Whether so much time can pass within a test.
    pub(crate) fn can_pass(&self, seconds: u64) -> bool {
        self.clock.is_some() || seconds <= 10
    }

    /// Removes the queues that the case created.
    pub(crate) async fn clean_up(&self) {
        let created = std::mem::take(&mut *self.created.lock().unwrap());
        for url in created {
            // The case may have deleted it.
            let _ = self.client.delete_queue().queue_url(url).send().await;
        }
    }
}

pub(crate) fn redrive_policy(arn: &str, receives_max: u32) -> String {
    format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":{receives_max}}}"#)
}

/// A queue of the case.
#[derive(Clone)]
pub(crate) struct Queue {
    pub(crate) client: Client,
    /// The service may need a moment; give it one.
    waits: bool,
    pub(crate) name: String,
    pub(crate) url: String,
}

impl Queue {
    pub(crate) async fn arn(&self) -> String {
        self.attribute(Attribute::QueueArn).await.unwrap()
    }

    pub(crate) async fn attribute(&self, name: Attribute) -> Option<String> {
        let request = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .attribute_names(name.clone());
        request.send().await.unwrap().attributes?.remove(&name)
    }

    /// Waits until an attribute has a value.
    pub(crate) async fn attribute_becomes(&self, name: Attribute, value: &str) {
        let deadline = Instant::now() + EVENTUALLY;
        loop {
            let present = self.attribute(name.clone()).await;
            if present.as_deref() == Some(value) {
                return;
            }
            assert!(
                self.waits && Instant::now() < deadline,
                "{name:?} is {present:?}, not {value}"
            );
        }
    }

    pub(crate) async fn send(&self, body: &str) -> SendMessageOutput {
        self.client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .send()
            .await
            .unwrap()
    }

    /// Sends to a FIFO queue, with the body as deduplication id.
    pub(crate) async fn send_to_group(&self, group: &str, body: &str) -> SendMessageOutput {
        self.send_as(group, body, body).await
    }

    pub(crate) async fn send_as(&self, group: &str, id: &str, body: &str) -> SendMessageOutput {
        let request = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(body);
        request
            .message_group_id(group)
            .message_deduplication_id(id)
            .send()
            .await
            .unwrap()
    }

    /// Up to `max` messages, with all that belongs to them; waits for the first if the service needs a moment.
    pub(crate) async fn receive(&self, max: i32) -> Vec<Message> {
        self.receive_for(max, None).await
    }

    /// The same, hidden for so many seconds.
    pub(crate) async fn receive_for(
        &self,
        max: i32,
        visibility_seconds: Option<i32>,
    ) -> Vec<Message> {
        let deadline = Instant::now() + EVENTUALLY;
        loop {
            let messages = self.try_receive(max, visibility_seconds).await;
            if !messages.is_empty() || !self.waits || Instant::now() > deadline {
                return messages;
            }
        }
    }

    /// Receives all of `count` messages, over as many calls as it takes, without deleting any.
    pub(crate) async fn receive_all(&self, count: usize) -> Vec<Message> {
        let mut messages = Vec::new();
        while messages.len() < count {
            let more = self.receive(10).await;
            assert!(
                !more.is_empty(),
                "{} of {count} messages came",
                messages.len()
            );
            messages.extend(more);
        }
        messages
    }

    pub(crate) async fn receive_one(&self) -> Message {
        let mut messages = self.receive(1).await;
        assert_eq!(messages.len(), 1, "one message is there");
        messages.remove(0)
    }

    pub(crate) async fn is_silent(&self) -> bool {
        self.try_receive(10, None).await.is_empty()
    }

    async fn try_receive(&self, max: i32, visibility_seconds: Option<i32>) -> Vec<Message> {
        let request = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(max)
            .set_visibility_timeout(visibility_seconds)
            // All of AWS's servers are asked only by a long poll.
            .wait_time_seconds(i32::from(self.waits))
            .message_attribute_names("All")
            .message_system_attribute_names(System::All);
        request.send().await.unwrap().messages.unwrap_or_default()
    }

    pub(crate) async fn delete(&self, message: &Message) {
        let handle = message.receipt_handle().unwrap();
        self.client
            .delete_message()
            .queue_url(&self.url)
            .receipt_handle(handle)
            .send()
            .await
            .unwrap();
    }

    pub(crate) async fn change_visibility(&self, message: &Message, seconds: i32) {
        let handle = message.receipt_handle().unwrap();
        let request = self.client.change_message_visibility().queue_url(&self.url);
        request
            .receipt_handle(handle)
            .visibility_timeout(seconds)
            .send()
            .await
            .unwrap();
    }

    /// The error's code of a visibility change that fails.
    pub(crate) async fn visibility_fault(&self, message: &Message, seconds: i32) -> String {
        let handle = message.receipt_handle().unwrap();
        let request = self.client.change_message_visibility().queue_url(&self.url);
        code(
            request
                .receipt_handle(handle)
                .visibility_timeout(seconds)
                .send()
                .await,
        )
    }
}

/// The code of the error that a call must end with.
pub(crate) fn code<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(
    result: Result<T, SdkError<E>>,
) -> String {
    let error = result.expect_err("the call must be refused");
    match error.code() {
        Some(code) => code.to_owned(),
        None => panic!("an error of the service, not {error:?}"),
    }
}

pub(crate) fn bodies(messages: &[Message]) -> Vec<&str> {
    messages
        .iter()
        .map(|message| message.body().unwrap())
        .collect()
}

pub(crate) fn system(message: &Message, name: &System) -> Option<String> {
    message.attributes()?.get(name).cloned()
}
