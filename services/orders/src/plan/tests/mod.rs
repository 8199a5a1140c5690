mod world;

use proptest::prelude::{Just, Strategy, prop_oneof, proptest};
use steelyard_domain::command::CommandKind::{self, Cancel, Pay, Place, Return, Ship};
use steelyard_domain::order::{OrderStatus, PaymentStatus, Reason, Refusal};

use super::{CONFLICTS_MAX, REFUSALS_MAX, TOMBSTONES_MAX, Verdict, check};
use world::{
    NOW, Sent, World, command, command_under, customer, order_id, place, place_body, place_of,
};

#[test]
fn a_new_order_is_priced_taxed_and_confirmed() {
    let mut world = World::default();
    assert_eq!(world.run(&[place("a", "1", 0)]), [Verdict::Settled]);
    let order = world.order(order_id("a", "1"));
    assert_eq!(order.status, OrderStatus::Confirmed);
    // 6 × 2.55 + 3.39 = 18.69; 20 % = 3.738
    let sums = (order.subtotal, order.tax_total, order.total);
    let sums = (sums.0.to_string(), sums.1.to_string(), sums.2.to_string());
    assert_eq!(sums, ("18.69".into(), "3.74".into(), "22.43".into()));
    assert_eq!((order.sequence, order.version), (1, 1));
    assert_eq!(order.lines[0].name, "HOLDER");
    assert_eq!(order.history.len(), 1);
    assert_eq!(order.placed_at, order.accepted_at);
    assert_eq!(order.updated_at, NOW);
    assert_eq!(world.event_kinds(), ["order.confirmed"]);
    assert_eq!(&world.events[0].order, order);
}

#[test]
fn a_rejected_order_says_why_and_is_released_so_that_no_late_call_can_hold_stock_for_it() {
    let mut world = World::default();
    let body = place_body("a", "none", 1, false);
    let sent = place_of("a", "1", 0, &body);
    world.run(std::slice::from_ref(&sent));
    let id = order_id("a", "1");
    let order = world.order(id);
    assert_eq!(
        (order.status, order.reason),
        (OrderStatus::Rejected, Some(Reason::UnknownSku))
    );
    let detail = order.reason_detail.as_deref();
    assert_eq!(detail, Some("/lines/0: is not in the catalog"));
    assert!(order.tax_total.is_zero() && order.lines.iter().all(|line| line.tax.is_zero()));
    assert!(world.released.contains(&id) && world.held.is_empty());

    // The crash came between commit and release: the redelivery makes up for it.
    world.released.clear();
    world.run(&[sent]);
    assert!(world.released.contains(&id));
    assert_eq!(world.event_kinds(), ["order.rejected"]);
}

#[test]
fn a_duplicate_has_no_effect_in_the_same_set_or_a_later_one() {
    let mut world = World::default();
    let sent = place("a", "1", 0);
    world.run(&[sent.clone(), sent.clone()]);
    let before = world.order(order_id("a", "1")).clone();
    assert_eq!(world.run(&[sent]), [Verdict::Settled]);
    assert_eq!(*world.order(order_id("a", "1")), before);
    assert_eq!(world.event_kinds(), ["order.confirmed"]);
    assert_eq!(world.asked_for.len(), 1);
}

#[test]
fn the_same_key_with_another_body_is_recorded_once_and_the_first_one_stands() {
    let mut world = World::default();
    let other = place_of("a", "1", 1, &place_body("a", "85123A", 7, false));
    world.run(&[place("a", "1", 0), other.clone()]);
    world.run(&[other]);
    let order = world.order(order_id("a", "1"));
    assert_eq!(order.lines[0].quantity, 6);
    assert_eq!((order.conflicts.len(), order.version), (1, 2));
    assert_eq!(order.conflicts[0].command, "order.place");
    assert_eq!(world.event_kinds(), ["order.confirmed"]);
}

#[test]
fn two_orders_of_one_customer_in_one_set_get_consecutive_numbers() {
    let mut world = World::default();
    world.run(&[place("a", "1", 0), place("b", "1", 0), place("a", "2", 1)]);
    world.run(&[place("a", "3", 2)]);
    let sequence = |customer, key| world.order(order_id(customer, key)).sequence;
    assert_eq!(
        [sequence("a", "1"), sequence("a", "2"), sequence("a", "3")],
        [1, 2, 3]
    );
    assert_eq!(sequence("b", "1"), 1);
}

#[test]
fn commands_of_one_set_build_on_each_other() {
    let mut world = World::default();
    let id = order_id("a", "1");
    world.run(&[
        place("a", "1", 0),
        command(Pay, "a", id, 1),
        command(Ship, "a", id, 2),
        command(Cancel, "a", id, 3),
        command(Return, "a", id, 4),
    ]);
    let order = world.order(id);
    assert_eq!(order.status, OrderStatus::Completed);
    assert_eq!(order.payment_status, PaymentStatus::Refunded);
    let refused: Vec<_> = order.history.iter().map(|entry| entry.refused).collect();
    assert_eq!(
        refused,
        [None, None, None, Some(Refusal::AlreadyShipped), None]
    );
    assert_eq!(order.history[1].note.as_deref(), Some("at 1"));
    assert_eq!((order.version, order.history[4].version), (5, 5));
    let kinds = [
        "order.confirmed",
        "order.paid",
        "order.shipped",
        "order.returned",
    ];
    assert_eq!(world.event_kinds(), kinds);
    // Each event tells of the order as it was then.
    let versions: Vec<_> = world
        .events
        .iter()
        .map(|event| event.order.version)
        .collect();
    assert_eq!(versions, [1, 2, 3, 5]);
}

#[test]
fn a_cancellation_gives_the_stock_back() {
    let mut world = World::default();
    let id = order_id("a", "1");
    world.run(&[place("a", "1", 0)]);
    assert!(world.held.contains(&id));
    world.run(&[command(Cancel, "a", id, 1)]);
    assert!(!world.held.contains(&id) && world.released.contains(&id));
    assert_eq!(world.order(id).reason, Some(Reason::CustomerRequest));
}

#[test]
fn a_cancellation_before_its_order_cancels_it_without_asking_for_stock() {
    for in_one_set in [true, false] {
        let mut world = World::default();
        let id = order_id("a", "1");
        let (cancel, order) = (command(Cancel, "a", id, 5), place("a", "1", 0));
        if in_one_set {
            world.run(&[cancel, order]);
        } else {
            world.run(std::slice::from_ref(&cancel));
            world.run(&[cancel]);
            assert_eq!(world.tombstones.len(), 1);
            world.run(&[order]);
        }
        assert_eq!(world.status(id), OrderStatus::Cancelled);
        let statuses: Vec<_> = world.order(id).history.iter().map(|e| e.status).collect();
        assert_eq!(statuses, [OrderStatus::Accepted, OrderStatus::Cancelled]);
        assert!(world.asked_for.is_empty() && world.released.contains(&id));
        assert_eq!(world.event_kinds(), ["order.cancelled"]);
        assert!(world.tombstones.is_empty());
    }
}

#[test]
fn what_came_before_its_order_is_applied_in_the_order_of_acceptance() {
    let mut world = World::default();
    let id = order_id("a", "1");
    world.run(&[command(Cancel, "a", id, 3)]);
    world.run(&[command(Ship, "a", id, 2)]);
    world.run(&[command(Pay, "a", id, 1)]);
    world.run(&[place("a", "1", 0)]);
    // Shipped before it was called off: then it was not called off in time.
    assert_eq!(world.status(id), OrderStatus::Completed);
    let last = world
        .order(id)
        .history
        .last()
        .and_then(|entry| entry.refused);
    assert_eq!(last, Some(Refusal::AlreadyShipped));
    assert_eq!(world.asked_for, [id]);
}

#[test]
fn a_stranger_changes_nothing_and_takes_no_command_from_the_owner() {
    let mut world = World::default();
    let id = order_id("a", "1");
    // Before the order, in the same set and after it; under the key that the owner will use.
    let theft = command_under(Cancel, "m", id, "k", 1);
    world.run(std::slice::from_ref(&theft));
    world.run(&[place("a", "1", 0), command(Cancel, "m", id, 2)]);
    world.run(&[theft]);
    assert_eq!(world.status(id), OrderStatus::Confirmed);
    assert!(!world.released.contains(&id));
    assert_eq!(world.order(id).history.len(), 1);
    assert!(world.ignored.iter().all(|(_, who)| *who == customer("m")));
    assert!(world.ignored.len() >= 2);

    world.run(&[command_under(Cancel, "a", id, "k", 3)]);
    assert_eq!(world.status(id), OrderStatus::Cancelled);
}

#[test]
fn a_place_for_somebody_elses_order_is_set_aside_and_not_lost() {
    let mut world = World::default();
    world.run(&[place("a", "1", 0)]);
    let mut stolen = place("m", "1", 1);
    stolen.message.order_id = order_id("a", "1");
    let verdicts = world.run(&[stolen]);
    assert!(
        matches!(&verdicts[..], [Verdict::Park(reason)] if reason.contains("another customer"))
    );
}

#[test]
fn an_order_that_catalog_released_without_our_knowledge_is_cancelled() {
    let mut world = World::default();
    let id = order_id("a", "1");
    world.released.insert(id);
    world.run(&[place("a", "1", 0)]);
    assert_eq!(world.status(id), OrderStatus::Cancelled);
    assert_eq!(world.order(id).reason, Some(Reason::ShopRequest));
}

#[test]
fn nobody_can_make_an_order_grow_without_bound() {
    let mut world = World::default();
    let id = order_id("a", "1");
    world.run(&[place("a", "1", 0)]);
    let returns: Vec<Sent> = (0..150).map(|n| command(Return, "a", id, n)).collect();
    world.run(&returns);
    let bodies = (7..80).map(|n| place_of("a", "1", n, &place_body("a", "85123A", n, false)));
    world.run(&bodies.collect::<Vec<_>>());
    let order = world.order(id);
    assert_eq!(order.history.len(), 1 + REFUSALS_MAX);
    assert_eq!(order.conflicts.len(), CONFLICTS_MAX);
    // It can still be changed.
    world.run(&[command(Cancel, "a", id, 1_000)]);
    assert_eq!(world.status(id), OrderStatus::Cancelled);

    let early: Vec<Sent> = (0..60)
        .map(|n| command(Pay, "a", order_id("a", "2"), n))
        .collect();
    for sent in early {
        world.run(&[sent]);
    }
    assert_eq!(world.tombstones.len(), TOMBSTONES_MAX);
}

#[test]
fn what_the_gateway_would_not_write_is_told_apart() {
    let mut order = place_body("a", "85123A", 1, false);
    assert_eq!(check(&order), Ok(()));
    order.lines[1].quantity = 0;
    assert_eq!(check(&order), Err("/lines/1/quantity is 0".into()));
    order.lines.clear();
    assert_eq!(check(&order), Err("it has 0 lines".into()));
}

/// One step of a story of two customers: which customer, which of three orders, what, and how.
#[derive(Debug, Clone)]
struct Step {
    kind: CommandKind,
    who: &'static str,
    key: &'static str,
    again: bool,
    variant: i64,
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        3 => Just(Place), 1 => Just(Cancel), 2 => Just(Pay), 2 => Just(Ship), 1 => Just(Return)
    ];
    let who = prop_oneof![Just("a"), Just("b")];
    let key = prop_oneof![Just("1"), Just("2"), Just("3")];
    let again = proptest::bool::weighted(0.3);
    (kind, who, key, again, 0i64..3).prop_map(|(kind, who, key, again, variant)| Step {
        kind,
        who,
        key,
        again,
        variant,
    })
}

fn messages(steps: &[Step]) -> Vec<Sent> {
    let mut second = 0;
    let message = steps.iter().map(|step| {
        second += 1;
        // Now and then the same command again, or its key with another body.
        let at = if step.again { 1 } else { second };
        if step.kind == Place {
            let sku = if step.variant == 2 { "none" } else { "85123A" };
            let body = place_body(step.who, sku, 1 + step.variant, step.variant == 1);
            return place_of(step.who, step.key, at, &body);
        }
        command(step.kind, step.who, order_id(step.who, step.key), at)
    });
    message.collect()
}

proptest! {
    #[test]
    fn it_makes_no_difference_how_commands_fall_into_sets(
        steps in proptest::collection::vec(step(), 1..40),
        cuts in proptest::collection::vec(1usize..8, 40),
    ) {
        let sent = messages(&steps);
        let mut one_by_one = World::default();
        for one in &sent {
            one_by_one.run(std::slice::from_ref(one));
        }
        let mut in_sets = World::default();
        let mut rest = &sent[..];
        for cut in cuts {
            let (set, later) = rest.split_at(cut.min(rest.len()));
            in_sets.run(set);
            rest = later;
        }
        in_sets.run(rest);
        assert_eq!(one_by_one.orders, in_sets.orders);
        assert_eq!(one_by_one.held, in_sets.held);
        for world in [&one_by_one, &in_sets] {
            for who in ["a", "b"] {
                let theirs = world.orders.values().filter(|o| o.customer_id == customer(who));
                let mut sequences: Vec<_> = theirs.map(|order| order.sequence).collect();
                sequences.sort_unstable();
                let expected: Vec<_> = (1..).take(sequences.len()).collect();
                assert_eq!(sequences, expected);
            }
            for order in world.orders.values() {
                assert!(order.status.is_settled());
                let holds = matches!(order.status, OrderStatus::Confirmed | OrderStatus::Completed);
                assert_eq!(world.held.contains(&order.id), holds);
                let effects = order.history.iter().filter(|e| {
                    let waits = e.command == "order.place" && e.status == OrderStatus::Accepted;
                    e.refused.is_none() && !waits
                });
                let events = world.events.iter().filter(|event| event.order.id == order.id);
                assert_eq!(effects.count(), events.count());
            }
        }
    }
}
