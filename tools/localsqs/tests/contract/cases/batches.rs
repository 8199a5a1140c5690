//! Batch calls: what fails alone, and what fails the whole.

use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry as Change, DeleteMessageBatchRequestEntry as Delete,
    QueueAttributeName as Attribute, SendMessageBatchRequestEntry as Send,
};

use crate::endpoint::{Endpoint, bodies, code};

fn entry(id: &str, body: &str) -> Send {
    Send::builder().id(id).message_body(body).build().unwrap()
}

fn deletion(id: &str, handle: &str) -> Delete {
    Delete::builder()
        .id(id)
        .receipt_handle(handle)
        .build()
        .unwrap()
}

pub(crate) async fn every_entry_of_a_batch_is_answered(endpoint: Endpoint) {
    let queue = endpoint.queue("batch", &[]).await;
    let entries = (0..10)
        .map(|at| entry(&format!("id-{at}_"), &format!("m{at}")))
        .collect();
    let sent = queue
        .client
        .send_message_batch()
        .queue_url(&queue.url)
        .set_entries(Some(entries))
        .send()
        .await
        .unwrap();
    assert!(sent.failed().is_empty());
    let mut ids: Vec<_> = sent.successful().iter().map(|entry| entry.id()).collect();
    ids.sort_unstable();
    assert_eq!(
        ids,
        (0..10).map(|at| format!("id-{at}_")).collect::<Vec<_>>()
    );
    let messages = queue.receive_all(10).await;
    let mut received = bodies(&messages);
    received.sort_unstable();
    assert_eq!(
        received,
        (0..10).map(|at| format!("m{at}")).collect::<Vec<_>>()
    );
    let entries = messages.iter().enumerate();
    let entries = entries
        .map(|(at, message)| deletion(&at.to_string(), message.receipt_handle().unwrap()))
        .collect();
    let deleted = queue
        .client
        .delete_message_batch()
        .queue_url(&queue.url)
        .set_entries(Some(entries));
    let deleted = deleted.send().await.unwrap();
    assert_eq!(
        (deleted.successful().len(), deleted.failed().len()),
        (10, 0)
    );
    queue
        .attribute_becomes(Attribute::ApproximateNumberOfMessagesNotVisible, "0")
        .await;
}

pub(crate) async fn an_entry_that_is_too_long_fails_alone(endpoint: Endpoint) {
    let queue = endpoint
        .queue("alone", &[(Attribute::MaximumMessageSize, "1024")])
        .await;
    let batch = queue.client.send_message_batch().queue_url(&queue.url);
    let sent = batch
        .entries(entry("ok", "short"))
        .entries(entry("long", &"a".repeat(1_025)))
        .send()
        .await
        .unwrap();
    assert_eq!(sent.successful().len(), 1);
    let failed = &sent.failed()[0];
    assert_eq!(
        (failed.id(), failed.code(), failed.sender_fault()),
        ("long", "InvalidParameterValue", true)
    );
    assert_eq!(bodies(&queue.receive(10).await), ["short"]);
}

pub(crate) async fn an_entry_with_forbidden_characters_fails_alone(endpoint: Endpoint) {
    let queue = endpoint.queue("alone", &[]).await;
    let batch = queue.client.send_message_batch().queue_url(&queue.url);
    let sent = batch
        .entries(entry("ok", "fine"))
        .entries(entry("nul", "not \0 fine"))
        .send()
        .await
        .unwrap();
    assert_eq!(sent.successful().len(), 1);
    let failed = &sent.failed()[0];
    assert_eq!(
        (failed.id(), failed.code(), failed.sender_fault()),
        ("nul", "InvalidMessageContents", true)
    );
}

pub(crate) async fn a_batch_that_breaks_the_rules_is_refused_as_a_whole(endpoint: Endpoint) {
    let queue = endpoint.queue("whole", &[]).await;
    let send = async |entries: Vec<Send>| {
        let request = queue.client.send_message_batch().queue_url(&queue.url);
        code(request.set_entries(Some(entries)).send().await)
    };
    let sqs = |name: &str| format!("AWS.SimpleQueueService.{name}");
    assert_eq!(send(vec![]).await, sqs("EmptyBatchRequest"));
    let eleven = (0..11).map(|at| entry(&at.to_string(), "m")).collect();
    assert_eq!(send(eleven).await, sqs("TooManyEntriesInBatchRequest"));
    assert_eq!(
        send(vec![entry("a", "1"), entry("a", "2")]).await,
        sqs("BatchEntryIdsNotDistinct")
    );
    for invalid in ["", "in valid", "in:valid", &"a".repeat(81)] {
        assert_eq!(
            send(vec![entry(invalid, "m")]).await,
            sqs("InvalidBatchEntryId"),
            "{invalid:?}"
        );
    }
    let half = "a".repeat(1 << 19);
    assert_eq!(
        send(vec![entry("a", &half), entry("b", &half), entry("c", "1")]).await,
        sqs("BatchRequestTooLong")
    );
    assert!(
        queue.is_silent().await,
        "nothing of a refused batch is sent"
    );
}

pub(crate) async fn deletes_and_visibility_changes_have_the_same_rules_for_batches(
    endpoint: Endpoint,
) {
    let queue = endpoint.queue("whole", &[]).await;
    let sqs = |name: &str| format!("AWS.SimpleQueueService.{name}");
    let delete = async |entries: Vec<Delete>| {
        let request = queue.client.delete_message_batch().queue_url(&queue.url);
        code(request.set_entries(Some(entries)).send().await)
    };
    assert_eq!(delete(vec![]).await, sqs("EmptyBatchRequest"));
    let eleven = (0..11).map(|at| deletion(&at.to_string(), "h")).collect();
    assert_eq!(delete(eleven).await, sqs("TooManyEntriesInBatchRequest"));
    assert_eq!(
        delete(vec![deletion("in:valid", "h")]).await,
        sqs("InvalidBatchEntryId")
    );
    assert_eq!(
        delete(vec![deletion("a", "h"), deletion("a", "h")]).await,
        sqs("BatchEntryIdsNotDistinct")
    );
    let eleven = (0..11).map(|at| {
        Change::builder()
            .id(at.to_string())
            .receipt_handle("h")
            .visibility_timeout(1)
            .build()
            .unwrap()
    });
    let change = queue
        .client
        .change_message_visibility_batch()
        .queue_url(&queue.url);
    assert_eq!(
        code(change.set_entries(Some(eleven.collect())).send().await),
        sqs("TooManyEntriesInBatchRequest")
    );
}

pub(crate) async fn a_bad_handle_in_a_batch_fails_alone(endpoint: Endpoint) {
    let queue = endpoint.queue("handles", &[]).await;
    queue.send("m").await;
    let message = queue.receive_one().await;
    let good = message.receipt_handle().unwrap();
    let change = |id: &str, handle: &str, seconds| {
        Change::builder()
            .id(id)
            .receipt_handle(handle)
            .visibility_timeout(seconds)
            .build()
            .unwrap()
    };
    let batch = queue
        .client
        .change_message_visibility_batch()
        .queue_url(&queue.url);
    let batch = batch
        .entries(change("good", good, 60))
        .entries(change("bad", "garbage", 60));
    let changed = batch
        .entries(change("long", good, 43_201))
        .send()
        .await
        .unwrap();
    assert_eq!(changed.successful().len(), 1);
    let mut failed: Vec<_> = changed
        .failed()
        .iter()
        .map(|entry| (entry.id(), entry.code()))
        .collect();
    failed.sort_unstable();
    assert_eq!(
        failed,
        [
            ("bad", "ReceiptHandleIsInvalid"),
            ("long", "InvalidParameterValue")
        ]
    );
    let batch = queue.client.delete_message_batch().queue_url(&queue.url);
    let deleted = batch
        .entries(deletion("bad", "garbage"))
        .entries(deletion("good", good))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (deleted.successful()[0].id(), deleted.failed()[0].id()),
        ("good", "bad")
    );
    assert_eq!(deleted.failed()[0].code(), "ReceiptHandleIsInvalid");
}

pub(crate) async fn what_a_fifo_batch_lacks_refuses_it_as_a_whole(endpoint: Endpoint) {
    let queue = endpoint.queue("lacks.fifo", &[]).await;
    let send = |entry: Send| {
        queue
            .client
            .send_message_batch()
            .queue_url(&queue.url)
            .entries(entry)
            .send()
    };
    let no_group = Send::builder()
        .id("a")
        .message_body("m")
        .message_deduplication_id("d")
        .build()
        .unwrap();
    assert_eq!(code(send(no_group).await), "InvalidParameterValue");
    let no_id = Send::builder()
        .id("a")
        .message_body("m")
        .message_group_id("g")
        .build()
        .unwrap();
    assert_eq!(code(send(no_id).await), "InvalidParameterValue");
}
