//! The promises, looked at from outside when a cell has come to its end: by REST, in the queues, and in the tables.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::Value;
use steelyard_domain::event::{OrderEvent, OrderEventKind};
use steelyard_domain::order::{Order, OrderStatus};
use steelyard_queue::Received;
use steelyard_testkit::wait_for_ok;
use steelyard_tests::PATIENCE;
use uuid::Uuid;

use crate::lane::{DEAD_LETTERS, DOCUMENTS, WEBHOOKS};
use crate::shop::{Expected, ON_SHELF, PRICE, Shop};

impl Shop<'_> {
    /// All promises, for this cell's customers and goods.
    pub(crate) async fn check(&self) {
        self.every_command_is_settled_once_and_in_sequence().await;
        self.stock_is_what_orders_hold().await;
        self.every_event_has_left_in_order().await;
        self.only_what_fails_by_itself_is_a_dead_letter().await;
    }

    fn by_customer(&self) -> BTreeMap<&str, Vec<&Expected>> {
        let mut customers: BTreeMap<&str, Vec<&Expected>> = BTreeMap::new();
        for order in &self.orders {
            customers.entry(&order.customer).or_default().push(order);
        }
        customers
    }

    /// P1, P2, P3, P5.
    async fn every_command_is_settled_once_and_in_sequence(&self) {
        for (customer, expected) in self.by_customer() {
            let docs: Vec<(i64, String)> = sqlx::query_as(
                "SELECT sequence, doc::text FROM orders.orders WHERE customer_id = $1 ORDER BY sequence",
            )
            .bind(customer)
            .fetch_all(&self.lane.pool)
            .await
            .expect("the orders");
            let numbers: Vec<i64> = docs.iter().map(|(number, _)| *number).collect();
            let wanted: Vec<i64> = (1..).take(expected.len()).collect();
            assert_eq!(numbers, wanted, "P3: {customer}'s sequence has no gaps");
            for ((_, doc), expected) in docs.iter().zip(expected) {
                let order: Order = serde_json::from_str(doc).expect("an order");
                check_order(&order, expected);
                let shown = self.shown(&order).await;
                assert_eq!(shown, order, "REST shows what is stored");
            }
        }
        let commands = self.orders.iter().flat_map(|order| &order.history);
        let commands: Vec<Uuid> = commands.map(|id| id.0).collect();
        let seen =
            sqlx::query_scalar("SELECT count(*) FROM orders.inbox WHERE message_id = ANY($1)");
        let seen: i64 = seen
            .bind(&commands)
            .fetch_one(&self.lane.pool)
            .await
            .expect("the inbox");
        assert_eq!(
            usize::try_from(seen),
            Ok(commands.len()),
            "P2: each command is known once"
        );
        let ignored: Vec<Uuid> = self.ignored.iter().map(|id| id.0).collect();
        let noted =
            sqlx::query_scalar("SELECT count(*) FROM orders.ignored WHERE message_id = ANY($1)");
        let noted: i64 = noted
            .bind(&ignored)
            .fetch_one(&self.lane.pool)
            .await
            .expect("the ignored");
        assert_eq!(
            usize::try_from(noted),
            Ok(ignored.len()),
            "P6: a stranger is noted"
        );
        let waiting = sqlx::query_scalar(
            "SELECT count(*) FROM orders.tombstones WHERE customer_id LIKE '%-' || $1",
        );
        let waiting: i64 = waiting
            .bind(self.number.to_string())
            .fetch_one(&self.lane.pool)
            .await
            .expect("the tombstones");
        assert_eq!(waiting, 0, "no command waits for an order that came");
    }

    /// The order as REST shows it: a receipt at first, while orders cannot be asked.
    async fn shown(&self, order: &Order) -> Order {
        let customer = order.customer_id.as_str();
        let token = self
            .lane
            .issuer
            .mint(customer, "customer", Duration::from_mins(5));
        let url = format!("{}/v1/orders/{}", self.lane.gateway.base(), order.id);
        wait_for_ok("REST shows the settled order", PATIENCE, async || {
            let answer = self.lane.http.get(&url).bearer_auth(&token).send().await;
            let body = answer.map_err(|error| error.to_string())?.text().await;
            let body = body.map_err(|error| error.to_string())?;
            serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))
        })
        .await
    }

    /// P4.
    async fn stock_is_what_orders_hold(&self) {
        let sku = self.sku();
        let (mut on_hand, mut reserved) = (ON_SHELF, 0);
        for order in &self.orders {
            let found: Option<(String, Value)> =
                sqlx::query_as("SELECT state, units FROM catalog.reservations WHERE order_id = $1")
                    .bind(order.id.0)
                    .fetch_optional(&self.lane.pool)
                    .await
                    .expect("the reservation");
            let (state, units) = found.expect("P4: catalog knows every settled order");
            assert_eq!(
                state, order.stock,
                "P4: what became of the stock of {:?}",
                order.id
            );
            if matches!(
                order.status,
                OrderStatus::Confirmed | OrderStatus::Completed
            ) {
                assert_eq!(
                    units[&sku].as_i64(),
                    Some(order.quantity),
                    "P4: {:?}",
                    order.id
                );
            }
            match order.stock {
                "held" => reserved += order.quantity,
                "consumed" => on_hand -= order.quantity,
                _ => {}
            }
        }
        let stock: (i64, i64) =
            sqlx::query_as("SELECT on_hand, reserved FROM catalog.stock WHERE sku = $1")
                .bind(&sku)
                .fetch_one(&self.lane.pool)
                .await
                .expect("the stock");
        assert_eq!(stock, (on_hand, reserved), "P4: on hand and reserved");
    }

    async fn every_event_has_left_in_order(&self) {
        let webhooks = self.lane.take_all(WEBHOOKS).await;
        let documents = self.lane.take_all(DOCUMENTS).await;
        for (customer, expected) in self.by_customer() {
            let events = expected.iter().flat_map(|order| {
                order
                    .events
                    .iter()
                    .map(|event| (order.id.0, (*event).to_owned()))
            });
            let mut expected: Vec<_> = events.collect();
            let told = events_of(&webhooks, customer);
            assert_eq!(
                told, expected,
                "webhooks hear every event of {customer}, in order"
            );
            expected.retain(|(_, event)| {
                OrderEventKind::from_word(event).is_some_and(OrderEventKind::makes_document)
            });
            let told = events_of(&documents, customer);
            assert_eq!(
                told, expected,
                "documents hear theirs of {customer}, in order"
            );
        }
    }

    /// P7.
    async fn only_what_fails_by_itself_is_a_dead_letter(&self) {
        let dead = self.lane.take_all(DEAD_LETTERS).await;
        // Parking is at least once, like everything that is sent.
        let mut bodies: Vec<String> = dead.into_iter().map(|message| message.body).collect();
        bodies.dedup();
        assert_eq!(bodies, self.parked, "P7: the dead letters");
    }
}

/// A customer's events, each once, in the order in which they came first.
fn events_of(messages: &[Received], customer: &str) -> Vec<(Uuid, String)> {
    let mut seen = HashSet::new();
    messages
        .iter()
        .map(|message| serde_json::from_str::<OrderEvent>(&message.body).expect("an event"))
        .filter(|event| event.customer_id.as_str() == customer && seen.insert(event.event_id))
        .map(|event| (event.order.id.0, event.kind.as_str().to_owned()))
        .collect()
}

fn check_order(order: &Order, expected: &Expected) {
    let name = format!("order {} of {}", order.id, expected.customer);
    assert_eq!(
        order.id, expected.id,
        "P3: {name} stands where it was accepted"
    );
    assert_eq!(
        (order.status, order.payment_status, order.fulfillment_status),
        (expected.status, expected.payment, expected.fulfillment),
        "P1: {name} is settled as it must be"
    );
    let history: Vec<_> = order.history.iter().map(|entry| entry.command_id).collect();
    assert_eq!(
        history, expected.history,
        "P2: {name} has every command once"
    );
    assert_eq!(
        order.conflicts.len(),
        expected.conflicts,
        "P2: conflicts of {name}"
    );
    let versions: Vec<i64> = order.history.iter().map(|entry| entry.version).collect();
    assert!(versions.is_sorted(), "{name}: versions grow");

    let half_up =
        |amount: Decimal| amount.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
    let price: Decimal = PRICE.parse().expect("a price");
    let subtotal = half_up(price * Decimal::from(expected.quantity));
    let has_prices = order
        .lines
        .iter()
        .all(|line| line.tax_rate == Decimal::from(20));
    let tax = if has_prices {
        half_up(subtotal / Decimal::from(5))
    } else {
        Decimal::ZERO
    };
    assert_eq!(
        (order.subtotal, order.tax_total, order.total),
        (subtotal, tax, subtotal + tax),
        "P5: the totals of {name}"
    );
    let priced = matches!(
        expected.status,
        OrderStatus::Confirmed | OrderStatus::Completed
    );
    assert!(has_prices || !priced, "P5: {name} is taxed");
}
