//! Receipt handles, visibility timeouts, receive counts, on standard queues.

use aws_sdk_sqs::types::{MessageSystemAttributeName as System, QueueAttributeName as Attribute};

use crate::endpoint::{Endpoint, code, system};

const SHORT: &[(Attribute, &str)] = &[(Attribute::VisibilityTimeout, "2")];

pub(crate) async fn a_received_message_is_hidden_until_its_timeout_and_counted(endpoint: Endpoint) {
    let queue = endpoint.queue("hidden", SHORT).await;
    queue.send("m").await;
    let first = queue.receive_one().await;
    assert!(queue.is_silent().await);
    queue
        .attribute_becomes(Attribute::ApproximateNumberOfMessagesNotVisible, "1")
        .await;
    endpoint.pass(2).await;
    let second = queue.receive_one().await;
    assert_eq!(second.message_id(), first.message_id());
    assert_ne!(second.receipt_handle(), first.receipt_handle());
    assert_eq!(
        system(&second, &System::ApproximateReceiveCount).as_deref(),
        Some("2")
    );
    let began = |message| system(message, &System::ApproximateFirstReceiveTimestamp);
    assert_eq!(began(&first), began(&second));
}

pub(crate) async fn a_receive_can_have_a_timeout_of_its_own(endpoint: Endpoint) {
    let queue = endpoint.queue("own", &[]).await;
    queue.send("m").await;
    assert_eq!(queue.receive_for(1, Some(2)).await.len(), 1);
    assert!(queue.is_silent().await);
    endpoint.pass(2).await;
    assert_eq!(
        queue.receive_for(1, Some(0)).await.len(),
        1,
        "the timeout is over"
    );
    assert_eq!(
        queue.receive(1).await.len(),
        1,
        "a timeout of 0 hides nothing"
    );
}

pub(crate) async fn a_timeout_can_be_prolonged(endpoint: Endpoint) {
    let queue = endpoint.queue("longer", SHORT).await;
    queue.send("m").await;
    let message = queue.receive_one().await;
    queue.change_visibility(&message, 6).await;
    endpoint.pass(2).await;
    assert!(queue.is_silent().await);
    endpoint.pass(4).await;
    assert!(!queue.receive(1).await.is_empty());
}

pub(crate) async fn a_timeout_set_to_zero_gives_the_message_back_at_once(endpoint: Endpoint) {
    let queue = endpoint.queue("zero", &[]).await;
    queue.send("m").await;
    let message = queue.receive_one().await;
    queue.change_visibility(&message, 0).await;
    assert_eq!(queue.receive_one().await.message_id(), message.message_id());
}

pub(crate) async fn twelve_hours_from_the_receive_is_the_longest_timeout(endpoint: Endpoint) {
    let queue = endpoint.queue("hours", &[]).await;
    queue.send("m").await;
    let message = queue.receive_one().await;
    assert_eq!(
        queue.visibility_fault(&message, 43_201).await,
        "InvalidParameterValue"
    );
    if endpoint.can_pass(43_000) {
        queue.change_visibility(&message, 43_200).await;
        endpoint.pass(43_000).await;
        assert_eq!(
            queue.visibility_fault(&message, 201).await,
            "InvalidParameterValue"
        );
        queue.change_visibility(&message, 200).await;
        endpoint.pass(200).await;
        assert_eq!(queue.receive(1).await.len(), 1);
    }
}

pub(crate) async fn a_timeout_that_is_over_cannot_be_changed(endpoint: Endpoint) {
    let queue = endpoint.queue("over", SHORT).await;
    queue.send("m").await;
    let message = queue.receive_one().await;
    endpoint.pass(2).await;
    assert_eq!(
        queue.visibility_fault(&message, 5).await,
        "AWS.SimpleQueueService.MessageNotInflight"
    );
}

pub(crate) async fn the_timeout_of_a_deleted_message_cannot_be_changed(endpoint: Endpoint) {
    let queue = endpoint.queue("deleted", &[]).await;
    queue.send("m").await;
    let message = queue.receive_one().await;
    queue.delete(&message).await;
    assert_eq!(
        queue.visibility_fault(&message, 5).await,
        "InvalidParameterValue"
    );
}

pub(crate) async fn deleting_works_after_the_timeout_and_any_number_of_times(endpoint: Endpoint) {
    let queue = endpoint.queue("late", SHORT).await;
    queue.send("m").await;
    let message = queue.receive_one().await;
    endpoint.pass(2).await;
    for _ in 0..3 {
        queue.delete(&message).await;
    }
    queue
        .attribute_becomes(Attribute::ApproximateNumberOfMessages, "0")
        .await;
    assert!(queue.is_silent().await);
}

pub(crate) async fn deleting_by_an_older_handle_is_answered_well_and_keeps_the_message(
    endpoint: Endpoint,
) {
    let queue = endpoint.queue("older", SHORT).await;
    queue.send("m").await;
    let older = queue.receive_one().await;
    endpoint.pass(2).await;
    let newer = queue.receive_for(1, Some(2)).await;
    assert_eq!(newer.len(), 1);
    queue.delete(&older).await;
    endpoint.pass(2).await;
    assert_eq!(queue.receive(1).await.len(), 1, "it was another's by then");
}

pub(crate) async fn a_handle_that_is_none_is_refused(endpoint: Endpoint) {
    let queue = endpoint.queue("none", &[]).await;
    let delete = queue
        .client
        .delete_message()
        .queue_url(&queue.url)
        .receipt_handle("garbage");
    assert_eq!(code(delete.send().await), "ReceiptHandleIsInvalid");
    let change = queue
        .client
        .change_message_visibility()
        .queue_url(&queue.url)
        .receipt_handle("garbage");
    assert_eq!(
        code(change.visibility_timeout(1).send().await),
        "ReceiptHandleIsInvalid"
    );
}

pub(crate) async fn the_counts_of_a_queue_say_what_is_where(endpoint: Endpoint) {
    let queue = endpoint.queue("counts", &[]).await;
    for at in 0..6 {
        queue.send(&at.to_string()).await;
    }
    let delayed = queue
        .client
        .send_message()
        .queue_url(&queue.url)
        .message_body("later")
        .delay_seconds(60);
    delayed.send().await.unwrap();
    queue.receive_one().await;
    queue
        .attribute_becomes(Attribute::ApproximateNumberOfMessages, "5")
        .await;
    queue
        .attribute_becomes(Attribute::ApproximateNumberOfMessagesNotVisible, "1")
        .await;
    queue
        .attribute_becomes(Attribute::ApproximateNumberOfMessagesDelayed, "1")
        .await;
}
