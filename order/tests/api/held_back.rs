//! Overdue orders are judged only when what was said before their deadline has been read.

use std::time::{Duration, Instant};

use contracts::Money;
use serde_json::{Value, json};

use crate::broker::Broker;
use crate::deadline::{OFTEN, age};
use crate::harness::{Orders, cancel, path_of, payment_of, place};

/// A failed message is tried again so late that it waits while a test looks.
const RETRY_LATE: (&str, &str) = ("messaging.retry_delays_ms", "3600000");
/// Orders are made older by so much and no more: their deadline is then the moment at which they were placed, after all that
/// an earlier step has read.
const DEADLINE_S: u32 = 900;

/// An order service on a broker, and its operators.
struct Story {
    broker: Broker,
    orders: Orders,
}

impl Story {
    async fn begin() -> Self {
        let broker = Broker::bare().await;
        broker.make_topics().await;
        let settings = [
            OFTEN,
            RETRY_LATE,
            broker.setting(),
            ("saga.deadline_operator_s", "1"),
            ("saga.deadline_read_timeout_ms", "2000"),
            ("saga.deadline_settle_ms", "6000"),
            ("messaging.backoff_max_ms", "500"),
        ];
        let orders = Orders::start_with(&settings).await;
        Self { broker, orders }
    }

    /// What the service says that it holds back.
    async fn held_back(&self) -> Value {
        let admin = self.orders.admin();
        admin.get("/orders/events/status").await.ok(200)["held_back"].clone()
    }

    async fn until_held_back(&self, is: impl Fn(&Value) -> bool) -> Value {
        let give_up = Instant::now() + Duration::from_secs(30);
        loop {
            let held = self.held_back().await;
            if is(&held) {
                return held;
            }
            assert!(Instant::now() < give_up, "not in time: {held}");
            tokio::task::yield_now().await;
        }
    }

    async fn seen(&self, order: &Value) -> Value {
        self.orders.admin().get(&path_of(order)).await.ok(200)
    }

    async fn until_status(&self, order: &Value, status: &str) -> Value {
        let give_up = Instant::now() + Duration::from_secs(30);
        loop {
            let seen = self.seen(order).await;
            if seen["status"] == status {
                return seen;
            }
            assert!(Instant::now() < give_up, "it is still {}", seen["status"]);
            assert_eq!(seen["status"], "pending", "{seen}");
            tokio::task::yield_now().await;
        }
    }

    async fn is_timed_out(&self, order: &Value) {
        let seen = self.until_status(order, "cancelled").await;
        assert_eq!(seen["cancellation"]["reason"], "payment_timeout");
    }

    async fn until_nothing_is_held_back(&self) {
        self.until_held_back(Value::is_null).await;
    }

    async fn metrics(&self) -> String {
        let url = format!("http://{}/metrics", self.orders.service.management_address());
        let answer = reqwest::get(url).await.unwrap();
        answer.text().await.unwrap()
    }
}

/// An overdue order.
async fn overdue(story: &Story) -> Value {
    let order = place(&story.orders.somebody()).await;
    age(&story.orders, DEADLINE_S).await;
    order
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overdue_order_is_judged_when_all_that_was_said_before_its_deadline_is_read() {
    let mut story = Story::begin().await;
    a_broker_that_cannot_be_asked_is_waited_for(&mut story).await;
    a_payment_that_stands_unread_confirms_its_order_after_the_deadline(&story).await;
    what_never_comes_is_not_waited_for(&story).await;
    a_parked_message_about_the_order_is_waited_for_until_it_is_given_up(&story).await;
}

async fn a_broker_that_cannot_be_asked_is_waited_for(story: &mut Story) {
    story.broker.kafka.stop().await;
    let paid = place(&story.orders.somebody()).await;
    let unpaid = overdue(story).await;
    let held = story.until_held_back(|held| held["aggregates"] == 2).await;
    assert_eq!(
        (&held["reason"], &held["read_through"]),
        (&json!("unanswered"), &Value::Null)
    );
    story.broker.kafka.restart().await.unwrap();
    // it lay in the outbox of the payment service
    story.broker.announce(&payment_of(&paid)).await;
    story.is_timed_out(&unpaid).await;
    story.until_status(&paid, "confirmed").await;
    story.until_nothing_is_held_back().await;
}

async fn a_payment_that_stands_unread_confirms_its_order_after_the_deadline(story: &Story) {
    // the consumer cannot take anything in, and nothing else waits for that
    let held_up = story
        .orders
        .standing("begin; lock table processed_event in exclusive mode")
        .await;
    let (paid, unpaid) = (
        place(&story.orders.somebody()).await,
        place(&story.orders.somebody()).await,
    );
    story.broker.announce(&payment_of(&paid)).await;
    age(&story.orders, DEADLINE_S).await;
    let held = story.until_held_back(|held| held["aggregates"] == 2).await;
    assert_eq!(held["reason"], "unread");

    // after a while somebody is asked, and nothing is done
    let held = story.until_held_back(|held| held["need_operator"] == 2).await;
    assert_eq!(held["operator_decides"], json!([paid["id"], unpaid["id"]]));
    let metrics = story.metrics().await;
    assert!(
        metrics.contains("\nmessaging_deadlines_held_back 2\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("\nmessaging_deadlines_need_operator 2\n"),
        "{metrics}"
    );
    assert_eq!(story.seen(&paid).await["status"], "pending");
    assert_eq!(story.seen(&unpaid).await["status"], "pending");
    let decided = cancel(&story.orders.admin(), &unpaid).await.ok(202);
    assert_eq!(decided["cancellation"]["reason"], "customer_request");
    story.until_held_back(|held| held["need_operator"] == 1).await;

    drop(held_up);
    story.until_status(&paid, "confirmed").await;
    story.until_nothing_is_held_back().await;
    assert!(
        story
            .metrics()
            .await
            .contains("\nmessaging_deadlines_held_back 0\n")
    );
}

async fn what_never_comes_is_not_waited_for(story: &Story) {
    let order = overdue(story).await;
    story.is_timed_out(&order).await;
}

async fn a_parked_message_about_the_order_is_waited_for_until_it_is_given_up(story: &Story) {
    let order = place(&story.orders.somebody()).await;
    let mut payment = payment_of(&order);
    payment.amount = Money::new(1, payment.amount.currency());
    story.broker.announce(&payment).await;
    age(&story.orders, DEADLINE_S).await;
    let held = story.until_held_back(|held| held["reason"] == "parked").await;
    assert_eq!(held["aggregates"], 1);
    assert!(held["read_through"].is_string(), "{held}");
    let due = "update work set next_attempt_at = now() where state = 'pending'";
    assert_eq!(story.orders.tamper(due).await, 1);
    // a dead letter waits for a person, and an order does not wait for that
    story.is_timed_out(&order).await;
    assert_eq!(
        story
            .orders
            .rows("select from work where state = 'dead'")
            .await
            .len(),
        1
    );
}
