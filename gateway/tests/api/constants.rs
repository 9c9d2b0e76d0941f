//! No field of an operational answer is hard-coded: in a world in which everything there is differs, every field does.

use serde_json::{Value, json};

use crate::audit::execute;
use crate::harness::upstream::documents;
use crate::harness::{Answer, Behaviour, Gateway};

/// Letters in every state that differ in all else, too; jobs and audit entries likewise.
const WORLD: &str = "
    insert into dead_letter (id, state, kind, name, key, event_id, headers, payload, attempts, deaths, origin_topic,
            origin_partition, origin_offset, origin_timestamp, error_class, error_message, error_fingerprint,
            first_failed_at, last_failed_at, superseded_by, edited_from, settled_reason, job_id, created_at, updated_at)
        select ('00000000-0000-7000-8000-00000000000' || n)::uuid, state,
            case when n < 3 then 'message' when n < 5 then 'action' else 'publication' end, 'name ' || n,
            case when n > 1 then convert_to('key ' || n, 'UTF8') end, case when n > 1 then gen_random_uuid() end,
            jsonb_build_array(jsonb_build_array('name ' || n, 'value ' || n)),
            case when n > 1 then convert_to('{\"n\": ' || n || '}', 'UTF8') end, n, n,
            case when n > 1 then 'topic ' || n end, n, n, now() - n * interval '1 day',
            case when n > 1 then 'class ' || n end, 'message ' || n, 'fingerprint ' || n, now() - n * interval '1 hour',
            now() - n * interval '1 minute', case when n = 5 then gen_random_uuid() end,
            case when n = 6 then gen_random_uuid() end, case when n = 6 then 'its purpose is gone' end,
            case when n = 2 then gen_random_uuid() end, now() - n * interval '2 hours', now() - n * interval '1 second'
        from unnest(array['open', 'open', 'replaying', 'replayed', 'superseded', 'obsolete', 'discarded'])
            with ordinality as states(state, n);
    insert into dead_letter (id, kind, name, headers, attempts, error_fingerprint)
        values ('00000000-0000-7000-8000-000000000009', 'message', 'name 1', '[]', 1, 'fingerprint 1');
    insert into dead_letter_job (id, state, fingerprint, key, name, actor, reason, rate_per_second, matched, replayed,
            failed_again, created_at, finished_at) values
        (gen_random_uuid(), 'running', null, null, null, gen_random_uuid(), 'one', 1, 10, 0, 0, now(), null),
        (gen_random_uuid(), 'halted', 'f', 'k', 'n', gen_random_uuid(), 'other', 2, 20, 5, 5,
            now() - interval '1 day', now());
    insert into operation_audit (actor, action, subject, resource, reason, before, after) values
        (gen_random_uuid(), 'replay', gen_random_uuid(), null, 'well again', '{}', null),
        (gen_random_uuid(), 'put-product', '00000000-0000-0000-0000-000000000000', '/products/TEA', '', null, '{}');
    insert into timeline_entry (event_id, order_id, type, source, occurred_at, causation_id, correlation_id, sequence, data)
        select gen_random_uuid(), case when n = 2 then '00000000-0000-7000-8000-000000000001'::uuid end, 'type ' || n,
            'source ' || n, now() - n * interval '1 day', gen_random_uuid(), gen_random_uuid(), n,
            jsonb_build_object('n', n) from generate_series(1, 2) n;";

/// The answers to `paths`, each of which must be there.
async fn answers(gateway: &Gateway, paths: &[&str]) -> Vec<Value> {
    let mut all = Vec::new();
    for path in paths {
        let answer = gateway.admin().get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        all.push(answer.json());
    }
    all
}

#[track_caller]
fn none_is_constant(schema: &str, answers: &[Value]) {
    assert_eq!(constant(schema, answers), [""; 0], "{schema}: {answers:#?}");
}

/// Services that have nothing.
fn nothing() -> Behaviour {
    let page = r#"{"items": [], "next_cursor": null}"#;
    let empty: Vec<String> = ["auth", "orders", "payments", "notifications"]
        .iter()
        .flat_map(|service| ["", "/jobs", "/audit"].map(|list| format!("/{service}/dead-letters{list}")))
        .collect();
    let empty: Vec<(&str, u16, &str)> = empty.iter().map(|path| (path.as_str(), 200, page)).collect();
    documents(&empty)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_letters_jobs_and_the_audit_no_field_is_constant() {
    let gateway = Gateway::before(nothing()).await;
    execute_all(&gateway).await;
    let letters = answers(
        &gateway,
        &["/gateway/dead-letters", "/gateway/dead-letters?limit=1"],
    )
    .await;
    none_is_constant("Page_DeadLetter", &letters);
    none_is_constant(
        "DeadLetterGroups",
        &answers(&gateway, &["/gateway/dead-letters/groups"]).await,
    );
    let items = letters[0]["items"].as_array().unwrap().iter();
    let paths = items.map(|letter| format!("/gateway/dead-letters/{}", letter["id"].as_str().unwrap()));
    let paths: Vec<String> = paths.collect();
    let (young, old) = (&paths[0], &paths[paths.len() - 1]);
    act(&gateway, young, "discard", "no use").await;
    act(&gateway, young, "restore", "of use").await;
    act(&gateway, old, "discard", "too old").await;
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let whole = answers(&gateway, &paths).await;
    // one admin did it all, and what is done to a letter names the letter and no path
    let expected = ["history[].actor", "history[].resource"];
    assert_eq!(constant("DeadLetterDetails", &whole), expected, "{whole:#?}");

    let jobs = ["/gateway/dead-letters/jobs", "/gateway/dead-letters/jobs?limit=1"];
    none_is_constant("Page_ReplayJob", &answers(&gateway, &jobs).await);
    let audit = [
        "/gateway/dead-letters/audit",
        "/gateway/dead-letters/audit?limit=1",
    ];
    none_is_constant("Page_AuditEntry", &answers(&gateway, &audit).await);
    let stats = answers(&gateway, &["/gateway/events/stats"]).await;
    let before = answers(&Gateway::before(nothing()).await, &["/gateway/events/stats"]).await;
    none_is_constant(
        "Totals",
        &[stats[0]["totals"].clone(), before[0]["totals"].clone()],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_lists_over_all_services_no_field_is_constant() {
    let saga = "00000000-0000-7000-8000-000000000001";
    let letter = json!({"items": [{
        "id": saga, "state": "open", "kind": "message", "name": "x", "key": null, "event_id": null, "attempts": 9,
        "deaths": 9, "error": {"class": null, "message": null, "fingerprint": null}, "first_failed_at": null,
        "last_failed_at": null, "superseded_by": null, "edited_from": null, "settled_reason": null, "job_id": null,
        "created_at": "2026-11-30T10:00:00Z", "updated_at": "2026-11-30T10:00:00Z",
    }], "next_cursor": null})
    .to_string();
    let job = json!({"items": [{
        "id": saga, "state": "finished", "matched": 9, "replayed": 9, "failed_again": 9, "fingerprint": null, "key": null,
        "name": null, "actor": saga, "reason": "x", "rate_per_second": 9, "created_at": "2026-11-30T10:00:00Z",
        "finished_at": null,
    }], "next_cursor": null})
    .to_string();
    let entry = json!({"items": [{
        "id": 99, "at": "2026-11-30T10:00:00Z", "actor": saga, "action": "x", "subject": null, "resource": "/x",
        "reason": null, "before": null, "after": null,
    }], "next_cursor": null})
    .to_string();
    let user =
        json!({"items": [{"user_id": saga, "email": "ada@example.org"}], "next_cursor": null}).to_string();
    let empty = r#"{"items": [], "next_cursor": null}"#;
    let document = json!({"id": saga}).to_string();
    let page = json!({"items": [{"id": saga}], "next_cursor": null}).to_string();
    let one = format!("/orders/{saga}");
    let mut found = vec![
        ("/auth/users", 200, user.as_str()),
        (&*one, 200, &document),
        ("/payments", 200, &page),
    ];
    let lists = ["auth", "orders"]
        .map(|service| ["", "/jobs", "/audit"].map(|list| format!("/{service}/dead-letters{list}")));
    for list in lists.as_flattened() {
        let page = match list.as_str() {
            "/orders/dead-letters" => &letter,
            "/orders/dead-letters/jobs" => &job,
            "/orders/dead-letters/audit" => &entry,
            _ => empty,
        };
        found.push((list, 200, page));
    }
    found.push(("/payments/dead-letters/audit", 200, empty));
    found.push(("/notifications/dead-letters/audit", 200, empty));
    // neither of these two answers for its letters
    let gateway = Gateway::before(documents(&found)).await;
    execute_all(&gateway).await;
    let quiet = Gateway::before(nothing()).await;
    for (schema, path) in [
        ("DeadLettersOfAll", "/operations/dead-letters"),
        ("ReplaysOfAll", "/operations/replays"),
        ("Page_ServiceAuditEntry", "/operations/audit"),
    ] {
        let first = format!("{path}?limit=1");
        let mut all = answers(&gateway, &[path, &first]).await;
        all.extend(answers(&quiet, &[path]).await);
        none_is_constant(schema, &all);
    }
    let search = format!("/operations/search?q={saga}");
    let mut all = answers(&gateway, &[&search]).await;
    let events = all[0]["events"].as_array().unwrap().clone();
    let id = events[0]["event_id"].as_str().unwrap().to_owned();
    let other = format!("/operations/search?q={}", uuid::Uuid::from_u128(5));
    all.extend(answers(&gateway, &[&other, &format!("/operations/search?q={id}")]).await);
    all.extend(answers(&quiet, &[&search]).await);
    let lists = [
        "users",
        "orders",
        "payments",
        "events",
        "dead_letters",
        "unanswered",
    ];
    for list in lists {
        let lengths = all.iter().map(|found| found[list].as_array().unwrap().len());
        assert!(
            lengths.collect::<std::collections::BTreeSet<_>>().len() > 1,
            "{list}: {all:#?}"
        );
    }
}

async fn act(gateway: &Gateway, letter: &str, act: &str, reason: &str) {
    let request = gateway
        .admin()
        .request(reqwest::Method::POST, &format!("{letter}/{act}"));
    let body = json!({"reason": reason}).to_string();
    let answer = Answer::of(request.header("content-type", "application/json").body(body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn constant(schema: &str, answers: &[Value]) -> Vec<String> {
    let document: Value =
        serde_json::from_str(include_str!("../../../docs/contracts/openapi/gateway.json")).unwrap();
    chassis::test::constants(&document, schema, answers)
}

async fn execute_all(gateway: &Gateway) {
    for statement in WORLD.split(';').filter(|statement| !statement.trim().is_empty()) {
        execute(gateway.database_url(), statement).await;
    }
}
