//! P1, P7, P8: taken while everything behind the door is down, settled afterwards, nothing lost.

use reqwest::{Method, StatusCode};
use steelyard_domain::order::OrderStatus;
use steelyard_testkit::wait_for;
use steelyard_tests::{PATIENCE, Part, System, order_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_taken_while_everything_behind_the_gateway_is_down_and_each_settles_afterwards()
{
    let mut system = System::start().await;
    let back_office = system.client("office", "catalog:write");
    back_office.stock(&[("TEA", 1_000)]).await;
    let shop = system.client("shop", "storefront");

    system.down(Part::Orders(1)).await;
    system.down(Part::Catalog).await;
    system.take_postgres_away();
    system.take_redis_away();

    let mut taken = Vec::new();
    for n in 0..60 {
        let order = order_of(&format!("customer-{}", n % 20), &[("TEA", 1)]);
        taken.push(shop.place(&format!("outage-{n}"), &order).await);
    }
    // What nobody can know now is not "not found".
    let unknown = shop.call(
        Method::GET,
        "/v1/orders/00000000-0000-8000-8000-000000000000",
    );
    let answer = unknown.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(system.backlog().await, 60);

    system.bring_redis_back();
    system.bring_postgres_back();
    system.up(Part::Catalog).await;
    system.up(Part::Orders(1)).await;
    for receipt in &taken {
        assert_eq!(shop.settled(receipt).await.status, OrderStatus::Confirmed);
    }
    wait_for("the queue is empty", PATIENCE, async || {
        system.backlog().await == 0
    })
    .await;
    assert_eq!(system.dead_letters().await, 0);
    assert_eq!(shop.available("TEA").await, 940);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_readable_from_its_receipt_while_the_orders_service_is_down() {
    let mut system = System::start().await;
    let shop = system.client("shop", "storefront");
    system.down(Part::Orders(1)).await;
    let receipt = shop
        .place("while-down", &order_of("alice", &[("TEA", 1)]))
        .await;
    let mut body = String::new();
    wait_for("the receipt is readable", PATIENCE, async || {
        let call = shop.call(Method::GET, &format!("/v1/orders/{}", receipt.id));
        let answer = call.send().await.unwrap();
        let found = answer.status() == StatusCode::OK;
        body = answer.text().await.unwrap();
        found
    })
    .await;
    assert!(body.contains("\"status\":\"accepted\""), "{body}");

    let stranger = system.client("mallory", "customer");
    let answer = stranger
        .call(Method::GET, &format!("/v1/orders/{}", receipt.id))
        .send()
        .await
        .unwrap();
    assert_ne!(
        answer.status(),
        StatusCode::OK,
        "another customer's receipt"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_wait_out_each_dependency_and_nothing_is_dead_lettered() {
    let mut system = System::start().await;
    system
        .client("office", "catalog:write")
        .stock(&[("TEA", 1_000)])
        .await;
    let shop = system.client("shop", "storefront");
    let mut taken = Vec::new();
    for (round, dependency) in ["catalog", "postgres", "redis"].into_iter().enumerate() {
        match dependency {
            "catalog" => system.down(Part::Catalog).await,
            "postgres" => system.take_postgres_away(),
            _ => system.take_redis_away(),
        }
        for n in 0..10 {
            let order = order_of(&format!("customer-{n}"), &[("TEA", 1)]);
            taken.push(shop.place(&format!("{dependency}-{n}"), &order).await);
        }
        assert!(
            system.backlog().await >= 10,
            "{dependency} is down, yet orders settle"
        );
        match dependency {
            "catalog" => system.up(Part::Catalog).await,
            "postgres" => system.bring_postgres_back(),
            _ => system.bring_redis_back(),
        }
        for receipt in &taken[round * 10..] {
            assert_eq!(
                shop.settled(receipt).await.status,
                OrderStatus::Confirmed,
                "{dependency}"
            );
        }
    }
    assert_eq!(system.dead_letters().await, 0);
    assert_eq!(shop.available("TEA").await, 970);
}
