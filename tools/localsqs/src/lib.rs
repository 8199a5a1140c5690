//! An SQS server for one machine: durable, fast, and as strict as AWS where it matters.

mod api;
mod clock;
mod config;
mod engine;
mod error;
mod http;
mod journal;
mod open;
mod server;
mod spec;

pub use self::{
    clock::Clock,
    config::{Config, Storage},
    server::{Server, StartError},
    spec::{QueueSpec, QueueSpecError},
};
