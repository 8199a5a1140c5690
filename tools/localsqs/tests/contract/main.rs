//! One contract, several services: the same cases, with the unmodified AWS SDK, against `localsqs`, against an emulator
//! that others wrote, and, on demand, against anything else that says it is SQS.
//!
//! - Against `localsqs` each case is a test, on a clock of its own: an hour takes a moment.
//! - Against ministack (from PyPI, in a virtual environment under the target directory) one test runs all cases.
//! - `LOCALSQS_CONTRACT_ENDPOINT=http://…` runs them against that endpoint (LocalStack, say), `=aws` against AWS itself with
//!   the credentials and region of the environment; the queues it creates are removed again.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at the first surprise"
)]
#![expect(
    clippy::print_stdout,
    reason = "how much of the contract others keep is worth a line"
)]

mod cases;
mod emulator;
mod endpoint;
mod exceptions;
#[path = "../support/mod.rs"]
mod support;

use std::{collections::BTreeMap, pin::Pin, time::Duration};

use aws_sdk_sqs::Client;
use endpoint::Endpoint;
use exceptions::{EXCEPTIONS, Exception};
use futures_util::{StreamExt as _, stream};
use localsqs::{Clock, Config, Server};
use time::{OffsetDateTime, macros::datetime};

/// Longest time for one case against a service that needs real time.
const CASE_SECONDS_MAX: u64 = 120;
/// Cases at once against such a service: most of the time they wait.
const CASES_AT_ONCE: usize = 8;

const START: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

struct Case {
    name: &'static str,
    run: fn(Endpoint) -> Pin<Box<dyn Future<Output = ()> + Send>>,
}

macro_rules! contract {
    ($($area:ident { $($case:ident),+ $(,)? })+) => {
        fn cases() -> Vec<Case> {
            vec![$($(Case { name: stringify!($case), run: |endpoint| Box::pin(cases::$area::$case(endpoint)) }),+),+]
        }

        mod localsqs_keeps_the_contract {
            $(mod $area {
                $(#[tokio::test]
                async fn $case() {
                    crate::against_localsqs(crate::cases::$area::$case).await;
                })+
            })+
        }
    };
}

contract! {
    messages {
        a_message_comes_back_with_its_digest_and_system_attributes,
        unicode_and_control_characters_that_xml_allows_come_back_unchanged,
        message_attributes_come_back_with_the_digest_that_aws_computes,
        attributes_can_be_asked_for_by_prefix,
        binary_and_number_attributes_keep_value_and_type,
        attributes_that_break_the_rules_are_refused,
        the_trace_header_travels_as_a_system_attribute,
        a_message_may_have_one_mebibyte_and_not_a_byte_more,
        a_queues_own_size_limit_holds,
        characters_that_xml_cannot_carry_are_refused,
        an_empty_body_is_refused,
        a_group_id_on_a_standard_queue_is_kept_for_fair_queues,
        messages_of_one_tenant_are_handed_out_in_parallel_on_a_standard_queue,
        a_delayed_message_comes_when_its_delay_is_over,
        messages_are_dropped_after_the_retention_period,
        receive_parameters_out_of_range_are_refused,
        a_waiting_receive_is_answered_when_a_message_comes,
    }
    batches {
        every_entry_of_a_batch_is_answered,
        an_entry_that_is_too_long_fails_alone,
        an_entry_with_forbidden_characters_fails_alone,
        a_batch_that_breaks_the_rules_is_refused_as_a_whole,
        deletes_and_visibility_changes_have_the_same_rules_for_batches,
        a_bad_handle_in_a_batch_fails_alone,
        what_a_fifo_batch_lacks_refuses_it_as_a_whole,
    }
    visibility {
        a_received_message_is_hidden_until_its_timeout_and_counted,
        a_receive_can_have_a_timeout_of_its_own,
        a_timeout_can_be_prolonged,
        a_timeout_set_to_zero_gives_the_message_back_at_once,
        twelve_hours_from_the_receive_is_the_longest_timeout,
        a_timeout_that_is_over_cannot_be_changed,
        the_timeout_of_a_deleted_message_cannot_be_changed,
        deleting_works_after_the_timeout_and_any_number_of_times,
        deleting_by_an_older_handle_is_answered_well_and_keeps_the_message,
        a_handle_that_is_none_is_refused,
        the_counts_of_a_queue_say_what_is_where,
    }
    fifo {
        a_group_comes_in_order_and_many_of_it_at_once,
        the_answer_to_a_send_has_the_sequence_number,
        a_group_waits_while_one_of_it_is_in_flight_and_others_do_not,
        deleting_a_part_of_what_is_in_flight_does_not_free_the_group,
        a_group_that_times_out_begins_again_from_its_head,
        a_head_given_back_is_handed_out_though_a_later_one_is_still_held,
        a_later_one_given_back_waits_for_its_head,
        a_message_in_the_middle_held_longer_stops_what_follows_it,
        groups_take_turns,
        a_waiting_receive_is_answered_when_a_group_is_freed,
        a_repeat_is_answered_as_the_first_and_not_delivered_even_after_the_delete,
        a_repeat_after_five_minutes_is_a_new_message,
        without_an_id_the_body_decides_if_the_queue_says_so,
        ids_are_told_apart_across_the_queue_by_default,
        ids_are_told_apart_within_groups_in_high_throughput_mode,
        group_and_deduplication_ids_are_required,
        a_message_cannot_have_a_delay_of_its_own,
        a_receive_can_be_asked_for_again_by_its_attempt_id,
        a_handle_that_has_expired_is_refused,
        a_purged_message_can_be_sent_again_at_once,
        messages_of_blocked_groups_count_as_visible,
    }
    redrive {
        a_message_received_too_often_goes_to_the_dead_letter_queue,
        a_dead_letter_of_a_group_makes_way_for_the_next,
        a_dead_letter_queue_must_exist_and_be_of_the_same_kind,
        a_redrive_policy_that_makes_no_sense_is_refused,
        an_empty_redrive_policy_takes_it_away,
        a_dead_letter_queue_knows_its_sources,
        dead_letters_go_back_to_where_they_came_from,
        dead_letters_of_groups_go_back_in_order,
        dead_letters_can_be_sent_elsewhere,
        a_move_at_a_limited_rate_can_be_cancelled_and_is_alone,
        moves_that_cannot_be_are_refused,
        a_dead_letter_queue_can_refuse_a_source,
    }
    queues {
        creating_a_queue_again_gives_the_same_unless_an_attribute_differs,
        names_that_break_the_rules_are_refused,
        a_queue_is_found_by_its_name,
        a_queue_that_is_not_there_is_said_to_be_missing,
        queues_are_listed_by_prefix_and_in_pages,
        a_queue_without_attributes_has_awss_defaults,
        attributes_can_be_changed_and_read_back,
        values_out_of_range_are_refused,
        attributes_of_fifo_queues_do_not_fit_others,
        tags_are_kept_changed_and_removed,
        a_purge_removes_what_is_there_and_in_flight_and_is_allowed_once_a_minute,
        a_deleted_queue_is_gone_with_its_messages,
        permissions_are_kept_in_the_policy,
        a_queues_own_wait_holds_for_receives_without_one,
    }
}

async fn against_localsqs<F: Future<Output = ()>>(case: impl FnOnce(Endpoint) -> F) {
    let clock = Clock::manual(START);
    let server = Server::start(Config {
        clock: clock.clone(),
        ..Config::default()
    })
    .await
    .unwrap();
    case(Endpoint::new(support::client(&server.url()), Some(clock))).await;
    server.stop().await;
}

/// Runs every case and gives the faults by name.
async fn run_all(client: &Client) -> BTreeMap<&'static str, String> {
    let runs = cases().into_iter().map(|case| run_one(client, case));
    stream::iter(runs)
        .buffer_unordered(CASES_AT_ONCE)
        .filter_map(async |fault| fault)
        .collect()
        .await
}

async fn run_one(client: &Client, case: Case) -> Option<(&'static str, String)> {
    let endpoint = Endpoint::new(client.clone(), None);
    let run = tokio::spawn((case.run)(endpoint.clone()));
    let abort = run.abort_handle();
    let outcome = tokio::time::timeout(Duration::from_secs(CASE_SECONDS_MAX), run).await;
    abort.abort();
    endpoint.clean_up().await;
    let fault = match outcome {
        Ok(Ok(())) => return None,
        Ok(Err(error)) if error.is_panic() => panic_text(error.into_panic().as_ref()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no end after {CASE_SECONDS_MAX} seconds"),
    };
    Some((case.name, fault))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_default()
}

/// Runs all cases and compares the faults with the exceptions that are known of a service.
async fn judge(service: &str, client: Client) {
    let known = EXCEPTIONS
        .iter()
        .filter(|exception| exception.service == service);
    let known: BTreeMap<_, _> = known.map(|exception| (exception.case, exception)).collect();
    let all = cases();
    for case in known.keys() {
        assert!(
            all.iter().any(|present| present.name == *case),
            "exception for a case that is not there: {case}"
        );
    }
    let faults = run_all(&client).await;
    println!(
        "{service}: {} of {} cases right, {} known exceptions",
        all.len() - faults.len(),
        all.len(),
        known.len()
    );
    let mut surprises = BTreeMap::new();
    // A service in real time, on a busy machine, may have been late for a case: once more, alone.
    for case in all
        .into_iter()
        .filter(|case| faults.contains_key(case.name) && !known.contains_key(case.name))
    {
        surprises.extend(run_one(&client, case).await);
    }
    assert!(
        surprises.is_empty(),
        "{service} differs where it did not: {surprises:#?}"
    );
    for (case, Exception { instead, page, .. }) in known {
        // AWS differs from itself: an exception there is a permission.
        let healed = service != "aws" && !faults.contains_key(case);
        assert!(
            !healed,
            "{service} is right by now in {case} ({instead}; {page}): remove the exception"
        );
    }
}

// One thread: the panics of cases that fail as expected stay in the test's captured output.
#[tokio::test]
async fn an_emulator_by_others_keeps_the_contract_but_for_the_known_exceptions() {
    let ministack = match emulator::Ministack::start() {
        Ok(ministack) => ministack,
        Err(reason) => {
            let notice = format!("NOT RUN: the contract against ministack: {reason}");
            assert!(std::env::var_os("CI").is_none(), "{notice}");
            eprintln!("\n{notice}\n");
            return;
        }
    };
    judge("ministack", support::client(&ministack.url)).await;
}

#[tokio::test]
async fn the_endpoint_named_in_the_environment_keeps_the_contract() {
    let Ok(name) = std::env::var("LOCALSQS_CONTRACT_ENDPOINT") else {
        return;
    };
    let (service, client) = if name == "aws" {
        let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
        ("aws".to_owned(), Client::new(&config))
    } else {
        let service =
            std::env::var("LOCALSQS_CONTRACT_SERVICE").unwrap_or_else(|_| "localstack".to_owned());
        (service, support::client(&name))
    };
    judge(&service, client).await;
}
