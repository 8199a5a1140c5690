//! The HTTP kit: what every listener of Steelyard does alike.

mod admin;
mod author;
mod context;
mod envelope;
mod extract;
mod problem;
mod serve;
mod service_token;

pub use admin::{Health, admin};
pub use author::Author;
pub use context::{Context, REQUEST_ID, TRACEPARENT};
pub use envelope::{envelope, with_deadline};
pub use extract::{Json, Path, Query, RawBody, parse_json, require_json};
pub use problem::HttpError;
pub use serve::{Doors, Drain, Listen, OpenError, serve};
pub use service_token::require_service_token;
