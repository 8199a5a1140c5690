//! FIFO queues: order, groups, deduplication.

use aws_sdk_sqs::types::{MessageSystemAttributeName as System, QueueAttributeName as Attribute};

use crate::endpoint::{Endpoint, Queue, bodies, code, system};

const SHORT: &[(Attribute, &str)] = &[(Attribute::VisibilityTimeout, "2")];

/// A queue with messages, each `group-…`.
async fn queue_of(
    endpoint: &Endpoint,
    attributes: &[(Attribute, &str)],
    messages: &[&str],
) -> Queue {
    let queue = endpoint.queue("order.fifo", attributes).await;
    for body in messages {
        queue
            .send_to_group(body.split('-').next().unwrap(), body)
            .await;
    }
    queue
}

pub(crate) async fn a_group_comes_in_order_and_many_of_it_at_once(endpoint: Endpoint) {
    let queue = queue_of(&endpoint, &[], &["a-1", "b-1", "a-2", "a-3"]).await;
    let messages = queue.receive(3).await;
    assert_eq!(bodies(&messages), ["a-1", "a-2", "a-3"]);
    let numbers: Vec<_> = messages
        .iter()
        .map(|message| system(message, &System::SequenceNumber).unwrap())
        .collect();
    assert!(
        numbers.is_sorted() && numbers.iter().all(|number| number.len() == 20),
        "{numbers:?}"
    );
    assert_eq!(
        system(&messages[0], &System::MessageGroupId).as_deref(),
        Some("a")
    );
    assert_eq!(
        system(&messages[0], &System::MessageDeduplicationId).as_deref(),
        Some("a-1")
    );
    assert_eq!(bodies(&queue.receive(10).await), ["b-1"]);
}

pub(crate) async fn the_answer_to_a_send_has_the_sequence_number(endpoint: Endpoint) {
    let queue = endpoint.queue("number.fifo", &[]).await;
    let sent = queue.send_to_group("g", "m").await;
    let message = queue.receive_one().await;
    assert_eq!(
        system(&message, &System::SequenceNumber).as_deref(),
        sent.sequence_number()
    );
}

pub(crate) async fn a_group_waits_while_one_of_it_is_in_flight_and_others_do_not(
    endpoint: Endpoint,
) {
    let queue = queue_of(&endpoint, &[], &["a-1", "a-2"]).await;
    let first = queue.receive_one().await;
    assert_eq!(first.body(), Some("a-1"));
    assert!(queue.is_silent().await);
    queue.send_to_group("a", "a-3").await;
    assert!(
        queue.is_silent().await,
        "nor does a new message of the group pass"
    );
    queue.send_to_group("b", "b-1").await;
    assert_eq!(bodies(&queue.receive(10).await), ["b-1"]);
    queue.delete(&first).await;
    assert_eq!(bodies(&queue.receive(10).await), ["a-2", "a-3"]);
}

pub(crate) async fn deleting_a_part_of_what_is_in_flight_does_not_free_the_group(
    endpoint: Endpoint,
) {
    let queue = queue_of(&endpoint, &[], &["a-1", "a-2", "a-3"]).await;
    let held = queue.receive(2).await;
    assert_eq!(bodies(&held), ["a-1", "a-2"]);
    queue.delete(&held[0]).await;
    assert!(queue.is_silent().await);
    queue.delete(&held[1]).await;
    assert_eq!(bodies(&queue.receive(10).await), ["a-3"]);
}

pub(crate) async fn a_group_that_times_out_begins_again_from_its_head(endpoint: Endpoint) {
    let queue = queue_of(&endpoint, SHORT, &["a-1", "a-2", "a-3"]).await;
    assert_eq!(bodies(&queue.receive(2).await), ["a-1", "a-2"]);
    endpoint.pass(2).await;
    assert_eq!(bodies(&queue.receive(10).await), ["a-1", "a-2", "a-3"]);
}

pub(crate) async fn a_head_given_back_is_handed_out_though_a_later_one_is_still_held(
    endpoint: Endpoint,
) {
    let queue = queue_of(&endpoint, &[], &["a-1", "a-2", "b-1"]).await;
    let held = queue.receive(2).await;
    assert_eq!(bodies(&held), ["a-1", "a-2"]);
    queue.change_visibility(&held[0], 0).await;
    let messages = queue.receive_all(2).await;
    let mut again = bodies(&messages);
    again.sort_unstable();
    assert_eq!(again, ["a-1", "b-1"]);
}

pub(crate) async fn a_later_one_given_back_waits_for_its_head(endpoint: Endpoint) {
    let queue = queue_of(&endpoint, &[], &["a-1", "a-2"]).await;
    let held = queue.receive(2).await;
    queue.change_visibility(&held[1], 0).await;
    assert!(queue.is_silent().await);
    queue.delete(&held[0]).await;
    assert_eq!(bodies(&queue.receive(10).await), ["a-2"]);
}

pub(crate) async fn a_message_in_the_middle_held_longer_stops_what_follows_it(endpoint: Endpoint) {
    let queue = queue_of(&endpoint, SHORT, &["a-1", "a-2", "a-3"]).await;
    let held = queue.receive(10).await;
    assert_eq!(held.len(), 3);
    queue.change_visibility(&held[1], 8).await;
    endpoint.pass(2).await;
    assert_eq!(bodies(&queue.receive(10).await), ["a-1"]);
}

pub(crate) async fn groups_take_turns(endpoint: Endpoint) {
    let queue = queue_of(&endpoint, &[], &["a-1", "b-1", "b-2", "c-1", "a-2"]).await;
    // Recorded from AWS.
    assert_eq!(
        bodies(&queue.receive_for(3, Some(0)).await),
        ["a-1", "a-2", "b-1"]
    );
    assert_eq!(
        bodies(&queue.receive_for(10, Some(0)).await),
        ["c-1", "a-1", "a-2", "b-1", "b-2"]
    );
}

pub(crate) async fn a_waiting_receive_is_answered_when_a_group_is_freed(endpoint: Endpoint) {
    let queue = queue_of(&endpoint, &[], &["a-1", "a-2"]).await;
    let first = queue.receive_one().await;
    let waiting = tokio::spawn({
        let receive = queue
            .client
            .receive_message()
            .queue_url(&queue.url)
            .wait_time_seconds(20);
        async move { receive.send().await.unwrap().messages.unwrap_or_default() }
    });
    queue.delete(&first).await;
    assert_eq!(bodies(&waiting.await.unwrap()), ["a-2"]);
}

pub(crate) async fn a_repeat_is_answered_as_the_first_and_not_delivered_even_after_the_delete(
    endpoint: Endpoint,
) {
    let queue = endpoint.queue("repeat.fifo", &[]).await;
    let first = queue.send_as("g", "id", "one").await;
    let repeat = queue.send_as("g", "id", "one").await;
    assert_eq!(repeat.message_id(), first.message_id());
    assert_eq!(repeat.sequence_number(), first.sequence_number());
    let message = queue.receive_one().await;
    queue.delete(&message).await;
    queue.send_as("g", "id", "one").await;
    queue.send_as("g", "id", "another body").await;
    assert!(queue.is_silent().await);
}

pub(crate) async fn a_repeat_after_five_minutes_is_a_new_message(endpoint: Endpoint) {
    if !endpoint.can_pass(300) {
        return;
    }
    let queue = endpoint.queue("five.fifo", &[]).await;
    let first = queue.send_as("g", "id", "one").await;
    queue.delete(&queue.receive_one().await).await;
    endpoint.pass(299).await;
    assert_eq!(
        queue.send_as("g", "id", "two").await.message_id(),
        first.message_id()
    );
    assert!(queue.is_silent().await);
    endpoint.pass(1).await;
    queue.send_as("g", "id", "three").await;
    assert_eq!(queue.receive_one().await.body(), Some("three"));
}

pub(crate) async fn without_an_id_the_body_decides_if_the_queue_says_so(endpoint: Endpoint) {
    let queue = endpoint
        .queue(
            "content.fifo",
            &[(Attribute::ContentBasedDeduplication, "true")],
        )
        .await;
    let send = |body: &str| {
        queue
            .client
            .send_message()
            .queue_url(&queue.url)
            .message_body(body)
            .message_group_id("g")
    };
    send("same").send().await.unwrap();
    send("same").send().await.unwrap();
    send("same")
        .message_deduplication_id("but with an id".replace(' ', "-"))
        .send()
        .await
        .unwrap();
    send("other").send().await.unwrap();
    let messages = queue.receive(10).await;
    assert_eq!(bodies(&messages), ["same", "same", "other"]);
    let sha256 = "0967115f2813a3541eaef77de9d9d5773f1c0c04314b0bbfe4ff3b3b1c55b5d5";
    assert_eq!(
        system(&messages[0], &System::MessageDeduplicationId).as_deref(),
        Some(sha256)
    );
}

pub(crate) async fn ids_are_told_apart_across_the_queue_by_default(endpoint: Endpoint) {
    let queue = endpoint.queue("scope.fifo", &[]).await;
    queue.send_as("a", "id", "a").await;
    queue.send_as("b", "id", "b").await;
    assert_eq!(bodies(&queue.receive(10).await), ["a"]);
    assert!(queue.is_silent().await);
}

pub(crate) async fn ids_are_told_apart_within_groups_in_high_throughput_mode(endpoint: Endpoint) {
    let attributes = [
        (Attribute::DeduplicationScope, "messageGroup"),
        (Attribute::FifoThroughputLimit, "perMessageGroupId"),
    ];
    let queue = endpoint.queue("scope.fifo", &attributes).await;
    queue.send_as("a", "id", "a").await;
    queue.send_as("b", "id", "b").await;
    queue.send_as("b", "id", "b again").await;
    let messages = queue.receive_all(2).await;
    let mut received = bodies(&messages);
    received.sort_unstable();
    assert_eq!(received, ["a", "b"]);
    assert!(queue.is_silent().await);
}

pub(crate) async fn group_and_deduplication_ids_are_required(endpoint: Endpoint) {
    let queue = endpoint.queue("ids.fifo", &[]).await;
    let send = || {
        queue
            .client
            .send_message()
            .queue_url(&queue.url)
            .message_body("m")
    };
    assert_eq!(
        code(send().message_deduplication_id("d").send().await),
        "MissingParameter"
    );
    assert_eq!(
        code(send().message_group_id("g").send().await),
        "InvalidParameterValue"
    );
    for invalid in ["", "with space", &"a".repeat(129)] {
        let wrong_group = send()
            .message_group_id(invalid)
            .message_deduplication_id("d");
        assert_eq!(
            code(wrong_group.send().await),
            "InvalidParameterValue",
            "group {invalid:?}"
        );
        let wrong_id = send()
            .message_group_id("g")
            .message_deduplication_id(invalid);
        assert_eq!(
            code(wrong_id.send().await),
            "InvalidParameterValue",
            "id {invalid:?}"
        );
    }
    let longest = "a".repeat(128);
    send()
        .message_group_id(&longest)
        .message_deduplication_id(&longest)
        .send()
        .await
        .unwrap();
}

pub(crate) async fn a_message_cannot_have_a_delay_of_its_own(endpoint: Endpoint) {
    let queue = endpoint
        .queue("delay.fifo", &[(Attribute::DelaySeconds, "2")])
        .await;
    let send = queue
        .client
        .send_message()
        .queue_url(&queue.url)
        .message_body("m");
    let send = send.message_group_id("g").message_deduplication_id("d");
    assert_eq!(
        code(send.clone().delay_seconds(2).send().await),
        "InvalidParameterValue"
    );
    send.delay_seconds(0).send().await.unwrap();
    assert!(queue.is_silent().await, "0 means the queue's own delay");
    endpoint.pass(2).await;
    assert_eq!(queue.receive(1).await.len(), 1);
}

pub(crate) async fn a_receive_can_be_asked_for_again_by_its_attempt_id(endpoint: Endpoint) {
    let queue = queue_of(&endpoint, &[], &["a-1", "a-2", "b-1"]).await;
    let attempt = async |id: &str| {
        let receive = queue
            .client
            .receive_message()
            .queue_url(&queue.url)
            .max_number_of_messages(2);
        let receive = receive
            .message_system_attribute_names(System::All)
            .receive_request_attempt_id(id);
        receive.send().await.unwrap().messages.unwrap_or_default()
    };
    let handles = |messages: &[aws_sdk_sqs::types::Message]| {
        messages
            .iter()
            .map(|message| message.receipt_handle().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let first = attempt("one").await;
    assert_eq!(bodies(&first), ["a-1", "a-2"]);
    let again = attempt("one").await;
    assert_eq!(bodies(&again), ["a-1", "a-2"]);
    assert_eq!(handles(&again), handles(&first));
    assert_eq!(
        bodies(&attempt("two").await),
        ["b-1"],
        "another attempt gets other messages"
    );
    queue.delete(&first[0]).await;
    assert!(
        attempt("one").await.is_empty(),
        "once something was deleted it is no longer to be had"
    );
}

pub(crate) async fn a_handle_that_has_expired_is_refused(endpoint: Endpoint) {
    let queue = queue_of(&endpoint, SHORT, &["a-1"]).await;
    let expired = queue.receive_one().await;
    endpoint.pass(2).await;
    let delete = queue.client.delete_message().queue_url(&queue.url);
    let delete = delete.receipt_handle(expired.receipt_handle().unwrap());
    assert_eq!(code(delete.clone().send().await), "InvalidParameterValue");
    assert_eq!(
        queue.visibility_fault(&expired, 5).await,
        "InvalidParameterValue"
    );
    assert_eq!(queue.receive(1).await.len(), 1);
    assert_eq!(
        code(delete.send().await),
        "InvalidParameterValue",
        "also when another holds it"
    );
}

pub(crate) async fn a_purged_message_can_be_sent_again_at_once(endpoint: Endpoint) {
    let queue = endpoint.queue("purge.fifo", &[]).await;
    queue.send_as("g", "id", "one").await;
    queue
        .client
        .purge_queue()
        .queue_url(&queue.url)
        .send()
        .await
        .unwrap();
    queue.send_as("g", "id", "two").await;
    assert_eq!(bodies(&queue.receive(10).await), ["two"]);
}

pub(crate) async fn messages_of_blocked_groups_count_as_visible(endpoint: Endpoint) {
    let queue = queue_of(&endpoint, &[], &["a-1", "a-2", "b-1", "b-2"]).await;
    queue.receive_one().await;
    queue
        .attribute_becomes(Attribute::ApproximateNumberOfMessages, "3")
        .await;
    queue
        .attribute_becomes(Attribute::ApproximateNumberOfMessagesNotVisible, "1")
        .await;
}
