//! What goes wrong between this service and Stripe. However it does, the money is taken once or not at all.

use std::time::Instant;

use serde_json::{Value, json};

use super::Shop;
use super::fake::Fault;
use crate::harness::until;

fn failed() -> Fault {
    Fault::Answer(500, json!({"type": "api_error"}))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_after_the_money_was_taken_is_looked_up() {
    let shop = Shop::with(&[("provider.stripe.timeout_ms", "1500")]).await;
    for fault in [Fault::BreakAfter, Fault::SilentAfter, Fault::FailAfter] {
        let (taken, confirmed) = (shop.taken(), shop.stripe.asked("confirm").len());
        shop.stripe.fail("confirm", [fault.clone()]);
        let order = shop.placed("pm_card_visa").await;
        let payment = shop.ends(&order, "completed").await;
        assert_eq!(payment["provider_reference"], shop.intent(&order).id.as_str());
        assert_eq!(shop.taken(), taken + 1, "{fault:?}");
        assert_eq!(shop.stripe.asked("confirm").len(), confirmed + 1, "{fault:?}");
        assert_eq!(shop.told(order.id).await, ["payment.completed"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_is_lost_is_looked_up() {
    let shop = Shop::open().await;
    shop.stripe.fail("confirm", [Fault::BreakAfter]);
    let order = shop.placed("pm_card_chargeDeclinedInsufficientFunds").await;
    let payment = shop.ends(&order, "failed").await;
    assert_eq!(payment["failure_code"], "insufficient_funds");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_stripe_would_repeat_is_asked_past_under_another_key() {
    let shop = Shop::open().await;
    shop.stripe.fail("create", [failed()]);
    shop.stripe.fail("confirm", [failed()]);
    let order = shop.placed("pm_card_visa").await;
    let payment = shop.ends(&order, "completed").await;
    assert_eq!((&payment["attempts"], shop.taken()), (&json!(3), 1));
    let keys = |call: &str| -> Vec<String> {
        let asked = shop.stripe.asked(call).into_iter();
        asked
            .map(|asked| asked.key.replace(&order.id.to_string(), ""))
            .collect()
    };
    assert_eq!(keys("create"), ["-create-0", "-create-1"]);
    assert_eq!(keys("confirm"), ["-confirm-1", "-confirm-2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_that_was_made_without_an_answer_is_the_one_that_is_confirmed() {
    let shop = Shop::open().await;
    shop.stripe.fail("create", [Fault::BreakAfter]);
    let order = shop.placed("pm_card_visa").await;
    shop.ends(&order, "completed").await;
    let keys: Vec<_> = shop
        .stripe
        .asked("create")
        .into_iter()
        .map(|asked| asked.key)
        .collect();
    assert_eq!(keys, vec![format!("{}-create-0", order.id); 2]);
    assert_eq!(shop.stripe.world(|world| world.intents.len()), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_in_use_and_a_lock_are_waited_for() {
    let shop = Shop::open().await;
    shop.stripe.fail(
        "create",
        [Fault::Answer(409, json!({"code": "idempotency_key_in_use"}))],
    );
    shop.stripe
        .fail("confirm", [Fault::Answer(429, json!({"code": "lock_timeout"}))]);
    let order = shop.placed("pm_card_visa").await;
    let payment = shop.ends(&order, "completed").await;
    assert_eq!((&payment["attempts"], shop.taken()), (&json!(3), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_stops_everybody_for_as_long_as_stripe_says_and_counts_no_attempt() {
    let shop = Shop::with(&[("messaging.backoff_max_ms", "100")]).await;
    shop.stripe.fail("create", [Fault::Limited(2)]);
    let order = shop.placed("pm_card_visa").await;
    shop.asks("create", 1).await;
    let limited = Instant::now();
    let other = shop.placed("pm_card_visa").await;
    shop.asks("create", 2).await;
    // the first request may have come a little before it was seen here
    assert!(limited.elapsed().as_millis() >= 1_500, "{:?}", limited.elapsed());
    for order in [&order, &other] {
        assert_eq!(shop.ends(order, "completed").await["attempts"], 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stripe_that_cannot_be_reached_is_waited_for_without_counting() {
    let nobody = stack::ports::lease().unwrap();
    let url = format!("http://127.0.0.1:{}", nobody.port());
    let shop = Shop::with(&[
        ("provider.stripe.base_url", &url),
        ("messaging.backoff_max_ms", "60000"),
    ])
    .await;
    let order = shop.placed("pm_card_visa").await;
    let waits = until("it was tried", async || {
        let query = "select state, attempts, name from work where claim is null and next_attempt_at > now() + interval '5 s'";
        shop.payments.rows(query).await.pop()
    })
    .await;
    assert_eq!(
        waits,
        json!({"state": "pending", "attempts": 0, "name": "charge"})
    );
    shop.payments.becomes(&order, "processing").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_retry_heals_is_a_dead_letter_that_names_the_setting() {
    let shop = Shop::with(&[("provider.stripe.secret_key", "sk_test_of_another")]).await;
    let order = shop.placed("pm_card_visa").await;
    let dead = shop.dead().await;
    assert_eq!(
        (&dead["name"], &dead["error_class"]),
        (&json!("charge"), &json!("provider-misconfigured"))
    );
    let message = dead["error_message"].as_str().unwrap();
    assert!(message.contains("provider.stripe.secret_key"), "{message}");
    assert!(!message.contains("sk_t"), "{message}");
    shop.payments.becomes(&order, "processing").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_charge_that_is_replayed_after_stripe_has_forgotten_its_keys_takes_no_second_money() {
    let shop = Shop::open().await;
    shop.stripe.fail("confirm", [Fault::BreakAfter]);
    shop.stripe.fail("look", vec![failed(); 4]);
    let order = shop.placed("pm_card_visa").await;
    let dead = shop.dead().await;
    assert_eq!(
        (&dead["attempts"], &dead["error_class"]),
        (&json!(4), &json!("provider-error"))
    );
    assert_eq!(shop.taken(), 1);

    shop.stripe.forget_keys();
    let replay = format!("/payments/dead-letters/{}/replay", dead["id"].as_str().unwrap());
    let reason: Value = json!({"reason": "stripe is well again"});
    let answer = shop.payments.admin().post(&replay, &reason).await;
    assert!(answer.status < 300, "{}", answer.text());
    shop.ends(&order, "completed").await;
    assert_eq!(
        (shop.taken(), shop.stripe.world(|world| world.intents.len())),
        (1, 1)
    );
}
