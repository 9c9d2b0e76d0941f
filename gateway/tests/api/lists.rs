//! Lists over all services: dead letters, bulk replays, and whatever has an id.

use actix_web::HttpResponse;
use actix_web::web::Query;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::audit::execute;
use crate::harness::upstream::{behaviour, documents};
use crate::harness::{Behaviour, Gateway};

const LETTERS: &str = "/operations/dead-letters";
const REPLAYS: &str = "/operations/replays";
const SEARCH: &str = "/operations/search";

/// The id of what came as number `number`.
fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn letter(number: u128) -> Value {
    json!({
        "id": id(number), "state": "open", "kind": "message", "name": "order.created", "key": null, "event_id": null,
        "attempts": 4, "deaths": 1, "error": {"class": "invalid", "message": "no", "fingerprint": "f"},
        "first_failed_at": null, "last_failed_at": null, "superseded_by": null, "edited_from": null,
        "settled_reason": null, "job_id": null, "created_at": "2026-11-30T10:00:00Z",
        "updated_at": "2026-11-30T10:00:00Z",
    })
}

fn job(number: u128) -> Value {
    json!({
        "id": id(number), "state": "running", "matched": 3, "replayed": 1, "failed_again": 0, "fingerprint": null,
        "key": null, "name": null, "actor": id(99), "reason": "well again", "rate_per_second": 10,
        "created_at": "2026-11-30T10:00:00Z", "finished_at": null,
    })
}

/// Each service shows its items by page, the greatest id first, before the one that is asked for.
fn services(of: fn(&str) -> Vec<Value>) -> Behaviour {
    behaviour(move |request, _| {
        let query = Query::<std::collections::HashMap<String, String>>::from_query(request.query_string());
        let query = query.unwrap().into_inner();
        let limit: usize = query["limit"].parse().unwrap();
        let mut items = of(request.path());
        items.retain(|item| {
            let before = query.get("before");
            before.is_none_or(|before| item["id"].as_str().unwrap() < before.as_str())
        });
        let next = (items.len() > limit).then_some("next");
        items.truncate(limit);
        let page = json!({"items": items, "next_cursor": next});
        async move { HttpResponse::Ok().json(page) }
    })
}

fn letters(path: &str) -> Vec<Value> {
    let numbers: &[u128] = match path {
        "/orders/dead-letters" => &[9, 4, 3],
        "/payments/dead-letters" => &[8, 7, 1],
        "/notifications/dead-letters" => &[6],
        _ => &[],
    };
    numbers.iter().map(|number| letter(*number)).collect()
}

fn jobs(path: &str) -> Vec<Value> {
    match path {
        "/auth/dead-letters/jobs" => vec![job(2)],
        "/payments/dead-letters/jobs" => vec![job(5), job(1)],
        _ => vec![],
    }
}

fn paths(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap();
    items.iter().map(|item| item["path"].as_str().unwrap()).collect()
}

/// All pages of `limit` items, their paths in a row.
async fn walk(gateway: &Gateway, path: &str, limit: usize) -> Vec<String> {
    let mut seen = Vec::new();
    let mut query = format!("?limit={limit}");
    loop {
        let page = gateway.admin().get(&format!("{path}{query}")).await.json();
        let shown = paths(&page);
        assert!(shown.len() <= limit, "{page}");
        seen.extend(shown.into_iter().map(ToOwned::to_owned));
        let Some(next) = page["next_cursor"].as_str() else {
            return seen;
        };
        query = format!("?limit={limit}&cursor={next}");
    }
}

async fn dies(gateway: &Gateway, number: u128, columns: &str, values: &str) {
    let id = id(number);
    let letter = format!(
        "insert into dead_letter (id, kind, name, headers, attempts, error_class, last_failed_at{columns})
         values ('{id}', 'message', 'order.created', '[]', 3, 'invalid', '2026-11-30T10:00:00Z'{values})"
    );
    execute(gateway.database_url(), &letter).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dead_letters_of_all_services_are_one_list() {
    let gateway = Gateway::before(services(letters)).await;
    dies(&gateway, 5, "", "").await;
    let all: Vec<String> = [
        ("orders", 9),
        ("payments", 8),
        ("payments", 7),
        ("notifications", 6),
        ("gateway", 5),
        ("orders", 4),
        ("orders", 3),
        ("payments", 1),
    ]
    .iter()
    .map(|(service, number)| format!("/{service}/dead-letters/{}", id(*number)))
    .collect();
    let whole = gateway.admin().get(LETTERS).await;
    assert_eq!(
        (whole.status.as_u16(), whole.header("cache-control")),
        (200, "no-store")
    );
    let page = whole.json();
    assert_eq!(paths(&page), all);
    assert_eq!(
        (&page["unanswered"], &page["next_cursor"]),
        (&json!([]), &Value::Null)
    );
    assert_eq!(
        (&page["items"][0]["service"], &page["items"][0]["name"]),
        (&json!("orders"), &json!("order.created"))
    );
    for limit in 1..=8 {
        assert_eq!(walk(&gateway, LETTERS, limit).await, all, "by pages of {limit}");
    }
    // what is asked for is asked of each service; of one service, where one is named
    let asked = gateway.upstream.seen().len();
    let filter = "state=open&topic=order.created&class=invalid&fingerprint=f&from=2026-11-01T00%3A00%3A00Z";
    gateway
        .admin()
        .get(&format!("{LETTERS}?{filter}&service=payments"))
        .await;
    let seen = &gateway.upstream.seen()[asked..];
    assert_eq!(seen.len(), 1);
    for part in filter.split('&') {
        assert!(seen[0].target.contains(part), "{part} in {}", seen[0].target);
    }
    let of_gateway = gateway
        .admin()
        .get(&format!("{LETTERS}?service=gateway"))
        .await
        .json();
    assert_eq!(paths(&of_gateway), [all[4].as_str()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_does_not_answer_is_named_and_hides_no_letter_of_the_others() {
    let page = json!({"items": [letter(3)], "next_cursor": null}).to_string();
    let empty = r#"{"items": [], "next_cursor": null}"#;
    let gateway = Gateway::before(documents(&[
        ("/auth/dead-letters", 200, empty),
        ("/orders/dead-letters", 200, &page),
        ("/payments/dead-letters", 500, "{}"),
        ("/notifications/dead-letters", 200, "<html>"),
    ]))
    .await;
    let admin = gateway.admin();
    let page = admin.get(LETTERS).await.json();
    assert_eq!(paths(&page), [format!("/orders/dead-letters/{}", id(3))]);
    assert_eq!(page["unanswered"], json!(["payments", "notifications"]));
    // whoever asks for that service alone is not shown an empty list
    admin
        .get(&format!("{LETTERS}?service=payments"))
        .await
        .problem(502, "bad-gateway");
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_found_by_each_filter() {
    let gateway = Gateway::before(services(|_| vec![])).await;
    let (saga, event) = (id(70), id(80));
    dies(&gateway, 1, ", key", &format!(", convert_to('{saga}', 'UTF8')")).await;
    dies(
        &gateway,
        2,
        ", event_id, error_fingerprint",
        &format!(", '{event}', 'odd'"),
    )
    .await;
    dies(
        &gateway,
        3,
        ", state, origin_topic",
        ", 'discarded', 'payment.failed'",
    )
    .await;
    dies(&gateway, 4, "", "").await;
    let later = "update dead_letter set last_failed_at = '2026-11-30T11:00:00Z', error_class = 'expired'
        where id::text like '%4'";
    execute(gateway.database_url(), later).await;
    let admin = gateway.admin();
    let found = async |query: &str| {
        let page = admin.get(&format!("{LETTERS}?{query}")).await.json();
        let items = page["items"].as_array().unwrap().clone();
        let number = |item: &Value| item["id"].as_str().unwrap().parse::<Uuid>().unwrap().as_u128();
        items.iter().map(number).collect::<Vec<_>>()
    };
    assert_eq!(found("").await, [4, 3, 2, 1]);
    assert_eq!(found(&format!("saga={saga}")).await, [1]);
    assert_eq!(found("fingerprint=odd").await, [2]);
    assert_eq!(found("state=discarded").await, [3]);
    assert_eq!(found("topic=payment.failed").await, [3]);
    assert_eq!(found("topic=order.created").await, [4, 3, 2, 1]);
    assert_eq!(found("class=expired").await, [4]);
    assert_eq!(found("from=2026-11-30T10:30:00Z").await, [4]);
    assert_eq!(
        found("from=2026-11-30T10:00:00Z&to=2026-11-30T11:00:00Z").await,
        [3, 2, 1]
    );
    assert_eq!(found("class=expired&state=discarded").await, [0; 0]);
    let own = async |query: &str| {
        let page = admin.get(&format!("/gateway/dead-letters?{query}")).await.json();
        page["items"].as_array().unwrap().len()
    };
    for about in [saga, event, id(4)] {
        assert_eq!(own(&format!("about={about}")).await, 1, "{about}");
    }
    assert_eq!(own(&format!("saga={saga}&key={event}")).await, 0);
    assert_eq!(own(&format!("saga={saga}&key={saga}")).await, 1);
    for bad in [
        "state=dead",
        "saga=1",
        "from=yesterday",
        "service=books",
        "limit=101",
        "other=1",
    ] {
        let refused = admin.get(&format!("{LETTERS}?{bad}")).await;
        let problem = refused.problem(400, "invalid-query");
        let name = bad.split('=').next().unwrap();
        assert!(problem["detail"].as_str().unwrap().contains(name), "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bulk_replays_of_all_services_are_one_list() {
    let gateway = Gateway::before(services(jobs)).await;
    let own = format!(
        "insert into dead_letter_job (id, state, actor, reason, rate_per_second, matched)
         values ('{}', 'stopped', '{}', 'enough', 5, 7)",
        id(3),
        id(99)
    );
    execute(gateway.database_url(), &own).await;
    let all: Vec<String> = [("payments", 5), ("gateway", 3), ("auth", 2), ("payments", 1)]
        .iter()
        .map(|(service, number)| format!("/{service}/dead-letters/jobs/{}", id(*number)))
        .collect();
    let page = gateway.admin().get(REPLAYS).await.json();
    assert_eq!(paths(&page), all);
    assert_eq!(
        (&page["items"][1]["state"], &page["items"][1]["matched"]),
        (&json!("stopped"), &json!(7))
    );
    for limit in 1..=4 {
        assert_eq!(walk(&gateway, REPLAYS, limit).await, all, "by pages of {limit}");
    }
    let stopped = gateway
        .admin()
        .get(&format!("{REPLAYS}?service=gateway&state=stopped"))
        .await
        .json();
    assert_eq!(paths(&stopped), [all[1].as_str()]);
    let halted = gateway
        .admin()
        .get("/gateway/dead-letters/jobs?state=halted")
        .await;
    assert_eq!(halted.json()["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_has_an_id_is_found_by_it() {
    let (order, user) = (id(11), id(22));
    let empty = r#"{"items": [], "next_cursor": null}"#;
    let users =
        json!({"items": [{"user_id": user, "email": "ada@example.org"}], "next_cursor": null}).to_string();
    let document = json!({"id": order, "status": "pending"}).to_string();
    let list = json!({"items": [{"id": order, "status": "pending"}], "next_cursor": null}).to_string();
    let dead = json!({"items": [letter(5)], "next_cursor": null}).to_string();
    let gateway = Gateway::before(documents(&[
        ("/auth/users", 200, &users),
        (&format!("/orders/{order}"), 200, &document),
        ("/orders", 200, &list),
        ("/payments", 200, empty),
        ("/auth/dead-letters", 200, empty),
        ("/orders/dead-letters", 200, &dead),
        ("/payments/dead-letters", 200, empty),
        ("/notifications/dead-letters", 500, "{}"),
    ]))
    .await;
    let event = format!(
        "insert into timeline_entry (event_id, order_id, type, source, occurred_at, causation_id, correlation_id, sequence, data)
         values ('{}', '{order}', 'order.created', 'order', now(), '{order}', '{order}', 1, '{{}}')",
        id(33)
    );
    execute(gateway.database_url(), &event).await;
    dies(&gateway, 6, ", key", &format!(", convert_to('{order}', 'UTF8')")).await;
    let admin = gateway.admin();

    let found = admin.get(&format!("{SEARCH}?q={order}")).await.json();
    assert_eq!(
        found["orders"],
        json!([{"id": order, "status": "pending"}]),
        "once, though it is found twice"
    );
    assert_eq!(found["users"][0]["email"], "ada@example.org");
    assert_eq!(found["payments"], json!([]));
    assert_eq!(
        (&found["events"][0]["event_id"], &found["events"][0]["type"]),
        (&json!(id(33)), &json!("order.created"))
    );
    let letters = found["dead_letters"].as_array().unwrap();
    let services: Vec<&Value> = letters.iter().map(|letter| &letter["service"]).collect();
    assert_eq!(services, ["gateway", "orders"]);
    assert_eq!(found["unanswered"], json!(["notifications"]));

    let by_event = admin.get(&format!("{SEARCH}?q={}", id(33))).await.json();
    assert_eq!(by_event["events"].as_array().unwrap().len(), 1);
    let by_email = admin.get(&format!("{SEARCH}?q=Ada%40Example.ORG")).await.json();
    assert_eq!(by_email["users"][0]["user_id"], json!(user));
    let asked = gateway.upstream.seen();
    let asks = |part: &str| asked.iter().any(|seen| seen.target.contains(part));
    assert!(asks("email=Ada%40Example.ORG") && asks(&format!("customer={user}")));

    let refused = admin.get(&format!("{SEARCH}?q=KEYBOARD")).await;
    let problem = refused.problem(400, "invalid-query");
    assert_eq!(problem["detail"], "q must be an id or an e-mail address");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_admins_see_over_all_services() {
    let gateway = Gateway::before(services(letters)).await;
    for path in [LETTERS, REPLAYS, "/operations/search?q=a%40b.org"] {
        gateway
            .anonymous()
            .get(path)
            .await
            .problem(401, "unauthenticated");
        gateway.customer().get(path).await.problem(403, "forbidden");
        let posted = gateway.admin().post(path, "").await;
        posted.problem(405, "method-not-allowed");
    }
    assert!(gateway.upstream.seen().is_empty());
}
