//! P3: one customer's orders take effect in the order in which they were accepted, whatever the
//! number of workers.

use std::collections::HashMap;

use steelyard_tests::{Part, System, order_of};

const CUSTOMERS: usize = 4;
const ORDERS_EACH: usize = 25;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_workers_keep_each_customers_orders_in_sequence_while_they_come_and_go() {
    let mut system = System::with_workers(3).await;
    system
        .client("office", "catalog:write")
        .stock(&[("TEA", 1_000)])
        .await;
    let shop = system.client("shop", "storefront");

    let mut taken: HashMap<usize, Vec<_>> = HashMap::new();
    for n in 0..ORDERS_EACH {
        for customer in 0..CUSTOMERS {
            let order = order_of(&format!("customer-{customer}"), &[("TEA", 1)]);
            let receipt = shop.place(&format!("{customer}-{n}"), &order).await;
            taken.entry(customer).or_default().push(receipt);
        }
        if n == 8 {
            system.down(Part::Orders(2)).await;
        }
        if n == 16 {
            system.up(Part::Orders(2)).await;
            system.down(Part::Orders(3)).await;
        }
    }
    for receipts in taken.values() {
        for (receipt, expected) in receipts.iter().zip(1..) {
            assert_eq!(shop.settled(receipt).await.sequence, expected);
        }
    }
    assert_eq!(system.dead_letters().await, 0);
}
