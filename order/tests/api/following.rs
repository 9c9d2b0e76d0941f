//! `GET /orders/{id}/events`

use std::time::{Duration, Instant};

use chassis::auth::Role;
use chassis::test::{Answer, TestClient, claims};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Orders, cancel, path_of, place, user};

/// No story waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(60);
/// Signs of life come often, so that a test need not wait.
const OFTEN: (&str, &str) = ("streams.heartbeat_ms", "50");

/// An open stream.
struct Stream {
    response: reqwest::Response,
    text: String,
}

/// One event: its id, its topic and its body.
type Event = (String, String, Value);

fn asked(client: &TestClient, order: &Value, last: Option<&str>) -> reqwest::RequestBuilder {
    let request = client.request(Method::GET, &format!("{}/events", path_of(order)));
    match last {
        Some(last) => request.header("last-event-id", last),
        None => request,
    }
}

async fn follow(client: &TestClient, order: &Value, last: Option<&str>) -> Stream {
    let response = asked(client, order, last).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-store");
    Stream {
        response,
        text: String::new(),
    }
}

impl Stream {
    /// The next block: an event, a comment or a setting. None once the stream has come to its end as it should.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await;
            let Some(bytes) = chunk.expect("something comes").unwrap() else {
                assert_eq!(self.text, "", "half a block");
                return None;
            };
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    async fn event(&mut self) -> Option<Event> {
        loop {
            let block = self.block().await?;
            if block.starts_with(':') || block.starts_with("retry: ") {
                continue;
            }
            let lines: Vec<&str> = block.lines().collect();
            let [topic, id, data] = lines[..] else {
                panic!("{block}")
            };
            return Some((
                id.strip_prefix("id: ").unwrap().to_owned(),
                topic.strip_prefix("event: ").unwrap().to_owned(),
                serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap(),
            ));
        }
    }

    async fn rest(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.event().await {
            events.push(event);
        }
        events
    }
}

/// What was announced, as a stream tells it.
async fn announced(orders: &Orders) -> Vec<Event> {
    let rows = orders.outbox().await;
    let event = |(place, row): (usize, &Value)| {
        let topic = row["topic"].as_str().unwrap().to_owned();
        ((place + 1).to_string(), topic, row["payload"].clone())
    };
    rows.iter().enumerate().map(event).collect()
}

fn topics(events: &[Event]) -> Vec<(&str, &str)> {
    events
        .iter()
        .map(|(id, topic, _)| (id.as_str(), topic.as_str()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orders_life_is_told_as_it_was_announced_and_ends_when_it_is_paid() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    let order = place(&client).await;
    let mut stream = follow(&client, &order, None).await;
    assert!(stream.block().await.unwrap().starts_with("retry: "));
    let created = stream.event().await.unwrap();
    orders.paid(&order).await;
    let mut told = vec![created];
    told.extend(stream.rest().await);
    assert_eq!(topics(&told), [("1", "order.created"), ("2", "order.confirmed")]);
    assert_eq!(told, announced(&orders).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_replica_tells_what_any_of_them_committed() {
    let orders = Orders::start().await;
    let replica = orders.replica(&[]).await;
    let ada = user();
    let (here, there) = (
        orders.customer(ada),
        replica.client(Some(orders.issuer.customer(ada).unwrap())),
    );
    let order = place(&here).await;
    let mut streams = vec![
        follow(&here, &order, None).await,
        follow(&there, &order, None).await,
        follow(&there, &order, Some("1")).await,
    ];
    assert_eq!(streams[0].event().await.unwrap().1, "order.created");
    assert_eq!(streams[1].event().await.unwrap().1, "order.created");
    cancel(&there, &order).await.ok(202);
    for stream in streams {
        assert_eq!(topics(&stream.rest().await), [("2", "order.cancelled")]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_back_goes_on_after_the_last_event_seen() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    let order = place(&client).await;
    orders.paid(&order).await;
    let told = follow(&client, &order, Some("1")).await.rest().await;
    assert_eq!(topics(&told), [("2", "order.confirmed")]);
    let nothing = Answer::to(asked(&client, &order, Some("2"))).await;
    assert_eq!((nothing.status, nothing.text().as_str()), (204, ""));

    // a confirmed order can still be taken back
    cancel(&client, &order).await.ok(202);
    let told = follow(&client, &order, Some("2")).await.rest().await;
    assert_eq!(topics(&told), [("3", "order.cancelled")]);
    assert_eq!(Answer::to(asked(&client, &order, Some("3"))).await.status, 204);
    for first in [None, Some("0")] {
        let told = follow(&client, &order, first).await.rest().await;
        assert_eq!(told, announced(&orders).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_on_which_nothing_happens_gives_signs_of_life() {
    let orders = Orders::start_with(&[OFTEN]).await;
    let client = orders.somebody();
    let order = place(&client).await;
    let mut stream = follow(&client, &order, Some("1")).await;
    assert!(stream.block().await.unwrap().starts_with("retry: "));
    for _ in 0..3 {
        assert_eq!(stream.block().await.unwrap(), ": heartbeat");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_token() {
    let orders = Orders::start_with(&[OFTEN]).await;
    let ada = user();
    let order = place(&orders.customer(ada)).await;
    let mut short = claims(ada, Role::Customer);
    short["exp"] = json!(chassis::clock::now().timestamp() + 2);
    let client = orders.service.client(Some(orders.issuer.token(&short).unwrap()));
    let told = follow(&client, &order, None).await.rest().await;
    assert_eq!(topics(&told), [("1", "order.created")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_follows_five_orders_at_once_and_no_more() {
    let orders = Orders::start_with(&[("streams.seat_wait_ms", "50")]).await;
    let ada = orders.somebody();
    let order = place(&ada).await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(follow(&ada, &order, None).await);
    }
    let sixth = Answer::to(asked(&ada, &order, None)).await;
    sixth.problem(429, "rate-limited");
    assert_eq!(sixth.header("retry-after"), "5");
    let eve = orders.somebody();
    let eves = place(&eve).await;
    follow(&eve, &eves, None).await.event().await.unwrap();
}

/// A page with five streams that is loaded anew fifty times: each time it leaves one and opens another, before anybody can
/// know that the first is left. No heartbeat finds that out in this time.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_reloads_with_five_living_streams_find_a_seat_each_time() {
    let orders = Orders::start().await;
    let ada = orders.somebody();
    let order = place(&ada).await;
    let mut streams = std::collections::VecDeque::new();
    for _ in 0..5 {
        streams.push_back(follow(&ada, &order, None).await);
    }
    let begun = Instant::now();
    for reload in 0..50 {
        drop(streams.pop_front());
        let response = asked(&ada, &order, None).send().await.unwrap();
        assert_eq!(response.status(), 200, "reload {reload}");
        streams.push_back(Stream {
            response,
            text: String::new(),
        });
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_followed_is_refused() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    let order = place(&client).await;
    let stranger = Answer::to(asked(&orders.somebody(), &order, None)).await;
    stranger.problem(404, "not-found");
    Answer::to(asked(&orders.anonymous(), &order, None))
        .await
        .problem(401, "unauthenticated");
    for id in [
        chassis::clock::new_id().to_string().as_str(),
        "not-an-id",
        "%00",
        "1",
    ] {
        client
            .get(&format!("/orders/{id}/events"))
            .await
            .problem(404, "not-found");
    }
    for last in [
        "",
        "x",
        "-1",
        "+1",
        "1.5",
        "0x1",
        "1 2",
        "9999999999999999999",
        "2",
    ] {
        Answer::to(asked(&client, &order, Some(last)))
            .await
            .problem(400, "bad-request");
    }
    let twice = asked(&client, &order, Some("0")).header("last-event-id", "1");
    Answer::to(twice).await.problem(400, "bad-request");
    let mut seen = follow(&orders.admin(), &order, None).await;
    assert_eq!(seen.event().await.unwrap().1, "order.created");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_all_streams_in_good_order() {
    let orders = Orders::start().await;
    let replica = orders.replica(&[]).await;
    let ada = user();
    let order = place(&orders.customer(ada)).await;
    let client = replica.client(Some(orders.issuer.customer(ada).unwrap()));
    let mut stream = follow(&client, &order, None).await;
    assert_eq!(stream.event().await.unwrap().1, "order.created");
    let (stopped, rest) = tokio::join!(replica.stop(), stream.rest());
    assert!(stopped);
    assert_eq!(rest, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_announced_before_facts_were_kept_is_told_as_well() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    let (_, paid, taken_back) = (place(&client).await, place(&client).await, place(&client).await);
    orders.paid(&paid).await;
    cancel(&client, &taken_back).await.ok(202);
    let kept = "select order_id, sequence, topic, data, at from order_fact order by order_id, sequence";
    let before = orders.rows(kept).await;
    assert_eq!(before.len(), 5);
    orders.tamper("delete from order_fact").await;
    let migration = include_str!("../../../migrations/order/00000000000020_facts/up.sql");
    let (_, backfill) = migration.split_once("-- What was announced before.").unwrap();
    let (_, backfill) = backfill.split_once('\n').unwrap();
    let (_, backfill) = backfill.split_once('\n').unwrap();
    assert_eq!(orders.tamper(backfill).await, 5);
    assert_eq!(orders.rows(kept).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_announced_of_an_order_is_kept_and_as_long_as_the_order() {
    let orders = Orders::start().await;
    let order = place(&orders.somebody()).await;
    let unkept = [
        "insert into outbox (event_id, topic, headers) values (gen_random_uuid(), 'order.created', '[]')",
        "insert into outbox (event_id, topic, key, headers, payload)
         values (gen_random_uuid(), 'order.created', 'nobody', '[]', '{}')",
        "insert into outbox (event_id, topic, key, headers, payload, work_id)
         select event_id, topic, key, headers, 'edited', gen_random_uuid() from outbox",
        "insert into outbox (event_id, topic, key, headers, payload)
         select event_id, 'order.failed.dlq', key, headers, payload from outbox",
    ];
    for row in unkept {
        assert!(orders.tamper(row).await > 0);
    }
    let kept = orders
        .rows("select order_id, sequence, topic from order_fact")
        .await;
    assert_eq!(
        kept,
        [json!({"order_id": order["id"], "sequence": 1, "topic": "order.created"})]
    );
    orders.tamper("delete from orders").await;
    assert!(orders.rows("select * from order_fact").await.is_empty());
}
