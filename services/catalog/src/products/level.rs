//! How much there is, where, and what may be booked.

use std::borrow::Cow;
use std::collections::HashMap;

use sqlx::PgConnection;
use steelyard_domain::fault::{Fault, Invalid};
use steelyard_domain::product::{LOCATION_DEFAULT, StockAdjustment};

/// What is in the warehouses, and how much of it orders hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) on_hand: i64,
    pub(super) reserved: i64,
    /// Units at each place but the main one, which has the rest.
    pub(super) elsewhere: HashMap<String, i64>,
}

impl Level {
    /// Units at a place.
    pub(super) fn at(&self, location: &str) -> i64 {
        if location == LOCATION_DEFAULT {
            self.on_hand - self.elsewhere.values().sum::<i64>()
        } else {
            self.elsewhere.get(location).copied().unwrap_or(0)
        }
    }

    /// What can be ordered.
    pub(super) const fn available(&self) -> i64 {
        self.on_hand - self.reserved
    }

    /// The level after a booking.
    ///
    /// # Errors
    /// `stock_reserved` when less would be left than orders hold, `stock_elsewhere` when the place has not so many.
    pub(super) fn booked(mut self, booking: &StockAdjustment) -> Result<Self, Invalid> {
        let StockAdjustment {
            adjust, location, ..
        } = booking;
        let on_hand = self.on_hand.saturating_add(*adjust);
        if on_hand < self.reserved {
            let Self {
                on_hand: now,
                reserved,
                ..
            } = self;
            let detail = format!(
                "{now} are on hand and {reserved} of them reserved: {adjust} cannot be booked"
            );
            return Err(Invalid::new("stock_reserved", detail));
        }
        let here = self.at(location).saturating_add(*adjust);
        if here < 0 {
            let now = self.at(location);
            let detail = format!("{now} are at {location}: {adjust} cannot be booked there");
            return Err(Invalid::new("stock_elsewhere", detail));
        }
        self.on_hand = on_hand;
        if location != LOCATION_DEFAULT {
            self.elsewhere.insert(location.clone(), here);
        }
        Ok(self)
    }
}

/// Where in a booking that cannot be made the fault is; the booking itself is at `place`.
pub(super) fn stock_fault(place: &str, Invalid { code, detail }: Invalid) -> Fault {
    let field = if code == "stock_elsewhere" {
        "location"
    } else {
        "adjust"
    };
    Fault {
        pointer: format!("{place}/{field}"),
        code: Cow::Borrowed(code),
        detail: detail.into_owned(),
    }
}

/// Whether a booking left as little as somebody wants to hear of. Below that it is told no more.
pub(super) fn became_low(low_at: Option<i64>, before: i64, available: i64) -> bool {
    low_at.is_some_and(|low_at| available <= low_at && low_at < before)
}

/// The levels of some SKUs, their stock locked in one order.
pub(super) async fn lock_levels(
    connection: &mut PgConnection,
    skus: &[&str],
) -> Result<HashMap<String, Level>, sqlx::Error> {
    if skus.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "SELECT sku, on_hand, reserved FROM stock WHERE sku = ANY($1)
         ORDER BY sku FOR NO KEY UPDATE",
    )
    .bind(skus)
    .fetch_all(&mut *connection)
    .await?;
    let level = |(sku, on_hand, reserved)| {
        let elsewhere = HashMap::new();
        let level = Level {
            on_hand,
            reserved,
            elsewhere,
        };
        (sku, level)
    };
    let mut levels: HashMap<String, Level> = rows.into_iter().map(level).collect();
    if levels.is_empty() {
        return Ok(levels);
    }
    let rows: Vec<(String, String, i64)> =
        sqlx::query_as("SELECT sku, location, on_hand FROM stock_at WHERE sku = ANY($1)")
            .bind(skus)
            .fetch_all(connection)
            .await?;
    for (sku, location, on_hand) in rows {
        if let Some(level) = levels.get_mut(&sku) {
            level.elsewhere.insert(location, on_hand);
        }
    }
    Ok(levels)
}

/// After goods were taken off `stock.on_hand`: the main location gives first, the others what it has not. The stock
/// rows must be locked.
pub(crate) async fn consume_elsewhere(
    connection: &mut PgConnection,
    skus: &[&str],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "WITH short AS (
             SELECT stock.sku, (sum(stock_at.on_hand) - stock.on_hand)::bigint AS units
             FROM stock JOIN stock_at ON stock_at.sku = stock.sku
             WHERE stock.sku = ANY($1)
             GROUP BY stock.sku, stock.on_hand
             HAVING sum(stock_at.on_hand) > stock.on_hand
         ), gives AS (
             SELECT sku, location, stock_at.on_hand AS has, short.units AS wanted,
                    (sum(stock_at.on_hand) OVER (PARTITION BY sku ORDER BY location)
                     - stock_at.on_hand)::bigint AS before
             FROM stock_at JOIN short USING (sku)
         )
         UPDATE stock_at
         SET on_hand = stock_at.on_hand - least(gives.has, greatest(gives.wanted - gives.before, 0))
         FROM gives
         WHERE stock_at.sku = gives.sku AND stock_at.location = gives.location
           AND gives.wanted > gives.before",
    )
    .bind(skus)
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use steelyard_domain::product::StockAdjustment;

    use super::Level;

    fn booking(adjust: i64, location: &str) -> StockAdjustment {
        StockAdjustment {
            adjust,
            reference: "r".into(),
            reason: None,
            location: location.into(),
        }
    }

    #[test]
    fn a_booking_never_takes_what_orders_hold_or_what_is_elsewhere() {
        let level = Level {
            on_hand: 10,
            reserved: 4,
            elsewhere: [("north".into(), 7)].into(),
        };
        let code = |adjust, location: &str| {
            let booked = level.clone().booked(&booking(adjust, location));
            booked
                .map(|level| (level.on_hand, level.at("main"), level.at("north")))
                .map_err(|refused| refused.code)
        };
        assert_eq!(code(-3, "main"), Ok((7, 0, 7)));
        assert_eq!(code(-4, "main"), Err("stock_elsewhere"));
        assert_eq!(code(-6, "north"), Ok((4, 3, 1)));
        assert_eq!(code(-7, "north"), Err("stock_reserved"));
        assert_eq!(code(-1, "south"), Err("stock_elsewhere"));
        assert_eq!(code(2, "south"), Ok((12, 3, 7)));
        assert!(Level::default().booked(&booking(-1, "main")).is_err());
    }
}
