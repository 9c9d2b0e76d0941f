//! Processes that die without a word, in the middle of everything.

use acceptance::books::{balance, count};
use acceptance::turn;
use stack::{Service, Stack};

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
        placed.refused, 0,
        "placing an order does not need the payment service"
    );
    balance(&stack, &[]).await;
    assert_eq!(count(&stack, Service::Order, "orders").await, 1_000);
    assert_eq!(count(&stack, Service::Payment, "simulator.charge").await, 1_000);
}

#[tokio::test]
async fn the_others_die_under_load_and_what_was_accepted_is_kept() {
    let _turn = turn().await;
    let mut stack = Box::pin(Stack::builder().build()).await.unwrap();
    let customers = customers(&stack).await;
    let mut accepted = 0;
    for service in [Service::Order, Service::Gateway, Service::Notification] {
        let load = place(&customers, &METHODS, 600);
        let ((), placed) = tokio::join!(kill_again_and_again(&mut stack, service, 2), load);
        accepted += placed.accepted.len();
        assert!(
            placed.accepted.len() > 100,
            "{service} is away too long: {}",
            placed.accepted.len()
        );
        assert_accepted(&stack, &placed.accepted).await;
    }
    balance(&stack, &[]).await;
    let orders = usize::try_from(count(&stack, Service::Order, "orders").await).unwrap();
    assert!(orders >= accepted, "{orders} orders of {accepted} accepted");
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

async fn assert_accepted(stack: &Stack, orders: &[uuid::Uuid]) {
    let list: Vec<String> = orders.iter().map(|id| format!("'{id}'")).collect();
    let table = format!("orders where id in ({})", list.join(","));
    let found = count(stack, Service::Order, &table).await;
    assert_eq!(
        usize::try_from(found).unwrap(),
        orders.len(),
        "an accepted order is lost"
    );
}
