//! A checker is worth what it finds: an honest run is clean, and every lie in it is told.

mod world;

use std::time::Duration;

use rust_decimal::Decimal;
use steelyard_domain::order::{OrderStatus, PaymentStatus, Reason};
use uuid::Uuid;

use self::world::World;
use super::{Books, Fact, Findings};
use crate::collect::DeadLetter;
use crate::journal::{Asked, Oddity, Receipt};

/// What the checker says after the run was tampered with.
fn after(tamper: impl FnOnce(&mut World)) -> Findings {
    let mut world = World::honest();
    tamper(&mut world);
    world.check()
}

#[track_caller]
fn finds(fact: Fact, tamper: impl FnOnce(&mut World)) {
    let findings = after(tamper);
    let found = |violation: &super::Violation| violation.fact == fact;
    assert!(
        findings.violations.iter().any(found),
        "{fact}: {:#?}",
        findings.violations
    );
    assert!(!findings.is_clean());
}

fn is_confirmed(order: &steelyard_domain::order::Order) -> bool {
    order.status == OrderStatus::Confirmed
}

#[test]
fn an_honest_run_is_clean_and_nearly_everything_in_it_was_checked() {
    let findings = World::honest().check();
    assert!(findings.is_clean(), "{:#?}", findings.violations);
    let elsewhere = [Fact::SentAgain, Fact::Alive, Fact::Rested];
    for fact in Fact::ALL
        .into_iter()
        .filter(|fact| !elsewhere.contains(fact))
    {
        assert!(findings.counts[&fact].0 > 0, "{fact}");
    }
    assert!(
        findings.counts[&Fact::InOrder].0 > 300,
        "{:?}",
        findings.counts
    );
}

#[test]
fn a_request_that_was_never_accepted() {
    finds(Fact::Answered, |world| {
        world.record.entries[0].accepted = None;
    });
}

#[test]
fn an_undocumented_answer() {
    finds(Fact::Documented, |world| {
        world.record.oddities_count = 1;
        world.record.oddities.push(Oddity {
            request: "/v1/orders visit-1".to_owned(),
            what: "500: oh".to_owned(),
        });
    });
}

#[test]
fn an_accepted_order_that_is_lost() {
    finds(Fact::Settled, |world| {
        // The customer's last, so that the sequence has no gap.
        world.orders.values_mut().next().unwrap().pop();
    });
}

#[test]
fn an_order_that_is_not_settled() {
    finds(Fact::Settled, |world| {
        world.order(is_confirmed).status = OrderStatus::Accepted;
    });
}

#[test]
fn an_order_that_is_there_twice() {
    finds(Fact::Settled, |world| {
        let orders = world.orders.values_mut().next().unwrap();
        let mut second = orders[0].clone();
        second.id.0 = Uuid::from_u128(u128::MAX);
        second.sequence = i64::try_from(orders.len()).unwrap() + 1;
        orders.push(second);
    });
}

#[test]
fn an_order_that_nobody_sent() {
    finds(Fact::Settled, |world| {
        world.order(is_confirmed).reference = Some("999999".to_owned());
    });
}

#[test]
fn a_second_body_that_took_effect() {
    finds(Fact::Settled, |world| {
        world.order(|order| !order.conflicts.is_empty()).lines[0].quantity += 1;
    });
}

#[test]
fn a_conflict_that_was_not_noted() {
    finds(Fact::Settled, |world| {
        world
            .order(|order| !order.conflicts.is_empty())
            .conflicts
            .clear();
    });
}

#[test]
fn a_retry_that_got_another_id() {
    finds(Fact::Settled, |world| {
        let entries = &mut world.record.entries;
        let again = entries.iter_mut().find(|entry| entry.asked == Asked::Again);
        again.unwrap().order_id = Some(Uuid::nil());
    });
}

#[test]
fn an_order_that_was_rejected_without_need() {
    finds(Fact::Decided, |world| {
        let order =
            world.order(|o| is_confirmed(o) && o.lines.iter().all(|l| l.sku.as_str() < "Q"));
        order.status = OrderStatus::Rejected;
        order.reason = Some(Reason::OutOfStock);
    });
}

#[test]
fn an_order_that_was_confirmed_at_a_price_that_nobody_was_shown() {
    finds(Fact::Decided, |world| {
        let order = world.order(|order| order.reason == Some(Reason::PriceChanged));
        order.status = OrderStatus::Confirmed;
        order.reason = None;
    });
}

#[test]
fn an_accepted_command_that_is_lost() {
    finds(Fact::Commanded, |world| {
        let order = world.order(|order| order.history.len() > 1);
        order.history.pop();
        order.version -= 1;
    });
}

#[test]
fn a_command_that_took_effect_twice() {
    finds(Fact::Commanded, |world| {
        let order = world.order(|order| order.history.len() > 1);
        let mut again = order.history.last().unwrap().clone();
        again.version += 1;
        order.version += 1;
        order.history.push(again);
    });
}

#[test]
fn a_command_that_nobody_sent() {
    finds(Fact::Commanded, |world| {
        let order = world.order(|order| order.history.len() > 1);
        order.history[1].command_id.0 = Uuid::nil();
    });
}

#[test]
fn an_order_that_is_not_as_its_history_says() {
    finds(Fact::Commanded, |world| {
        world.order(is_confirmed).payment_status = PaymentStatus::Refunded;
    });
}

#[test]
fn a_gap_in_the_sequence() {
    finds(Fact::Numbered, |world| {
        world
            .orders
            .values_mut()
            .next()
            .unwrap()
            .last_mut()
            .unwrap()
            .sequence += 1;
    });
}

#[test]
fn a_number_that_two_orders_have() {
    finds(Fact::Numbered, |world| {
        let orders = world
            .orders
            .values_mut()
            .find(|orders| orders.len() > 2)
            .unwrap();
        orders[1].sequence = orders[0].sequence;
    });
}

#[test]
fn orders_that_took_effect_in_the_wrong_order() {
    finds(Fact::InOrder, |world| {
        let orders = world
            .orders
            .values_mut()
            .find(|orders| orders.len() > 2)
            .unwrap();
        let first = orders[0].sequence;
        orders[0].sequence = std::mem::replace(&mut orders[1].sequence, first);
    });
}

#[test]
fn a_command_that_overtook_another() {
    finds(Fact::InOrder, |world| {
        let events = World::most(&mut world.collected.webhooks);
        let (first, last) = (0, events.len() - 1);
        events.swap(first, last);
    });
}

#[test]
fn requests_that_overlap_may_take_effect_in_either_order() {
    let findings = after(|world| {
        for entry in &mut world.record.entries {
            // Everything is answered when everything was sent.
            entry.accepted = Some(Duration::from_secs(3_600));
        }
        let orders = world
            .orders
            .values_mut()
            .find(|orders| orders.len() > 2)
            .unwrap();
        let first = orders[0].sequence;
        orders[0].sequence = std::mem::replace(&mut orders[1].sequence, first);
    });
    assert!(
        findings
            .violations
            .iter()
            .all(|violation| violation.fact != Fact::InOrder)
    );
}

#[test]
fn a_penny_too_much() {
    let penny = Decimal::new(1, 2);
    finds(Fact::Exact, |world| {
        world.order(is_confirmed).total += penny;
    });
    finds(Fact::Exact, |world| {
        world.order(is_confirmed).tax_total += penny;
    });
    finds(Fact::Exact, |world| {
        world.order(is_confirmed).lines[0].line_total += penny;
    });
    finds(Fact::Exact, |world| {
        World::most(&mut world.collected.documents)[0].total += penny;
    });
}

#[test]
fn stock_below_zero() {
    finds(Fact::Stocked, |world| {
        let level = &mut world.levels[0];
        level.available = -1;
        level.reserved = level.on_hand + 1;
    });
}

#[test]
fn a_reservation_that_nobody_holds_and_one_that_is_missing() {
    for wrong in [1, -1] {
        finds(Fact::Stocked, |world| {
            let level = world
                .levels
                .iter_mut()
                .find(|level| level.reserved > 0)
                .unwrap();
            level.reserved += wrong;
            level.available -= wrong;
        });
    }
}

#[test]
fn goods_that_left_twice() {
    finds(Fact::Stocked, |world| {
        world.levels[5].on_hand -= 1;
        world.levels[5].available -= 1;
    });
}

#[test]
fn a_goods_receipt_that_was_booked_twice_or_never() {
    finds(Fact::Stocked, |world| {
        world.levels[3].on_hand += 40;
        world.levels[3].available += 40;
    });
    finds(Fact::Received, |world| {
        world.record.receipts.push(Receipt {
            product: 4,
            units: 1,
            booked: false,
        });
    });
}

#[test]
fn an_event_that_is_lost() {
    finds(Fact::Delivered, |world| {
        World::most(&mut world.collected.webhooks).pop();
    });
    finds(Fact::Delivered, |world| {
        World::most(&mut world.collected.documents).pop();
    });
}

#[test]
fn an_event_of_nothing_that_happened() {
    finds(Fact::Delivered, |world| {
        let events = World::most(&mut world.collected.webhooks);
        let mut invented = events[0].clone();
        invented.event_id = Uuid::nil();
        events.push(invented);
    });
    finds(Fact::Delivered, |world| {
        world.collected.webhooks.unreadable.push("{}".to_owned());
    });
    finds(Fact::Delivered, |world| {
        let events = World::most(&mut world.collected.webhooks).clone();
        world
            .collected
            .webhooks
            .events
            .insert("mallory".to_owned(), events);
    });
}

#[test]
fn an_event_that_tells_another_version() {
    finds(Fact::Delivered, |world| {
        World::most(&mut world.collected.documents)[0].version += 7;
    });
}

#[test]
fn events_in_the_wrong_order() {
    finds(Fact::DeliveredInOrder, |world| {
        let events = World::most(&mut world.collected.documents);
        let last = events.len() - 1;
        events.swap(0, last);
    });
}

#[test]
fn a_dead_letter_that_did_not_fail_by_itself_and_a_planted_one_that_is_lost() {
    finds(Fact::SetAside, |world| {
        world.letters.push(DeadLetter {
            body: "{}".to_owned(),
            parked: None,
        });
    });
    finds(Fact::SetAside, |world| world.letters.clear());
}

#[test]
fn an_old_request_that_changed_something_or_got_another_answer() {
    let world = World::honest();
    let entry = world.record.entries[0].clone();
    let before = world.orders[&entry.customer][0].clone();
    let ask = |answered, after| {
        let world = World::honest();
        let mut books = Books::open(world.shop, world.record, world.collected);
        books.sent_again(&entry, answered, &before, after);
        books.findings.counts[&Fact::SentAgain].1
    };
    assert_eq!(ask(entry.order_id, Some(&before)), 0);
    assert_eq!(ask(Some(Uuid::nil()), Some(&before)), 1);
    assert_eq!(ask(entry.order_id, None), 1);
    let mut changed = before.clone();
    changed.version += 1;
    assert_eq!(ask(entry.order_id, Some(&changed)), 1);
}
