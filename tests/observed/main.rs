//! What those on call see of an order: its trace across processes and the queue, log lines that name it, the indicators.
//!
//! Three services run as processes of their own, and tell a small collector inside the test.
#![expect(clippy::expect_used, reason = "a story stops at the first surprise")]

mod shop;
mod trace;

use shop::Shop;
