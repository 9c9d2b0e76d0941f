//! What Stripe tells, whenever it comes.

use chassis::clock;
use chassis::test::Answer;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;

use super::fake::Fault;
use super::{Shop, WEBHOOK_SECRET};
use crate::harness::{Order, Payments};

pub(super) const PATH: &str = "/payments/webhooks/stripe";

pub(super) fn signature(at: i64, body: &str, secret: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    let mac = mac.chain_update(format!("{at}.{body}")).finalize().into_bytes();
    mac.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn signed(body: &str) -> String {
    let now = clock::now().timestamp();
    format!("t={now},v1={}", signature(now, body, WEBHOOK_SECRET))
}

pub(super) fn event(id: &str, kind: &str, object: &Value) -> String {
    json!({"id": id, "object": "event", "type": kind, "livemode": false, "data": {"object": object}})
        .to_string()
}

/// As Stripe does it: without a token.
pub(super) async fn post(payments: &Payments, body: &str, headers: &[&str]) -> Answer {
    let client = payments.service.client(None);
    let request = client
        .request(Method::POST, PATH)
        .header("content-type", "application/json; charset=utf-8");
    let request = headers.iter().fold(request, |request, header| {
        request.header("stripe-signature", *header)
    });
    Answer::to(request.body(body.to_owned())).await
}

impl Shop {
    /// Stripe tells, signed as it should be.
    pub(super) async fn hears(&self, id: &str, kind: &str, object: &Value) -> Answer {
        let body = event(id, kind, object);
        post(&self.payments, &body, &[&signed(&body)]).await
    }

    async fn hears_of_intent(&self, id: &str, kind: &str, order: &Order) -> Value {
        let intent = self.intent(order).json();
        self.hears(id, kind, &intent).await.ok(200)
    }

    async fn hears_of_refund(&self, id: &str, kind: &str) -> Value {
        let refund = self.stripe.world(|world| world.refunds[0].json());
        self.hears(id, kind, &refund).await.ok(200)
    }

    /// What became of the events, in the order of their ids.
    pub(super) async fn outcomes(&self) -> Vec<(Value, Value)> {
        let rows = self
            .payments
            .rows("select outcome, detail from stripe.event order by event_id")
            .await;
        rows.into_iter()
            .map(|row| (row["outcome"].clone(), row["detail"].clone()))
            .collect()
    }
}

pub(super) fn first() -> Value {
    json!({"received": true, "duplicate": false})
}

pub(super) fn again() -> Value {
    json!({"received": true, "duplicate": true})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_before_the_answer_completes_the_payment_and_the_answer_is_nothing_new() {
    let shop = Shop::open().await;
    shop.stripe.fail("confirm", [Fault::Hold]);
    let order = shop.placed("pm_card_visa").await;
    shop.asks("confirm", 1).await;
    assert_eq!(
        shop.hears_of_intent("evt_1", "payment_intent.succeeded", &order)
            .await,
        first()
    );
    let before = shop.payments.becomes(&order, "completed").await;
    shop.stripe.release();
    let after = shop.ends(&order, "completed").await;
    assert_eq!(before, after);
    assert_eq!((&after["attempts"], shop.taken()), (&json!(1), 1));
    assert_eq!(shop.told(order.id).await, ["payment.completed"]);
    assert_eq!(shop.outcomes().await[0].0, "applied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_and_a_cancellation_are_heard_before_their_answers() {
    let shop = Shop::open().await;
    shop.stripe.fail("confirm", [Fault::Hold]);
    let declined = shop.placed("pm_card_chargeDeclinedInsufficientFunds").await;
    shop.asks("confirm", 1).await;
    shop.hears_of_intent("evt_1", "payment_intent.payment_failed", &declined)
        .await;
    let payment = shop.payments.becomes(&declined, "failed").await;
    assert_eq!(payment["failure_code"], "insufficient_funds");
    shop.stripe.release();
    assert_eq!(shop.ends(&declined, "failed").await, payment);

    shop.stripe.fail("confirm", [Fault::Answer(500, json!({}))]);
    shop.stripe.fail("cancel", [Fault::Hold]);
    let cancelled = shop.placed("pm_card_processing").await;
    shop.asks("confirm", 2).await;
    // somebody cancels it in Stripe's dashboard
    let id = cancelled.id.to_string();
    shop.stripe.world(|world| world.set(&id, "canceled"));
    shop.hears_of_intent("evt_2", "payment_intent.canceled", &cancelled)
        .await;
    let payment = shop.ends(&cancelled, "failed").await;
    assert_eq!((&payment["failure_code"], shop.taken()), (&json!("voided"), 0));
    assert_eq!(shop.told(cancelled.id).await, ["payment.failed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_taken_in_once_however_often_it_comes() {
    let shop = Shop::open().await;
    shop.stripe.fail("confirm", [Fault::Hold]);
    let order = shop.placed("pm_card_visa").await;
    shop.asks("confirm", 1).await;
    let at_once = (0..8).map(|_| shop.hears_of_intent("evt_1", "payment_intent.succeeded", &order));
    let answers = futures::future::join_all(at_once).await;
    assert_eq!(
        answers.iter().filter(|answer| **answer == first()).count(),
        1,
        "{answers:?}"
    );
    assert_eq!(
        shop.hears_of_intent("evt_1", "payment_intent.succeeded", &order)
            .await,
        again()
    );
    shop.stripe.release();
    shop.ends(&order, "completed").await;
    // the same said by another event, and an older one that comes late
    shop.hears_of_intent("evt_2", "payment_intent.succeeded", &order)
        .await;
    let mut failed = shop.intent(&order);
    failed.status = "requires_payment_method";
    shop.hears("evt_3", "payment_intent.payment_failed", &failed.json())
        .await
        .ok(200);
    let outcomes: Vec<_> = shop
        .outcomes()
        .await
        .into_iter()
        .map(|(outcome, _)| outcome)
        .collect();
    assert_eq!(outcomes, ["applied", "unchanged", "unchanged"]);
    assert_eq!(shop.told(order.id).await, ["payment.completed"]);
    shop.ends(&order, "completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_whose_effect_cannot_be_stored_is_not_taken_in_and_does_it_when_it_comes_again() {
    let shop = Shop::open().await;
    shop.stripe.fail("confirm", [Fault::SilentAfter]);
    let order = shop.placed("pm_card_visa").await;
    shop.asks("confirm", 1).await;
    let broken = "create function refuse() returns trigger language plpgsql as $$
                  begin raise exception 'the outbox is broken'; end $$;
                  create trigger refuse before insert on outbox for each row execute function refuse();";
    shop.payments.run(broken).await;
    let intent = shop.intent(&order).json();
    let answer = shop.hears("evt_1", "payment_intent.succeeded", &intent).await;
    assert!(answer.status >= 500, "{}", answer.text());
    assert_eq!(shop.outcomes().await, []);
    shop.payments.becomes(&order, "processing").await;

    shop.payments.run("drop trigger refuse on outbox").await;
    assert_eq!(
        shop.hears_of_intent("evt_1", "payment_intent.succeeded", &order)
            .await,
        first()
    );
    shop.payments.becomes(&order, "completed").await;
    assert_eq!(shop.told(order.id).await, ["payment.completed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_matter_here_is_received_and_ignored() {
    let shop = Shop::open().await;
    let foreign = json!({"id": "pi_of_another", "status": "succeeded", "amount_received": 1999});
    let objects = [
        ("customer.created", json!({"id": "cus_1"})),
        ("of.tomorrow", json!(null)),
        ("payment_intent.succeeded", foreign.clone()),
        (
            "charge.refunded",
            json!({"id": "ch_1", "payment_intent": "pi_of_another", "refunded": true}),
        ),
        (
            "refund.updated",
            json!({"id": "re_1", "payment_intent": null, "amount": 1, "status": "succeeded"}),
        ),
    ];
    for (number, (kind, object)) in objects.iter().enumerate() {
        let id = format!("evt_{number}");
        assert_eq!(shop.hears(&id, kind, object).await.ok(200), first(), "{kind}");
        assert_eq!(shop.hears(&id, kind, object).await.ok(200), again(), "{kind}");
    }
    assert!(
        shop.outcomes()
            .await
            .iter()
            .all(|(outcome, _)| outcome == "ignored")
    );
    assert_eq!(shop.payments.rows("select id from outbox").await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_is_heard_of_before_its_answer() {
    for (kind, is_charge) in [("refund.updated", false), ("charge.refunded", true)] {
        let shop = Shop::open().await;
        let order = shop.placed("pm_card_visa").await;
        shop.ends(&order, "completed").await;
        shop.stripe.fail("refund", [Fault::Hold]);
        assert!(shop.payments.cancelled(&order).await);
        shop.asks("refund", 1).await;
        if is_charge {
            // which refund it was, is looked up
            let charge = json!({"id": "ch_1", "payment_intent": shop.intent(&order).id, "refunded": true});
            assert_eq!(shop.hears("evt_1", kind, &charge).await.ok(200), first());
        } else {
            assert_eq!(shop.hears_of_refund("evt_1", kind).await, first());
        }
        let before = shop.payments.becomes(&order, "refunded").await;
        assert_eq!(before["refund_reference"], "re_1");
        shop.stripe.release();
        assert_eq!(shop.ends(&order, "refunded").await, before);
        assert_eq!(
            shop.told(order.id).await,
            ["payment.completed", "payment.refunded"]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_contradicts_a_payment_is_kept_for_a_person_and_moves_nothing() {
    let shop = Shop::open().await;
    let order = shop.placed("pm_card_visa").await;
    shop.ends(&order, "completed").await;
    // given back by hand, in Stripe's dashboard; less taken than was asked for; a refund that bounced
    let intent = shop.intent(&order);
    let refund = |status: &str, amount: i64| json!({"id": "re_9", "payment_intent": intent.id, "amount": amount, "status": status});
    shop.hears("evt_1", "refund.created", &refund("succeeded", 1999))
        .await
        .ok(200);
    let mut less = intent.clone();
    less.amount = 1;
    shop.hears("evt_2", "payment_intent.succeeded", &less.json())
        .await
        .ok(200);
    shop.hears("evt_3", "refund.failed", &refund("failed", 1999))
        .await
        .ok(200);
    shop.hears("evt_4", "refund.created", &refund("succeeded", 5))
        .await
        .ok(200);
    let outcomes = shop.outcomes().await;
    for (outcome, detail) in &outcomes[..3] {
        assert_eq!(outcome, "refused");
        assert!(detail.is_string());
    }
    assert_eq!(outcomes[3].0, "ignored");
    shop.ends(&order, "completed").await;
    assert_eq!(shop.told(order.id).await, ["payment.completed"]);
}
