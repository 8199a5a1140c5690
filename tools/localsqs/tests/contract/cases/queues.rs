//! Queues as such: creating, finding, attributes, tags, purging, deleting.

use aws_sdk_sqs::types::QueueAttributeName as Attribute;

use crate::endpoint::{Endpoint, bodies, code};

const MISSING: &str = "AWS.SimpleQueueService.NonExistentQueue";

pub(crate) async fn creating_a_queue_again_gives_the_same_unless_an_attribute_differs(
    endpoint: Endpoint,
) {
    let queue = endpoint
        .queue("again", &[(Attribute::DelaySeconds, "1")])
        .await;
    let create = || endpoint.client.create_queue().queue_name(&queue.name);
    assert_eq!(
        create().send().await.unwrap().queue_url(),
        Some(queue.url.as_str())
    );
    let same = create().attributes(Attribute::DelaySeconds, "1");
    assert_eq!(
        same.send().await.unwrap().queue_url(),
        Some(queue.url.as_str())
    );
    let other = create().attributes(Attribute::DelaySeconds, "2");
    assert_eq!(code(other.send().await), "QueueAlreadyExists");
}

pub(crate) async fn names_that_break_the_rules_are_refused(endpoint: Endpoint) {
    for name in [
        "with space",
        "dot.dot",
        "half.fifo.txt",
        &"a".repeat(81),
        "needs-the-attribute.fifo",
    ] {
        let create = endpoint.client.create_queue().queue_name(name);
        assert_eq!(
            code(create.send().await),
            "InvalidParameterValue",
            "{name:?}"
        );
    }
    let create = endpoint
        .client
        .create_queue()
        .queue_name("needs-the-suffix");
    assert_eq!(
        code(create.attributes(Attribute::FifoQueue, "true").send().await),
        "InvalidParameterValue"
    );
}

pub(crate) async fn a_queue_is_found_by_its_name(endpoint: Endpoint) {
    let queue = endpoint.queue("find", &[]).await;
    let found = endpoint
        .client
        .get_queue_url()
        .queue_name(&queue.name)
        .send()
        .await
        .unwrap();
    assert_eq!(found.queue_url(), Some(queue.url.as_str()));
    let missing = endpoint
        .client
        .get_queue_url()
        .queue_name(endpoint.name("missing"));
    assert_eq!(code(missing.send().await), MISSING);
}

pub(crate) async fn a_queue_that_is_not_there_is_said_to_be_missing(endpoint: Endpoint) {
    let url = format!("{}-not", endpoint.queue("there", &[]).await.url);
    let client = &endpoint.client;
    assert_eq!(
        code(
            client
                .send_message()
                .queue_url(&url)
                .message_body("m")
                .send()
                .await
        ),
        MISSING
    );
    assert_eq!(
        code(client.receive_message().queue_url(&url).send().await),
        MISSING
    );
    assert_eq!(
        code(client.purge_queue().queue_url(&url).send().await),
        MISSING
    );
    assert_eq!(
        code(client.get_queue_attributes().queue_url(&url).send().await),
        MISSING
    );
}

pub(crate) async fn queues_are_listed_by_prefix_and_in_pages(endpoint: Endpoint) {
    let prefix = endpoint.name("list");
    for at in 0..3 {
        endpoint.queue(&format!("{prefix}-{at}"), &[]).await;
    }
    let list = || endpoint.client.list_queues().queue_name_prefix(&prefix);
    let all = list().send().await.unwrap();
    assert_eq!(all.queue_urls().len(), 3);
    assert_eq!(all.next_token(), None);
    let first = list().max_results(2).send().await.unwrap();
    assert_eq!(first.queue_urls().len(), 2);
    let token = first.next_token().expect("there is more");
    let second = list()
        .max_results(2)
        .next_token(token)
        .send()
        .await
        .unwrap();
    assert_eq!(second.queue_urls().len(), 1);
    assert_eq!(second.next_token(), None);
    assert!(!first.queue_urls().contains(&second.queue_urls()[0]));
}

pub(crate) async fn a_queue_without_attributes_has_awss_defaults(endpoint: Endpoint) {
    let queue = endpoint.queue("defaults", &[]).await;
    for (attribute, value) in [
        (Attribute::VisibilityTimeout, Some("30")),
        (Attribute::MessageRetentionPeriod, Some("345600")),
        (Attribute::MaximumMessageSize, Some("1048576")),
        (Attribute::DelaySeconds, Some("0")),
        (Attribute::ReceiveMessageWaitTimeSeconds, Some("0")),
        (Attribute::SqsManagedSseEnabled, Some("true")),
        (Attribute::RedrivePolicy, None),
        (Attribute::FifoQueue, None),
        (Attribute::ContentBasedDeduplication, None),
    ] {
        assert_eq!(
            queue.attribute(attribute.clone()).await.as_deref(),
            value,
            "{attribute:?}"
        );
    }
    let fifo = endpoint.queue("defaults.fifo", &[]).await;
    for (attribute, value) in [
        (Attribute::FifoQueue, "true"),
        (Attribute::ContentBasedDeduplication, "false"),
        (Attribute::DeduplicationScope, "queue"),
        (Attribute::FifoThroughputLimit, "perQueue"),
    ] {
        assert_eq!(
            fifo.attribute(attribute.clone()).await.as_deref(),
            Some(value),
            "{attribute:?}"
        );
    }
}

pub(crate) async fn attributes_can_be_changed_and_read_back(endpoint: Endpoint) {
    let queue = endpoint.queue("change", &[]).await;
    let set = queue.client.set_queue_attributes().queue_url(&queue.url);
    let set = set
        .attributes(Attribute::VisibilityTimeout, "7")
        .attributes(Attribute::DelaySeconds, "3");
    set.send().await.unwrap();
    assert_eq!(
        queue
            .attribute(Attribute::VisibilityTimeout)
            .await
            .as_deref(),
        Some("7")
    );
    let all = queue
        .client
        .get_queue_attributes()
        .queue_url(&queue.url)
        .attribute_names(Attribute::All);
    let all = all.send().await.unwrap().attributes.unwrap();
    assert_eq!(all[&Attribute::DelaySeconds], "3");
    assert!(all[&Attribute::QueueArn].ends_with(&queue.name));
    let none = queue
        .client
        .get_queue_attributes()
        .queue_url(&queue.url)
        .send()
        .await
        .unwrap();
    assert!(
        none.attributes()
            .is_none_or(|attributes| attributes.is_empty()),
        "none asked for, none given"
    );
}

pub(crate) async fn values_out_of_range_are_refused(endpoint: Endpoint) {
    let queue = endpoint.queue("values", &[]).await;
    for (attribute, value) in [
        (Attribute::VisibilityTimeout, "43201"),
        (Attribute::VisibilityTimeout, "-1"),
        (Attribute::VisibilityTimeout, "soon"),
        (Attribute::DelaySeconds, "901"),
        (Attribute::MessageRetentionPeriod, "59"),
        (Attribute::MessageRetentionPeriod, "1209601"),
        (Attribute::MaximumMessageSize, "1023"),
        (Attribute::MaximumMessageSize, "1048577"),
        (Attribute::ReceiveMessageWaitTimeSeconds, "21"),
    ] {
        let set = queue
            .client
            .set_queue_attributes()
            .queue_url(&queue.url)
            .attributes(attribute.clone(), value);
        assert_eq!(
            code(set.send().await),
            "InvalidAttributeValue",
            "{attribute:?}={value}"
        );
    }
}

pub(crate) async fn attributes_of_fifo_queues_do_not_fit_others(endpoint: Endpoint) {
    let queue = endpoint.queue("standard", &[]).await;
    for (attribute, value) in [
        (Attribute::FifoQueue, "true"),
        (Attribute::ContentBasedDeduplication, "true"),
        (Attribute::DeduplicationScope, "queue"),
        (Attribute::FifoThroughputLimit, "perQueue"),
    ] {
        let set = queue
            .client
            .set_queue_attributes()
            .queue_url(&queue.url)
            .attributes(attribute.clone(), value);
        assert_eq!(
            code(set.send().await),
            "InvalidAttributeName",
            "{attribute:?}"
        );
    }
    let fifo = endpoint.queue("type.fifo", &[]).await;
    let set = fifo
        .client
        .set_queue_attributes()
        .queue_url(&fifo.url)
        .attributes(Attribute::FifoQueue, "false");
    assert_eq!(code(set.send().await), "InvalidAttributeValue");
}

pub(crate) async fn tags_are_kept_changed_and_removed(endpoint: Endpoint) {
    let queue = endpoint.queue("tags", &[]).await;
    let tag = queue.client.tag_queue().queue_url(&queue.url);
    tag.tags("team", "orders")
        .tags("stage", "test")
        .send()
        .await
        .unwrap();
    queue
        .client
        .tag_queue()
        .queue_url(&queue.url)
        .tags("team", "documents")
        .send()
        .await
        .unwrap();
    queue
        .client
        .untag_queue()
        .queue_url(&queue.url)
        .tag_keys("stage")
        .send()
        .await
        .unwrap();
    let tags = queue
        .client
        .list_queue_tags()
        .queue_url(&queue.url)
        .send()
        .await
        .unwrap()
        .tags
        .unwrap();
    assert_eq!(tags.len(), 1);
    assert_eq!(tags["team"], "documents");
}

pub(crate) async fn a_purge_removes_what_is_there_and_in_flight_and_is_allowed_once_a_minute(
    endpoint: Endpoint,
) {
    let queue = endpoint.queue("purge", &[]).await;
    queue.send("visible").await;
    queue.send("in flight").await;
    queue.receive_one().await;
    let purge = queue.client.purge_queue().queue_url(&queue.url);
    purge.clone().send().await.unwrap();
    queue
        .attribute_becomes(Attribute::ApproximateNumberOfMessages, "0")
        .await;
    queue
        .attribute_becomes(Attribute::ApproximateNumberOfMessagesNotVisible, "0")
        .await;
    assert_eq!(
        code(purge.clone().send().await),
        "AWS.SimpleQueueService.PurgeQueueInProgress"
    );
    if endpoint.can_pass(60) {
        endpoint.pass(60).await;
        purge.send().await.unwrap();
    }
}

pub(crate) async fn a_deleted_queue_is_gone_with_its_messages(endpoint: Endpoint) {
    let queue = endpoint.queue("gone", &[]).await;
    queue.send("m").await;
    queue
        .client
        .delete_queue()
        .queue_url(&queue.url)
        .send()
        .await
        .unwrap();
    if endpoint.clock.is_none() {
        return; // AWS takes up to a minute, and refuses the name for as long.
    }
    assert_eq!(
        code(
            queue
                .client
                .receive_message()
                .queue_url(&queue.url)
                .send()
                .await
        ),
        MISSING
    );
    endpoint
        .client
        .create_queue()
        .queue_name(&queue.name)
        .send()
        .await
        .unwrap();
    assert!(queue.is_silent().await);
}

pub(crate) async fn permissions_are_kept_in_the_policy(endpoint: Endpoint) {
    let queue = endpoint.queue("permission", &[]).await;
    let arn = queue.arn().await;
    let account = arn.split(':').nth(4).unwrap();
    let add = queue
        .client
        .add_permission()
        .queue_url(&queue.url)
        .label("one");
    let add = add.aws_account_ids(account).actions("ReceiveMessage");
    add.clone().send().await.unwrap();
    assert_eq!(
        code(add.send().await),
        "InvalidParameterValue",
        "the label is taken"
    );
    assert!(
        queue
            .attribute(Attribute::Policy)
            .await
            .unwrap()
            .contains("SQS:ReceiveMessage")
    );
    let remove = queue.client.remove_permission().queue_url(&queue.url);
    remove.clone().label("one").send().await.unwrap();
    assert_eq!(queue.attribute(Attribute::Policy).await, None);
    assert_eq!(
        code(remove.label("one").send().await),
        "InvalidParameterValue"
    );
}

pub(crate) async fn a_queues_own_wait_holds_for_receives_without_one(endpoint: Endpoint) {
    let queue = endpoint
        .queue("wait", &[(Attribute::ReceiveMessageWaitTimeSeconds, "20")])
        .await;
    let waiting = tokio::spawn({
        let receive = queue.client.receive_message().queue_url(&queue.url);
        async move { receive.send().await.unwrap().messages.unwrap_or_default() }
    });
    queue.send("news").await;
    assert_eq!(bodies(&waiting.await.unwrap()), ["news"]);
}
