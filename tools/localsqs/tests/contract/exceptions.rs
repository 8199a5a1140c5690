//! Where a service is known to differ from AWS, with the page of AWS's documentation that says so.
//!
//! Pages are given below `https://docs.aws.amazon.com/AWSSimpleQueueService/latest/`. Where the page leaves a detail open
//! (which of two error codes, say), AWS's own answer decides, as other projects recorded it in tests that they validated
//! against AWS.

pub(crate) struct Exception {
    pub(crate) service: &'static str,
    pub(crate) case: &'static str,
    /// What it does instead.
    pub(crate) instead: &'static str,
    /// Where AWS says what is right.
    pub(crate) page: &'static str,
}

const fn ministack(case: &'static str, instead: &'static str, page: &'static str) -> Exception {
    Exception {
        service: "ministack",
        case,
        instead,
        page,
    }
}

const fn localstack(case: &'static str, instead: &'static str, page: &'static str) -> Exception {
    Exception {
        service: "localstack",
        case,
        instead,
        page,
    }
}

const MOVE_TASKS: &str = "APIReference/API_StartMessageMoveTask.html";
const RECEIVE: &str = "APIReference/API_ReceiveMessage.html";
const SEND: &str = "APIReference/API_SendMessage.html";
const CHANGE_VISIBILITY: &str = "APIReference/API_ChangeMessageVisibility.html";
const DELETE: &str = "APIReference/API_DeleteMessage.html";
const SET_ATTRIBUTES: &str = "APIReference/API_SetQueueAttributes.html";
const DEAD_LETTERS: &str = "SQSDeveloperGuide/sqs-dead-letter-queues.html";
const REDRIVE: &str = "SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html";
const FIFO_DELIVERY: &str = "SQSDeveloperGuide/FIFO-queues-understanding-logic.html";

pub(crate) const EXCEPTIONS: &[Exception] = &[
    ministack(
        "a_bad_handle_in_a_batch_fails_alone",
        "a timeout beyond 12 hours is taken",
        CHANGE_VISIBILITY,
    ),
    ministack(
        "a_dead_letter_queue_can_refuse_a_source",
        "RedriveAllowPolicy is kept, not enforced",
        SET_ATTRIBUTES,
    ),
    ministack(
        "a_dead_letter_queue_knows_its_sources",
        "no such action",
        "APIReference/API_ListDeadLetterSourceQueues.html",
    ),
    ministack(
        "a_dead_letter_queue_must_exist_and_be_of_the_same_kind",
        "any ARN is taken",
        DEAD_LETTERS,
    ),
    ministack(
        "a_dead_letter_of_a_group_makes_way_for_the_next",
        "keeps the deduplication id",
        REDRIVE,
    ),
    ministack(
        "a_delayed_message_comes_when_its_delay_is_over",
        "a delay beyond 900 s is taken",
        SEND,
    ),
    ministack(
        "a_group_comes_in_order_and_many_of_it_at_once",
        "takes one message of each group in turn, not as many of one group as it can",
        FIFO_DELIVERY,
    ),
    ministack(
        "a_group_id_on_a_standard_queue_is_kept_for_fair_queues",
        "invalid group ids are taken",
        SEND,
    ),
    ministack(
        "a_handle_that_has_expired_is_refused",
        "an expired handle deletes",
        RECEIVE,
    ),
    ministack(
        "a_head_given_back_is_handed_out_though_a_later_one_is_still_held",
        "the group stays blocked",
        CHANGE_VISIBILITY,
    ),
    ministack(
        "a_message_in_the_middle_held_longer_stops_what_follows_it",
        "a changed timeout in a group is ignored",
        CHANGE_VISIBILITY,
    ),
    ministack(
        "a_message_may_have_one_mebibyte_and_not_a_byte_more",
        "attributes do not count",
        "SQSDeveloperGuide/quotas-messages.html",
    ),
    ministack(
        "a_move_at_a_limited_rate_can_be_cancelled_and_is_alone",
        "no such action",
        MOVE_TASKS,
    ),
    ministack(
        "a_purge_removes_what_is_there_and_in_flight_and_is_allowed_once_a_minute",
        "purges at any time",
        "APIReference/API_PurgeQueue.html",
    ),
    ministack(
        "a_purged_message_can_be_sent_again_at_once",
        "the deduplication id is remembered",
        "APIReference/API_PurgeQueue.html",
    ),
    ministack(
        "a_queue_without_attributes_has_awss_defaults",
        "no SqsManagedSseEnabled",
        "APIReference/API_GetQueueAttributes.html",
    ),
    ministack(
        "a_receive_can_be_asked_for_again_by_its_attempt_id",
        "the attempt id is ignored",
        RECEIVE,
    ),
    ministack(
        "a_redrive_policy_that_makes_no_sense_is_refused",
        "another error code",
        SET_ATTRIBUTES,
    ),
    ministack(
        "a_timeout_that_is_over_cannot_be_changed",
        "it is changed",
        CHANGE_VISIBILITY,
    ),
    ministack(
        "attributes_can_be_changed_and_read_back",
        "gives all attributes when none are asked for",
        "APIReference/API_GetQueueAttributes.html",
    ),
    ministack(
        "attributes_of_fifo_queues_do_not_fit_others",
        "they are taken",
        SET_ATTRIBUTES,
    ),
    ministack(
        "attributes_that_break_the_rules_are_refused",
        "they are taken",
        "SQSDeveloperGuide/sqs-message-metadata.html",
    ),
    ministack(
        "dead_letters_can_be_sent_elsewhere",
        "no such action",
        MOVE_TASKS,
    ),
    ministack(
        "dead_letters_go_back_to_where_they_came_from",
        "no such action",
        MOVE_TASKS,
    ),
    ministack(
        "dead_letters_of_groups_go_back_in_order",
        "no such action",
        MOVE_TASKS,
    ),
    ministack(
        "deleting_by_an_older_handle_is_answered_well_and_keeps_the_message",
        "ReceiptHandleIsInvalid",
        DELETE,
    ),
    ministack(
        "deleting_works_after_the_timeout_and_any_number_of_times",
        "ReceiptHandleIsInvalid",
        DELETE,
    ),
    ministack(
        "group_and_deduplication_ids_are_required",
        "an empty one counts as missing",
        SEND,
    ),
    ministack(
        "groups_take_turns",
        "takes one message of each group in turn, not as many of one group as it can",
        FIFO_DELIVERY,
    ),
    ministack(
        "moves_that_cannot_be_are_refused",
        "no such action",
        MOVE_TASKS,
    ),
    ministack(
        "names_that_break_the_rules_are_refused",
        "they are taken",
        "APIReference/API_CreateQueue.html",
    ),
    ministack(
        "permissions_are_kept_in_the_policy",
        "they are not kept",
        "APIReference/API_AddPermission.html",
    ),
    ministack(
        "receive_parameters_out_of_range_are_refused",
        "they are taken",
        RECEIVE,
    ),
    ministack(
        "the_timeout_of_a_deleted_message_cannot_be_changed",
        "ReceiptHandleIsInvalid, which is for handles that never were",
        CHANGE_VISIBILITY,
    ),
    ministack(
        "the_trace_header_travels_as_a_system_attribute",
        "no MD5OfMessageSystemAttributes",
        SEND,
    ),
    ministack(
        "twelve_hours_from_the_receive_is_the_longest_timeout",
        "a longer one is taken",
        CHANGE_VISIBILITY,
    ),
    ministack(
        "what_a_fifo_batch_lacks_refuses_it_as_a_whole",
        "the entry fails alone",
        "APIReference/API_SendMessageBatch.html",
    ),
    // LocalStack 4.14.0.
    localstack(
        "a_bad_handle_in_a_batch_fails_alone",
        "a timeout beyond 12 hours is taken",
        CHANGE_VISIBILITY,
    ),
    localstack(
        "a_dead_letter_of_a_group_makes_way_for_the_next",
        "keeps the deduplication id",
        REDRIVE,
    ),
    localstack(
        "a_dead_letter_queue_can_refuse_a_source",
        "RedriveAllowPolicy is kept, not enforced",
        SET_ATTRIBUTES,
    ),
    localstack(
        "a_dead_letter_queue_must_exist_and_be_of_the_same_kind",
        "any ARN is taken",
        DEAD_LETTERS,
    ),
    localstack(
        "a_delayed_message_comes_when_its_delay_is_over",
        "a delay beyond 900 s is taken",
        SEND,
    ),
    localstack(
        "a_handle_that_has_expired_is_refused",
        "it changes the timeout",
        CHANGE_VISIBILITY,
    ),
    localstack(
        "a_later_one_given_back_waits_for_its_head",
        "it overtakes its head",
        FIFO_DELIVERY,
    ),
    localstack(
        "a_purge_removes_what_is_there_and_in_flight_and_is_allowed_once_a_minute",
        "purges at any time",
        "APIReference/API_PurgeQueue.html",
    ),
    localstack(
        "a_receive_can_be_asked_for_again_by_its_attempt_id",
        "the attempt id is ignored",
        RECEIVE,
    ),
    localstack(
        "a_redrive_policy_that_makes_no_sense_is_refused",
        "InternalError",
        SET_ATTRIBUTES,
    ),
    localstack(
        "a_repeat_is_answered_as_the_first_and_not_delivered_even_after_the_delete",
        "a new sequence number",
        SEND,
    ),
    localstack(
        "a_timeout_that_is_over_cannot_be_changed",
        "it is changed",
        CHANGE_VISIBILITY,
    ),
    localstack(
        "an_entry_that_is_too_long_fails_alone",
        "code InvalidParameterValueException",
        "APIReference/API_SendMessageBatch.html",
    ),
    localstack(
        "an_entry_with_forbidden_characters_fails_alone",
        "it is not the sender's fault",
        "APIReference/API_SendMessageBatch.html",
    ),
    localstack(
        "attributes_that_break_the_rules_are_refused",
        "some are taken",
        "SQSDeveloperGuide/sqs-message-metadata.html",
    ),
    localstack(
        "dead_letters_go_back_to_where_they_came_from",
        "they keep their id",
        REDRIVE,
    ),
    localstack(
        "dead_letters_of_groups_go_back_in_order",
        "COMPLETED, and they are gone",
        REDRIVE,
    ),
    localstack(
        "deleting_by_an_older_handle_is_answered_well_and_keeps_the_message",
        "it deletes (AWS: \"might not be deleted\")",
        DELETE,
    ),
    localstack(
        "receive_parameters_out_of_range_are_refused",
        "some are taken",
        RECEIVE,
    ),
    localstack(
        "twelve_hours_from_the_receive_is_the_longest_timeout",
        "a longer one is taken",
        CHANGE_VISIBILITY,
    ),
    localstack(
        "values_out_of_range_are_refused",
        "some are taken",
        SET_ATTRIBUTES,
    ),
    // AWS's page says that it "might result in an error"; as recorded, a standard queue takes the change as long as nobody
    // else has received the message. `localsqs` is strict: a worker that copes with the error copes with both.
    Exception {
        service: "aws",
        case: "a_timeout_that_is_over_cannot_be_changed",
        instead: "a standard queue may take the change",
        page: CHANGE_VISIBILITY,
    },
    Exception {
        service: "aws",
        case: "deleting_by_an_older_handle_is_answered_well_and_keeps_the_message",
        instead: "a standard queue may delete the message",
        page: DELETE,
    },
];
