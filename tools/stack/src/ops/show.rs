//! Answers for people.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use super::table::{short, table};

const REASON_CHARS_MAX: usize = 60;
const NOTHING: &str = "-";

pub(super) fn queues(answer: &Value) -> String {
    let rows: Vec<Vec<String>> = list(&answer["queues"])
        .map(|queue| {
            let source = text(&queue["oldest_source"]);
            let oldest = match source.as_str() {
                "empty" => NOTHING.to_owned(),
                "unknown" => source,
                _ => format!("{} ({source})", seconds(&queue["oldest_age_s"])),
            };
            vec![
                text(&queue["name"]),
                text(&queue["depth"]),
                text(&queue["in_flight"]),
                oldest,
                text(&queue["arrival_per_min"]),
                text(&queue["drain_per_min"]),
                text(&queue["growth_per_min"]),
                seconds(&queue["seconds_to_empty"]),
            ]
        })
        .collect();
    let head = [
        "QUEUE",
        "DEPTH",
        "IN FLIGHT",
        "OLDEST",
        "IN/MIN",
        "SETTLED/MIN",
        "GROWTH/MIN",
        "EMPTY IN",
    ];
    let mut shown = table(&head, &rows);
    let _ = write!(shown, "\n\n{}", workers(answer));
    let state = &answer["maintenance"];
    if !state.is_null() {
        let _ = write!(shown, "\n\n{}", maintenance(state));
    }
    let _ = write!(
        shown,
        "\nWhoever asks for what is not settled yet is told to come back after {} s.",
        text(&answer["retry_after_s"])
    );
    shown
}

fn workers(answer: &Value) -> String {
    let rows: Vec<Vec<String>> = list(&answer["workers"])
        .map(|worker| {
            let breakers: Vec<String> = list(&worker["breakers"])
                .map(|breaker| {
                    format!(
                        "{} since {}, {} probes: {}",
                        text(&breaker["dependency"]),
                        text(&breaker["since"]),
                        text(&breaker["probes"]),
                        short(&text(&breaker["why"]), REASON_CHARS_MAX)
                    )
                })
                .collect();
            vec![
                text(&worker["instance"]),
                text(&worker["processing"]),
                text(&worker["in_hand"]),
                text(&worker["settled_per_min"]),
                seconds(&worker["last_poll_age_s"]),
                if breakers.is_empty() {
                    "flows".to_owned()
                } else {
                    breakers.join("; ")
                },
            ]
        })
        .collect();
    if rows.is_empty() {
        return "No worker has reported lately.".to_owned();
    }
    let head = [
        "WORKER",
        "STATE",
        "IN HAND",
        "SETTLED/MIN",
        "LAST POLL",
        "TAP",
    ];
    let mut shown = table(&head, &rows);
    match answer["workers_known"].as_str() {
        Some("one") => {
            shown.push_str("\nPostgres is away: only the worker that was asked is listed.");
        }
        Some("none") => {
            shown.push_str("\nThe orders service is away: this is what was known before.");
        }
        _ => {}
    }
    shown
}

pub(super) fn maintenance(state: &Value) -> String {
    let mut shown = format!("Processing is {}", text(&state["processing"]));
    if let Some(reason) = state["reason"].as_str() {
        let _ = write!(
            shown,
            " ({reason}; by {} at {})",
            text(&state["changed_by"]),
            text(&state["changed_at"])
        );
    }
    match state["until"].as_str() {
        Some(until) => {
            let _ = write!(shown, ", until {until}.");
        }
        None => shown.push('.'),
    }
    shown
}

pub(super) fn letters(answer: &Value) -> String {
    let rows: Vec<Vec<String>> = list(&answer["data"])
        .map(|letter| {
            let command = &letter["command"];
            let kind = if command.is_null() {
                "unreadable".to_owned()
            } else {
                text(&command["type"])
            };
            vec![
                text(&letter["id"]),
                text(&letter["parked_at"]),
                text(&letter["group_id"]),
                kind,
                text(&letter["redriven"]),
                short(&text(&letter["reason"]), REASON_CHARS_MAX),
            ]
        })
        .collect();
    let complete = answer["complete"] == true;
    let mut shown = match (rows.is_empty(), complete) {
        (true, true) => "There are no dead letters.".to_owned(),
        (true, false) => "No dead letters in reach.".to_owned(),
        _ => table(
            &[
                "ID",
                "PARKED AT",
                "CUSTOMER",
                "COMMAND",
                "REDRIVEN",
                "REASON",
            ],
            &rows,
        ),
    };
    if !complete {
        shown.push_str(
            "\nThere may be more: SQS gives ten of a customer at a time, and none that somebody else holds.",
        );
    }
    more(&mut shown, answer);
    shown
}

pub(super) fn letter(letter: &Value) -> String {
    let mut shown = String::new();
    for (name, field) in [
        ("id", "id"),
        ("customer (group)", "group_id"),
        ("reason", "reason"),
        ("unreadable", "undecodable"),
        ("first failed", "first_failed_at"),
        ("parked", "parked_at"),
        ("redriven", "redriven"),
        ("by", "redriven_by"),
        ("bytes", "body_bytes"),
        ("sha256", "body_sha256"),
    ] {
        if !letter[field].is_null() {
            let _ = writeln!(shown, "{name:<17} {}", text(&letter[field]));
        }
    }
    for (name, value) in letter["attributes"].as_object().into_iter().flatten() {
        let _ = writeln!(shown, "{name:<17} {}", text(value));
    }
    let attempts: Vec<Vec<String>> = list(&letter["history"])
        .map(|attempt| {
            vec![
                text(&attempt["parked_at"]),
                text(&attempt["first_failed_at"]),
                text(&attempt["receive_count"]),
                text(&attempt["reason"]),
            ]
        })
        .collect();
    if !attempts.is_empty() {
        let head = ["PARKED AT", "FIRST FAILED", "RECEIVES", "REASON"];
        let _ = writeln!(shown, "\n{}", table(&head, &attempts));
    }
    match &letter["body"] {
        Value::Null => {
            let _ = write!(shown, "\n{}", text(&letter["raw"]));
        }
        body => {
            let _ = write!(shown, "\n{body:#}");
        }
    }
    shown
}

pub(super) fn redriven(answer: &Value) -> String {
    let rows: Vec<Vec<String>> = list(&answer["results"])
        .map(|result| {
            let detail = result["detail"].as_str().unwrap_or_default();
            vec![
                text(&result["id"]),
                text(&result["outcome"]),
                detail.to_owned(),
            ]
        })
        .collect();
    if rows.is_empty() {
        return "Nothing to redrive.".to_owned();
    }
    let mut shown = table(&["ID", "OUTCOME", "DETAIL"], &rows);
    let _ = write!(
        shown,
        "\n{} moved; audit entry {}.",
        text(&answer["moved"]),
        text(&answer["audit_id"])
    );
    if answer["result_written"] == false {
        shown.push_str("\nThe result could not be written into the audit: keep this.");
    }
    shown
}

pub(super) fn dry_run(run: &Value) -> String {
    let mut shown = format!(
        "It {}",
        match run["verdict"].as_str().unwrap_or_default() {
            "settles" => "would take effect",
            "refused" => "would be refused by the order's state",
            "duplicate" => "was settled before; nothing would happen",
            "conflict" => "was settled before with another body; the order would note the conflict",
            "waits_for_order" => "would wait for its order",
            "ignored" => "is about another customer's order and would have no effect",
            _ => "would be parked again",
        }
    );
    match run["reason"].as_str() {
        Some(reason) => {
            let _ = write!(shown, ": {reason}.");
        }
        None => shown.push('.'),
    }
    let orders: Vec<Vec<String>> = list(&run["orders"])
        .map(|order| {
            let total = format!("{} {}", text(&order["total"]), text(&order["currency"]));
            vec![
                text(&order["id"]),
                text(&order["status"]),
                text(&order["payment_status"]),
                text(&order["fulfillment_status"]),
                text(&order["subtotal"]),
                text(&order["tax_total"]),
                total,
                text(&order["sequence"]),
                text(&order["reason"]),
            ]
        })
        .collect();
    if !orders.is_empty() {
        let head = [
            "ORDER", "STATUS", "PAYMENT", "GOODS", "SUBTOTAL", "TAX", "TOTAL", "SEQUENCE", "REASON",
        ];
        let _ = write!(shown, "\n\n{}", table(&head, &orders));
    }
    for event in list(&run["events"]) {
        let _ = write!(
            shown,
            "\nevent: {} (version {})",
            text(&event["type"]),
            text(&event["version"])
        );
    }
    for (call, orders) in run["catalog"].as_object().into_iter().flatten() {
        for order in list(orders) {
            let _ = write!(shown, "\ncatalog: {call} {}", text(order));
        }
    }
    shown.push_str("\n\nNothing of this was kept.");
    shown
}

pub(super) fn audit(answer: &Value) -> String {
    let rows: Vec<Vec<String>> = list(&answer["data"])
        .map(|entry| {
            vec![
                text(&entry["id"]),
                text(&entry["at"]),
                text(&entry["by"]),
                text(&entry["action"]),
                text(&entry["subject"]),
                short(&text(&entry["reason"]), REASON_CHARS_MAX),
            ]
        })
        .collect();
    if rows.is_empty() {
        return "Nothing was done.".to_owned();
    }
    let mut shown = table(&["ID", "AT", "BY", "ACTION", "SUBJECT", "REASON"], &rows);
    more(&mut shown, answer);
    shown
}

fn more(shown: &mut String, answer: &Value) {
    if let Some(cursor) = answer["next_cursor"].as_str() {
        let _ = write!(shown, "\nMore: --cursor '{cursor}'");
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => NOTHING.to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn seconds(value: &Value) -> String {
    value.as_u64().map_or_else(
        || NOTHING.to_owned(),
        |seconds| humantime::format_duration(Duration::from_secs(seconds)).to_string(),
    )
}
