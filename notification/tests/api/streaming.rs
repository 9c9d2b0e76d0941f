//! `GET /notifications/stream`

use std::time::{Duration, Instant};

use chassis::auth::Role;
use chassis::test::{TestClient, claims};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::harness::{Notifications, PATIENCE, eventually, notification, notifications, order, user};

const STREAM: &str = "/notifications/stream";
/// Whoever finds no place is told so soon.
const SHORT_WAIT: (&str, &str) = ("stream.place_wait_ms", "50");

/// A stream that is read event by event.
struct Events {
    response: Response,
    text: String,
}

/// One event.
#[derive(Debug)]
struct Event {
    id: String,
    data: Value,
}

impl Events {
    async fn open(client: &TestClient, last: Option<&str>) -> Self {
        let mut request = client.request(Method::GET, STREAM);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut events = Self {
            response,
            text: String::new(),
        };
        let begin = events.block().await.unwrap();
        assert!(begin.starts_with("retry: "), "{begin}");
        events
    }

    /// What comes up to the next empty line; none at the end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            let chunk = timeout(PATIENCE, self.response.chunk()).await.expect("in time");
            match chunk {
                Ok(Some(chunk)) => self.text.push_str(std::str::from_utf8(&chunk).unwrap()),
                Ok(None) | Err(_) => return None,
            }
        }
    }

    /// The next event; heartbeats are passed over.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let block = self.block().await?;
            if block.starts_with(':') {
                continue;
            }
            let field = |name: &str| {
                let prefix = format!("{name}: ");
                let line = block.lines().find_map(|line| line.strip_prefix(&prefix));
                line.unwrap_or_else(|| panic!("no {name} in {block}")).to_owned()
            };
            assert_eq!(field("event"), "notification");
            return Some(Event {
                id: field("id"),
                data: serde_json::from_str(&field("data")).unwrap(),
            });
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_comes_at_once_whatever_replica_it_is_asked_of_and_goes_on_where_it_was_left() {
    let service = Notifications::start().await;
    let replica = service.replica(&[]).await;
    let (ada, eve) = (user(), user());
    service.told(&notifications(ada, order(), 2)).await;
    let token = service.issuer.customer(ada).unwrap();
    let mut here = Events::open(&service.customer(ada), None).await;
    let mut there = Events::open(&replica.client(Some(token)), None).await;
    let new = notifications(ada, order(), 3);
    service.told(&[notification(eve, order())]).await;
    service.told(&new).await;
    let mut ids = Vec::new();
    for told in &new {
        let (one, other) = (here.next().await.unwrap(), there.next().await.unwrap());
        assert_eq!(one.data["id"], told.id.to_string());
        assert_eq!(
            (one.data["kind"].as_str(), &one.id),
            (Some("order_confirmed"), &other.id)
        );
        ids.push(one.id);
    }
    // from the first on: what came after it, and what comes yet
    let mut again = Events::open(&service.customer(ada), Some(&ids[0])).await;
    for id in &ids[1..] {
        assert_eq!(&again.next().await.unwrap().id, id);
    }
    service.told(&[notification(ada, order())]).await;
    assert_eq!(again.next().await.unwrap().id, here.next().await.unwrap().id);
    // from the very beginning
    let mut all = Events::open(&service.customer(ada), Some("0")).await;
    for number in 1..=6 {
        assert_eq!(all.next().await.unwrap().id, number.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_user_does_not_want_is_not_in_it() {
    let service = Notifications::start().await;
    let ada = user();
    let client = service.customer(ada);
    let unwanted =
        json!({"items": [{"kind": "order_confirmed", "in_app": false, "email": true, "webhook": true}]});
    client.put("/notifications/preferences", &unwanted).await.ok(200);
    let mut events = Events::open(&client, None).await;
    let mut created = notification(ada, order());
    created.kind = notification::domain::Kind::OrderCreated;
    service.told(&[notification(ada, order()), created.clone()]).await;
    assert_eq!(events.next().await.unwrap().data["id"], created.id.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_with_its_token_and_a_user_has_five() {
    let service = Notifications::with(&[("stream.heartbeat_s", "1"), SHORT_WAIT]).await;
    let ada = user();
    let mut short = claims(ada, Role::Customer);
    short["exp"] = json!(chassis::clock::now().timestamp() + 2);
    let token = service.issuer.token(&short).unwrap();
    let mut first = Events::open(&service.service.client(Some(token)), None).await;
    let client = service.customer(ada);
    let mut others = Vec::new();
    for _ in 0..4 {
        others.push(Events::open(&client, None).await);
    }
    let full = client.get(STREAM).await;
    full.problem(429, "rate-limited");
    assert!(!full.header("retry-after").is_empty());
    // somebody else's are their own
    Events::open(&service.customer(user()), None).await;
    assert_eq!(others[0].block().await.unwrap(), ": alive");
    assert!(first.next().await.is_none(), "the token is over");
    // its place is free again
    eventually("a place", async || {
        let response = client.request(Method::GET, STREAM).send().await.unwrap();
        (response.status() == 200).then_some(())
    })
    .await;
}

/// A page with five streams that is loaded anew fifty times: each time it leaves one and opens another, before anybody can
/// know that the first is left. No sign of life finds that out in this time.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_reloads_with_five_living_streams_find_a_place_each_time() {
    let service = Notifications::with(&[]).await;
    let client = service.customer(user());
    let mut streams = std::collections::VecDeque::new();
    for _ in 0..5 {
        streams.push_back(Events::open(&client, None).await);
    }
    let begun = Instant::now();
    for _ in 0..50 {
        drop(streams.pop_front());
        streams.push_back(Events::open(&client, None).await);
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_has_so_many_streams_and_no_more() {
    let service = Notifications::with(&[("stream.per_process_max", "1"), SHORT_WAIT]).await;
    let held = Events::open(&service.customer(user()), None).await;
    let eve = service.customer(user());
    let full = eve.get(STREAM).await;
    full.problem(503, "overloaded");
    assert!(!full.header("retry-after").is_empty());
    drop(held);
    eventually("a place", async || {
        let response = eve.request(Method::GET, STREAM).send().await.unwrap();
        (response.status() == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_when_the_process_stops_and_nonsense_is_refused() {
    let service = Notifications::start().await;
    let client = service.customer(user());
    for nonsense in ["x", "-1", "+1", "1.5", "", "9223372036854775808"] {
        let request = client
            .request(Method::GET, STREAM)
            .header("last-event-id", nonsense);
        chassis::test::Answer::to(request)
            .await
            .problem(400, "bad-request");
    }
    service
        .service
        .client(None)
        .get(STREAM)
        .await
        .problem(401, "unauthenticated");
    let mut events = Events::open(&client, None).await;
    let stopped = service.service.stop();
    let (stopped, end) = tokio::join!(stopped, events.next());
    assert!(stopped && end.is_none());
}
