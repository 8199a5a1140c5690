//! Products and their stock.

mod adjust;
mod read;
mod upsert;

pub(crate) use adjust::{Adjusted, adjust};
pub(crate) use read::{Filter, Position, get, list};
pub(crate) use upsert::{Saved, upsert};

/// What is in the warehouse, and how much of it orders hold.
#[derive(Debug, Clone, Copy, Default, sqlx::FromRow)]
struct Level {
    on_hand: i64,
    reserved: i64,
}

impl Level {
    /// The level after a booking.
    ///
    /// # Errors
    /// In words, when less would be left than orders hold.
    fn booked(self, adjust: i64) -> Result<Self, String> {
        let on_hand = self.on_hand.saturating_add(adjust);
        if on_hand < self.reserved {
            let Self {
                on_hand: now,
                reserved,
            } = self;
            return Err(format!(
                "{now} are on hand and {reserved} of them reserved: {adjust} cannot be booked"
            ));
        }
        Ok(Self { on_hand, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::Level;

    #[test]
    fn a_booking_never_takes_what_orders_hold() {
        let level = Level {
            on_hand: 10,
            reserved: 4,
        };
        assert_eq!(level.booked(-6).map(|level| level.on_hand), Ok(4));
        assert!(level.booked(-7).is_err());
        assert!(Level::default().booked(-1).is_err());
    }
}
