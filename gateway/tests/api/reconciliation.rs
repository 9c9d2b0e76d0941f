//! `GET /operations/reconciliation`: over services that show what they are told to, and a real timeline.

mod world;

use actix_web::HttpResponse;
use serde_json::{Value, json};
use uuid::Uuid;

use self::world::{World, ago, dispute, id};
use crate::harness::Behaviour;
use crate::harness::upstream::{behaviour, documents};

const PATH: &str = "/operations/reconciliation";

fn kinds(report: &Value) -> Vec<&str> {
    let mismatches = report["mismatches"].as_array().unwrap();
    let mut kinds: Vec<&str> = mismatches
        .iter()
        .map(|mismatch| mismatch["kind"].as_str().unwrap())
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fits_together_balances() {
    let mut world = World::of_every_ending();
    let pending = world.order(90, "pending", Value::Null, "processing", None);
    world.letter("payment", pending);
    let gateway = world.shown().await;
    let answer = gateway.admin().get(PATH).await;
    let report = answer.json();
    assert_eq!(report["balanced"], true, "{report:#}");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(
        report["counts"]["orders"],
        json!({"confirmed": 1, "cancelled": 1, "pending": 2})
    );
    assert_eq!(
        report["counts"]["payments"],
        json!({"completed": 1, "failed": 1, "processing": 2})
    );
    assert_eq!(report["counts"]["in_flight"], 2);
    assert_eq!(report["counts"]["dead_letters"], json!({"payment": 1}));
    assert_eq!(
        report["counts"]["backlog"],
        json!({
            "auth": {"outbox": 0, "pending": 0, "dead": 0},
            "order": {"outbox": 7, "pending": 0, "dead": 0},
            "payment": {"outbox": 0, "pending": 3, "dead": 2},
            "gateway": {"outbox": 0, "pending": 0, "dead": 0},
        }),
        "a service that does not tell is left out"
    );
    assert_eq!(report["window"]["complete"], true);
    assert_eq!(
        report["sums"],
        json!([{
            "currency": "EUR", "confirmed_minor": 1999, "captured_minor": 1999, "refunded_minor": 0, "held_minor": 0,
            "charged_back_minor": 0, "written_off_minor": 0, "difference_minor": 0,
        }])
    );
    let seen = gateway.upstream.seen();
    assert!(seen.len() >= 6, "{seen:?}");
    for seen in seen {
        assert!(
            seen.header("authorization").unwrap().starts_with("Bearer "),
            "in the caller's own name"
        );
        assert_eq!(
            seen.header("x-request-id").unwrap(),
            answer.header("x-request-id")
        );
    }
}

/// What a comparison of interfaces does not know, and leaves out.
const UNKNOWN: [&str; 6] = [
    "counts.backlog{}.lag",
    "counts.backlog{}.processed",
    "counts.charges",
    "counts.notifications",
    "counts.published_again",
    "counts.timeline",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_field_of_the_answer_is_hard_coded() {
    let well = World::of_every_ending().report().await;

    let mut world = World::of_every_ending();
    world.payments[2]["amount"] = json!({"amount_minor": 5, "currency": "USD"});
    for status in ["refunded", "refunding"] {
        let cancellation =
            json!({"reason": "customer_request", "code": null, "refunded": status == "refunded"});
        let order = world.order(60, "cancelled", cancellation, status, None);
        world.payments[0]["provider_reference"] = json!("ch");
        world.payments[0]["refund_reference"] = json!((status == "refunded").then_some("re"));
        world.letter("payment", order);
        world.letter("notification", order);
        world.letter("payment", order);
    }
    world.confirmed(57);
    world.disputed(Some("lost"));
    let order = world.confirmed(55);
    let old = json!(id(ago(9_000_000)));
    for (number, (status, currency)) in [
        ("needs_response", "EUR"),
        ("under_review", "USD"),
        ("under_review", "EUR"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut open = dispute(Uuid::new_v4(), &json!(id(ago(70))), &old, None);
        open["status"] = json!(status);
        open["amount"] = json!({"amount_minor": number, "currency": currency});
        if number == 1 {
            open["order_id"] = json!(id(ago(80)));
            (open["reason"], open["respond_by"]) = (Value::Null, Value::Null);
            open["provider_reference"] = Value::Null;
        }
        world.old_disputes.push(open);
    }
    world.announce(order, 1, ago(50), order, "payment.refunded", json!({}));
    let gateway = world.shown().await;
    let ill = gateway.admin().get(PATH).await.json();
    let one = gateway.admin().get(&format!("{PATH}?limit=1")).await.json();

    let document = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/contracts/openapi/gateway.json"
    ));
    let document: Value = serde_json::from_str(&document.unwrap()).unwrap();
    let constant = chassis::test::constants(&document, "Reconciliation", &[well, ill.clone(), one]);
    assert_eq!(constant, UNKNOWN, "{ill:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mismatch_is_named_with_its_repair() {
    let mut world = World::of_every_ending();
    world.payments[2]["amount"]["amount_minor"] = json!(1998);
    let report = world.report().await;
    assert_eq!(report["balanced"], false);
    assert_eq!(
        kinds(&report),
        ["fact_differs", "payment_amount_differs", "sums_differ"]
    );
    for mismatch in report["mismatches"].as_array().unwrap() {
        for member in ["subject", "found", "expected", "repair"] {
            assert!(!mismatch[member].as_str().unwrap().is_empty(), "{mismatch}");
        }
    }

    type Break = fn(&mut World);
    let breaks: [(Break, &[&str]); 8] = [
        (
            |world| drop(world.payments.remove(2)),
            &["payment_missing", "sums_differ"],
        ),
        (
            |world| drop(world.orders.remove(2)),
            &["order_missing", "payment_without_order"],
        ),
        (
            |world| world.orders[1]["cancellation"]["code"] = json!("insufficient_funds"),
            &["cancellation_differs", "fact_differs"],
        ),
        (
            |world| world.payments[1]["status"] = json!("completed"),
            &["fact_unfounded", "money_kept", "sums_differ", "timeline_missing"],
        ),
        (
            |world| world.orders[2]["items"] = json!([]),
            &["fact_differs", "order_lines_differ"],
        ),
        (
            |world| world.entries.retain(|entry| entry.kind != "order.confirmed"),
            &["timeline_missing"],
        ),
        (
            |world| world.orders[0]["created_at"] = json!(ago(3_600)),
            &["order_overdue"],
        ),
        (
            |world| world.payments[0]["updated_at"] = json!(ago(3_600)),
            &["payment_overdue"],
        ),
    ];
    for (number, (break_it, expected)) in breaks.into_iter().enumerate() {
        let mut world = World::of_every_ending();
        break_it(&mut world);
        let report = world.report().await;
        assert_eq!(kinds(&report), expected, "{number}: {report:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn open_disputes_are_told_with_what_to_do_and_lost_ones_are_in_the_sums() {
    let mut world = World::default();
    world.confirmed(100);
    world.disputed(Some("lost"));
    let order = world.confirmed(90);
    let open = world.disputed(None);
    let (of_old, old) = (json!(id(ago(9_000_000))), id(ago(60)));
    world
        .old_disputes
        .push(dispute(old, &json!(Uuid::nil()), &of_old, None));
    let again = world.payments[0]["disputes"][0].clone();
    world.old_disputes.push(again);
    let report = world.report().await;
    assert_eq!(report["balanced"], true, "{report:#}");
    assert_eq!(
        report["counts"]["disputes"],
        json!({"lost": 1, "needs_response": 2})
    );
    let sum = &report["sums"][0];
    assert_eq!(
        (
            &sum["charged_back_minor"],
            &sum["written_off_minor"],
            &sum["difference_minor"]
        ),
        (&json!(1999), &json!(1999), &json!(0))
    );
    let told = report["open_disputes"].as_array().unwrap();
    assert_eq!(told.len(), 2, "{report:#}");
    let of = |id: Uuid| {
        let found = told.iter().find(|dispute| dispute["dispute_id"] == json!(id));
        found.unwrap()
    };
    assert_eq!(of(open)["order_id"], json!(order));
    assert_eq!(of(old)["order_id"], of_old, "however old its payment is");
    for dispute in told {
        let action = dispute["action"].as_str().unwrap();
        assert!(action.contains("by 2036-01-01"), "{action}");
    }

    // announced and not shown, and the reverse
    let mut world = World::default();
    world.confirmed(100);
    world.disputed(Some("lost"));
    world.payments[0]["disputes"] = json!([]);
    assert_eq!(kinds(&world.report().await), ["fact_unfounded", "sums_differ"]);
    let mut world = World::default();
    world.confirmed(100);
    world.disputed(Some("lost"));
    world
        .entries
        .retain(|entry| !entry.kind.starts_with("payment.dispute"));
    assert_eq!(kinds(&world.report().await), ["sums_differ", "timeline_missing"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_just_changed_is_not_judged() {
    let mut world = World::default();
    world.confirmed(1);
    world.payments.clear();
    let report = world.report().await;
    assert_eq!(
        (&report["balanced"], &report["counts"]["in_flight"]),
        (&json!(true), &json!(1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_admins_are_told() {
    let gateway = World::of_every_ending().shown().await;
    gateway
        .anonymous()
        .get(PATH)
        .await
        .problem(401, "unauthenticated");
    gateway.customer().get(PATH).await.problem(403, "forbidden");
    let posted = gateway.admin().post(PATH, "").await;
    posted.problem(405, "method-not-allowed");
    for query in ["limit=0", "limit=10001", "since=yesterday", "order=1"] {
        let answer = gateway.admin().get(&format!("{PATH}?{query}")).await;
        answer.problem(400, "invalid-query");
    }
    assert!(gateway.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_cannot_be_read_is_said_so() {
    let gateway = World::default()
        .shown_by(documents(&[("/orders", 500, "{}")]))
        .await;
    gateway.admin().get(PATH).await.problem(502, "bad-gateway");
    let gateway = World::default()
        .shown_by(documents(&[("/orders", 200, "<html>")]))
        .await;
    gateway.admin().get(PATH).await.problem(502, "bad-gateway");
}

/// A list in pages, as the services show it.
fn paged(orders: Vec<Value>, payments: Vec<Value>) -> Behaviour {
    behaviour(move |request, _| {
        let items = match request.path() {
            "/orders" => orders.clone(),
            "/payments/disputes" => Vec::new(),
            _ => payments.clone(),
        };
        let parameter = |name: &str| {
            let mut pairs = request.query_string().split('&');
            pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse::<usize>().ok())
        };
        let (limit, begin) = (parameter("limit").unwrap_or(20), parameter("cursor").unwrap_or(0));
        // as little as a service may show at once
        let end = (begin + limit.min(2)).min(items.len());
        let next = (end < items.len()).then(|| end.to_string());
        let page = json!({"items": items[begin..end], "next_cursor": next});
        async move { HttpResponse::Ok().json(page) }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_read_page_by_page_within_the_window() {
    let mut world = World::default();
    for seconds in [90_000, 500, 400, 300, 200, 100] {
        world.confirmed(seconds);
    }
    let services = paged(world.orders.clone(), world.payments.clone());
    let gateway = world.shown_by(services).await;
    let confirmed = async |query: &str| {
        let answer = gateway.admin().get(&format!("{PATH}?{query}")).await;
        let report = answer.json();
        assert_eq!(report["balanced"], true, "{query}: {report:#}");
        (
            report["counts"]["orders"]["confirmed"].clone(),
            report["window"]["complete"].clone(),
        )
    };
    assert_eq!(
        confirmed("").await,
        (json!(5), json!(true)),
        "a day, unless it is said"
    );
    assert_eq!(confirmed("limit=5").await.0, json!(5));
    assert_eq!(confirmed("limit=3").await, (json!(3), json!(false)));
    assert_eq!(confirmed("limit=1").await, (json!(1), json!(false)));
    let since = |seconds| ago(seconds).format("since=%Y-%m-%dT%H:%M:%SZ").to_string();
    assert_eq!(confirmed(&since(350)).await, (json!(3), json!(true)));
    assert_eq!(confirmed(&since(100_000)).await, (json!(6), json!(true)));
}
