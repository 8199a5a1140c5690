//! The states of an order. They change through [`OrderState::apply`] only, which is total: every
//! effect on every state is either a new state, nothing new, or a refusal with its reason.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::PaymentMethod;

macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant),+
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in the API and in the store.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// Reads the word back.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

text_enum! {
    /// Where an order stands as a whole.
    OrderStatus {
        /// On the queue; no worker has settled it yet.
        Accepted = "accepted",
        /// Priced, stock reserved.
        Confirmed = "confirmed",
        /// Could not be taken; `reason` says why. Holds no stock.
        Rejected = "rejected",
        /// Called off. Holds no stock.
        Cancelled = "cancelled",
        /// Paid and shipped.
        Completed = "completed",
    }
}

impl OrderStatus {
    /// Whether the worker has decided about the order.
    #[must_use]
    pub fn is_settled(self) -> bool {
        self != Self::Accepted
    }
}

text_enum! {
    /// Whether an order is paid.
    PaymentStatus {
        /// Not yet.
        Unpaid = "unpaid",
        /// Paid in full.
        Paid = "paid",
        /// Paid, and owed or given back.
        Refunded = "refunded",
    }
}

text_enum! {
    /// Where an order's goods are.
    FulfillmentStatus {
        /// In the warehouse.
        Unfulfilled = "unfulfilled",
        /// On their way.
        Shipped = "shipped",
        /// Come back.
        Returned = "returned",
    }
}

text_enum! {
    /// Why an order was rejected or cancelled.
    Reason {
        /// A line's SKU is not in the catalog, or is not for sale.
        UnknownSku = "unknown_sku",
        /// Less is available than was ordered.
        OutOfStock = "out_of_stock",
        /// The catalog's price is not the one that the shopper was shown.
        PriceChanged = "price_changed",
        /// A product has no price in the order's currency.
        CurrencyMismatch = "currency_mismatch",
        /// The customer called it off.
        CustomerRequest = "customer_request",
        /// The shop called it off.
        ShopRequest = "shop_request",
    }
}

text_enum! {
    /// Why a command could not take effect. The order stays as it was and its history says so.
    Refusal {
        /// The order was rejected or cancelled before.
        NotActive = "not_active",
        /// Shipped goods cannot be cancelled; they can be returned.
        AlreadyShipped = "already_shipped",
        /// It is paid already.
        AlreadyPaid = "already_paid",
        /// A prepaid order ships once it is paid.
        NotPaid = "not_paid",
        /// Only shipped goods can come back.
        NotShipped = "not_shipped",
        /// The goods came back already.
        AlreadyReturned = "already_returned",
        /// The order was settled before (a second `order.place`).
        AlreadySettled = "already_settled",
    }
}

/// What a command does to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Price and stock are in order.
    Confirm,
    /// They are not.
    Reject(Reason),
    /// It is called off; also before it was settled.
    Cancel(Reason),
    /// Money came in.
    Pay,
    /// Goods went out.
    Ship,
    /// Goods came back.
    Return,
}

/// The three statuses of an order, with the reason of a rejection or cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderState {
    /// As a whole.
    pub status: OrderStatus,
    /// Its money.
    pub payment: PaymentStatus,
    /// Its goods.
    pub fulfillment: FulfillmentStatus,
    /// Why it was rejected or cancelled.
    pub reason: Option<Reason>,
}

impl OrderState {
    /// An order that was accepted and not yet settled.
    pub const ACCEPTED: Self = Self {
        status: OrderStatus::Accepted,
        payment: PaymentStatus::Unpaid,
        fulfillment: FulfillmentStatus::Unfulfilled,
        reason: None,
    };

    /// The state after an effect.
    ///
    /// # Errors
    /// The [`Refusal`] when the effect is not possible in this state.
    pub fn apply(self, effect: Effect, method: PaymentMethod) -> Result<Self, Refusal> {
        use FulfillmentStatus::{Returned, Shipped, Unfulfilled};
        use OrderStatus::{Accepted, Cancelled, Completed, Confirmed, Rejected};
        use PaymentStatus::{Paid, Refunded, Unpaid};

        let next = match (effect, self.status) {
            (Effect::Confirm, Accepted) => Self {
                status: Confirmed,
                ..self
            },
            (Effect::Reject(reason), Accepted) => Self {
                status: Rejected,
                reason: Some(reason),
                ..self
            },
            (Effect::Confirm | Effect::Reject(_), _) => return Err(Refusal::AlreadySettled),
            (_, Rejected | Cancelled) => return Err(Refusal::NotActive),
            (Effect::Cancel(reason), Accepted | Confirmed | Completed) => match self.fulfillment {
                Unfulfilled => Self {
                    status: Cancelled,
                    reason: Some(reason),
                    payment: if self.payment == Paid {
                        Refunded
                    } else {
                        self.payment
                    },
                    ..self
                },
                Shipped => return Err(Refusal::AlreadyShipped),
                Returned => return Err(Refusal::AlreadyReturned),
            },
            (Effect::Pay, _) => match self.payment {
                Unpaid => Self {
                    payment: Paid,
                    ..self
                },
                Paid | Refunded => return Err(Refusal::AlreadyPaid),
            },
            (Effect::Ship, Confirmed | Completed) => match (self.fulfillment, method, self.payment)
            {
                (Shipped, ..) => return Err(Refusal::AlreadyShipped),
                (Returned, ..) => return Err(Refusal::AlreadyReturned),
                (Unfulfilled, PaymentMethod::Prepaid, Unpaid) => return Err(Refusal::NotPaid),
                (Unfulfilled, ..) => Self {
                    fulfillment: Shipped,
                    ..self
                },
            },
            (Effect::Ship | Effect::Return, Accepted) => return Err(Refusal::NotShipped),
            (Effect::Return, Confirmed | Completed) => match self.fulfillment {
                Unfulfilled => return Err(Refusal::NotShipped),
                Returned => return Err(Refusal::AlreadyReturned),
                Shipped => Self {
                    fulfillment: Returned,
                    payment: if self.payment == Paid {
                        Refunded
                    } else {
                        self.payment
                    },
                    ..self
                },
            },
        };
        Ok(next.completed())
    }

    /// Paid and shipped is completed; it stays so when goods come back.
    fn completed(self) -> Self {
        let done =
            self.payment == PaymentStatus::Paid && self.fulfillment == FulfillmentStatus::Shipped;
        if done && self.status == OrderStatus::Confirmed {
            Self {
                status: OrderStatus::Completed,
                ..self
            }
        } else {
            self
        }
    }

    /// Whether an order in this state holds reserved stock (promise P4).
    #[must_use]
    pub fn holds_stock(self) -> bool {
        self.status == OrderStatus::Confirmed && self.fulfillment == FulfillmentStatus::Unfulfilled
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Effect, FulfillmentStatus, OrderState, OrderStatus, PaymentStatus, Reason, Refusal,
    };
    use crate::order::PaymentMethod::{self, Invoice, Prepaid};
    use proptest::prelude::{Just, Strategy, prop_oneof, proptest};

    fn run(method: PaymentMethod, effects: &[Effect]) -> Result<OrderState, Refusal> {
        effects
            .iter()
            .try_fold(OrderState::ACCEPTED, |state, &effect| {
                state.apply(effect, method)
            })
    }

    #[test]
    fn an_order_on_invoice_ships_and_is_completed_when_paid() {
        let shipped = run(Invoice, &[Effect::Confirm, Effect::Ship]).expect("may ship unpaid");
        assert_eq!(shipped.status, OrderStatus::Confirmed);
        let paid = shipped.apply(Effect::Pay, Invoice).expect("may be paid");
        assert_eq!(paid.status, OrderStatus::Completed);
    }

    #[test]
    fn a_prepaid_order_ships_only_when_paid() {
        assert_eq!(
            run(Prepaid, &[Effect::Confirm, Effect::Ship]),
            Err(Refusal::NotPaid)
        );
        let done = run(Prepaid, &[Effect::Confirm, Effect::Pay, Effect::Ship]).expect("paid");
        assert_eq!(done.status, OrderStatus::Completed);
    }

    #[test]
    fn what_is_shipped_is_not_cancelled_and_what_is_cancelled_is_refunded() {
        let cancel = Effect::Cancel(Reason::CustomerRequest);
        assert_eq!(
            run(Invoice, &[Effect::Confirm, Effect::Ship, cancel]),
            Err(Refusal::AlreadyShipped)
        );
        let state = run(Prepaid, &[Effect::Confirm, Effect::Pay, cancel]).expect("cancelled");
        assert_eq!(
            (state.status, state.payment),
            (OrderStatus::Cancelled, PaymentStatus::Refunded)
        );
        assert_eq!(state.apply(Effect::Pay, Prepaid), Err(Refusal::NotActive));
    }

    fn effect() -> impl Strategy<Value = Effect> {
        prop_oneof![
            Just(Effect::Confirm),
            Just(Effect::Reject(Reason::OutOfStock)),
            Just(Effect::Cancel(Reason::CustomerRequest)),
            Just(Effect::Pay),
            Just(Effect::Ship),
            Just(Effect::Return),
        ]
    }

    proptest! {
        #[test]
        fn no_sequence_of_effects_reaches_a_state_that_makes_no_sense(
            effects in proptest::collection::vec(effect(), 0..12),
            prepaid in proptest::bool::ANY,
        ) {
            let method = if prepaid { Prepaid } else { Invoice };
            let mut state = OrderState::ACCEPTED;
            for effect in effects {
                let before = state;
                if let Ok(next) = state.apply(effect, method) {
                    state = next;
                    assert_ne!(before, state, "an effect that changes nothing is a refusal");
                }
                let ended = matches!(state.status, OrderStatus::Rejected | OrderStatus::Cancelled);
                assert_eq!(ended, state.reason.is_some());
                assert!(!(ended && state.holds_stock()));
                if ended {
                    assert_eq!(state.fulfillment, FulfillmentStatus::Unfulfilled);
                }
                if state.status == OrderStatus::Completed {
                    assert_ne!(state.payment, PaymentStatus::Unpaid);
                    assert_ne!(state.fulfillment, FulfillmentStatus::Unfulfilled);
                }
                if prepaid && state.fulfillment != FulfillmentStatus::Unfulfilled {
                    assert_ne!(state.payment, PaymentStatus::Unpaid);
                }
                assert!(before.status == state.status || before.status != OrderStatus::Rejected);
            }
        }
    }
}
