//! A shop that can be told from its seed: what it sells, who buys, and what each visit wants.

use std::fmt::Write as _;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

/// Products of which there is always enough.
const PLENTY: u16 = 180;
/// Products of which there is little, and that many want.
const SCARCE: u16 = 20;
/// Units of a product of which there is always enough.
const PLENTY_UNITS: i64 = 100_000_000;
/// Customers who order all the time.
const HOT_CUSTOMERS: u32 = 12;
/// Customers in all.
const CUSTOMERS: u32 = 600;
/// The longest pause between one command about an order and the next.
const PAUSE_MS_MAX: u64 = 4_000;

/// The shop of a seed.
#[derive(Clone, Copy, Debug)]
pub struct Shop {
    seed: u64,
}

/// A product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// Stock-keeping unit.
    pub sku: String,
    /// Net price of one unit in ten-thousandths of a pound.
    pub price_e4: i64,
    /// Units before the first order.
    pub opening: i64,
}

/// One line of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which of [`Shop::products`].
    pub product: u16,
    /// Units.
    pub quantity: i64,
}

/// What has to become of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Everything in it is there: it is confirmed.
    Plain,
    /// It wants something scarce: confirmed or out of stock.
    Scarce,
    /// The shopper was shown another price: rejected.
    WrongPrice,
    /// There is no such product: rejected.
    UnknownSku,
}

/// What is asked for after the order was accepted, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The customer calls it off.
    Cancel,
    /// Money came in.
    Pay,
    /// Goods went out.
    Ship,
    /// Goods came back.
    Return {
        /// Whether they can be sold again.
        restock: bool,
    },
    /// The same request again: a double click, a retry that was not needed.
    Again,
    /// The same idempotency key with another body.
    OtherBody,
    /// The customer looks at the order.
    Look,
}

/// What a visitor wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// Its number.
    pub number: u64,
    /// Who orders.
    pub customer: u32,
    /// Whether a storefront's token is used instead of the customer's own.
    pub by_storefront: bool,
    /// What has to become of the order.
    pub sort: Sort,
    /// What is ordered.
    pub lines: Vec<Line>,
    /// Where it goes.
    pub country: &'static str,
    /// Whether it is paid before it ships.
    pub prepaid: bool,
    /// `Prefer: wait` in seconds.
    pub wait_s: Option<u8>,
    /// What is asked for later, each with the pause before it.
    pub steps: Vec<(Duration, Step)>,
}

/// Where goods go, with the rate in percent. A country without one is an export.
///
/// Written down here once more on purpose: the checker must not take the services' word for it.
pub const COUNTRIES: [(&str, i64); 5] = [("GB", 20), ("DE", 19), ("HU", 27), ("LU", 17), ("US", 0)];

impl Shop {
    /// The shop of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Everything that it sells.
    #[must_use]
    pub fn products(self) -> Vec<Product> {
        let mut rng = StdRng::seed_from_u64(self.seed);
        (0..PLENTY + SCARCE)
            .map(|index| {
                // Prices finer than a penny, so that rounding matters.
                let price_e4 = match rng.random_range(0..3) {
                    0 => rng.random_range(1..9_999),
                    1 => rng.random_range(1_000..999_999),
                    _ => rng.random_range(10..9_999) * 100,
                };
                let is_scarce = index >= PLENTY;
                Product {
                    sku: sku(index),
                    price_e4,
                    opening: if is_scarce {
                        rng.random_range(5..60)
                    } else {
                        PLENTY_UNITS
                    },
                }
            })
            .collect()
    }

    /// The customers' ids are these.
    pub fn customers(self) -> impl Iterator<Item = u32> {
        0..CUSTOMERS
    }

    /// What visitor `number` wants.
    #[must_use]
    pub fn visit(self, number: u64) -> Visit {
        let mut rng =
            StdRng::seed_from_u64(self.seed ^ (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let customer = if rng.random_range(0..100) < 25 {
            rng.random_range(0..HOT_CUSTOMERS)
        } else {
            rng.random_range(HOT_CUSTOMERS..CUSTOMERS)
        };
        let sort = match rng.random_range(0..100) {
            0..2 => Sort::WrongPrice,
            2..4 => Sort::UnknownSku,
            4..29 => Sort::Scarce,
            _ => Sort::Plain,
        };
        let mut lines: Vec<Line> = (0..rng.random_range(1..5))
            .map(|_| Line {
                product: rng.random_range(0..PLENTY),
                quantity: rng.random_range(1..13),
            })
            .collect();
        if sort == Sort::Scarce {
            for _ in 0..rng.random_range(1..3) {
                let product = PLENTY + rng.random_range(0..SCARCE);
                let quantity = rng.random_range(1..4);
                lines.insert(
                    rng.random_range(0..=lines.len()),
                    Line { product, quantity },
                );
            }
        }
        Visit {
            number,
            customer,
            by_storefront: rng.random_range(0..2) == 0,
            sort,
            lines,
            country: COUNTRIES[rng.random_range(0..COUNTRIES.len())].0,
            prepaid: rng.random_range(0..3) == 0,
            wait_s: (rng.random_range(0..100) < 5).then(|| rng.random_range(1..6)),
            steps: steps(&mut rng),
        }
    }
}

fn steps(rng: &mut StdRng) -> Vec<(Duration, Step)> {
    let mut steps = match rng.random_range(0..100) {
        0..10 => vec![Step::Cancel],
        10..14 => vec![Step::Pay, Step::Cancel],
        14..22 => vec![Step::Pay],
        22..32 => vec![Step::Pay, Step::Ship],
        32..36 => vec![Step::Ship, Step::Pay],
        36..38 => vec![Step::Ship, Step::Cancel],
        38..42 => {
            let restock = rng.random_range(0..2) == 0;
            vec![Step::Pay, Step::Ship, Step::Return { restock }]
        }
        42..46 => vec![Step::Again],
        46..48 => vec![Step::OtherBody],
        48..60 => vec![Step::Look],
        _ => Vec::new(),
    };
    if rng.random_range(0..50) == 0 {
        steps.push(Step::Again);
    }
    let mut pause = |step| {
        // Half of them at once: the order may not be settled yet.
        let pause_ms = match rng.random_range(0..2) {
            0 => 0,
            _ => rng.random_range(0..PAUSE_MS_MAX),
        };
        (Duration::from_millis(pause_ms), step)
    };
    steps.into_iter().map(&mut pause).collect()
}

fn sku(product: u16) -> String {
    if product < PLENTY {
        format!("PLENTY-{product:03}")
    } else {
        format!("SCARCE-{:03}", product - PLENTY)
    }
}

/// The customer's id in the API.
#[must_use]
pub fn customer_id(customer: u32) -> String {
    format!("customer-{customer:04}")
}

/// An amount in ten-thousandths as the API writes prices.
#[must_use]
pub fn price(e4: i64) -> String {
    format!("{}.{:04}", e4 / 10_000, e4 % 10_000)
}

/// The body of `POST /v1/products/import`.
#[must_use]
pub fn import(products: &[Product]) -> String {
    let mut lines = String::new();
    for product in products {
        let line = json!({
            "sku": product.sku, "name": format!("Product {}", product.sku),
            "prices": [{ "currency": "GBP", "amount": price(product.price_e4) }],
            "stock": { "adjust": product.opening, "reference": OPENING },
        });
        let _ = writeln!(lines, "{line}");
    }
    lines
}

/// The reference under which the first stock is booked.
pub const OPENING: &str = "opening";

impl Visit {
    /// The idempotency key of its order.
    #[must_use]
    pub fn key(&self) -> String {
        format!("visit-{}", self.number)
    }

    /// The body of its `POST /v1/orders`.
    #[must_use]
    pub fn body(&self, products: &[Product]) -> Value {
        self.body_with(products, 0)
    }

    /// A body under the same key that asks for something else.
    #[must_use]
    pub fn other_body(&self, products: &[Product]) -> Value {
        self.body_with(products, 1)
    }

    fn body_with(&self, products: &[Product], more: i64) -> Value {
        let mut lines: Vec<Value> = self
            .lines
            .iter()
            .map(|line| {
                let product = &products[usize::from(line.product)];
                json!({
                    "sku": product.sku, "quantity": line.quantity + more,
                    "unit_price": price(self.asked_price_e4(product)),
                })
            })
            .collect();
        if self.sort == Sort::UnknownSku {
            lines.push(json!({ "sku": UNKNOWN_SKU, "quantity": 1, "unit_price": "1.00" }));
        }
        let mut body = json!({
            "currency": "GBP", "reference": self.number.to_string(), "lines": lines,
            "ship_to": {
                "name": "Ada Lovelace", "line1": "12 St James's Square", "city": "London",
                "postcode": "SW1Y 4JH", "country": self.country,
            },
            "payment": { "method": if self.prepaid { "prepaid" } else { "invoice" } },
        });
        if self.by_storefront {
            body["customer_id"] = customer_id(self.customer).into();
        }
        body
    }

    /// The price that the shopper was shown.
    #[must_use]
    pub fn asked_price_e4(&self, product: &Product) -> i64 {
        product.price_e4 + i64::from(self.sort == Sort::WrongPrice)
    }
}

/// A product that is not there.
pub const UNKNOWN_SKU: &str = "NO-SUCH-THING";

#[cfg(test)]
mod tests {
    use steelyard_domain::order::PlaceOrderBody;
    use steelyard_domain::order::place::PlaceRights;
    use steelyard_domain::product::ProductBody;

    use super::*;

    #[test]
    fn a_seed_is_a_shop() {
        let (shop, again, other) = (Shop::new(5), Shop::new(5), Shop::new(6));
        assert_eq!(shop.products(), again.products());
        assert_ne!(shop.products(), other.products());
        for number in 0..200 {
            assert_eq!(shop.visit(number), again.visit(number));
        }
        assert_ne!(shop.visit(1), shop.visit(2));
    }

    #[test]
    fn everything_that_is_sent_is_valid() {
        let shop = Shop::new(1);
        let products = shop.products();
        for line in import(&products).lines() {
            let body: ProductBody = serde_json::from_str(line).unwrap();
            body.check(None).unwrap();
        }
        for number in 0..500 {
            let visit = shop.visit(number);
            for body in [visit.body(&products), visit.other_body(&products)] {
                let body: PlaceOrderBody = serde_json::from_value(body).unwrap();
                let customer = customer_id(visit.customer).parse().unwrap();
                body.check(customer, PlaceRights { may_price: false })
                    .unwrap();
            }
        }
    }

    #[test]
    fn visits_are_of_all_sorts() {
        let shop = Shop::new(2);
        let visits: Vec<Visit> = (0..2_000).map(|number| shop.visit(number)).collect();
        for sort in [
            Sort::Plain,
            Sort::Scarce,
            Sort::WrongPrice,
            Sort::UnknownSku,
        ] {
            assert!(visits.iter().any(|visit| visit.sort == sort), "{sort:?}");
        }
        let asks = |step: Step| {
            visits
                .iter()
                .any(|v| v.steps.iter().any(|(_, s)| *s == step))
        };
        for step in [
            Step::Cancel,
            Step::Pay,
            Step::Ship,
            Step::Again,
            Step::OtherBody,
            Step::Look,
        ] {
            assert!(asks(step), "{step:?}");
        }
        assert!(asks(Step::Return { restock: true }) && asks(Step::Return { restock: false }));
        let hot = visits.iter().filter(|visit| visit.customer < HOT_CUSTOMERS);
        assert!((400..600).contains(&hot.count()));
    }
}
