//! The order worker, order queries and the outbox relay.
