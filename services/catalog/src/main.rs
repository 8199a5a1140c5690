//! Products, prices, stock and reservations.

fn main() {}
