//! A charge at Stripe that was given up, as an operator corrects it.

use serde_json::{Value, json};

use super::Shop;
use super::fake::Fault;
use crate::harness::Order;

fn down() -> Fault {
    Fault::Answer(500, json!({"type": "api_error"}))
}

/// The operator lets the customer pay otherwise.
async fn corrected(shop: &Shop, order: &Order, method: &str) -> String {
    let letter = shop.dead().await["id"].as_str().unwrap().to_owned();
    let edit = json!({
        "reason": "the customer pays otherwise",
        "payload": {
            "action": "charge", "order_id": order.id, "payment_method": method,
            "amount": {"amount_minor": order.total.amount_minor(), "currency": order.total.currency().code()},
        },
    });
    let path = format!("/payments/dead-letters/{letter}/edit-and-replay");
    shop.payments.admin().post(&path, &edit).await.ok(200);
    letter
}

/// Stripe's intents: whose they are, and how they stand.
fn intents(shop: &Shop) -> Vec<(String, &'static str)> {
    shop.stripe.world(|world| {
        let intents = world.intents.iter();
        intents
            .map(|intent| (intent.order.clone(), intent.status))
            .collect()
    })
}

fn keys(shop: &Shop, call: &str) -> Vec<String> {
    shop.stripe
        .asked(call)
        .into_iter()
        .map(|asked| asked.key)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_that_went_through_after_all_is_the_payments_outcome_and_nothing_is_charged_anew() {
    let shop = Shop::open().await;
    // it is done, and neither the answer nor a look at it comes through
    shop.stripe.fail("confirm", [Fault::BreakAfter]);
    shop.stripe.fail("look", [down(), down(), down(), down()]);
    let order = shop.placed("pm_card_visa").await;
    shop.dead().await;
    assert_eq!(shop.taken(), 1);
    shop.payments.becomes(&order, "processing").await;

    corrected(&shop, &order, "pm_card_mastercard").await;
    let payment = shop.ends(&order, "completed").await;
    assert_eq!(payment["provider_reference"], "pi_1");
    assert_eq!(shop.taken(), 1, "nothing is charged twice");
    assert_eq!(intents(&shop), [(order.id.to_string(), "succeeded")]);
    assert_eq!(
        shop.told(order.id).await,
        ["payment.failed.dlq", "payment.completed"]
    );

    // the money goes back where it came from
    assert!(shop.payments.cancelled_at_stripe(&order).await);
    shop.ends(&order, "refunded").await;
    assert_eq!(shop.stripe.asked("refund")[0].form["payment_intent"], "pi_1");
    assert_eq!(shop.refunds(), ["succeeded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_that_took_nothing_is_cancelled_first_and_made_anew_under_a_key_of_its_own() {
    let shop = Shop::open().await;
    shop.stripe.fail("confirm", [down(), down(), down(), down()]);
    let order = shop.placed("pm_card_visa").await;
    shop.dead().await;
    assert_eq!(shop.taken(), 0);

    let letter = corrected(&shop, &order, "pm_card_mastercard").await;
    let payment = shop.ends(&order, "completed").await;
    assert_eq!(
        (&payment["provider_reference"], &payment["payment_method"]),
        (&json!("pi_2"), &json!("pm_card_mastercard"))
    );
    assert_eq!(shop.taken(), 1);
    let derived = format!("{}.{letter}", order.id);
    assert_eq!(
        intents(&shop),
        [(order.id.to_string(), "canceled"), (derived.clone(), "succeeded")]
    );
    let (created, confirmed) = (keys(&shop, "create"), keys(&shop, "confirm"));
    assert_eq!(
        created,
        [format!("{}-create-0", order.id), format!("{derived}-create-0")]
    );
    assert_eq!(confirmed.last(), Some(&format!("{derived}-confirm-0")));
    assert_eq!(
        shop.told(order.id).await,
        ["payment.failed.dlq", "payment.completed"]
    );

    // what Stripe tells late of the charge that was cancelled is nothing new
    let cancelled = shop.stripe.world(|world| world.intents[0].json());
    shop.hears("evt_1", "payment_intent.canceled", &cancelled)
        .await
        .ok(200);
    let after: Value = shop.ends(&order, "completed").await;
    assert_eq!(after, payment);
    assert!(shop.payments.cancelled_at_stripe(&order).await);
    shop.ends(&order, "refunded").await;
    assert_eq!(shop.stripe.asked("refund")[0].form["payment_intent"], "pi_2");
}
