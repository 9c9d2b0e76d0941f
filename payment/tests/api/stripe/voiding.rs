//! Orders that are cancelled while their charge is under way.

use serde_json::json;

use super::Shop;
use super::fake::Fault;

/// Retries so late that only what comes first is seen.
const LATE: (&str, &str) = ("messaging.retry_delays_ms", "60000,60000,60000");

#[tokio::test(flavor = "multi_thread")]
async fn money_that_was_taken_before_its_answer_came_goes_back() {
    let shop = Shop::open().await;
    shop.stripe.fail("confirm", [Fault::Hold]);
    let order = shop.placed("pm_card_visa").await;
    shop.asks("confirm", 1).await;
    assert!(shop.payments.cancelled(&order).await);
    shop.payments.becomes(&order, "refunded").await;
    // the charge's own answer comes last, and is nothing new
    shop.stripe.release();
    shop.ends(&order, "refunded").await;
    assert_eq!((shop.taken(), shop.refunds()), (1, vec!["succeeded"]));
    assert_eq!(
        shop.told(order.id).await,
        ["payment.completed", "payment.refunded"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_that_was_not_confirmed_is_cancelled_and_never_confirmed() {
    let shop = Shop::with(&[LATE]).await;
    shop.stripe
        .fail("confirm", [Fault::Answer(500, json!({"type": "api_error"}))]);
    let order = shop.placed("pm_card_visa").await;
    shop.asks("look", 1).await;
    assert!(shop.payments.cancelled(&order).await);
    shop.payments.becomes(&order, "voided").await;
    assert_eq!((shop.intent(&order).status, shop.taken()), ("canceled", 0));
    assert_eq!(shop.stripe.asked("confirm").len(), 1);
    shop.stripe.is_content();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_void_before_there_is_an_intent_asks_stripe_nothing_and_the_charge_finds_it() {
    let shop = Shop::open().await;
    // the intent is there, and nobody knows yet
    shop.stripe.fail("create", [Fault::Hold]);
    let order = shop.placed("pm_card_visa").await;
    shop.asks("create", 1).await;
    assert!(shop.payments.cancelled(&order).await);
    shop.payments.becomes(&order, "voided").await;
    assert_eq!(shop.stripe.asked("cancel").len(), 0);
    shop.stripe.release();
    shop.asks("cancel", 1).await;
    shop.ends(&order, "voided").await;
    assert_eq!((shop.taken(), shop.stripe.asked("confirm").len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_void_whose_answer_is_lost_is_looked_up() {
    let shop = Shop::with(&[LATE]).await;
    shop.stripe.fail(
        "confirm",
        [Fault::Answer(409, json!({"code": "idempotency_key_in_use"}))],
    );
    shop.stripe.fail("cancel", [Fault::BreakAfter]);
    let order = shop.placed("pm_card_visa").await;
    shop.asks("look", 1).await;
    assert!(shop.payments.cancelled(&order).await);
    shop.payments.becomes(&order, "voided").await;
    assert_eq!(shop.intent(&order).status, "canceled");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_cancelled_before_it_is_heard_of_asks_stripe_nothing() {
    let shop = Shop::open().await;
    let order = crate::harness::Order::by("pm_card_visa");
    assert!(shop.payments.cancelled_at_stripe(&order).await);
    assert!(!shop.payments.placed_at_stripe(&order).await);
    assert_eq!(shop.ends(&order, "voided").await["provider"], "stripe");
    for call in ["create", "confirm", "cancel"] {
        assert_eq!(shop.stripe.asked(call).len(), 0);
    }
}
