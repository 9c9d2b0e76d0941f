//! `GET /operations/audit`: one list over the audits of four services.

use actix_web::HttpResponse;
use serde_json::{Value, json};

use crate::harness::upstream::{behaviour, documents};
use crate::harness::{Answer, Behaviour, Gateway, token};

const PATH: &str = "/operations/audit";

fn entry(id: i64, second: i64) -> Value {
    json!({
        "id": id, "at": format!("2026-11-21T10:00:{second:02}Z"), "actor": token::CUSTOMER, "action": "replay",
        "subject": token::CUSTOMER, "reason": "because", "before": {"state": "open"}, "after": {"state": "replaying"},
    })
}

/// Four services; each shows its entries by page, the youngest first, before the one that is asked for.
fn services() -> Behaviour {
    behaviour(|request, _| {
        let entries = match request.path() {
            "/orders/dead-letters/audit" => vec![entry(3, 50), entry(2, 20), entry(1, 10)],
            // the clock was set back between 1 and 2
            "/payments/dead-letters/audit" => vec![entry(2, 30), entry(1, 40)],
            "/notifications/dead-letters/audit" => vec![entry(9, 45)],
            "/auth/users" => {
                let ada = json!({"user_id": token::CUSTOMER, "email": "ada@example.org"});
                assert!(
                    request.query_string().contains(token::CUSTOMER),
                    "{}",
                    request.query_string()
                );
                return ready(json!({"items": [ada], "next_cursor": null}));
            }
            _ => vec![],
        };
        let parameter = |name: &str| {
            let mut pairs = request.query_string().split('&');
            pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse::<i64>().ok())
        };
        let (limit, before) = (parameter("limit").unwrap(), parameter("before"));
        let mut left: Vec<_> = entries
            .into_iter()
            .filter(|entry| before.is_none_or(|before| entry["id"].as_i64().unwrap() < before))
            .collect();
        let limit = usize::try_from(limit).unwrap();
        let next = (left.len() > limit).then_some("next");
        left.truncate(limit);
        let page = json!({"items": left, "next_cursor": next});
        ready(page)
    })
}

fn ready(page: Value) -> std::future::Ready<HttpResponse> {
    std::future::ready(HttpResponse::Ok().json(page))
}

fn shown(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| format!("{} {}", item["service"].as_str().unwrap(), item["id"]))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_in_any_service_is_one_list() {
    let gateway = Gateway::before(services()).await;
    let all = [
        "orders 3",
        "notifications 9",
        "payments 2",
        "payments 1",
        "orders 2",
        "orders 1",
    ];
    let whole = gateway.admin().get(PATH).await;
    assert_eq!(whole.status, 200);
    assert_eq!(whole.header("cache-control"), "no-store");
    let whole = whole.json();
    assert_eq!(shown(&whole), all);
    assert_eq!(whole["next_cursor"], Value::Null);
    assert_eq!(whole["items"][0]["after"]["state"], "replaying");
    for item in whole["items"].as_array().unwrap() {
        assert_eq!(item["actor_email"], "ada@example.org", "{item}");
    }

    for limit in 1..=6 {
        let mut seen = Vec::new();
        let mut query = format!("?limit={limit}");
        loop {
            let page = gateway.admin().get(&format!("{PATH}{query}")).await.json();
            assert!(shown(&page).len() <= limit, "{page}");
            seen.extend(shown(&page));
            let Some(next) = page["next_cursor"].as_str() else {
                break;
            };
            query = format!("?limit={limit}&cursor={next}");
        }
        assert_eq!(seen, all, "by pages of {limit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_admins_see_what_was_done() {
    let gateway = Gateway::before(services()).await;
    gateway
        .anonymous()
        .get(PATH)
        .await
        .problem(401, "unauthenticated");
    gateway.customer().get(PATH).await.problem(403, "forbidden");
    let posted = gateway.admin().post(PATH, "").await;
    posted.problem(405, "method-not-allowed");
    for (query, code) in [("limit=x", "invalid-query"), ("cursor=x", "invalid-cursor")] {
        let answer = gateway.admin().get(&format!("{PATH}?{query}")).await;
        answer.problem(400, code);
    }
    assert!(gateway.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_with_a_service_missing_is_not_shown_as_whole() {
    let gateway = Gateway::before(documents(&[("/orders/dead-letters/audit", 500, "{}")])).await;
    gateway.admin().get(PATH).await.problem(502, "bad-gateway");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateways_own_dead_letters_are_operated_here_and_the_audit_tells_of_it() {
    // given a message that the gateway could not write down
    let gateway = Gateway::before(services()).await;
    let letter = chassis::clock::new_id();
    execute(
        gateway.database_url(),
        &format!(
            "insert into dead_letter (id, kind, name, headers, attempts)
             values ('{letter}', 'message', 'order.created', '[]', 3)"
        ),
    )
    .await;
    let path = format!("/gateway/dead-letters/{letter}");
    // nobody else may look or act
    let discard = format!("{path}/discard");
    gateway
        .anonymous()
        .get(&path)
        .await
        .problem(401, "unauthenticated");
    gateway.customer().get(&path).await.problem(403, "forbidden");
    let posted = gateway.customer().post(&discard, r#"{"reason": "mine"}"#).await;
    assert_eq!(posted.status, 403, "{}", posted.text());

    // when an admin looks, and discards it
    let admin = gateway.admin();
    let found = admin.get("/gateway/dead-letters?state=open").await.json();
    assert_eq!(found["items"][0]["id"], json!(letter));
    assert_eq!(admin.get("/gateway/events/status").await.status, 200);
    let request = admin
        .request(reqwest::Method::POST, &discard)
        .header("content-type", "application/json")
        .body(r#"{"reason": "a test message"}"#);
    let answer = Answer::of(request).await;
    assert!(answer.status.is_success(), "{}", answer.text());

    // then the audit has it, the youngest of all
    let page = admin.get(PATH).await.json();
    assert_eq!(shown(&page)[0], format!("gateway {}", page["items"][0]["id"]));
    assert_eq!(page["items"][0]["reason"], "a test message");
    assert_eq!(page["items"].as_array().unwrap().len(), 7);
    // what is not there is not found, and a method that is not there is told
    admin.get("/gateway/other").await.problem(404, "not-found");
    admin.post(&path, "").await.problem(405, "method-not-allowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_twice_with_a_key_is_done_once_and_answered_as_before() {
    let gateway = Gateway::before(services()).await;
    let letter = chassis::clock::new_id();
    let dead = format!(
        "insert into dead_letter (id, kind, name, headers, attempts)
         values ('{letter}', 'message', 'order.created', '[]', 3)"
    );
    execute(gateway.database_url(), &dead).await;
    let admin = gateway.admin();
    let post = async |path: &str, key: &str, body: &str| {
        let request = admin.request(reqwest::Method::POST, path);
        let request = request
            .header("idempotency-key", key)
            .header("content-type", "application/json");
        Answer::of(request.body(body.to_owned())).await
    };
    let because = r#"{"reason": "a test message"}"#;
    let discard = format!("/gateway/dead-letters/{letter}/discard");
    let first = post(&discard, "k1", because).await;
    assert_eq!(
        (first.status.as_u16(), first.header("idempotent-replayed")),
        (200, "")
    );
    let restore = format!("/gateway/dead-letters/{letter}/restore");
    assert_eq!(post(&restore, "k2", because).await.status, 200);
    let again = post(&discard, "k1", because).await;
    assert_eq!(
        (again.status.as_u16(), again.header("idempotent-replayed")),
        (200, "true")
    );
    assert_eq!(again.json(), first.json());
    let now = admin.get(&format!("/gateway/dead-letters/{letter}")).await.json();
    assert_eq!(now["state"], "open", "it was not discarded again");
    // a key counts for one path, and there for one body
    let elsewhere = post(&restore, "k1", because).await;
    assert_eq!(
        (elsewhere.status.as_u16(), elsewhere.header("idempotent-replayed")),
        (200, "")
    );
    let other = r#"{"reason": "another"}"#;
    post(&discard, "k1", other)
        .await
        .problem(422, "idempotency-mismatch");
    // a bulk replay is the same job
    let bulk = r#"{"filter": {"name": "nothing"}, "reason": "well again"}"#;
    let job = post("/gateway/dead-letters/replay", "k3", bulk).await;
    let same = post("/gateway/dead-letters/replay", "k3", bulk).await;
    assert_eq!((job.status.as_u16(), same.status.as_u16()), (202, 202));
    assert_eq!(job.json(), same.json());
    let stop = format!(
        "/gateway/dead-letters/jobs/{}/stop",
        job.json()["id"].as_str().unwrap()
    );
    let stopped = post(&stop, "k4", because).await;
    assert_eq!(stopped.json(), post(&stop, "k4", because).await.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_of_the_gateway_count_against_their_admin() {
    let settings = [("rate_limit.per_admin_per_minute", "1")];
    let gateway = Gateway::configured(services(), &settings).await;
    let admin = gateway.admin();
    assert_eq!(admin.get("/gateway/events/stats").await.status, 200);
    admin
        .get("/gateway/events/stats")
        .await
        .problem(429, "rate-limited");
}

pub(crate) async fn execute(url: &str, statement: &str) {
    use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
    let mut connection = AsyncPgConnection::establish(url).await.unwrap();
    diesel::sql_query(statement)
        .execute(&mut connection)
        .await
        .unwrap();
}
