//! Stock bookings: goods receipts and corrections.

use sqlx::{PgConnection, PgPool};
use steelyard_domain::id::Sku;
use steelyard_domain::product::{StockAdjustment, StockLevel};

use super::Level;
use crate::transaction::{Abort, Work, transact};

/// What came of a booking.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Adjusted {
    /// The level now; `booked` is false when the reference had been booked before.
    Level(StockLevel),
    /// There is no such product.
    Unknown,
    /// It would leave less than orders hold; why, in words.
    Refused(String),
}

/// Books an adjustment, once per SKU and reference.
pub(crate) async fn adjust(
    pool: &PgPool,
    sku: &Sku,
    adjustment: &StockAdjustment,
) -> Result<Adjusted, Abort> {
    transact(pool, &Adjust { sku, adjustment }).await
}

struct Adjust<'a> {
    sku: &'a Sku,
    adjustment: &'a StockAdjustment,
}

impl Work for Adjust<'_> {
    type Output = Adjusted;

    async fn attempt(&self, connection: &mut PgConnection) -> Result<Adjusted, Abort> {
        let StockAdjustment {
            adjust,
            reference,
            reason,
        } = self.adjustment;
        let level: Option<Level> =
            sqlx::query_as("SELECT on_hand, reserved FROM stock WHERE sku = $1 FOR NO KEY UPDATE")
                .bind(self.sku.as_str())
                .fetch_optional(&mut *connection)
                .await?;
        let Some(level) = level else {
            return Ok(Adjusted::Unknown);
        };
        let booked_before: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM stock_ledger WHERE sku = $1 AND reference = $2)",
        )
        .bind(self.sku.as_str())
        .bind(reference)
        .fetch_one(&mut *connection)
        .await?;
        if booked_before {
            return Ok(self.level(level, false));
        }
        let level = match level.booked(*adjust) {
            Ok(level) => level,
            Err(refused) => return Ok(Adjusted::Refused(refused)),
        };
        sqlx::query(
            "WITH booked AS (
                 INSERT INTO stock_ledger (sku, reference, adjust, reason) VALUES ($1, $2, $3, $4)
             )
             UPDATE stock SET on_hand = $5 WHERE sku = $1",
        )
        .bind(self.sku.as_str())
        .bind(reference)
        .bind(adjust)
        .bind(reason)
        .bind(level.on_hand)
        .execute(connection)
        .await?;
        Ok(self.level(level, true))
    }
}

impl Adjust<'_> {
    fn level(&self, level: Level, booked: bool) -> Adjusted {
        let Level { on_hand, reserved } = level;
        let available = on_hand - reserved;
        Adjusted::Level(StockLevel {
            sku: self.sku.clone(),
            on_hand,
            reserved,
            available,
            booked,
        })
    }
}
