//! One customer at a time: a lease in Redis and a fence in Postgres.
