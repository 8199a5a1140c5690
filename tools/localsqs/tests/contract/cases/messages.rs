//! Sending a message and getting it back.

use aws_sdk_sqs::{
    primitives::Blob,
    types::{
        MessageAttributeValue, MessageSystemAttributeName as System,
        MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
        QueueAttributeName as Attribute,
    },
};

use crate::endpoint::{Endpoint, bodies, code, system};

fn text(value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder()
        .data_type("String")
        .string_value(value)
        .build()
        .unwrap()
}

pub(crate) async fn a_message_comes_back_with_its_digest_and_system_attributes(endpoint: Endpoint) {
    let queue = endpoint.queue("plain", &[]).await;
    let sent = queue.send("msg").await;
    assert_eq!(
        sent.md5_of_message_body(),
        Some("6e2baaf3b97dbeef01c0043275f9a0e7")
    );
    assert_eq!(sent.sequence_number(), None);
    let message = queue.receive_one().await;
    assert_eq!(message.body(), Some("msg"));
    assert_eq!(
        message.md5_of_body(),
        Some("6e2baaf3b97dbeef01c0043275f9a0e7")
    );
    assert_eq!(message.message_id(), sent.message_id());
    assert_eq!(
        system(&message, &System::ApproximateReceiveCount).as_deref(),
        Some("1")
    );
    let sent_at: u64 = system(&message, &System::SentTimestamp)
        .unwrap()
        .parse()
        .unwrap();
    let received_at: u64 = system(&message, &System::ApproximateFirstReceiveTimestamp)
        .unwrap()
        .parse()
        .unwrap();
    assert!(sent_at <= received_at);
    assert!(system(&message, &System::SenderId).is_some());
    for absent in [
        System::MessageGroupId,
        System::SequenceNumber,
        System::MessageDeduplicationId,
    ] {
        assert_eq!(system(&message, &absent), None);
    }
}

pub(crate) async fn unicode_and_control_characters_that_xml_allows_come_back_unchanged(
    endpoint: Endpoint,
) {
    let queue = endpoint.queue("unicode", &[]).await;
    let body = "tab\t line\r\n quote\" back\\slash é ẞ 漢字 👩‍🚀 \u{7f}\u{85}\u{FFFD}\u{10FFFF}";
    queue.send(body).await;
    assert_eq!(queue.receive_one().await.body(), Some(body));
}

pub(crate) async fn message_attributes_come_back_with_the_digest_that_aws_computes(
    endpoint: Endpoint,
) {
    let queue = endpoint
        .queue("attributes", &[(Attribute::VisibilityTimeout, "0")])
        .await;
    let send = queue
        .client
        .send_message()
        .queue_url(&queue.url)
        .message_body("msg");
    let send = send.message_attributes("Hello", text("There"));
    let send = send
        .message_attributes("General", text("Kenobi"))
        .message_attributes("Help.Me", text("Me"));
    let sent = send.send().await.unwrap();
    // Recorded from AWS.
    assert_eq!(
        sent.md5_of_message_attributes(),
        Some("4c360f3fdafd970e05fae2f149d997f5")
    );
    for (wanted, digest, count) in [
        (&["All"][..], Some("4c360f3fdafd970e05fae2f149d997f5"), 3),
        (&[".*"][..], Some("4c360f3fdafd970e05fae2f149d997f5"), 3),
        (
            &["Hello", "General"][..],
            Some("fca026605781cb4126a1e9044df24232"),
            2,
        ),
        (
            &["Hello", "None"][..],
            Some("a311262e065454b75da111d535b8dacd"),
            1,
        ),
        (&["None"][..], None, 0),
        (&[][..], None, 0),
    ] {
        let receive = queue
            .client
            .receive_message()
            .queue_url(&queue.url)
            .wait_time_seconds(1);
        let names = wanted.iter().map(|name| (*name).to_owned()).collect();
        let messages = receive
            .set_message_attribute_names(Some(names))
            .send()
            .await
            .unwrap()
            .messages
            .unwrap();
        assert_eq!(
            messages[0].md5_of_message_attributes(),
            digest,
            "{wanted:?}"
        );
        assert_eq!(
            messages[0]
                .message_attributes()
                .map_or(0, |found| found.len()),
            count,
            "{wanted:?}"
        );
    }
}

pub(crate) async fn attributes_can_be_asked_for_by_prefix(endpoint: Endpoint) {
    let queue = endpoint.queue("prefix", &[]).await;
    let send = queue
        .client
        .send_message()
        .queue_url(&queue.url)
        .message_body("msg");
    let send = send
        .message_attributes("Help.Me", text("a"))
        .message_attributes("Help.You", text("b"));
    send.message_attributes("Hello", text("c"))
        .send()
        .await
        .unwrap();
    let receive = queue
        .client
        .receive_message()
        .queue_url(&queue.url)
        .wait_time_seconds(1);
    let messages = receive
        .message_attribute_names("Help.*")
        .send()
        .await
        .unwrap()
        .messages
        .unwrap();
    let mut names: Vec<_> = messages[0]
        .message_attributes()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    names.sort();
    assert_eq!(names, ["Help.Me", "Help.You"]);
}

pub(crate) async fn binary_and_number_attributes_keep_value_and_type(endpoint: Endpoint) {
    let queue = endpoint.queue("types", &[]).await;
    let bytes = Blob::new([0_u8, 159, 255, 10]);
    let binary = MessageAttributeValue::builder()
        .data_type("Binary.key")
        .binary_value(bytes.clone())
        .build()
        .unwrap();
    let number = MessageAttributeValue::builder()
        .data_type("Number.int")
        .string_value("-12.5e3")
        .build()
        .unwrap();
    let send = queue
        .client
        .send_message()
        .queue_url(&queue.url)
        .message_body("msg");
    let sent = send
        .message_attributes("b", binary)
        .message_attributes("n", number)
        .send()
        .await
        .unwrap();
    let message = queue.receive_one().await;
    assert_eq!(
        message.md5_of_message_attributes(),
        sent.md5_of_message_attributes()
    );
    let attributes = message.message_attributes().unwrap();
    assert_eq!(attributes["b"].binary_value(), Some(&bytes));
    assert_eq!(attributes["b"].data_type(), "Binary.key");
    assert_eq!(attributes["n"].string_value(), Some("-12.5e3"));
    assert_eq!(attributes["n"].data_type(), "Number.int");
}

pub(crate) async fn attributes_that_break_the_rules_are_refused(endpoint: Endpoint) {
    let queue = endpoint.queue("rules", &[]).await;
    let value = |kind: &str, value: &str| {
        MessageAttributeValue::builder()
            .data_type(kind)
            .string_value(value)
            .build()
            .unwrap()
    };
    let too_many: Vec<String> = (0..11).map(|at| format!("a{at}")).collect();
    let wrong: Vec<Vec<(&str, MessageAttributeValue)>> = vec![
        vec![("empty", value("String", ""))],
        vec![("kind", value("Decimal", "1"))],
        vec![("number", value("Number", "twelve"))],
        vec![(".dot", text("a"))],
        vec![("dot.", text("a"))],
        vec![("two..dots", text("a"))],
        vec![("AWS.reserved", text("a"))],
        vec![("sp ace", text("a"))],
        too_many
            .iter()
            .map(|name| (name.as_str(), text("a")))
            .collect(),
    ];
    for attributes in wrong {
        let mut send = queue
            .client
            .send_message()
            .queue_url(&queue.url)
            .message_body("msg");
        for (name, value) in &attributes {
            send = send.message_attributes(*name, value.clone());
        }
        assert_eq!(
            code(send.send().await),
            "InvalidParameterValue",
            "{attributes:?}"
        );
    }
    assert!(queue.is_silent().await);
}

pub(crate) async fn the_trace_header_travels_as_a_system_attribute(endpoint: Endpoint) {
    let queue = endpoint.queue("trace", &[]).await;
    let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
    let value = MessageSystemAttributeValue::builder()
        .data_type("String")
        .string_value(header)
        .build()
        .unwrap();
    let send = queue
        .client
        .send_message()
        .queue_url(&queue.url)
        .message_body("msg");
    let sent =
        send.message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, value);
    let sent = sent.send().await.unwrap();
    assert_eq!(
        sent.md5_of_message_system_attributes(),
        Some("5ae4d5d7636402d80f4eb6d213245a88")
    );
    let message = queue.receive_one().await;
    assert_eq!(
        system(&message, &System::AwsTraceHeader).as_deref(),
        Some(header)
    );
}

pub(crate) async fn a_message_may_have_one_mebibyte_and_not_a_byte_more(endpoint: Endpoint) {
    let queue = endpoint.queue("size", &[]).await;
    let body = "a".repeat(1 << 20);
    queue.send(&body).await;
    assert_eq!(queue.receive_one().await.body(), Some(body.as_str()));
    let send = queue.client.send_message().queue_url(&queue.url);
    assert_eq!(
        code(send.clone().message_body(format!("{body}a")).send().await),
        "InvalidParameterValue"
    );
    // Attributes count: name, type and value.
    let send = send
        .message_body(&body[..body.len() - 9])
        .message_attributes("abc", text("1"));
    assert_eq!(code(send.send().await), "InvalidParameterValue");
}

pub(crate) async fn a_queues_own_size_limit_holds(endpoint: Endpoint) {
    let queue = endpoint
        .queue("small", &[(Attribute::MaximumMessageSize, "1024")])
        .await;
    queue.send(&"a".repeat(1_024)).await;
    let send = queue
        .client
        .send_message()
        .queue_url(&queue.url)
        .message_body("a".repeat(1_025));
    assert_eq!(code(send.send().await), "InvalidParameterValue");
}

pub(crate) async fn characters_that_xml_cannot_carry_are_refused(endpoint: Endpoint) {
    let queue = endpoint.queue("characters", &[]).await;
    for body in [
        "nul \0",
        "escape \u{1b}",
        "no character \u{FFFE}",
        "nor this \u{FFFF}",
    ] {
        let send = queue
            .client
            .send_message()
            .queue_url(&queue.url)
            .message_body(body);
        assert_eq!(
            code(send.send().await),
            "InvalidMessageContents",
            "{body:?}"
        );
    }
}

pub(crate) async fn an_empty_body_is_refused(endpoint: Endpoint) {
    let queue = endpoint.queue("empty", &[]).await;
    let send = queue
        .client
        .send_message()
        .queue_url(&queue.url)
        .message_body("");
    assert_eq!(code(send.send().await), "MissingParameter");
}

pub(crate) async fn a_group_id_on_a_standard_queue_is_kept_for_fair_queues(endpoint: Endpoint) {
    let queue = endpoint.queue("fair", &[]).await;
    let send = queue
        .client
        .send_message()
        .queue_url(&queue.url)
        .message_body("msg");
    send.clone()
        .message_group_id("tenant-1")
        .send()
        .await
        .unwrap();
    let message = queue.receive_one().await;
    assert_eq!(
        system(&message, &System::MessageGroupId).as_deref(),
        Some("tenant-1")
    );
    for invalid in ["", "with space", &"a".repeat(129)] {
        assert_eq!(
            code(send.clone().message_group_id(invalid).send().await),
            "InvalidParameterValue"
        );
    }
}

pub(crate) async fn messages_of_one_tenant_are_handed_out_in_parallel_on_a_standard_queue(
    endpoint: Endpoint,
) {
    let queue = endpoint.queue("fair", &[]).await;
    for body in ["1", "2"] {
        let send = queue
            .client
            .send_message()
            .queue_url(&queue.url)
            .message_body(body);
        send.message_group_id("tenant").send().await.unwrap();
    }
    assert_eq!(queue.receive(1).await.len(), 1);
    assert_eq!(queue.receive(1).await.len(), 1);
}

pub(crate) async fn a_delayed_message_comes_when_its_delay_is_over(endpoint: Endpoint) {
    let queue = endpoint
        .queue("delay", &[(Attribute::DelaySeconds, "2")])
        .await;
    queue.send("by the queue").await;
    let send = queue.client.send_message().queue_url(&queue.url);
    send.clone()
        .message_body("at once")
        .delay_seconds(0)
        .send()
        .await
        .unwrap();
    assert_eq!(bodies(&queue.receive(10).await), ["at once"]);
    queue
        .attribute_becomes(Attribute::ApproximateNumberOfMessagesDelayed, "1")
        .await;
    endpoint.pass(2).await;
    assert_eq!(bodies(&queue.receive(10).await), ["by the queue"]);
    assert_eq!(
        code(send.message_body("late").delay_seconds(901).send().await),
        "InvalidParameterValue"
    );
}

pub(crate) async fn messages_are_dropped_after_the_retention_period(endpoint: Endpoint) {
    if !endpoint.can_pass(60) {
        return;
    }
    let queue = endpoint
        .queue("retention", &[(Attribute::MessageRetentionPeriod, "60")])
        .await;
    queue.send("old").await;
    endpoint.pass(59).await;
    let held = queue.receive_one().await;
    queue.change_visibility(&held, 0).await;
    endpoint.pass(1).await;
    assert!(queue.is_silent().await);
    queue
        .attribute_becomes(Attribute::ApproximateNumberOfMessages, "0")
        .await;
}

pub(crate) async fn receive_parameters_out_of_range_are_refused(endpoint: Endpoint) {
    let queue = endpoint.queue("range", &[]).await;
    let receive = || queue.client.receive_message().queue_url(&queue.url);
    for number in [0, 11, -1] {
        assert_eq!(
            code(receive().max_number_of_messages(number).send().await),
            "InvalidParameterValue"
        );
    }
    for seconds in [-1, 21] {
        assert_eq!(
            code(receive().wait_time_seconds(seconds).send().await),
            "InvalidParameterValue"
        );
    }
    for seconds in [-1, 43_201] {
        assert_eq!(
            code(receive().visibility_timeout(seconds).send().await),
            "InvalidParameterValue"
        );
    }
}

pub(crate) async fn a_waiting_receive_is_answered_when_a_message_comes(endpoint: Endpoint) {
    let queue = endpoint.queue("poll", &[]).await;
    let waiting = tokio::spawn({
        let receive = queue
            .client
            .receive_message()
            .queue_url(&queue.url)
            .wait_time_seconds(20);
        async move { receive.send().await.unwrap().messages.unwrap_or_default() }
    });
    // Sent whenever: whether the receive waits already or not, it gets it.
    queue.send("news").await;
    assert_eq!(bodies(&waiting.await.unwrap()), ["news"]);
}
