//! Parts that are away for a while.

use std::time::Duration;

use acceptance::books::{balance, count};
use acceptance::{PATIENCE, turn};
use stack::{Service, Stack};

use crate::load::{METHODS, customers, place};

#[tokio::test]
async fn notifications_of_a_thousand_orders_arrive_once_each_after_the_service_was_away() {
    let _turn = turn().await;
    let mut stack = Box::pin(Stack::builder().build()).await.unwrap();
    let customers = customers(&stack).await;
    stack.stop(Service::Notification).await;

    let placed = place(&customers, &["pm_card_visa"], 1_000).await;
    assert_eq!(placed.repeated, 0);

    stack.start(Service::Notification).await.unwrap();
    balance(&stack, 0).await;
    // received, paid, confirmed, and a welcome to each customer and the admin
    let welcomes = i64::try_from(customers.len()).unwrap() + 1;
    assert_eq!(
        count(&stack, Service::Notification, "notification").await,
        3_000 + welcomes
    );
}

#[tokio::test]
async fn orders_are_accepted_while_the_broker_is_away_and_end_when_it_is_back() {
    let _turn = turn().await;
    let mut stack = Box::pin(Stack::builder().build()).await.unwrap();
    let customers = customers(&stack).await;
    let before = place(&customers, &METHODS, 30).await;
    stack.kafka().stop().await;

    let meanwhile = place(&customers, &METHODS, 200).await;
    assert_eq!(
        (before.repeated, meanwhile.repeated),
        (0, 0),
        "every POST is answered with 202"
    );
    let last = *meanwhile.accepted.last().unwrap();
    let order = acceptance::books::rows(
        &stack,
        Service::Order,
        &format!("select status from orders where id = '{last}'"),
    )
    .await;
    assert_eq!(order[0].get::<_, String>(0), "pending");
    acceptance::until("/health to say that the broker is away", PATIENCE, async || {
        stack
            .health()
            .await
            .ok()
            .filter(|health| health["services"]["order"]["broker"] == "down")
            .map(drop)
    })
    .await;

    stack.kafka().restart().await.unwrap();
    balance(&stack, 0).await;
    assert_eq!(count(&stack, Service::Order, "orders").await, 230);
    stack.wait_until_healthy(Duration::from_secs(60)).await.unwrap();
}
