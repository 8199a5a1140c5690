//! Stock bookings: goods receipts and corrections.

use sqlx::{PgConnection, PgPool};
use steelyard_domain::fault::Fault;
use steelyard_domain::id::Sku;
use steelyard_domain::product::{LOCATION_DEFAULT, StockAdjustment, StockLevel};

use super::Pen;
use super::level::{Level, became_low, lock_levels, stock_fault};
use crate::transaction::{Abort, Work, transact};

/// What came of a booking.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Adjusted {
    /// The level now; `booked` is false when the reference had been booked before.
    Level(StockLevel),
    /// There is no such product.
    Unknown,
    /// It would leave less than orders hold, or than is there: what of the booking is wrong.
    Refused(Fault),
}

/// Books an adjustment, once per SKU and reference.
pub(crate) async fn adjust(
    pool: &PgPool,
    pen: Pen<'_>,
    sku: &Sku,
    adjustment: &StockAdjustment,
) -> Result<Adjusted, Abort> {
    let work = Adjust {
        pen,
        sku,
        adjustment,
    };
    let adjusted = transact(pool, &work).await?;
    pen.events.wake();
    Ok(adjusted)
}

struct Adjust<'a> {
    pen: Pen<'a>,
    sku: &'a Sku,
    adjustment: &'a StockAdjustment,
}

impl Work for Adjust<'_> {
    type Output = Adjusted;

    async fn attempt(&self, connection: &mut PgConnection) -> Result<Adjusted, Abort> {
        let sku = self.sku.as_str();
        let level = lock_levels(connection, &[sku]).await?.remove(sku);
        let Some(level) = level else {
            return Ok(Adjusted::Unknown);
        };
        let booked_before: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM stock_ledger WHERE sku = $1 AND reference = $2)",
        )
        .bind(sku)
        .bind(&self.adjustment.reference)
        .fetch_one(&mut *connection)
        .await?;
        if booked_before {
            return Ok(self.level(&level, false));
        }
        let before = level.available();
        let level = match level.booked(self.adjustment) {
            Ok(level) => level,
            Err(refused) => return Ok(Adjusted::Refused(stock_fault("", refused))),
        };
        self.book(connection, &level).await?;
        self.tell(connection, before, level.available()).await?;
        Ok(self.level(&level, true))
    }
}

impl Adjust<'_> {
    async fn book(&self, connection: &mut PgConnection, level: &Level) -> Result<(), sqlx::Error> {
        let StockAdjustment {
            adjust,
            reference,
            reason,
            location,
        } = self.adjustment;
        sqlx::query(
            "WITH booked AS (
                 INSERT INTO stock_ledger (sku, reference, adjust, reason, location, booked_by)
                 VALUES ($1, $2, $3, $4, $5, $6)
             )
             UPDATE stock SET on_hand = $7 WHERE sku = $1",
        )
        .bind(self.sku.as_str())
        .bind(reference)
        .bind(adjust)
        .bind(reason)
        .bind(location)
        .bind(self.pen.author.name())
        .bind(level.on_hand)
        .execute(&mut *connection)
        .await?;
        if location == LOCATION_DEFAULT {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO stock_at (sku, location, on_hand) VALUES ($1, $2, $3)
             ON CONFLICT (sku, location) DO UPDATE SET on_hand = excluded.on_hand",
        )
        .bind(self.sku.as_str())
        .bind(location)
        .bind(level.at(location))
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Tells when the booking left as little as somebody wants to hear of.
    async fn tell(
        &self,
        connection: &mut PgConnection,
        before: i64,
        now: i64,
    ) -> Result<(), sqlx::Error> {
        if now >= before {
            return Ok(());
        }
        let low_at: Option<i64> = sqlx::query_scalar("SELECT low_at FROM products WHERE sku = $1")
            .bind(self.sku.as_str())
            .fetch_one(&mut *connection)
            .await?;
        if became_low(low_at, before, now) {
            let low = [(self.sku.as_str(), now)];
            self.pen.events.low(connection, &low).await?;
        }
        Ok(())
    }

    fn level(&self, level: &Level, booked: bool) -> Adjusted {
        let (on_hand, reserved) = (level.on_hand, level.reserved);
        Adjusted::Level(StockLevel {
            sku: self.sku.clone(),
            on_hand,
            reserved,
            available: level.available(),
            booked,
        })
    }
}
