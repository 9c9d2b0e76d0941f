//! Giving the money back.

use serde_json::json;

use super::Shop;
use super::fake::Fault;
use crate::harness::Order;

async fn paid(shop: &Shop) -> Order {
    let order = shop.placed("pm_card_visa").await;
    shop.ends(&order, "completed").await;
    order
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_order_gets_its_money_back_once() {
    let shop = Shop::open().await;
    let order = paid(&shop).await;
    assert!(shop.payments.cancelled(&order).await);
    let payment = shop.ends(&order, "refunded").await;
    assert_eq!(payment["refund_reference"], "re_1");
    assert_eq!(shop.refunds(), ["succeeded"]);
    assert_eq!(
        shop.stripe.asked("refund").pop().unwrap().key,
        format!("{}-refund-0", order.id)
    );
    assert_eq!(
        shop.told(order.id).await,
        ["payment.completed", "payment.refunded"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_whose_answer_is_lost_is_looked_up() {
    let shop = Shop::with(&[("provider.stripe.timeout_ms", "1500")]).await;
    for fault in [Fault::BreakAfter, Fault::SilentAfter, Fault::FailAfter] {
        let order = paid(&shop).await;
        let asked = shop.stripe.asked("refund").len();
        shop.stripe.fail("refund", [fault]);
        assert!(shop.payments.cancelled(&order).await);
        shop.ends(&order, "refunded").await;
        assert_eq!(shop.stripe.asked("refund").len(), asked + 1);
    }
    assert_eq!(shop.refunds(), ["succeeded"; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_is_asked_for_until_it_is_made_however_often_it_fails() {
    let shop = Shop::open().await;
    let order = paid(&shop).await;
    let down = Fault::Answer(503, json!({"type": "api_error"}));
    shop.stripe.fail("refund", vec![down; 6]);
    shop.stripe.world(|world| world.next_refunds = vec!["failed"]);
    assert!(shop.payments.cancelled(&order).await);
    shop.ends(&order, "refunded").await;
    assert_eq!(shop.refunds(), ["failed", "succeeded"]);
    assert_eq!(shop.payments.rows("select id from dead_letter").await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_is_on_its_way_is_waited_for_and_not_made_again() {
    let shop = Shop::open().await;
    let order = paid(&shop).await;
    shop.stripe.world(|world| world.next_refunds = vec!["pending"]);
    assert!(shop.payments.cancelled(&order).await);
    shop.asks("refunds", 3).await;
    shop.payments.becomes(&order, "refunding").await;
    shop.stripe.world(|world| world.refunds[0].status = "succeeded");
    shop.ends(&order, "refunded").await;
    assert_eq!(
        (shop.stripe.asked("refund").len(), shop.refunds()),
        (1, vec!["succeeded"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_fails_on_its_way_is_made_again_under_another_key() {
    let shop = Shop::open().await;
    let order = paid(&shop).await;
    shop.stripe.world(|world| world.next_refunds = vec!["pending"]);
    assert!(shop.payments.cancelled(&order).await);
    shop.asks("refunds", 2).await;
    shop.stripe.world(|world| world.refunds[0].status = "failed");
    shop.ends(&order, "refunded").await;
    assert_eq!(shop.refunds(), ["failed", "succeeded"]);
    let keys: Vec<_> = shop
        .stripe
        .asked("refund")
        .into_iter()
        .map(|asked| asked.key)
        .collect();
    assert_eq!(keys.last().unwrap(), &format!("{}-refund-1", order.id));
}
