//! A payment stays with the provider it began with.

use serde_json::json;

use super::Shop;
use crate::harness::{Order, Payments, until};

#[tokio::test(flavor = "multi_thread")]
async fn both_providers_serve_their_own_payments_whoever_new_ones_go_through() {
    for kind in ["simulated", "stripe"] {
        let shop = Shop::with(&[("provider.kind", kind)]).await;
        let (old, new) = (Order::by("pm_card_visa"), Order::by("pm_card_visa"));
        assert!(shop.payments.placed(&old).await);
        assert!(shop.payments.placed_at_stripe(&new).await);
        for (order, provider) in [(&old, "simulated"), (&new, "stripe")] {
            assert_eq!(shop.ends(order, "completed").await["provider"], provider);
            assert!(shop.payments.cancelled(order).await);
            shop.ends(order, "refunded").await;
        }
        assert!(shop.payments.charge_of(old.id).await.is_some());
        assert!(shop.payments.charge_of(new.id).await.is_none());
        assert_eq!((shop.taken(), shop.refunds()), (1, vec!["succeeded"]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_of_stripe_without_a_key_says_which_setting_is_missing() {
    let payments = Payments::start().await;
    let order = Order::by("pm_card_visa");
    assert!(payments.placed_at_stripe(&order).await);
    let dead = until("it is given up", async || {
        let query = "select error_class, error_message from work where state = 'dead'";
        payments.rows(query).await.pop()
    })
    .await;
    assert_eq!(dead["error_class"], json!("provider-misconfigured"));
    let message = dead["error_message"].as_str().unwrap();
    assert!(message.contains("provider.stripe.secret_key"), "{message}");
}
