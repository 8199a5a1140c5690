//! Dead-letter queues and the way back.

use std::time::{Duration, Instant};

use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use aws_sdk_sqs::types::{ListMessageMoveTasksResultEntry, MessageSystemAttributeName as System};

use crate::endpoint::{Endpoint, Queue, bodies, code, redrive_policy, system};

/// Receives a message as often as the policy allows and once more.
async fn exhaust(queue: &Queue, receives_max: u32) {
    for _ in 0..receives_max {
        let messages = queue.receive(10).await;
        assert!(!messages.is_empty());
        for message in &messages {
            queue.change_visibility(message, 0).await;
        }
    }
    assert!(queue.is_silent().await);
}

pub(crate) async fn a_message_received_too_often_goes_to_the_dead_letter_queue(endpoint: Endpoint) {
    let (queue, dead) = endpoint.queue_with_dead_letters("poison", 2).await;
    let sent = queue.send("poison").await;
    exhaust(&queue, 2).await;
    let message = dead.receive_one().await;
    assert_eq!(
        (message.body(), message.message_id()),
        (Some("poison"), sent.message_id())
    );
    assert_eq!(
        system(&message, &System::ApproximateReceiveCount).as_deref(),
        Some("3"),
        "the count goes on"
    );
    assert_eq!(
        system(&message, &System::DeadLetterQueueSourceArn),
        Some(queue.arn().await)
    );
    queue
        .attribute_becomes(Attribute::ApproximateNumberOfMessages, "0")
        .await;
}

pub(crate) async fn a_dead_letter_of_a_group_makes_way_for_the_next(endpoint: Endpoint) {
    let (queue, dead) = endpoint.queue_with_dead_letters("poison.fifo", 1).await;
    for body in ["g-1", "g-2"] {
        queue.send_to_group("g", body).await;
    }
    let first = queue.receive_one().await;
    queue.change_visibility(&first, 0).await;
    assert_eq!(bodies(&queue.receive(10).await), ["g-2"]);
    let message = dead.receive_one().await;
    assert_eq!(message.body(), Some("g-1"));
    assert_eq!(message.message_id(), first.message_id());
    assert_eq!(
        system(&message, &System::MessageDeduplicationId).as_deref(),
        first.message_id(),
        "its own id takes the place of the deduplication id"
    );
    assert_eq!(
        system(&message, &System::MessageGroupId).as_deref(),
        Some("g")
    );
    assert_eq!(
        system(&message, &System::DeadLetterQueueSourceArn),
        Some(queue.arn().await)
    );
}

pub(crate) async fn a_dead_letter_queue_must_exist_and_be_of_the_same_kind(endpoint: Endpoint) {
    let queue = endpoint.queue("kind.fifo", &[]).await;
    let standard = endpoint.queue("kind", &[]).await.arn().await;
    let missing = format!("{standard}-not-there");
    for arn in [standard, missing] {
        let set = queue.client.set_queue_attributes().queue_url(&queue.url);
        let set = set.attributes(Attribute::RedrivePolicy, redrive_policy(&arn, 3));
        assert_eq!(code(set.send().await), "InvalidParameterValue", "{arn}");
    }
}

pub(crate) async fn a_redrive_policy_that_makes_no_sense_is_refused(endpoint: Endpoint) {
    let queue = endpoint.queue("sense", &[]).await;
    let arn = queue.arn().await;
    let (never, thousands) = (redrive_policy(&arn, 0), redrive_policy(&arn, 1_001));
    for policy in [
        "no json",
        "{}",
        r#"{"maxReceiveCount":3}"#,
        &never,
        &thousands,
    ] {
        let set = queue.client.set_queue_attributes().queue_url(&queue.url);
        let set = set.attributes(Attribute::RedrivePolicy, policy);
        assert_eq!(code(set.send().await), "InvalidParameterValue", "{policy}");
    }
}

pub(crate) async fn an_empty_redrive_policy_takes_it_away(endpoint: Endpoint) {
    let (queue, _) = endpoint.queue_with_dead_letters("away", 1).await;
    assert!(queue.attribute(Attribute::RedrivePolicy).await.is_some());
    let set = queue.client.set_queue_attributes().queue_url(&queue.url);
    set.attributes(Attribute::RedrivePolicy, "")
        .send()
        .await
        .unwrap();
    assert_eq!(queue.attribute(Attribute::RedrivePolicy).await, None);
}

pub(crate) async fn a_dead_letter_queue_knows_its_sources(endpoint: Endpoint) {
    let (queue, dead) = endpoint.queue_with_dead_letters("source", 3).await;
    let list = queue.client.list_dead_letter_source_queues();
    let sources = list.clone().queue_url(&dead.url).send().await.unwrap();
    assert_eq!(sources.queue_urls(), std::slice::from_ref(&queue.url));
    assert!(
        list.queue_url(&queue.url)
            .send()
            .await
            .unwrap()
            .queue_urls()
            .is_empty()
    );
}

/// Waits for the latest move from `arn` to end.
async fn moved(queue: &Queue, arn: &str) -> ListMessageMoveTasksResultEntry {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let list = queue
            .client
            .list_message_move_tasks()
            .source_arn(arn)
            .send()
            .await
            .unwrap();
        let task = list.results()[0].clone();
        if task.status() != Some("RUNNING") {
            return task;
        }
        assert!(Instant::now() < deadline, "{task:?}");
    }
}

pub(crate) async fn dead_letters_go_back_to_where_they_came_from(endpoint: Endpoint) {
    let (queue, dead) = endpoint.queue_with_dead_letters("back", 1).await;
    let sent = queue.send("m").await;
    exhaust(&queue, 1).await;
    dead.attribute_becomes(Attribute::ApproximateNumberOfMessages, "1")
        .await;
    let arn = dead.arn().await;
    queue
        .client
        .start_message_move_task()
        .source_arn(&arn)
        .send()
        .await
        .unwrap();
    let task = moved(&queue, &arn).await;
    assert_eq!(task.status(), Some("COMPLETED"));
    assert_eq!(task.approximate_number_of_messages_moved(), 1);
    assert_eq!(task.source_arn(), Some(arn.as_str()));
    let message = queue.receive_one().await;
    assert_eq!(message.body(), Some("m"));
    assert_ne!(
        message.message_id(),
        sent.message_id(),
        "it is a new message"
    );
    assert_eq!(
        system(&message, &System::ApproximateReceiveCount).as_deref(),
        Some("1")
    );
    assert!(dead.is_silent().await);
}

pub(crate) async fn dead_letters_of_groups_go_back_in_order(endpoint: Endpoint) {
    let (queue, dead) = endpoint.queue_with_dead_letters("back.fifo", 1).await;
    for body in ["g-1", "g-2", "g-3"] {
        queue.send_to_group("g", body).await;
    }
    exhaust(&queue, 1).await;
    dead.attribute_becomes(Attribute::ApproximateNumberOfMessages, "3")
        .await;
    let arn = dead.arn().await;
    queue
        .client
        .start_message_move_task()
        .source_arn(&arn)
        .send()
        .await
        .unwrap();
    assert_eq!(moved(&queue, &arn).await.status(), Some("COMPLETED"));
    assert_eq!(bodies(&queue.receive(10).await), ["g-1", "g-2", "g-3"]);
}

pub(crate) async fn dead_letters_can_be_sent_elsewhere(endpoint: Endpoint) {
    let (queue, dead) = endpoint.queue_with_dead_letters("elsewhere", 1).await;
    let other = endpoint.queue("other", &[]).await;
    queue.send("m").await;
    exhaust(&queue, 1).await;
    dead.attribute_becomes(Attribute::ApproximateNumberOfMessages, "1")
        .await;
    let (source, destination) = (dead.arn().await, other.arn().await);
    let start = queue
        .client
        .start_message_move_task()
        .source_arn(&source)
        .destination_arn(&destination);
    start.send().await.unwrap();
    let task = moved(&queue, &source).await;
    assert_eq!(task.destination_arn(), Some(destination.as_str()));
    assert_eq!(bodies(&other.receive(10).await), ["m"]);
}

pub(crate) async fn a_move_at_a_limited_rate_can_be_cancelled_and_is_alone(endpoint: Endpoint) {
    let (queue, dead) = endpoint.queue_with_dead_letters("slow", 1).await;
    for at in 0..5 {
        queue.send(&at.to_string()).await;
    }
    queue
        .attribute_becomes(Attribute::ApproximateNumberOfMessages, "5")
        .await;
    for message in queue.receive_all(5).await {
        queue.change_visibility(&message, 0).await;
    }
    while !queue.is_silent().await {}
    dead.attribute_becomes(Attribute::ApproximateNumberOfMessages, "5")
        .await;
    let arn = dead.arn().await;
    let start = queue
        .client
        .start_message_move_task()
        .source_arn(&arn)
        .max_number_of_messages_per_second(1);
    let handle = start.clone().send().await.unwrap().task_handle.unwrap();
    assert_eq!(
        code(start.send().await),
        "InvalidParameterValue",
        "one at a time"
    );
    let cancel = queue.client.cancel_message_move_task().task_handle(&handle);
    let moved_so_far = cancel
        .send()
        .await
        .unwrap()
        .approximate_number_of_messages_moved();
    assert!(moved_so_far < 5, "{moved_so_far}");
}

pub(crate) async fn moves_that_cannot_be_are_refused(endpoint: Endpoint) {
    let queue = endpoint.queue("plain", &[]).await;
    let arn = queue.arn().await;
    let start = queue.client.start_message_move_task();
    assert_eq!(
        code(start.clone().source_arn(&arn).send().await),
        "InvalidParameterValue",
        "no dead-letter queue"
    );
    let missing = format!("{arn}-not-there");
    assert_eq!(
        code(start.source_arn(missing).send().await),
        "ResourceNotFoundException"
    );
    let cancel = queue
        .client
        .cancel_message_move_task()
        .task_handle("garbage");
    assert_eq!(code(cancel.send().await), "InvalidParameterValue");
}

pub(crate) async fn a_dead_letter_queue_can_refuse_a_source(endpoint: Endpoint) {
    let policy = r#"{"redrivePermission":"denyAll"}"#;
    let dead = endpoint
        .queue("deny", &[(Attribute::RedriveAllowPolicy, policy)])
        .await;
    let queue = endpoint.queue("denied", &[]).await;
    let set = queue.client.set_queue_attributes().queue_url(&queue.url);
    let set = set.attributes(
        Attribute::RedrivePolicy,
        redrive_policy(&dead.arn().await, 3),
    );
    assert_eq!(code(set.send().await), "InvalidParameterValue");
}
