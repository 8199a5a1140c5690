//! The whole system on one machine, by one command.

fn main() {}
