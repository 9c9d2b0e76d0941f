//! What is published about the platform, against the platform.

use acceptance::customer::Customer;
use acceptance::turn;
use contracts::Topic;
use futures::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::json;
use stack::Stack;

/// How often a page with a stream is loaded anew, over all its tabs.
const RELOADS: usize = 50;
/// Streams that a user may have at once, which is what both services allow.
const LIVING: usize = 5;

#[tokio::test]
async fn services_receive_what_the_contract_says() {
    let _turn = turn().await;
    let stack = Box::pin(Stack::builder().build()).await.unwrap();
    subscriptions_are_published(&Customer::admin(&stack).await).await;
}

#[tokio::test]
async fn fifty_quick_reloads_by_a_user_with_five_streams_are_all_answered() {
    let _turn = turn().await;
    let stack = Box::pin(Stack::builder().build()).await.unwrap();
    // nothing is settled meanwhile: the stream of an order that is settled ends by itself
    let forced = json!({"mode": "error", "remaining": null, "latency_ms": 0});
    Customer::admin(&stack)
        .await
        .send(Method::PUT, "/payments/simulator", Some(&forced))
        .await
        .expect(200);
    reloads_find_a_place(&stack).await;
}

/// By what each service's kernel says that it has subscribed to.
async fn subscriptions_are_published(admin: &Customer) {
    for (service, prefix) in [
        ("auth", "/auth"),
        ("gateway", "/gateway"),
        ("notification", "/notifications"),
        ("order", "/orders"),
        ("payment", "/payments"),
    ] {
        let status = admin.get(&format!("{prefix}/events/status")).await.body;
        let mut subscribed: Vec<&str> = status["topics"]
            .as_array()
            .unwrap()
            .iter()
            .map(|topic| topic.as_str().unwrap())
            .collect();
        subscribed.sort_unstable();
        let received = |topic: &Topic| topic.received_by().contains(&service);
        let mut published: Vec<&str> = Topic::ALL
            .iter()
            .copied()
            .filter(received)
            .map(Topic::name)
            .collect();
        published.sort_unstable();
        assert_eq!(subscribed, published, "{service}");
    }
}

/// Each tab leaves its stream and opens another one at once: there are never more than a user may have, so none is turned
/// away, although the services hear of the end of the old one through the gateway, and later than of the new one.
async fn reloads_find_a_place(stack: &Stack) {
    for (who, path) in [
        ("a pending order", None),
        ("the notifications", Some("/notifications/stream")),
    ] {
        let customer = Customer::register(stack).await;
        let path = match path {
            Some(path) => path.to_owned(),
            None => format!("/orders/{}/events", customer.place("pm_card_visa").await),
        };
        let (url, customer) = (format!("{}{path}", stack.url()), &customer);
        let tabs = (0..LIVING).map(|_| async {
            let browser = reqwest::Client::new();
            for reload in 0..RELOADS / LIVING {
                let mut stream = browser
                    .get(&url)
                    .header("accept", "text/event-stream")
                    .bearer_auth(customer.token())
                    .send()
                    .await
                    .unwrap();
                assert_eq!(stream.status(), StatusCode::OK, "{who}, reload {reload}");
                if path.starts_with("/orders") {
                    let first = stream
                        .chunk()
                        .await
                        .unwrap()
                        .expect("a pending order's stream has begun");
                    let first = String::from_utf8_lossy(&first);
                    assert!(first.contains("event: order.created"), "{first}");
                }
                // the connection is closed with it
                drop(stream);
            }
        });
        join_all(tabs).await;
        let order = path
            .starts_with("/orders")
            .then(|| path.trim_end_matches("/events").to_owned());
        if let Some(order) = order {
            assert_eq!(
                customer.get(&order).await.body["status"],
                "pending",
                "its streams were living ones"
            );
        }
    }
}
