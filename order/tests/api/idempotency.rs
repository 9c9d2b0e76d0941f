//! The `Idempotency-Key` of `POST /orders`.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use chassis::clock;
use chassis::test::{Answer, TestClient};
use chrono::TimeDelta;
use futures::future::join_all;
use order::store::idempotency::forget;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Orders, cancel, one_cable, path_of, user};

async fn place(client: &TestClient, key: &str, body: &str) -> Answer {
    let request = client
        .request(Method::POST, "/orders")
        .header("content-type", "application/json")
        .header("idempotency-key", key)
        .body(body.to_owned());
    Answer::to(request).await
}

fn two_cables() -> String {
    json!({"items": [{"sku": "CABLE-USBC", "quantity": 2}], "payment_method": "pm_card_visa"}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_and_body_get_the_stored_answer() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    let first = place(&client, "again", &one_cable().to_string()).await;
    let order = first.ok(202);
    assert_eq!(first.header("idempotent-replayed"), "");

    let otherwise_written =
        "{ \"payment_method\":\"pm_card_visa\",\n\"items\":[ {\"quantity\":1,\"sku\":\"CABLE-USBC\"} ] }";
    for (key, body) in [
        ("again", one_cable().to_string().as_str()),
        ("\"again\"", otherwise_written),
    ] {
        let again = place(&client, key, body).await;
        assert_eq!(again.ok(202), order);
        assert_eq!(again.header("idempotent-replayed"), "true");
        assert_eq!(again.header("location"), path_of(&order));
    }
    orders.stored(1, 1, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_is_that_of_the_first_time_whatever_came_after() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    let order = place(&client, "then", &one_cable().to_string()).await.ok(202);
    cancel(&client, &order).await.ok(202);
    orders.product("CABLE-USBC", 1, "EUR", false).await;
    assert_eq!(
        place(&client, "then", &one_cable().to_string()).await.ok(202),
        order
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_with_another_body_is_422() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    place(&client, "mixed", &one_cable().to_string()).await.ok(202);
    place(&client, "mixed", &two_cables())
        .await
        .problem(422, "idempotency-mismatch");
    orders.stored(1, 1, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_its_customers_own() {
    let orders = Orders::start().await;
    let (ada, eve) = (orders.somebody(), orders.somebody());
    let adas = place(&ada, "mine", &one_cable().to_string()).await.ok(202);
    let eves = place(&eve, "mine", &two_cables()).await.ok(202);
    assert_ne!(adas["id"], eves["id"]);
    orders.stored(2, 2, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_does_not_use_up_its_key() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    let mut bad = one_cable();
    bad["items"][0]["sku"] = json!("UNKNOWN");
    place(&client, "retried", &bad.to_string())
        .await
        .problem(422, "validation");
    let answer = place(&client, "retried", &one_cable().to_string()).await;
    answer.ok(202);
    assert_eq!(answer.header("idempotent-replayed"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_each_request_is_an_order_of_its_own() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    let (one, other) = (
        crate::harness::place(&client).await,
        crate::harness::place(&client).await,
    );
    assert_ne!(one["id"], other["id"]);
    orders.stored(2, 2, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_at_once_make_one_order() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    let body = one_cable().to_string();
    let answers = join_all((0..20).map(|_| place(&client, "at-once", &body))).await;
    let bodies: HashSet<Value> = answers.iter().map(|answer| answer.ok(202)).collect();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    let first = answers
        .iter()
        .filter(|answer| answer.header("idempotent-replayed").is_empty());
    assert_eq!(first.count(), 1);
    orders.stored(1, 1, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_bodies_at_once_one_is_taken() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    let (one, two) = (one_cable().to_string(), two_cables());
    let answers =
        join_all((0..20).map(|n| place(&client, "race", if n % 2 == 0 { &one } else { &two }))).await;
    let (taken, mismatched): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 202);
    assert_eq!((taken.len(), mismatched.len()), (10, 10));
    for answer in mismatched {
        answer.problem(422, "idempotency-mismatch");
    }
    orders.stored(1, 1, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_forgotten_after_a_day() {
    let orders = Orders::start_with(&[("idempotency.sweep_ms", "20")]).await;
    let client = orders.somebody();
    let old = place(&client, "old", &one_cable().to_string()).await.ok(202);
    let aged = "update idempotency_key set created_at = created_at - interval '86401 seconds'";
    assert_eq!(orders.tamper(aged).await, 1);
    let young = place(&client, "young", &one_cable().to_string()).await.ok(202);
    let give_up = Instant::now() + Duration::from_secs(30);
    while orders.rows("select key from idempotency_key").await != [json!({"key": "young"})] {
        assert!(Instant::now() < give_up, "the old key is remembered");
        tokio::task::yield_now().await;
    }
    let again = place(&client, "old", &one_cable().to_string()).await.ok(202);
    assert_ne!(again["id"], old["id"], "an order of its own");
    assert_eq!(
        place(&client, "young", &one_cable().to_string()).await.ok(202),
        young
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_somebody_has_locked_keeps_no_other_from_being_forgotten() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    for key in ["locked", "free"] {
        place(&client, key, &one_cable().to_string()).await.ok(202);
    }
    let lock = "begin; select from idempotency_key where key = 'locked' for update";
    let standing = orders.standing(lock).await;
    let mut conn = orders.connection().await;
    let everything = clock::now() + TimeDelta::minutes(1);
    assert_eq!(forget(&mut conn, everything, 10).await.unwrap(), 1);
    assert_eq!(
        orders.rows("select key from idempotency_key").await,
        [json!({"key": "locked"})]
    );
    drop(standing);
    let give_up = Instant::now() + Duration::from_secs(30);
    while forget(&mut conn, everything, 10).await.unwrap() == 0 {
        assert!(Instant::now() < give_up, "the key is remembered");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_hand_is_409_and_is_taken_over_once_its_request_is_dead() {
    let orders = Orders::start_with(&[("idempotency.wait_ms", "50")]).await;
    let ada = user();
    let client = orders.customer(ada);
    let body = one_cable().to_string();
    let in_hand = format!(
        "insert into idempotency_key (customer_id, key, request_hash, response) values ('{ada}', 'zombie', '', '{{}}')"
    );
    // a request whose process died between the key and the commit, and one whose process froze there
    for (round, end) in ["", "set idle_in_transaction_session_timeout = '1s';"]
        .into_iter()
        .enumerate()
    {
        let zombie = orders.standing(&format!("{end} begin; {in_hand}")).await;
        let answer = place(&client, "zombie", &body).await;
        answer.problem(409, "idempotency-in-flight");
        assert_eq!(answer.header("retry-after"), "1");
        orders.stored(0, 0, 0).await;
        let frozen = (round == 1).then_some(zombie);

        let give_up = Instant::now() + Duration::from_secs(30);
        let placed = loop {
            let answer = place(&client, "zombie", &body).await;
            if answer.status != 409 {
                break answer;
            }
            assert!(Instant::now() < give_up, "the key is not given back");
        };
        placed.ok(202);
        assert_eq!(placed.header("idempotent-replayed"), "");
        drop(frozen);
        orders.stored(1, 1, 1).await;
        for table in ["idempotency_key", "outbox", "orders"] {
            orders.tamper(&format!("delete from {table}")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_cannot_be_stored_leaves_no_order_and_the_other_way_round() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    let body = one_cable().to_string();
    for table in ["idempotency_key", "outbox", "orders"] {
        let refusing = "create or replace function refuse() returns trigger language plpgsql as
            $$ begin raise exception 'refused'; end $$";
        orders.tamper(refusing).await;
        let trigger = format!(
            "create constraint trigger refusing after insert on {table} deferrable initially deferred
             for each row execute function refuse()"
        );
        orders.tamper(&trigger).await;
        place(&client, table, &body).await.problem(500, "internal");
        orders.stored(0, 0, 0).await;
        orders.tamper(&format!("drop trigger refusing on {table}")).await;
    }
    for table in ["idempotency_key", "outbox", "orders"] {
        let answer = place(&client, table, &body).await;
        answer.ok(202);
        assert_eq!(answer.header("idempotent-replayed"), "");
    }
    orders.stored(3, 3, 3).await;
}
