//! Taking the money.

use contracts::{Currency, Money};

use super::Shop;
use crate::harness::Order;
use crate::kafka::Broker;

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_charged_at_stripe_once() {
    let shop = Shop::open().await;
    let order = shop.placed("pm_card_visa").await;
    let payment = shop.ends(&order, "completed").await;
    let intent = shop.intent(&order);
    assert_eq!(payment["provider"], "stripe");
    assert_eq!(payment["provider_reference"], intent.id.as_str());
    assert_eq!((&payment["attempts"], shop.taken()), (&serde_json::json!(1), 1));
    assert_eq!(shop.told(order.id).await, ["payment.completed"]);
    // as the order says, under keys that its id implies
    let created = shop.stripe.asked("create").pop().unwrap();
    assert_eq!(created.key, format!("{}-create-0", order.id));
    assert_eq!(
        (created.form["amount"].as_str(), created.form["currency"].as_str()),
        ("1999", "eur")
    );
    assert_eq!(created.form["metadata[order_id]"], order.id.to_string());
    let confirmed = shop.stripe.asked("confirm").pop().unwrap();
    assert_eq!(confirmed.key, format!("{}-confirm-0", order.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_kafka_tells_of_go_through_stripe() {
    let broker = Broker::start().await;
    let shop = Shop::with(&[("kafka.brokers", broker.address())]).await;
    let (paid, taken_back) = (Order::by("pm_card_visa"), Order::by("pm_card_visa"));
    broker.deliver(paid.placed(), 3).await;
    broker.deliver(taken_back.cancelled(), 1).await;
    for (order, end) in [(&paid, "completed"), (&taken_back, "voided")] {
        assert_eq!(shop.ends(order, end).await["provider"], "stripe");
    }
    assert_eq!(shop.taken(), 1);
    assert!(shop.payments.service.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_card_fails_the_payment_with_a_code_that_may_be_told() {
    let shop = Shop::open().await;
    for (method, code) in [
        ("pm_card_chargeDeclined", "card_declined"),
        ("pm_card_chargeDeclinedStolenCard", "card_declined"),
        ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card"),
        ("pm_card_authenticationRequired", "authentication_required"),
        ("pm_card_waiting", "authentication_required"),
        ("pm_provider_error", "unknown_payment_method"),
    ] {
        let order = shop.placed(method).await;
        let payment = shop.ends(&order, "failed").await;
        assert_eq!(payment["failure_code"], code, "{method}");
        assert_eq!(shop.told(order.id).await, ["payment.failed"]);
        assert!(!shop.payments.cancelled(&order).await, "nothing is left to do");
    }
    assert_eq!(shop.taken(), 0);
    // one that waits for a customer who is not there is made sure of
    let waiting = shop.stripe.asked("cancel").pop().unwrap();
    assert_eq!(waiting.form["cancellation_reason"], "abandoned");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_amount_that_stripe_never_takes_fails_the_payment() {
    let shop = Shop::open().await;
    let mut cheap = Order::by("pm_card_visa");
    cheap.total = Money::new(49, Currency::EUR);
    assert!(shop.payments.placed_at_stripe(&cheap).await);
    let payment = shop.ends(&cheap, "failed").await;
    assert_eq!(payment["failure_code"], "amount_too_small");
    let mut odd = Order::by("pm_card_visa");
    odd.total = Money::new(1_999, Currency::KWD);
    assert!(shop.payments.placed_at_stripe(&odd).await);
    assert_eq!(
        shop.ends(&odd, "failed").await["failure_code"],
        "unsupported_amount"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_is_still_processed_is_asked_for_again() {
    let shop = Shop::with(&[(
        "messaging.retry_delays_ms",
        "50,50,50,50,50,50,50,50,50,50,50,50,50,50,50,50",
    )])
    .await;
    let order = shop.placed("pm_card_processing").await;
    shop.asks("look", 1).await;
    let id = order.id.to_string();
    shop.stripe.world(|world| world.set(&id, "succeeded"));
    let payment = shop.ends(&order, "completed").await;
    assert!(payment["attempts"].as_u64() >= Some(2), "{payment}");
    assert_eq!(shop.stripe.asked("confirm").len(), 1);
}
