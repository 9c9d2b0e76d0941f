//! Disputes, as Stripe reports them: signed, at least once, in any order.

use chassis::test::Answer;
use contracts::Topic;
use serde_json::{Value, json};

use super::Shop;
use super::fake::Fault;
use super::webhooks::{again, first, post, signed};
use crate::harness::{Order, until};
use crate::kafka::Broker;

/// When the disputes of these stories were opened, and until when they can be answered.
const OPENED: i64 = 1_795_946_400;
const DUE: i64 = OPENED + 7 * 86_400;

/// A dispute of an order's charge as Stripe shows it.
fn dispute(shop: &Shop, order: &Order, status: &str) -> Value {
    json!({
        "id": "dp_1", "object": "dispute", "amount": 1999, "currency": "eur", "reason": "fraudulent",
        "status": status, "created": OPENED, "charge": "ch_1", "payment_intent": shop.intent(order).id,
        "evidence_details": {"due_by": DUE, "has_evidence": false, "past_due": false, "submission_count": 0},
        "evidence": {"customer_email_address": "ada@example.com"}, "is_charge_refundable": false,
    })
}

impl Shop {
    /// Stripe reports what a dispute was so many seconds after it was opened.
    async fn reports(&self, id: &str, kind: &str, after: i64, dispute: &Value) -> Answer {
        let event = json!({
            "id": id, "object": "event", "type": format!("charge.dispute.{kind}"), "created": OPENED + after,
            "livemode": false, "data": {"object": dispute},
        });
        let body = event.to_string();
        post(&self.payments, &body, &[&signed(&body)]).await
    }

    /// The same, received for the first time.
    async fn hears_of(&self, id: &str, kind: &str, after: i64, dispute: &Value) {
        assert_eq!(
            self.reports(id, kind, after, dispute).await.ok(200),
            first(),
            "{kind}"
        );
    }

    async fn paid(&self) -> Order {
        let order = self.placed("pm_card_visa").await;
        self.ends(&order, "completed").await;
        order
    }

    /// The order's payment as an admin sees it.
    async fn seen_by_admin(&self, order: &Order) -> Value {
        let path = format!("/payments?order_id={}", order.id);
        self.payments.admin().get(&path).await.ok(200)["items"][0].clone()
    }

    /// How many disputes have come to a status.
    async fn counted(&self, status: &str) -> u64 {
        let url = format!("http://{}/metrics", self.payments.service.management_address());
        let metrics = reqwest::get(url).await.unwrap().text().await.unwrap();
        let name = format!("payment_disputes_total{{status=\"{status}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(name.as_str()));
        line.unwrap_or_else(|| panic!("{name} in {metrics}"))
            .parse()
            .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_is_opened_the_money_withdrawn_and_it_is_lost() {
    let shop = Shop::open().await;
    let order = shop.paid().await;
    for status in [
        "warning_needs_response",
        "needs_response",
        "won",
        "lost",
        "prevented",
    ] {
        assert_eq!(shop.counted(status).await, 0, "there from the start");
    }
    let before = shop.seen_by_admin(&order).await;
    assert_eq!(before["disputes"], json!([]));
    let opened = dispute(&shop, &order, "needs_response");
    shop.hears_of("evt_1", "created", 0, &opened).await;
    let payment = shop.seen_by_admin(&order).await;
    let [shown] = payment["disputes"].as_array().unwrap().as_slice() else {
        panic!("{payment:#}")
    };
    assert_eq!(
        (
            &shown["status"],
            &shown["reason"],
            &shown["funds"],
            &shown["closed_at"]
        ),
        (
            &json!("needs_response"),
            &json!("fraudulent"),
            &json!("untouched"),
            &Value::Null
        )
    );
    assert_eq!(shown["amount"], json!({"amount_minor": 1999, "currency": "EUR"}));
    assert_eq!(shown["provider_reference"], "dp_1");
    assert_eq!(shown["respond_by"], "2026-12-06T10:00:00Z");
    assert_eq!(
        (&shown["order_id"], &shown["payment_id"]),
        (&json!(order.id), &payment["id"])
    );

    shop.hears_of("evt_2", "funds_withdrawn", 1, &opened).await;
    assert_eq!(
        shop.seen_by_admin(&order).await["disputes"][0]["funds"],
        "withdrawn"
    );
    shop.hears_of("evt_3", "updated", 60, &dispute(&shop, &order, "under_review"))
        .await;
    shop.hears_of("evt_4", "closed", 90, &dispute(&shop, &order, "lost"))
        .await;
    let payment = shop.ends(&order, "completed").await;
    let lost = &shop.seen_by_admin(&order).await["disputes"][0];
    assert_eq!(
        (&lost["status"], &lost["funds"]),
        (&json!("lost"), &json!("withdrawn"))
    );
    assert_eq!(lost["closed_at"], "2026-11-29T10:01:30Z");
    assert_eq!(payment["version"], json!(before["version"].as_i64().unwrap() + 4));

    // announced once each, numbered among the payment's events, and caused by nothing that was announced
    assert_eq!(
        shop.payments.announced(order.id).await,
        [
            ("payment.completed".to_owned(), 1),
            ("payment.disputed".to_owned(), 2),
            ("payment.dispute_closed".to_owned(), 3)
        ]
    );
    let bodies = shop
        .payments
        .rows("select convert_from(payload, 'UTF8')::jsonb body from outbox where topic like 'payment.dispute%' order by id")
        .await;
    assert_eq!(bodies[0]["body"]["reason"], "fraudulent");
    assert_eq!(
        (&bodies[1]["body"]["outcome"], &bodies[1]["body"]["dispute_id"]),
        (&json!("lost"), &lost["id"])
    );
    assert!(!format!("{bodies:?}").contains("ada@"));
    for (status, times) in [
        ("needs_response", 1),
        ("under_review", 1),
        ("lost", 1),
        ("won", 0),
    ] {
        assert_eq!(shop.counted(status).await, times, "{status}");
    }
    assert!(
        shop.outcomes()
            .await
            .iter()
            .all(|(outcome, _)| outcome == "applied")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_is_won_and_the_money_reinstated_and_the_customer_sees_how_it_stands_and_no_more() {
    let shop = Shop::open().await;
    let order = shop.paid().await;
    let opened = dispute(&shop, &order, "needs_response");
    shop.hears_of("evt_1", "created", 0, &opened).await;
    shop.hears_of("evt_2", "funds_withdrawn", 0, &opened).await;
    let won = dispute(&shop, &order, "won");
    shop.hears_of("evt_3", "closed", 70, &won).await;
    shop.hears_of("evt_4", "funds_reinstated", 71, &won).await;
    let seen = &shop.seen_by_admin(&order).await["disputes"][0];
    assert_eq!(
        (&seen["status"], &seen["funds"]),
        (&json!("won"), &json!("reinstated"))
    );
    assert_eq!(
        shop.told(order.id).await,
        ["payment.completed", "payment.disputed", "payment.dispute_closed"]
    );

    let payment = shop.ends(&order, "completed").await;
    let shown = &payment["disputes"][0];
    assert_eq!(
        (&shown["status"], &shown["amount"]),
        (&json!("won"), &seen["amount"])
    );
    for member in ["reason", "funds", "respond_by", "provider_reference"] {
        assert_eq!(shown[member], Value::Null, "{member}");
    }
    let customer = shop.payments.customer(order.customer);
    let path = format!("/payments/{}", payment["id"].as_str().unwrap());
    assert_eq!(customer.get(&path).await.ok(200)["disputes"], payment["disputes"]);
    customer.get("/payments/disputes").await.problem(403, "forbidden");
    let again = shop.seen_by_admin(&order).await["disputes"].clone();
    let list = shop.payments.admin().get("/payments/disputes").await.ok(200);
    assert_eq!(list["items"], again);
    for (state, many) in [("open", 0), ("closed", 1)] {
        let path = format!("/payments/disputes?state={state}");
        let list = shop.payments.admin().get(&path).await.ok(200);
        assert_eq!(list["items"].as_array().unwrap().len(), many, "{state}");
    }
    let refused = shop.payments.admin().get("/payments/disputes?state=lost").await;
    refused.problem(400, "invalid-query");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_order_the_events_come_in_the_newest_counts_and_what_was_announced_stays_so() {
    let shop = Shop::open().await;
    let order = shop.paid().await;
    let opened = dispute(&shop, &order, "needs_response");
    shop.hears_of("evt_4", "closed", 90, &dispute(&shop, &order, "lost"))
        .await;
    shop.hears_of("evt_3", "updated", 60, &dispute(&shop, &order, "under_review"))
        .await;
    shop.hears_of("evt_1", "created", 0, &opened).await;
    shop.hears_of("evt_2", "funds_withdrawn", 1, &opened).await;
    let seen = &shop.seen_by_admin(&order).await["disputes"];
    assert_eq!(seen.as_array().unwrap().len(), 1);
    assert_eq!(
        (&seen[0]["status"], &seen[0]["funds"]),
        (&json!("lost"), &json!("withdrawn"))
    );
    let outcomes = shop.outcomes().await;
    let outcomes: Vec<_> = outcomes
        .iter()
        .map(|(outcome, _)| outcome.as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["unchanged", "applied", "unchanged", "applied"]);
    assert_eq!(
        shop.told(order.id).await,
        ["payment.completed", "payment.disputed", "payment.dispute_closed"]
    );
    assert_eq!(
        (shop.counted("lost").await, shop.counted("needs_response").await),
        (1, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_comes_often_and_at_once_is_one() {
    let shop = Shop::open().await;
    let order = shop.paid().await;
    let opened = dispute(&shop, &order, "needs_response");
    let at_once = (0..8).map(|_| shop.reports("evt_1", "created", 0, &opened));
    let answers = futures::future::join_all(at_once).await;
    let answers: Vec<Value> = answers.into_iter().map(|answer| answer.ok(200)).collect();
    assert_eq!(answers.iter().filter(|answer| **answer == first()).count(), 1);
    assert_eq!(answers.iter().filter(|answer| **answer == again()).count(), 7);
    // the same dispute, told at once by events of different ids
    let withdrawn = dispute(&shop, &order, "needs_response");
    let lost = dispute(&shop, &order, "lost");
    futures::future::join_all([
        shop.reports("evt_2", "funds_withdrawn", 1, &withdrawn),
        shop.reports("evt_3", "closed", 9, &lost),
        shop.reports("evt_4", "updated", 9, &lost),
    ])
    .await
    .into_iter()
    .for_each(|answer| drop(answer.ok(200)));
    let seen = &shop.seen_by_admin(&order).await["disputes"][0];
    assert_eq!(
        (&seen["status"], &seen["funds"]),
        (&json!("lost"), &json!("withdrawn"))
    );
    assert_eq!(
        shop.told(order.id).await,
        ["payment.completed", "payment.disputed", "payment.dispute_closed"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_whose_effect_cannot_be_stored_is_taken_in_when_it_comes_again() {
    let shop = Shop::open().await;
    let order = shop.paid().await;
    let broken = "create function refuse() returns trigger language plpgsql as $$
                  begin raise exception 'the outbox is broken'; end $$;
                  create trigger refuse before insert on outbox for each row execute function refuse();";
    shop.payments.run(broken).await;
    let opened = dispute(&shop, &order, "needs_response");
    let answer = shop.reports("evt_1", "created", 0, &opened).await;
    assert!(answer.status >= 500, "{}", answer.text());
    assert_eq!(shop.seen_by_admin(&order).await["disputes"], json!([]));
    assert_eq!(
        (shop.outcomes().await.len(), shop.counted("needs_response").await),
        (0, 0)
    );
    shop.payments.run("drop trigger refuse on outbox").await;
    shop.hears_of("evt_1", "created", 0, &opened).await;
    assert_eq!(
        shop.told(order.id).await,
        ["payment.completed", "payment.disputed"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_of_an_unknown_payment_is_kept_with_the_reason_and_one_that_is_not_understood_for_a_person()
{
    let shop = Shop::open().await;
    let order = shop.paid().await;
    let mut foreign = dispute(&shop, &order, "needs_response");
    foreign["payment_intent"] = json!("pi_of_another");
    shop.hears_of("evt_1", "created", 0, &foreign).await;
    foreign["payment_intent"] = Value::Null;
    shop.hears_of("evt_2", "created", 0, &foreign).await;
    shop.hears_of("evt_3", "updated", 5, &dispute(&shop, &order, "of_tomorrow"))
        .await;
    let outcomes = shop.outcomes().await;
    let told = |index: usize| {
        (
            outcomes[index].0.as_str().unwrap(),
            outcomes[index].1.as_str().unwrap(),
        )
    };
    assert_eq!(told(0), ("ignored", "the payment is none of this service's"));
    assert_eq!(told(1).0, "ignored");
    assert_eq!(
        told(2),
        (
            "refused",
            "the dispute dp_1 is \"of_tomorrow\", which is unknown here"
        )
    );
    assert_eq!(shop.payments.rows("select id from dispute").await.len(), 0);
    // without a time nobody could tell what is newer
    let body = json!({"id": "evt_4", "type": "charge.dispute.created",
        "data": {"object": dispute(&shop, &order, "needs_response")}});
    let body = body.to_string();
    post(&shop.payments, &body, &[&signed(&body)])
        .await
        .problem(400, "bad-request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refunded_payment_that_is_disputed_stays_refunded() {
    let shop = Shop::open().await;
    let order = shop.paid().await;
    assert!(shop.payments.cancelled_at_stripe(&order).await);
    let before = shop.ends(&order, "refunded").await;
    shop.hears_of("evt_1", "created", 0, &dispute(&shop, &order, "needs_response"))
        .await;
    shop.hears_of("evt_2", "closed", 50, &dispute(&shop, &order, "won"))
        .await;
    let after = shop.ends(&order, "refunded").await;
    assert_eq!(
        (&after["refund_reference"], &after["updated_at"]),
        (&before["refund_reference"], &before["updated_at"])
    );
    assert_eq!(after["disputes"][0]["status"], "won");
    assert_eq!(shop.refunds(), ["succeeded"]);
    assert_eq!(
        shop.payments.announced(order.id).await,
        [
            ("payment.completed".to_owned(), 1),
            ("payment.refunded".to_owned(), 2),
            ("payment.disputed".to_owned(), 3),
            ("payment.dispute_closed".to_owned(), 4)
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_disputes_of_a_payment_are_two_and_a_refund_that_stripe_refuses_meanwhile_is_made_after_them() {
    let shop = Shop::open().await;
    let order = shop.paid().await;
    shop.hears_of("evt_1", "created", 0, &dispute(&shop, &order, "needs_response"))
        .await;
    let mut second = dispute(&shop, &order, "warning_needs_response");
    second["id"] = json!("dp_2");
    second["evidence_details"] = Value::Null;
    shop.hears_of("evt_2", "created", 10, &second).await;
    let open = "/payments/disputes?state=open&limit=1";
    let admin = shop.payments.admin();
    let page = admin.get(open).await.ok(200);
    assert_eq!(
        (
            &page["items"][0]["provider_reference"],
            &page["items"][0]["respond_by"]
        ),
        (&json!("dp_2"), &Value::Null)
    );
    let next = format!("{open}&cursor={}", page["next_cursor"].as_str().unwrap());
    let page = admin.get(&next).await.ok(200);
    assert_eq!(page["items"][0]["provider_reference"], "dp_1");
    assert_eq!(page["next_cursor"], Value::Null);

    // what is disputed is not given back, and is when that is over
    let refused = json!({"type": "invalid_request_error", "code": "refund_disputed_payment"});
    let refusals = (0..3).map(|_| Fault::Answer(400, refused.clone()));
    shop.stripe.fail("refund", refusals);
    assert!(shop.payments.cancelled_at_stripe(&order).await);
    shop.asks("refund", 1).await;
    shop.hears_of("evt_3", "closed", 50, &dispute(&shop, &order, "won"))
        .await;
    let payment = shop.ends(&order, "refunded").await;
    let statuses: Vec<_> = payment["disputes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["status"])
        .collect();
    assert_eq!(statuses, ["won", "warning_needs_response"]);
    assert_eq!(
        (shop.stripe.asked("refund").len(), shop.refunds()),
        (4, vec!["succeeded"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_of_a_dispute_is_told_on_kafka_once() {
    let broker = Broker::start().await;
    let shop = Shop::with(&[("kafka.brokers", broker.address())]).await;
    let order = Order::by("pm_card_visa");
    broker.deliver(order.placed(), 1).await;
    shop.payments.becomes(&order, "completed").await;
    let opened = dispute(&shop, &order, "needs_response");
    let lost = dispute(&shop, &order, "lost");
    shop.hears_of("evt_2", "closed", 90, &lost).await;
    shop.hears_of("evt_1", "created", 0, &opened).await;
    let seen = &shop.seen_by_admin(&order).await["disputes"][0];
    until("everything is announced", async || {
        let waiting = shop.payments.rows("select id from outbox").await;
        waiting.is_empty().then_some(())
    })
    .await;
    let mut expected = json!({
        "payment_id": seen["payment_id"], "order_id": order.id, "customer_id": order.customer,
        "dispute_id": seen["id"], "amount": {"amount_minor": 1999, "currency": "EUR"},
        "provider_reference": "dp_1", "reason": "fraudulent",
    });
    let key = order.id.to_string();
    assert_eq!(
        broker.read(Topic::PaymentDisputed).await,
        [(key.clone(), expected.clone())]
    );
    let members = expected.as_object_mut().unwrap();
    members.remove("reason");
    members.insert("outcome".to_owned(), json!("lost"));
    assert_eq!(broker.read(Topic::PaymentDisputeClosed).await, [(key, expected)]);
}
