//! Orders that have waited too long for their payment. The broker has no topics: nothing was ever said on them, so that
//! nothing is left to be read.

use std::time::{Duration, Instant};

use futures::future::{join, join_all};
use serde_json::{Value, json};

use crate::broker::Broker;
use crate::harness::{Orders, POOL_SIZE, cancel, path_of, place};

/// Each replica looks often, so that a test need not wait.
pub(crate) const OFTEN: (&str, &str) = ("saga.deadline_poll_ms", "20");

/// As if these orders had been placed so long ago; all in one statement, so that they are due at one moment.
pub(crate) async fn age(orders: &Orders, seconds: u32) {
    let statement = format!("update orders set created_at = created_at - make_interval(secs => {seconds})");
    assert!(orders.tamper(&statement).await > 0);
}

pub(crate) async fn statuses(orders: &Orders) -> Vec<Value> {
    orders
        .rows("select status, cancellation_reason as reason from orders order by id")
        .await
}

/// Waits until nothing is pending.
async fn all_moved_on(orders: &Orders) {
    let give_up = Instant::now() + Duration::from_secs(30);
    while statuses(orders)
        .await
        .iter()
        .any(|row| row["status"] == "pending")
    {
        assert!(Instant::now() < give_up, "orders still wait");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_waited_too_long_is_cancelled_once() {
    let broker = Broker::shared().await;
    let orders = Orders::start_with(&[OFTEN, broker.setting()]).await;
    let client = orders.somebody();
    let order = place(&client).await;
    age(&orders, 901).await;
    all_moved_on(&orders).await;

    let seen = client.get(&path_of(&order)).await.ok(200);
    assert_eq!(
        seen["cancellation"],
        json!({"reason": "payment_timeout", "code": null, "refunded": false})
    );
    cancel(&client, &order).await.problem(409, "conflict");
    // a later one goes the same way: the job has been round again, and has not touched the first
    let later = place(&client).await;
    age(&orders, 901).await;
    all_moved_on(&orders).await;

    let outbox = orders.outbox().await;
    let told: Vec<_> = outbox.iter().map(|row| (&row["key"], &row["topic"])).collect();
    let (first, second) = (&order["id"], &later["id"]);
    let (created, cancelled) = (&json!("order.created"), &json!("order.cancelled"));
    assert_eq!(
        told,
        [
            (first, created),
            (first, cancelled),
            (second, created),
            (second, cancelled)
        ]
    );
    assert_eq!(
        outbox[1]["payload"],
        json!({
            "order_id": order["id"],
            "customer_id": order["customer_id"],
            "total": order["total"],
            "reason": "payment_timeout",
            "code": null,
        })
    );
    assert_eq!(outbox[1]["headers"]["ce_correlationid"], order["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_young_or_has_moved_on_stays() {
    let broker = Broker::shared().await;
    let orders = Orders::start_with(&[OFTEN, broker.setting()]).await;
    let client = orders.somebody();
    let (paid, taken_back) = (place(&client).await, place(&client).await);
    orders.paid(&paid).await;
    cancel(&client, &taken_back).await.ok(202);
    let overdue = place(&client).await;
    age(&orders, 870).await;
    let young = place(&client).await;
    // of those two that wait, one is overdue now, the other has half a minute less than no time left
    orders
        .tamper(&format!(
            "update orders set created_at = created_at - interval '31 s' where id <> '{}'",
            young["id"].as_str().unwrap()
        ))
        .await;
    let give_up = Instant::now() + Duration::from_secs(30);
    while client.get(&path_of(&overdue)).await.ok(200)["status"] == "pending" {
        assert!(Instant::now() < give_up, "it still waits");
    }
    assert_eq!(
        statuses(&orders).await,
        [
            json!({"status": "confirmed", "reason": null}),
            json!({"status": "cancelled", "reason": "customer_request"}),
            json!({"status": "cancelled", "reason": "payment_timeout"}),
            json!({"status": "pending", "reason": null}),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_together_cancel_each_order_once() {
    // batches smaller than what is due, so that the replicas meet in the same orders again and again
    let broker = Broker::shared().await;
    let settings = [OFTEN, broker.setting(), ("saga.deadline_batch", "7")];
    let orders = Orders::start_with(&settings).await;
    let (_second, _third) = (orders.replica(&settings).await, orders.replica(&settings).await);
    let client = orders.somebody();
    for _ in 0..40 {
        place(&client).await;
    }
    age(&orders, 900).await;
    all_moved_on(&orders).await;
    let announced =
        "select count(*) as facts, count(distinct (order_id, topic)) as different from order_fact";
    assert_eq!(
        orders.rows(announced).await,
        [json!({"facts": 80, "different": 80})]
    );
    let versions = orders
        .rows("select distinct version, announced, cancellation_reason from orders")
        .await;
    assert_eq!(
        versions,
        [json!({"version": 2, "announced": 2, "cancellation_reason": "payment_timeout"})]
    );
}

/// Requests that wait for a lock in the database.
async fn waiting(orders: &Orders) -> usize {
    let waiting =
        "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    orders.rows(waiting).await.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_requests_holds_up_no_timer_and_looks_like_no_outage() {
    let broker = Broker::shared().await;
    let orders = Orders::start_with(&[OFTEN, broker.setting()]).await;
    place(&orders.somebody()).await;
    // every connection that requests have is taken by one that waits, and more wait for one
    let locked = orders.standing("begin; lock table product").await;
    let clients: Vec<_> = (0..20).map(|_| orders.anonymous()).collect();
    let crowd = join_all(clients.iter().map(|client| client.get("/products")));
    let timer = async {
        let give_up = Instant::now() + Duration::from_secs(30);
        while waiting(&orders).await < POOL_SIZE {
            assert!(Instant::now() < give_up, "there is no crowd");
            tokio::task::yield_now().await;
        }
        age(&orders, 901).await;
        all_moved_on(&orders).await;
        let health = clients.last().expect("a client").get("/health").await;
        assert_eq!(health.json()["database"], "ok");
        assert_eq!(waiting(&orders).await, POOL_SIZE, "the crowd was gone");
        drop(locked);
    };

    let (answers, ()) = join(crowd, timer).await;
    for answer in answers {
        assert!(matches!(answer.status, 200 | 503), "{}", answer.status);
    }
}
