//! An SQS server for one machine: durable, fast, and as strict as AWS where it matters.

fn main() {}
