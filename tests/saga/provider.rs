//! A provider that is away, or refuses.

use acceptance::books::{balance, count, rows};
use acceptance::customer::Customer;
use acceptance::{PATIENCE, turn, until};
use reqwest::Method;
use serde_json::json;
use stack::books::comparison::{Kind, compare};
use stack::books::{self, Options, Sources};
use stack::{Service, Stack};
use uuid::Uuid;

use crate::load::{customers, place};

#[tokio::test]
async fn an_outage_of_the_provider_delays_payments_and_gives_none_up() {
    let _turn = turn().await;
    let stack = Box::pin(Stack::builder().build()).await.unwrap();
    let (customers, admin) = (customers(&stack).await, Customer::admin(&stack).await);
    the_provider_is_to(&admin, "error").await;

    let placed = place(&customers, &["pm_card_visa"], 20).await;
    assert_eq!(placed.repeated, 0, "orders are accepted all the same");
    the_breaker_is(&stack, &admin, "open").await;
    assert_eq!(
        count(&stack, Service::Order, "orders where status = 'pending'").await,
        20
    );

    the_provider_is_to(&admin, "approve").await;
    until("all orders to be confirmed", PATIENCE, async || {
        let confirmed = count(&stack, Service::Order, "orders where status = 'confirmed'").await;
        (confirmed == 20).then_some(())
    })
    .await;
    the_breaker_is(&stack, &admin, "closed").await;
    balance(&stack, 0).await;
}

#[tokio::test]
async fn a_refund_that_is_refused_is_tried_until_it_is_made_and_the_books_name_it_meanwhile() {
    let _turn = turn().await;
    let stack = Box::pin(Stack::builder().build()).await.unwrap();
    let customer = Customer::register(&stack).await;
    let order = customer.place("pm_card_visa").await;
    customer.sees(order, "confirmed").await;
    the_provider_loses_its_charge(&stack, order).await;

    customer.cancel(order).await.expect(202);
    customer.pays(order, "refunding").await;
    until("the refund to be refused again", PATIENCE, async || {
        let refused = "work where name = 'refund' and state = 'pending' and attempts >= 2";
        (count(&stack, Service::Payment, refused).await == 1).then_some(())
    })
    .await;
    until("the books to name it", PATIENCE, async || {
        let named = what_is_wrong(&stack).await;
        (named == [(Kind::PaymentOverdue, Some(order))]).then_some(())
    })
    .await;

    the_provider_finds_it_again(&stack).await;
    customer.pays(order, "refunded").await;
    let told = [
        "order_created",
        "payment_completed",
        "order_confirmed",
        "order_cancelled",
        "payment_refunded",
    ];
    customer.is_told(order, &told).await;
    until("the order to know of it", PATIENCE, async || {
        (count(&stack, Service::Order, "orders where refunded").await == 1).then_some(())
    })
    .await;
    balance(&stack, 0).await;
}

async fn the_provider_is_to(admin: &Customer, mode: &str) {
    let setting = json!({"mode": mode, "remaining": null, "latency_ms": 0});
    let forced = admin
        .send(Method::PUT, "/payments/simulator", Some(&setting))
        .await;
    forced.expect(200);
}

/// In what operators are shown, and in the metrics.
async fn the_breaker_is(stack: &Stack, admin: &Customer, state: &str) {
    until(&format!("the breaker to be {state}"), PATIENCE, async || {
        let status = admin.get("/payments/events/status").await.body;
        (status["breaker"] == state).then_some(())
    })
    .await;
    let url = format!("{}/metrics", stack.management_url(Service::Payment));
    let gauge = if state == "open" { " 1" } else { " 0" };
    until(
        &format!("metrics of a breaker that is {state}"),
        PATIENCE,
        async || {
            let metrics = reqwest::get(&url).await.ok()?.text().await.ok()?;
            let mut lines = metrics
                .lines()
                .filter(|line| line.starts_with("messaging_breaker_open"));
            lines.any(|line| line.ends_with(gauge)).then_some(())
        },
    )
    .await;
}

async fn the_provider_loses_its_charge(stack: &Stack, order: Uuid) {
    let keep =
        format!("create table lost as select * from simulator.charge where idempotency_key = '{order}'");
    rows(stack, Service::Payment, &keep).await;
    let lose = format!("delete from simulator.charge where idempotency_key = '{order}' returning 1");
    assert_eq!(rows(stack, Service::Payment, &lose).await.len(), 1);
}

async fn the_provider_finds_it_again(stack: &Stack) {
    let find = "insert into simulator.charge select * from lost returning 1";
    assert_eq!(rows(stack, Service::Payment, find).await.len(), 1);
}

/// What the books name when no payment may be open for longer than a moment.
async fn what_is_wrong(stack: &Stack) -> Vec<(Kind, Option<Uuid>)> {
    let mut options = Options::default();
    options.limits.payment_deadline = options.limits.grace;
    let reading = books::read(&Sources::from(stack), &options).await.unwrap();
    let report = compare(&reading, &options.limits);
    let found = report.mismatches.into_iter();
    found.map(|mismatch| (mismatch.kind, mismatch.order_id)).collect()
}
