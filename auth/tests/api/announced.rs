//! What ends a login reaches everybody else over Kafka. On a real broker.

use std::time::{Duration, Instant};

use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::message::Message;
use serde_json::{Value, json};
use stack::kafka::{Kafka, Options, client, topics};

use crate::harness::{Auth, PASSWORD};

const PATIENCE: Duration = Duration::from_secs(60);

/// The next so many facts of the topic, with their keys.
async fn facts(consumer: &StreamConsumer, count: usize) -> Vec<(String, Value)> {
    let deadline = Instant::now() + PATIENCE;
    let mut facts = Vec::new();
    while facts.len() < count {
        let left = deadline.saturating_duration_since(Instant::now());
        let record = tokio::time::timeout(left, consumer.recv()).await;
        let Ok(record) = record else {
            panic!("not announced in time, after {facts:?}")
        };
        let record = record.unwrap();
        let key = String::from_utf8(record.key().unwrap().to_vec()).unwrap();
        facts.push((key, serde_json::from_slice(record.payload().unwrap()).unwrap()));
    }
    facts
}

#[tokio::test]
async fn every_end_of_a_login_is_told_over_kafka_in_order() {
    let directory = stack::temporary().unwrap();
    let (port, controller) = (stack::ports::lease().unwrap(), stack::ports::lease().unwrap());
    let options = Options::new(directory.path().join("kafka"), port.port(), controller.port());
    let kafka = Kafka::start(options).await.unwrap();
    topics::ensure(kafka.bootstrap(), &topics::Plan::default())
        .await
        .unwrap();
    let consumer: StreamConsumer = client(kafka.bootstrap())
        .set("group.id", "test")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&["session.revoked"]).unwrap();

    let auth = Auth::start_with(&[("kafka.brokers", kafka.bootstrap())]).await;
    let root = auth.admin("root@example.org").await.text("access_token");
    let user_id = auth.register("ada@example.org").await.text("user_id");
    let login = async |password: &str| auth.login_with("ada@example.org", password).await;
    // logout
    let ended = login(PASSWORD).await.text("refresh_token");
    auth.post("/auth/logout", &json!({"refresh_token": ended})).await;
    // reuse
    let first = login(PASSWORD).await.text("refresh_token");
    let second = auth.refresh(&first).await.text("refresh_token");
    auth.refresh(&second).await;
    auth.refresh(&first)
        .await
        .is_problem(401, "invalid-refresh-token");
    assert_eq!(auth.metric("refresh_token_reuse_total").await, 1);
    // another password
    login(PASSWORD).await;
    let token = login(PASSWORD).await.text("access_token");
    let new = "a yew, an alder, a larch";
    let change = json!({"current_password": PASSWORD, "new_password": new});
    assert_eq!(auth.put("/auth/password", &token, &change).await.status, 204);
    // everywhere
    let all = auth
        .send(reqwest::Method::POST, "/auth/logout-all", Some(&token), None)
        .await;
    assert_eq!(all.status, 204);
    // by an admin
    let path = format!("/auth/users/{user_id}");
    for wanted in [
        json!({"role": "admin"}),
        json!({"role": "customer", "disabled": true}),
    ] {
        assert_eq!(auth.patch(&path, &root, &wanted).await.status, 200);
    }

    let facts = facts(&consumer, 6).await;
    let told: Vec<_> = facts
        .iter()
        .map(|(_, fact)| (fact["reason"].as_str().unwrap(), fact["session_id"].is_string()))
        .collect();
    assert_eq!(
        told,
        [
            ("logout", true),
            ("token_reuse", true),
            ("password_changed", true),
            ("logout", false),
            ("account_changed", false),
            ("account_changed", false),
        ]
    );
    for (key, fact) in &facts {
        assert_eq!(
            (key, fact["user_id"].as_str()),
            (&user_id, Some(user_id.as_str()))
        );
    }
}
