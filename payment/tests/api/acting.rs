//! From a fact to the provider and back, through the kernel, with the broker down: what is announced waits in order.

use std::collections::BTreeSet;
use std::sync::Mutex;

use chassis::test::Answer;
use contracts::OrderId;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Order, Payments, until};

fn events(of: &[(&str, u64)]) -> Vec<(String, u64)> {
    of.iter()
        .map(|(topic, sequence)| ((*topic).to_owned(), *sequence))
        .collect()
}

async fn force(payments: &Payments, mode: &str, remaining: Option<u32>, latency_ms: u32) {
    let setting = json!({"mode": mode, "remaining": remaining, "latency_ms": latency_ms});
    payments
        .admin()
        .put("/payments/simulator", &setting)
        .await
        .ok(200);
}

/// Waits until the provider's books say so of the order's charge.
async fn booked(payments: &Payments, order: OrderId, status: &str) -> Value {
    until(&format!("the charge is {status}"), async || {
        let charge = payments.charge_of(order).await?;
        (charge["status"] == status).then_some(charge)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_charged_and_its_payment_announced_once() {
    let payments = Payments::start().await;
    let order = Order::by("pm_card_visa");
    assert!(payments.placed(&order).await);
    let payment = payments.becomes(&order, "completed").await;
    assert!(!payments.placed(&order).await, "it is known");
    payments.at_rest().await;
    let charge = payments.charge_of(order.id).await.unwrap();
    assert_eq!(charge["reference"], payment["provider_reference"]);
    assert_eq!(
        (&charge["amount_minor"], &charge["attempts"]),
        (&json!(1999), &json!(1))
    );
    assert_eq!(payment["attempts"], 1);
    assert_eq!(
        payments.announced(order.id).await,
        events(&[("payment.completed", 1)])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_payment_is_announced_with_its_code() {
    let payments = Payments::start().await;
    for (method, code) in [
        ("pm_card_declined", "card_declined"),
        ("pm_card_insufficient_funds", "insufficient_funds"),
        ("pm_of_tomorrow", "unknown_payment_method"),
    ] {
        let order = Order::by(method);
        payments.placed(&order).await;
        let payment = payments.becomes(&order, "failed").await;
        assert_eq!(payment["failure_code"], code);
        // the order is cancelled for it: nothing more is to be done
        assert!(!payments.cancelled(&order).await);
        assert_eq!(
            payments.announced(order.id).await,
            events(&[("payment.failed", 1)])
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_provider_is_asked_again() {
    let payments = Payments::start().await;
    let order = Order::by("pm_provider_flaky");
    payments.placed(&order).await;
    let payment = payments.becomes(&order, "completed").await;
    assert_eq!(payment["attempts"], 3);
    payments.at_rest().await;
    assert_eq!(
        payments.announced(order.id).await,
        events(&[("payment.completed", 1)])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_never_comes_is_asked_for_again_and_the_money_is_taken_once() {
    let payments = Payments::with(&[("provider.timeout_ms", "500")]).await;
    force(&payments, "timeout", Some(1), 0).await;
    let order = Order::by("pm_card_visa");
    payments.placed(&order).await;
    let payment = payments.becomes(&order, "completed").await;
    assert!(payment["attempts"].as_u64() >= Some(2), "{payment}");
    let charge = payments.charge_of(order.id).await.unwrap();
    assert_eq!(charge["reference"], payment["provider_reference"]);
    payments.at_rest().await;
    assert_eq!(
        payments.announced(order.id).await,
        events(&[("payment.completed", 1)])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_says_nothing_while_the_provider_writes_counts_no_attempt() {
    let payments = Payments::with(&[
        ("provider.books_timeout_ms", "50"),
        ("messaging.backoff_max_ms", "20"),
    ])
    .await;
    let lock = payments.lock("simulator.charge").await;
    let order = Order::by("pm_card_visa");
    payments.placed(&order).await;
    // each try has a connection of its own: the one whose statement was given up is thrown away
    let tries = Mutex::new(BTreeSet::new());
    until("more tries than there are retries", async || {
        let query = "select pid from pg_locks where relation = 'simulator.charge'::regclass and not granted";
        let waiting = payments.rows(query).await;
        let mut tries = tries.lock().unwrap();
        tries.extend(waiting.iter().map(ToString::to_string));
        (tries.len() > 5).then_some(())
    })
    .await;
    drop(lock);
    let payment = payments.becomes(&order, "completed").await;
    assert_eq!(payment["attempts"], 1);
    payments.at_rest().await;
    assert_eq!(
        payments.rows("select id from dead_letter").await,
        Vec::<Value>::new()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn books_that_refuse_an_entry_fail_the_payment_s_own_action() {
    let payments = Payments::start().await;
    payments
        .run("alter table simulator.charge add constraint refuses check (payment_method <> 'pm_card_visa')")
        .await;
    let order = Order::by("pm_card_visa");
    payments.placed(&order).await;
    let dead = until("the charge is given up", async || {
        let dead = payments
            .rows("select error_class from work where state = 'dead'")
            .await;
        dead.first().cloned()
    })
    .await;
    assert_eq!(dead, json!({"error_class": "provider-books"}));
    let other = Order::by("pm_card_declined");
    payments.placed(&other).await;
    payments.becomes(&other, "failed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_that_always_fails_is_a_dead_letter_and_voided_when_the_order_is_cancelled() {
    let payments = Payments::start().await;
    let order = Order::by("pm_provider_error");
    payments.placed(&order).await;
    let dead = until("the charge is given up", async || {
        let dead = payments
            .rows("select name, attempts, error_class from work where state = 'dead'")
            .await;
        dead.first().cloned()
    })
    .await;
    assert_eq!(
        dead,
        json!({"name": "charge", "attempts": 4, "error_class": "provider-error"})
    );
    payments.becomes(&order, "processing").await;
    assert_eq!(payments.announced(order.id).await[0].0, "payment.failed.dlq");

    assert!(payments.cancelled(&order).await);
    payments.becomes(&order, "voided").await;
    booked(&payments, order.id, "voided").await;
    let settled = until("the dead letter is settled", async || {
        let letters = payments
            .rows("select state, settled_reason from dead_letter")
            .await;
        letters.into_iter().find(|letter| letter["state"] != "open")
    })
    .await;
    let why = "the order is cancelled, and the payment is voided";
    let meanwhile = "the order is cancelled, and the payment is being voided";
    assert_eq!(settled["state"], "obsolete");
    assert!(
        settled["settled_reason"] == why || settled["settled_reason"] == meanwhile,
        "{settled}"
    );
    let admin = payments.admin();
    let letters = admin.get("/payments/dead-letters?state=obsolete").await.ok(200);
    let path = format!(
        "/payments/dead-letters/{}/replay",
        letters["items"][0]["id"].as_str().unwrap()
    );
    let refused = admin.post(&path, &json!({"reason": "try again"})).await;
    let refused = refused.problem(409, "conflict");
    assert!(refused.detail.unwrap().contains("the order is cancelled"));
    let status = admin.get("/payments/events/status").await.ok(200);
    assert_eq!(status["dead_letters"], 0, "nobody has to look");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_cancelled_after_it_is_paid_gets_its_money_back_once() {
    let payments = Payments::start().await;
    let order = Order::by("pm_card_visa");
    payments.placed(&order).await;
    payments.becomes(&order, "completed").await;
    assert!(payments.cancelled(&order).await);
    assert!(!payments.cancelled(&order).await);
    let payment = payments.becomes(&order, "refunded").await;
    payments.at_rest().await;
    let charge = payments.charge_of(order.id).await.unwrap();
    assert_eq!(charge["refund_reference"], payment["refund_reference"]);
    assert!(payment["refund_reference"].is_string());
    assert_eq!(
        payments.announced(order.id).await,
        events(&[("payment.completed", 1), ("payment.refunded", 2)])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_cancelled_before_it_is_heard_of_is_never_charged() {
    let payments = Payments::start().await;
    let order = Order::by("pm_card_visa");
    assert!(payments.cancelled(&order).await);
    assert!(!payments.placed(&order).await);
    let payment = payments.becomes(&order, "voided").await;
    assert_eq!(payment["attempts"], 0);
    assert_eq!(payments.rows("select id from work").await, Vec::<Value>::new());
    assert_eq!(payments.charge_of(order.id).await, None);
    assert_eq!(payments.announced(order.id).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_was_taken_before_its_answer_came_goes_back_when_the_order_is_cancelled() {
    let payments = Payments::with(&[("provider.timeout_ms", "20000")]).await;
    force(&payments, "approve", None, 3_000).await;
    let order = Order::by("pm_card_visa");
    payments.placed(&order).await;
    booked(&payments, order.id, "approved").await;
    payments.becomes(&order, "processing").await;
    assert!(payments.cancelled(&order).await);
    payments.becomes(&order, "refunded").await;
    // the charge's own answer comes after the void's, and is nothing new
    payments.at_rest().await;
    payments.becomes(&order, "refunded").await;
    assert_eq!(
        payments.announced(order.id).await,
        events(&[("payment.completed", 1), ("payment.refunded", 2)])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_that_waits_for_its_retry_is_voided_and_not_made_any_more() {
    let payments = Payments::with(&[("messaging.retry_delays_ms", "2000,2000,2000")]).await;
    force(&payments, "error", Some(1), 0).await;
    let order = Order::by("pm_card_visa");
    payments.placed(&order).await;
    booked(&payments, order.id, "open").await;
    assert!(payments.cancelled(&order).await);
    payments.becomes(&order, "voided").await;
    // even a provider that works again is not asked
    force(&payments, "approve", None, 0).await;
    payments.at_rest().await;
    let charge = booked(&payments, order.id, "voided").await;
    assert_eq!(charge["attempts"], 1);
    payments.becomes(&order, "voided").await;
    assert_eq!(payments.announced(order.id).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_books_say_adds_up_when_orders_are_cancelled_at_any_moment() {
    let payments = Payments::start().await;
    let methods = ["pm_card_visa", "pm_card_declined", "pm_provider_flaky"];
    let orders: Vec<_> = (0..45).map(|number| Order::by(methods[number % 3])).collect();
    let lives = orders.iter().enumerate().map(async |(number, order)| {
        // a third is cancelled first, a third at once, a third when it has ended
        match number / 15 {
            0 => drop(payments.cancelled(order).await),
            1 => {}
            _ => {
                payments.placed(order).await;
                until("the provider has answered", async || {
                    let charge = payments.charge_of(order.id).await?;
                    (charge["status"] != "open").then_some(())
                })
                .await;
            }
        }
        payments.placed(order).await;
        payments.cancelled(order).await;
    });
    futures::future::join_all(lives).await;
    payments.at_rest().await;
    let kept = payments
        .rows("select * from simulator.charge where status = 'approved' and refund_reference is null")
        .await;
    assert_eq!(kept, Vec::<Value>::new());
    let unfinished = payments
        .rows("select * from payment where status not in ('failed', 'voided', 'refunded')")
        .await;
    assert_eq!(unfinished, Vec::<Value>::new());
    for order in &orders {
        let announced = payments.announced(order.id).await;
        let sequences: Vec<_> = announced.iter().map(|(_, sequence)| *sequence).collect();
        assert_eq!(sequences, (1..).take(sequences.len()).collect::<Vec<_>>());
        let topics: Vec<_> = announced.iter().map(|(topic, _)| topic.as_str()).collect();
        let stories: [&[&str]; 3] = [
            &[],
            &["payment.failed"],
            &["payment.completed", "payment.refunded"],
        ];
        assert!(stories.contains(&topics.as_slice()), "{topics:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_attempts_and_the_next_one_are_seen_before_the_provider_has_answered() {
    let payments = Payments::with(&[("messaging.retry_delays_ms", "20,20,600000")]).await;
    let order = Order::by("pm_provider_error");
    payments.placed(&order).await;
    let client = payments.customer(order.customer);
    let of_order = format!("/payments?order_id={}", order.id);
    let waits = until("the charge has failed three times", async || {
        let page = client.get(&of_order).await.ok(200);
        let payment = page["items"].get(0)?.clone();
        (payment["attempts"] == 3 && payment["next_attempt_at"].is_string()).then_some(payment)
    })
    .await;
    assert_eq!(waits["status"], "processing");
    let path = format!("/payments/{}", waits["id"].as_str().unwrap());
    let seen = client.get(&path).await;
    let tag = seen.header("etag").to_owned();
    assert_eq!(seen.ok(200), waits);
    // the next attempt is the last one: the letter waits for somebody
    payments.run("update work set next_attempt_at = now()").await;
    let given_up = until("the charge is given up", async || {
        let request = client.request(Method::GET, &path).header("if-none-match", &tag);
        let answer = Answer::to(request).await;
        (answer.status == 200)
            .then(|| answer.json())
            .filter(|payment| payment["attempts"] == 4)
    })
    .await;
    assert_eq!(
        (&given_up["status"], &given_up["next_attempt_at"]),
        (&json!("processing"), &Value::Null)
    );
}
