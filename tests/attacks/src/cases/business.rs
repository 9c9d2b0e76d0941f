//! Other people's things, admins' things, prices of one's own, and doing twice what may be done once.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use super::cases;
use crate::arena::{Arena, an_order, text};
use crate::request::Request;
use crate::{Outcome, Stop};

cases! {
    "BUS-01" "somebody else's order" ["8.2.2"] |arena| foreign(arena, "GET", "").await;
    "BUS-02" "somebody else's order cancelled" ["8.2.2"] |arena| foreign(arena, "POST", "/cancel").await;
    "BUS-03" "somebody else's timeline" ["8.2.2"] |arena| foreign(arena, "GET", "/timeline").await;
    "BUS-04" "somebody else's events" ["8.2.2"] |arena| foreign(arena, "GET", "/events").await;
    "BUS-05" "somebody else's payment by its order" ["8.2.2"] |arena| empty(arena, "/payments?order_id=").await;
    "BUS-06" "somebody else's notifications by their order" ["8.2.2"] |arena| empty(arena, "/notifications?order_id=").await;
    "BUS-07" "somebody else's notification, read" ["8.2.2"] |arena| foreign_notification(arena).await;
    "BUS-08" "what only admins may look at" ["8.2.1"] |arena| admins(arena).await;
    "BUS-09" "what only admins may do" ["8.2.1"] |arena| admins_acts(arena).await;
    "BUS-10" "a price in the order" ["8.2.3", "2.2.2"] |arena| order(arena, json!({"items": [{"sku": "CABLE-USBC", "quantity": 1, "unit_price": {"amount_minor": 1, "currency": "EUR"}}], "payment_method": "pm_card_visa"}), &[422]).await;
    "BUS-11" "a total in the order" ["8.2.3", "2.2.2"] |arena| order(arena, with("total", json!({"amount_minor": 1, "currency": "EUR"})), &[422]).await;
    "BUS-12" "somebody else as the customer" ["8.2.3"] |arena| order(arena, with("customer_id", json!(Uuid::nil())), &[422]).await;
    "BUS-13" "a status in the order" ["8.2.3", "2.3.1"] |arena| order(arena, with("status", json!("confirmed")), &[422]).await;
    "BUS-14" "quantities that are none" ["2.2.1", "CWE-1284"] |arena| quantities(arena, &["0", "-1", "1.5", "\"2\"", "null", "true", "[]", "1e0"]).await;
    "BUS-15" "quantities beyond every integer" ["2.2.1", "CWE-190"] |arena| quantities(arena, &["2147483648", "4294967297", "9223372036854775808", "18446744073709551617", "1e400", "-9223372036854775809"]).await;
    "BUS-16" "a total beyond every integer" ["2.2.3", "CWE-190"] |arena| overflow(arena).await;
    "BUS-17" "two thousand lines" ["2.2.1"] |arena| many_lines(arena).await;
    "BUS-18" "no line" ["2.2.1"] |arena| order(arena, with("items", json!([])), &[422]).await;
    "BUS-19" "a product that is SQL, a path or markup" ["1.2.4", "2.2.1"] |arena| products(arena).await;
    "BUS-20" "a payment method that nobody has" ["2.2.1"] |arena| order(arena, with("payment_method", json!("pm_free_of_charge")), &[422]).await;
    "BUS-21" "one key, twenty times at once" ["2.3.3", "CWE-362"] |arena| one_key(arena).await;
    "BUS-22" "one key, another order" ["2.3.3"] |arena| other_body(arena).await;
    "BUS-23" "somebody else's key" ["8.2.2"] |arena| foreign_key(arena).await;
    "BUS-24" "a key that is none" ["2.2.1"] |arena| keys(arena).await;
    "BUS-25" "a cursor that nobody gave" ["2.2.1"] |arena| cursors(arena).await;
    "BUS-26" "a page larger than any" ["2.2.1", "CWE-770"] |arena| pages(arena).await;
    "BUS-27" "SQL in every filter" ["1.2.4", "CWE-89"] |arena| filters(arena).await;
    "BUS-28" "one order, cancelled ten times at once" ["2.3.3", "CWE-362"] |arena| cancelled(arena).await;
    "BUS-29" "markup in the display name" ["1.2.1", "CWE-79"] |arena| markup(arena).await;
    "BUS-30" "a parameter that nobody knows, and one twice" ["2.2.1", "CWE-235"] |arena| parameters(arena).await;
    "BUS-31" "a cursor that nobody gave, in an admin's lists" ["2.2.1"] |arena| admins_cursors(arena).await;
    "BUS-32" "a NUL in a text" ["2.2.1", "CWE-626"] |arena| nul_in_a_text(arena).await;
    "BUS-33" "a NUL in a query" ["2.2.1", "CWE-626"] |arena| nul_in_a_query(arena).await;
}

/// An order with another member.
fn with(member: &str, value: Value) -> Value {
    let mut order = an_order();
    if let Value::Object(order) = &mut order {
        order.insert(member.to_owned(), value);
    }
    order
}

fn placing(arena: &Arena, body: &Value) -> Request {
    Request::post("/orders", body).bearer(&arena.mallory.token)
}

async fn order(arena: &Arena, body: Value, statuses: &[u16]) -> Outcome {
    arena
        .send(placing(arena, &body))
        .await?
        .status(statuses)
        .map(drop)
}

async fn foreign(arena: &Arena, method: &str, rest: &str) -> Outcome {
    let path = format!("/orders/{}{rest}", arena.order);
    let answer = arena
        .send(Request::new(method, &path).bearer(&arena.mallory.token))
        .await?;
    answer.problem(404, "not-found").map(drop)
}

async fn empty(arena: &Arena, path: &str) -> Outcome {
    let path = format!("{path}{}", arena.order);
    let answer = arena
        .send(Request::get(&path).bearer(&arena.mallory.token))
        .await?;
    let items = answer.status(&[200])?.json();
    answer.must(items.get("items") == Some(&json!([])), "they are shown")
}

/// How long the first notification may take.
const TOLD: Duration = Duration::from_secs(30);

async fn foreign_notification(arena: &Arena) -> Outcome {
    let (begin, mut tick) = (Instant::now(), tokio::time::interval(Duration::from_millis(100)));
    let request = Request::get("/notifications?limit=1").bearer(&arena.victim.token);
    let id = loop {
        tick.tick().await;
        let list = arena.send(request.clone()).await?;
        let found = list.status(&[200])?.json();
        match found.pointer("/items/0/id").and_then(Value::as_str) {
            Some(id) => break id.to_owned(),
            None if begin.elapsed() > TOLD => return Err(list.wrong("the victim is told nothing")),
            None => {}
        }
    };
    let path = format!("/notifications/{id}/read");
    let read = |token: &str| arena.send(Request::new("POST", &path).bearer(token));
    read(&arena.mallory.token).await?.problem(404, "not-found")?;
    read(&arena.victim.token).await?.status(&[204]).map(drop)
}

async fn admins(arena: &Arena) -> Outcome {
    let mut paths: Vec<String> = [
        "/payments/simulator",
        "/payments/disputes",
        "/auth/users",
        "/operations/reconciliation",
        "/operations/audit",
        "/operations/dead-letters",
        "/operations/replays",
        "/operations/search?q=ada%40example.org",
    ]
    .map(str::to_owned)
    .to_vec();
    // lists of their own, asked for somebody else's
    for list in ["/orders", "/payments"] {
        paths.push(format!("{list}?customer={}", arena.victim.id));
    }
    for service in ["auth", "orders", "payments", "notifications"] {
        for path in [
            "events/status",
            "events/stats",
            "dead-letters",
            "dead-letters/groups",
            "dead-letters/jobs",
            "dead-letters/audit",
        ] {
            paths.push(format!("/{service}/{path}"));
        }
    }
    for path in paths {
        let answer = arena
            .send(Request::get(&path).bearer(&arena.mallory.token))
            .await?;
        answer.problem(403, "forbidden")?;
    }
    Ok(())
}

async fn admins_acts(arena: &Arena) -> Outcome {
    let letter = format!("/payments/dead-letters/{}", Uuid::nil());
    let reason = json!({"reason": "mine"});
    let price =
        json!({"name": "Cable", "unit_price": {"amount_minor": 1, "currency": "EUR"}, "active": true});
    let acts = [
        ("PUT", "/products/CABLE-USBC".to_owned(), price),
        (
            "PUT",
            "/payments/simulator".to_owned(),
            json!({"mode": "approve", "remaining": null, "latency_ms": 0}),
        ),
        ("DELETE", "/payments/simulator".to_owned(), json!({})),
        ("POST", format!("{letter}/replay"), reason.clone()),
        (
            "POST",
            format!("{letter}/edit-and-replay"),
            json!({"reason": "mine", "payload": {}}),
        ),
        ("POST", format!("{letter}/discard"), reason.clone()),
        ("POST", format!("{letter}/restore"), reason),
        (
            "POST",
            "/payments/dead-letters/replay".to_owned(),
            json!({"filter": {}, "reason": "mine"}),
        ),
    ];
    for (method, path, body) in acts {
        let request = Request::new(method, &path)
            .json(&body)
            .bearer(&arena.mallory.token);
        arena.send(request).await?.problem(403, "forbidden")?;
    }
    Ok(())
}

async fn quantities(arena: &Arena, quantities: &[&str]) -> Outcome {
    for quantity in quantities {
        let body = format!(
            r#"{{"items": [{{"sku": "CABLE-USBC", "quantity": {quantity}}}], "payment_method": "pm_card_visa"}}"#
        );
        let request = Request::new("POST", "/orders")
            .body("application/json", body)
            .bearer(&arena.mallory.token);
        arena.send(request).await?.status(&[400, 422])?;
    }
    Ok(())
}

/// The largest quantity is taken, and a price so dear that no quantity of it could be computed is not.
async fn overflow(arena: &Arena) -> Outcome {
    arena.admin()?;
    let sku = format!("DEAR-{}", Uuid::new_v4().simple());
    let lines = |sku: &str, quantity: u32| with("items", json!([{"sku": sku, "quantity": quantity}]));
    order(arena, lines("CABLE-USBC", 10_000), &[202]).await?;
    // a price of which a few would be more than 64 bits hold is none
    let price = json!({"amount_minor": i64::MAX, "currency": "EUR"});
    let product = json!({"name": "A yacht", "unit_price": price, "active": true});
    let request = Request::new("PUT", &format!("/products/{sku}"))
        .json(&product)
        .bearer(&arena.admin()?.token);
    arena.send(request).await?.status(&[422])?;
    order(arena, lines(&sku, 1), &[422]).await
}

async fn many_lines(arena: &Arena) -> Outcome {
    let lines = vec![json!({"sku": "CABLE-USBC", "quantity": 1}); 2_000];
    order(arena, with("items", json!(lines)), &[413, 422]).await
}

async fn products(arena: &Arena) -> Outcome {
    for sku in [
        "'; drop table orders; --",
        "../../etc/passwd",
        "<script>",
        "",
        "\0",
        &"A".repeat(5_000),
    ] {
        order(
            arena,
            with("items", json!([{"sku": sku, "quantity": 1}])),
            &[400, 422],
        )
        .await?;
    }
    Ok(())
}

async fn one_key(arena: &Arena) -> Outcome {
    let (key, body) = (Uuid::new_v4().to_string(), an_order());
    let sends = (0..20).map(|_| arena.send(placing(arena, &body).header("idempotency-key", &key)));
    let mut orders = Vec::new();
    for answer in join_all(sends).await {
        let response = answer?.status(&[202, 409])?;
        if response.status == 202 {
            orders.push(text(&response.json(), "id"));
        }
    }
    orders.sort_unstable();
    orders.dedup();
    match orders.as_slice() {
        [_one] => Ok(()),
        several => Err(Stop::Failed(format!(
            "        the orders {several:?} come of one key"
        ))),
    }
}

async fn other_body(arena: &Arena) -> Outcome {
    let key = Uuid::new_v4().to_string();
    arena
        .send(placing(arena, &an_order()).header("idempotency-key", &key))
        .await?
        .status(&[202])?;
    let other = with("payment_method", json!("pm_card_declined"));
    let answer = arena
        .send(placing(arena, &other).header("idempotency-key", &key))
        .await?;
    answer.status(&[422]).map(drop)
}

/// The same key of another customer is another key.
async fn foreign_key(arena: &Arena) -> Outcome {
    let key = Uuid::new_v4().to_string();
    let victims = Request::post("/orders", &an_order())
        .bearer(&arena.victim.token)
        .header("idempotency-key", &key);
    let theirs = text(&arena.send(victims).await?.status(&[202])?.json(), "id");
    let answer = arena
        .send(placing(arena, &an_order()).header("idempotency-key", &key))
        .await?;
    let own = answer.status(&[202])?.json();
    answer.must(text(&own, "id") != theirs, "the victim's order is shown")?;
    answer.must(
        text(&own, "customer_id") == arena.mallory.id,
        "it is not one's own",
    )
}

async fn keys(arena: &Arena) -> Outcome {
    for key in ["", " ", &"k".repeat(5_000), "\"open", "a\tb", "schl\u{fc}ssel"] {
        let request = placing(arena, &an_order()).header("idempotency-key", key);
        arena.send(request).await?.status(&[400, 422, 431])?;
    }
    Ok(())
}

async fn cursors(arena: &Arena) -> Outcome {
    let lists = ["/orders", "/payments", "/notifications", "/auth/sessions"];
    cursors_of(arena, &lists, &arena.mallory.token).await
}

async fn admins_cursors(arena: &Arena) -> Outcome {
    let lists = [
        "/auth/users",
        "/auth/dead-letters",
        "/orders/dead-letters",
        "/payments/dead-letters",
        "/notifications/dead-letters",
        "/payments/dead-letters/jobs",
        "/payments/disputes",
        "/operations/audit",
        "/operations/dead-letters",
        "/operations/replays",
    ];
    cursors_of(arena, &lists, &arena.admin()?.token).await
}

async fn cursors_of(arena: &Arena, lists: &[&str], token: &str) -> Outcome {
    for list in lists {
        let own = arena.send(Request::get(list).bearer(token)).await?;
        own.status(&[200])?;
        for cursor in [
            "x",
            "bnVsbA",
            "%00",
            "eyJhIjoxfQ",
            "IicgT1IgMT0xIg",
            &"A".repeat(3_000),
        ] {
            let request = Request::get(&format!("{list}?cursor={cursor}")).bearer(token);
            arena.send(request).await?.status(&[400])?;
        }
    }
    Ok(())
}

async fn nul_in_a_text(arena: &Arena) -> Outcome {
    let password = "an oak, a birch, a yew";
    let email = crate::arena::email();
    let bodies = [
        (
            "/orders",
            json!({"items": [{"sku": "CABLE\0", "quantity": 1}], "payment_method": "pm_card_visa"}),
        ),
        ("/orders", with("payment_method", json!("pm_card_visa\0"))),
        ("/orders", with("\0", json!(1))),
        (
            "/auth/register",
            json!({"email": format!("\0{email}"), "password": password}),
        ),
        (
            "/auth/register",
            json!({"email": email, "password": format!("{password}\0")}),
        ),
        (
            "/auth/register",
            json!({"email": email, "password": password, "display_name": "a\0b"}),
        ),
        (
            "/auth/login",
            json!({"email": format!("{email}\0"), "password": password}),
        ),
        ("/auth/login", json!({"email": email, "password": "\0"})),
        ("/auth/refresh", json!({"refresh_token": "\0"})),
        ("/auth/logout", json!({"refresh_token": "\0"})),
    ];
    for (path, body) in bodies {
        let request = Request::post(path, &body).bearer(&arena.mallory.token);
        arena.send(request).await?.problem(422, "validation")?;
    }
    Ok(())
}

async fn nul_in_a_query(arena: &Arena) -> Outcome {
    for target in [
        "/orders?status=%00",
        "/orders?cursor=%00",
        "/orders?limit=1%00",
        "/orders?%00=1",
        "/payments?order_id=%00",
        "/notifications?order_id=%00",
        "/auth/sessions?cursor=a%00",
    ] {
        let request = Request::get(target).bearer(&arena.mallory.token);
        arena.send(request).await?.status(&[400])?;
    }
    Ok(())
}

async fn pages(arena: &Arena) -> Outcome {
    for limit in ["0", "-1", "1000000", "18446744073709551616", "NaN", "1e3"] {
        let request = Request::get(&format!("/orders?limit={limit}")).bearer(&arena.mallory.token);
        let answer = arena.send(request).await?;
        let response = answer.status(&[200, 400])?;
        let items = response.json();
        let shown = items.get("items").and_then(Value::as_array).map_or(0, Vec::len);
        answer.must(shown <= 100, "the page has no bound")?;
    }
    Ok(())
}

async fn filters(arena: &Arena) -> Outcome {
    let sql = "%27%20or%201%3D1%20--";
    for filter in [
        "/orders?status=",
        "/payments?order_id=",
        "/notifications?order_id=",
        "/orders/",
        "/payments/",
    ] {
        let request = Request::get(&format!("{filter}{sql}")).bearer(&arena.mallory.token);
        arena.send(request).await?.status(&[400, 404])?;
    }
    Ok(())
}

async fn cancelled(arena: &Arena) -> Outcome {
    let order = arena.place(&arena.mallory).await?;
    let path = format!("/orders/{order}/cancel");
    let sends = (0..10).map(|_| arena.send(Request::new("POST", &path).bearer(&arena.mallory.token)));
    let mut taken: usize = 0;
    for answer in join_all(sends).await {
        taken = taken.saturating_add(usize::from(answer?.status(&[202, 409])?.status == 202));
    }
    let answer = arena
        .send(Request::get(&format!("/orders/{order}")).bearer(&arena.mallory.token))
        .await?;
    let order = answer.status(&[200])?.json();
    answer.must(taken == 1, "it is not cancelled once")?;
    answer.must(text(&order, "status") == "cancelled", "it is not cancelled")
}

/// Refused, or given back as the text that it is.
async fn markup(arena: &Arena) -> Outcome {
    let account = json!({
        "email": crate::arena::email(), "password": "an oak, a birch, a yew",
        "display_name": "<img src=x onerror=alert(1)>",
    });
    let answer = arena.send(Request::post("/auth/register", &account)).await?;
    let response = answer.status(&[201, 422])?;
    let kind = response.header("content-type").unwrap_or_default();
    answer.must(
        kind.starts_with("application/json") || response.status == 422,
        "it could be taken for a page",
    )
}

async fn parameters(arena: &Arena) -> Outcome {
    for query in [
        "admin=true",
        "customer_id=01900000-0000-7000-8000-000000000000",
        "limit=1&limit=100",
        "limit[]=1",
    ] {
        let request = Request::get(&format!("/orders?{query}")).bearer(&arena.mallory.token);
        arena.send(request).await?.status(&[400])?;
    }
    Ok(())
}
