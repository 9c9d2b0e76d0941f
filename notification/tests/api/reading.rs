//! `POST /notifications/{id}/read`

use chassis::test::Answer;
use reqwest::Method;
use serde_json::Value;

use crate::harness::{Notifications, notification, order, user};

async fn read(client: &chassis::test::TestClient, id: impl std::fmt::Display) -> Answer {
    Answer::to(client.request(Method::POST, &format!("/notifications/{id}/read"))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_is_remembered_from_the_first_time_on() {
    let service = Notifications::start().await;
    let ada = user();
    let (one, other) = (notification(ada, order()), notification(ada, order()));
    service.told(&[one.clone(), other]).await;
    let client = service.customer(ada);
    let read_at = async || {
        let page = client.get("/notifications").await.ok(200);
        let of = |id: &str| {
            let items = page["items"].as_array().unwrap();
            items.iter().find(|item| item["id"] == id).unwrap()["read_at"].clone()
        };
        let unread = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|item| item["read_at"].is_null());
        (of(&one.id.to_string()), unread.count())
    };
    assert_eq!(read_at().await, (Value::Null, 2));

    let answer = read(&client, one.id).await;
    assert_eq!((answer.status, answer.text().as_str()), (204, ""));
    let (first, unread) = read_at().await;
    assert!(first.is_string());
    assert_eq!(unread, 1, "the other one is still unread");

    assert_eq!(read(&client, one.id).await.status, 204);
    assert_eq!(read_at().await.0, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_again_stays_read() {
    let service = Notifications::start().await;
    let ada = user();
    let told = notification(ada, order());
    service.told(std::slice::from_ref(&told)).await;
    let client = service.customer(ada);
    assert_eq!(read(&client, told.id).await.status, 204);
    service.told(&[told]).await;
    let page = client.get("/notifications").await.ok(200);
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert!(page["items"][0]["read_at"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_of_another_is_not_there() {
    let service = Notifications::start().await;
    let (ada, eve) = (user(), user());
    let told = notification(ada, order());
    service.told(std::slice::from_ref(&told)).await;
    for client in [service.customer(eve), service.admin()] {
        read(&client, told.id).await.problem(404, "not-found");
    }
    let page = service.customer(ada).get("/notifications").await.ok(200);
    assert_eq!(page["items"][0]["read_at"], Value::Null, "it is still unread");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_told_cannot_be_read() {
    let service = Notifications::start().await;
    let client = service.customer(user());
    read(&client, chassis::clock::new_id())
        .await
        .problem(404, "not-found");
    read(&client, "not-an-id").await.problem(404, "not-found");
}
