//! Load generators and reports.

fn main() {}
