//! Invoices and related documents: for now a service that answers its health checks.

fn main() {}
