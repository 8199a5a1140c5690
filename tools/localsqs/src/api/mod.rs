//! SQS's operations in its JSON protocol: a request's text in, an answer's text out.

mod attributes;
mod batch;
mod checks;
mod delete;
mod permissions;
mod queues;
mod receive;
mod redrive;
mod send;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    engine::{Engine, queue::Queue},
    error::Error,
};

/// A request to the service, as far as all operations share it.
pub(crate) struct Call<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) account_id: &'a str,
    /// `http://host:port` by which the client reached us: queue URLs are made of it, so they work for that client.
    pub(crate) base_url: &'a str,
    pub(crate) body: &'a [u8],
}

/// Answers an operation, named as in `X-Amz-Target` behind the dot.
pub(crate) async fn answer(operation: &str, call: &Call<'_>) -> Result<Vec<u8>, Error> {
    match operation {
        "SendMessage" => send::one(call).await,
        "SendMessageBatch" => send::batch(call).await,
        "ReceiveMessage" => receive::receive(call).await,
        "DeleteMessage" => delete::one(call).await,
        "DeleteMessageBatch" => delete::batch(call).await,
        "ChangeMessageVisibility" => delete::change_visibility(call),
        "ChangeMessageVisibilityBatch" => delete::change_visibility_batch(call),
        "CreateQueue" => queues::create(call).await,
        "DeleteQueue" => queues::delete(call).await,
        "GetQueueUrl" => queues::url(call),
        "ListQueues" => queues::list(call),
        "PurgeQueue" => queues::purge(call).await,
        "GetQueueAttributes" => attributes::get(call),
        "SetQueueAttributes" => attributes::set(call).await,
        "TagQueue" => attributes::tag(call).await,
        "UntagQueue" => attributes::untag(call).await,
        "ListQueueTags" => attributes::tags(call),
        "AddPermission" => permissions::add(call).await,
        "RemovePermission" => permissions::remove(call).await,
        "ListDeadLetterSourceQueues" => redrive::sources(call),
        "StartMessageMoveTask" => redrive::start(call),
        "ListMessageMoveTasks" => redrive::list(call),
        "CancelMessageMoveTask" => redrive::cancel(call),
        _ => Err(Error::unknown_operation(operation)),
    }
}

impl<'a> Call<'a> {
    fn parse<T: Deserialize<'a>>(&self) -> Result<T, Error> {
        serde_json::from_slice(self.body).map_err(Error::unreadable)
    }

    /// The queue that a `QueueUrl` names: any host, the last two parts of the path are account and name.
    fn queue(&self, url: Option<&str>) -> Result<Arc<Queue>, Error> {
        let url = url
            .filter(|url| !url.is_empty())
            .ok_or_else(|| Error::missing_parameter("QueueUrl"))?;
        let mut parts = url.rsplit('/');
        match (parts.next(), parts.next()) {
            (Some(name), Some(account)) if account == self.account_id => self.engine.queue(name),
            (Some(_), Some(_)) => Err(Error::no_such_queue()),
            // Some clients pass the bare name.
            _ => self
                .engine
                .queue(url)
                .map_err(|_| Error::invalid_address(url)),
        }
    }

    fn queue_url(&self, queue: &Queue) -> String {
        format!("{}/{}/{}", self.base_url, self.account_id, queue.name)
    }
}

fn respond(answer: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(answer).map_err(Error::unavailable)
}

/// The answer of operations that have none.
#[derive(Serialize)]
struct Nothing {}

/// A request that only names a queue.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OfQueue {
    queue_url: Option<String>,
}
