//! A new order, from what was asked for and what catalog answered.

use rust_decimal::Decimal;
use steelyard_domain::id::OrderId;
use steelyard_domain::internal::{PricedLine, ReserveResult};
use steelyard_domain::order::place::{LINES_MAX, QUANTITY_MAX};
use steelyard_domain::order::{
    Effect, FulfillmentStatus, Order, OrderLine, OrderStatus, PaymentStatus, PlaceLine, PlaceOrder,
    Reason,
};
use steelyard_domain::tax::{STANDARD, TaxTable};
use steelyard_domain::totals::{self, TooLarge, Totals};
use time::OffsetDateTime;

/// Checks what the gateway checks and a message's shape does not show.
///
/// # Errors
/// What is wrong, for the one who looks at the parked message.
pub fn check(place: &PlaceOrder) -> Result<(), String> {
    if !(1..=LINES_MAX).contains(&place.lines.len()) {
        return Err(format!("it has {} lines", place.lines.len()));
    }
    match place
        .lines
        .iter()
        .position(|line| !(1..=QUANTITY_MAX).contains(&line.quantity))
    {
        None => Ok(()),
        Some(i) => Err(format!(
            "/lines/{i}/quantity is {}",
            place.lines[i].quantity
        )),
    }
}

/// What catalog's answer means for an order.
pub(super) struct Decision {
    pub(super) effect: Effect,
    pub(super) detail: Option<String>,
}

/// Splits an answer into the decision and the priced lines, if there are any.
pub(super) fn decide(answer: ReserveResult) -> (Decision, Option<Vec<PricedLine>>) {
    let decision = |effect, detail| Decision { effect, detail };
    match answer {
        ReserveResult::Reserved(lines) => (decision(Effect::Confirm, None), Some(lines)),
        ReserveResult::Rejected {
            reason,
            line,
            detail,
        } => {
            let detail = Some(format!("/lines/{line}: {detail}"));
            (decision(Effect::Reject(reason), detail), None)
        }
        // Catalog remembers a release that this store does not: it was restored from an older copy.
        ReserveResult::Released => {
            let detail = "its stock was released before it was settled".to_owned();
            let effect = Effect::Cancel(Reason::ShopRequest);
            (decision(effect, Some(detail)), None)
        }
    }
}

/// The order as `accepted`, priced and taxed if catalog gave prices; without them the lines stand
/// as they were asked for and carry no tax.
pub(super) fn build(
    id: OrderId,
    accepted_at: OffsetDateTime,
    place: PlaceOrder,
    priced: Option<Vec<PricedLine>>,
    tax: &TaxTable,
    sequence: i64,
    now: OffsetDateTime,
) -> Result<Order, TooLarge> {
    let lines = match priced {
        Some(priced) => place
            .lines
            .into_iter()
            .zip(priced)
            .map(|(line, priced)| priced_line(line, priced, tax, &place.ship_to.country))
            .collect(),
        None => place.lines.into_iter().map(unpriced_line).collect(),
    };
    let mut order = Order {
        id,
        customer_id: place.customer_id,
        reference: place.reference,
        status: OrderStatus::Accepted,
        payment_status: PaymentStatus::Unpaid,
        fulfillment_status: FulfillmentStatus::Unfulfilled,
        reason: None,
        reason_detail: None,
        currency: place.currency,
        prices: tax.prices(),
        lines,
        subtotal: Decimal::ZERO,
        tax_total: Decimal::ZERO,
        total: Decimal::ZERO,
        taxes: Vec::new(),
        ship_to: place.ship_to,
        bill_to: place.bill_to,
        email: place.email,
        payment_method: place.payment_method,
        metadata: place.metadata,
        placed_at: place.placed_at.unwrap_or(accepted_at),
        accepted_at,
        updated_at: now.max(accepted_at),
        version: 0,
        sequence,
        history: Vec::with_capacity(1),
        conflicts: Vec::new(),
        documents: Vec::new(),
    };
    add_up(&mut order)?;
    Ok(order)
}

fn priced_line(line: PlaceLine, priced: PricedLine, tax: &TaxTable, country: &str) -> OrderLine {
    OrderLine {
        sku: line.sku,
        name: priced.name,
        quantity: line.quantity,
        unit_price: priced.unit_price,
        line_total: Decimal::ZERO,
        tax_rate: tax.rate(country, &priced.tax_category),
        tax_category: priced.tax_category,
        tax: Decimal::ZERO,
    }
}

fn unpriced_line(line: PlaceLine) -> OrderLine {
    OrderLine {
        name: line.name.unwrap_or_else(|| line.sku.as_str().to_owned()),
        sku: line.sku,
        quantity: line.quantity,
        unit_price: line.unit_price,
        line_total: Decimal::ZERO,
        tax_rate: Decimal::ZERO,
        tax_category: STANDARD.to_owned(),
        tax: Decimal::ZERO,
    }
}

fn add_up(order: &mut Order) -> Result<(), TooLarge> {
    let lines: Vec<_> = order
        .lines
        .iter()
        .map(|line| totals::PricedLine {
            quantity: line.quantity,
            unit_price: line.unit_price,
            tax_rate: line.tax_rate,
        })
        .collect();
    let sums = Totals::of(&lines, order.currency, order.prices)?;
    for (line, sum) in order.lines.iter_mut().zip(sums.lines) {
        line.line_total = sum.line_total;
        line.tax = sum.tax;
    }
    order.subtotal = sums.subtotal;
    order.tax_total = sums.tax_total;
    order.total = sums.total;
    order.taxes = sums.rates;
    Ok(())
}
