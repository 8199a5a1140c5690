//! Orders: what may be placed ([`place`]), the states one goes through ([`state`]), and how the
//! API shows it ([`view`]).

pub mod place;
pub mod state;
pub mod view;

pub use place::{Address, PaymentMethod, PlaceLine, PlaceOrder, PlaceOrderBody};
pub use state::{
    Effect, FulfillmentStatus, OrderState, OrderStatus, PaymentStatus, Reason, Refusal,
};
pub use view::{HistoryEntry, Order, OrderLine};
