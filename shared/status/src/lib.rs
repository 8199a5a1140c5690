//! Order receipts, live status and product changes over Redis: what lets a shopper see an order while everything
//! behind the gateway is down, and lets `Prefer: wait` and event streams answer at once.
//!
//! All of it is best effort. Nothing here may delay or fail the intake of an order, and nothing
//! here is the truth about one: Postgres is. Without Redis, receipts are lost and waiters fall back
//! to asking.
//!
//! ```no_run
//! # async fn example() -> Result<(), steelyard_status::Error> {
//! use steelyard_status::{ReceiptReader, Redis, Watch, WatchEvent};
//! use tokio_util::sync::CancellationToken;
//!
//! let stop = CancellationToken::new();
//! let redis = Redis::new("redis://127.0.0.1:6379")?;
//! let watch = Watch::start(redis.clone(), stop.clone());
//! let order_id = "83da7b84-a1ef-80a2-a6a4-f82d31aa9bb5".parse().map_err(|_| steelyard_status::Error::TimedOut)?;
//!
//! let mut changes = watch.subscribe(order_id)?;
//! if let Some(receipt) = ReceiptReader::new(redis).get(order_id).await? {
//!     println!("{} was accepted at {}", receipt.id, receipt.accepted_at);
//! }
//! match changes.next().await {
//!     Some(WatchEvent::Changed(change)) => println!("now {}", change.status),
//!     Some(WatchEvent::MayHaveMissed) => println!("ask again"),
//!     None => println!("stopping"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Keys and channels
//!
//! | name | kind | content |
//! |---|---|---|
//! | `steelyard:receipt:{order id}` | string, 14 days | the [`Receipt`](steelyard_domain::api::Receipt) as JSON; the first one stands |
//! | `steelyard:order-status` | channel | JSON list of [`StatusChange`], one message per worker transaction |
//! | `steelyard:product-changes` | channel | [`ProductsChanged`] as JSON, from the catalog to whoever keeps copies |
//!
//! # Limits
//!
//! A call takes at most [`CALL_MAX`]; [`RECEIPTS_QUEUED_MAX`] receipts wait to be written, more are
//! dropped and counted (`status_receipts_dropped_total`); [`SUBSCRIPTIONS_MAX`] orders are watched
//! at once by one process; [`PRODUCT_CHANGES_QUEUED_MAX`] product changes wait to be told, more are
//! told as "all of them".

mod connect;
mod listen;
mod products;
mod push;
mod receipts;
mod watch;

pub use connect::{CALL_MAX, Error, Redis};
pub use products::{PRODUCT_CHANGES_QUEUED_MAX, ProductNews, ProductsChanged, watch_products};
pub use push::{CHANGES_MAX, Publisher, StatusChange};
pub use receipts::{RECEIPT_TTL, RECEIPTS_QUEUED_MAX, ReceiptReader, ReceiptWriter};
pub use steelyard_redis::{InvalidUrl, RedisUrl};
pub use watch::{SUBSCRIPTIONS_MAX, Subscription, TooMany, Watch, WatchEvent};
