//! Order receipts and live status over Redis, best effort.
