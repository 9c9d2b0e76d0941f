//! Processes that die without a word, in the middle of everything.

use std::collections::HashSet;

use acceptance::books::{balance, count, rows};
use acceptance::turn;
use stack::{Service, Stack};
use uuid::Uuid;

use crate::load::{METHODS, customers, place};

#[tokio::test]
async fn the_payment_service_dies_under_load_and_nobody_pays_twice() {
    let _turn = turn().await;
    let mut stack = Box::pin(Stack::builder().build()).await.unwrap();
    let customers = customers(&stack).await;
    let kills = 5;
    let load = place(&customers, &METHODS, 1_000);
    let ((), placed) = tokio::join!(kill_again_and_again(&mut stack, Service::Payment, kills), load);

    assert_eq!(
        placed.repeated, 0,
        "placing an order does not need the payment service"
    );
    balance(&stack, 0).await;
    assert_eq!(count(&stack, Service::Order, "orders").await, 1_000);
    assert_eq!(count(&stack, Service::Payment, "simulator.charge").await, 1_000);
}

#[tokio::test]
async fn the_others_die_under_load_and_each_order_is_placed_once() {
    let _turn = turn().await;
    let mut stack = Box::pin(Stack::builder().build()).await.unwrap();
    let customers = customers(&stack).await;
    let mut accepted = HashSet::new();
    for service in [Service::Order, Service::Gateway, Service::Notification] {
        let load = place(&customers, &METHODS, 600);
        let ((), placed) = tokio::join!(kill_again_and_again(&mut stack, service, 2), load);
        accepted.extend(placed.accepted);
    }
    balance(&stack, 0).await;
    // customers tried again what they got no answer to, and no order is there that nobody was told of
    assert_eq!(accepted.len(), 1_800);
    let orders = rows(&stack, Service::Order, "select id::text from orders").await;
    let placed: HashSet<Uuid> = orders
        .iter()
        .map(|row| row.get::<_, String>(0).parse().unwrap())
        .collect();
    assert_eq!(placed, accepted);
}

/// Each time as soon as it has got something done.
async fn kill_again_and_again(stack: &mut Stack, service: Service, times: usize) {
    for _ in 0..times {
        let before = progress(stack, service).await;
        acceptance::until(
            &format!("{service} to get on"),
            acceptance::PATIENCE,
            async || (progress(stack, service).await > before + 20).then_some(()),
        )
        .await;
        stack.kill9(service).await;
        stack.start(service).await.unwrap();
    }
}

/// How much the service has done, by its own database.
async fn progress(stack: &Stack, service: Service) -> i64 {
    let table = match service {
        Service::Order => "orders",
        Service::Payment => "simulator.charge",
        Service::Notification => "notification",
        Service::Gateway => "timeline_entry",
        Service::Auth => "users",
    };
    count(stack, service, table).await
}
