//! Images, on a real Postgres with an S3 and an SQS server beside it.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod files;
mod hostile;
mod left_over;
mod shop;
mod way;
