//! `GET /orders`

use chassis::test::TestClient;
use serde_json::{Value, json};

use crate::harness::{Orders, cancel, each, place, user};

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_each_other_without_gap_or_repetition() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    let mut placed = Vec::new();
    for _ in 0..7 {
        placed.push(place(&client).await["id"].as_str().unwrap().to_owned());
    }
    place(&orders.somebody()).await;

    let mut seen = Vec::new();
    let mut next = Some("/orders?limit=3".to_owned());
    while let Some(path) = next {
        let answer = client.get(&path).await;
        let page = answer.ok(200);
        seen.extend(each(&page, "id").into_iter().map(ToOwned::to_owned));
        next = page["next_cursor"]
            .as_str()
            .map(|cursor| format!("/orders?limit=3&cursor={cursor}"));
        let link = next.as_ref().map(|path| format!("<{path}>; rel=\"next\""));
        assert_eq!(answer.header("link"), link.unwrap_or_default());
        // what is placed meanwhile stands before what has been seen
        place(&client).await;
    }
    placed.reverse();
    assert_eq!(seen, placed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_can_be_of_one_status() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    let (pending, confirmed, cancelled) = (place(&client).await, place(&client).await, place(&client).await);
    orders.paid(&confirmed).await;
    cancel(&client, &cancelled).await.ok(202);

    for (status, order) in [
        ("pending", pending),
        ("confirmed", confirmed),
        ("cancelled", cancelled),
    ] {
        let page = client.get(&format!("/orders?status={status}")).await.ok(200);
        assert_eq!(each(&page, "id"), [order["id"].as_str().unwrap()]);
        assert_eq!(each(&page, "status"), [status]);
        assert_eq!(page["next_cursor"], Value::Null);
    }
    let all = client.get("/orders").await.ok(200);
    assert_eq!(each(&all, "status"), ["cancelled", "confirmed", "pending"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_sees_everybodys_and_a_customer_only_their_own() {
    let orders = Orders::start().await;
    let (ada, eve) = (orders.somebody(), orders.somebody());
    let (adas, eves) = (place(&ada).await, place(&eve).await);
    let ids = async |client: &chassis::test::TestClient| {
        let page = client.get("/orders").await.ok(200);
        each(&page, "id")
            .into_iter()
            .map(ToOwned::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&ada).await, [adas["id"].as_str().unwrap()]);
    assert_eq!(ids(&eve).await, [eves["id"].as_str().unwrap()]);
    assert_eq!(
        ids(&orders.admin()).await,
        [eves["id"].as_str().unwrap(), adas["id"].as_str().unwrap()]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn support_finds_an_order_by_what_is_known_of_it() {
    let orders = Orders::start().await;
    let (ada, eve) = (user(), user());
    let (adas, eves) = (orders.customer(ada), orders.customer(eve));
    let monitor =
        json!({"items": [{"sku": "MONITOR-27", "quantity": 1}], "payment_method": "pm_card_declined"});
    let cable = place(&adas).await;
    let monitor = adas.post("/orders", &monitor).await.ok(202);
    let other = place(&eves).await;
    cancel(&adas, &monitor).await.ok(202);
    let admin = orders.admin();
    let found = async |client: &TestClient, query: &str| {
        let page = client.get(&format!("/orders?{query}")).await.ok(200);
        each(&page, "id")
            .into_iter()
            .map(ToOwned::to_owned)
            .collect::<Vec<_>>()
    };
    let [cable, monitor, other] = [&cable, &monitor, &other].map(|order| order["id"].as_str().unwrap());
    assert_eq!(found(&admin, &format!("customer={ada}")).await, [monitor, cable]);
    assert_eq!(found(&admin, "reason=customer_request").await, [monitor]);
    assert_eq!(found(&admin, "reason=payment_timeout").await, [""; 0]);
    assert_eq!(found(&admin, "method=pm_card_declined").await, [monitor]);
    assert_eq!(found(&admin, "amount=1999").await, [other, cable]);
    assert_eq!(found(&admin, "amount_min=2000").await, [monitor]);
    assert_eq!(
        found(&admin, "amount_min=1999&amount_max=1999&status=pending").await,
        [other, cable]
    );
    assert_eq!(found(&admin, "currency=USD").await, [""; 0]);
    let placed_at = async |id: &str| {
        let order = admin.get(&format!("/orders/{id}")).await.ok(200);
        order["created_at"].as_str().unwrap().to_owned()
    };
    let (from, to) = (placed_at(monitor).await, placed_at(other).await);
    assert_eq!(found(&admin, &format!("from={from}&to={to}")).await, [monitor]);
    // a customer finds their own by the same, and nobody else's
    assert_eq!(found(&adas, "amount=1999").await, [cable]);
    assert_eq!(found(&eves, &format!("customer={eve}")).await, [other]);
    let others = eves.get(&format!("/orders?customer={ada}")).await;
    others.problem(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_makes_no_sense_is_400() {
    let orders = Orders::start().await;
    let client = orders.somebody();
    for query in [
        "limit=0",
        "limit=101",
        "limit=1.5",
        "status=lost",
        "status=PENDING",
        "customer_id=1",
        "customer=ada",
        "reason=bored",
        "from=yesterday",
        "amount=12.90",
    ] {
        client
            .get(&format!("/orders?{query}"))
            .await
            .problem(400, "invalid-query");
    }
    for cursor in ["", "!", "AAAA", "e30", "bnVsbA"] {
        client
            .get(&format!("/orders?cursor={cursor}"))
            .await
            .problem(400, "invalid-cursor");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_leads_on_in_its_own_list_only() {
    let orders = Orders::start().await;
    let (ada, eve) = (orders.somebody(), orders.somebody());
    for client in [&ada, &ada, &ada, &eve, &eve] {
        place(client).await;
    }
    let next = async |client: &TestClient, path: &str| {
        let page = client.get(path).await.ok(200);
        page["next_cursor"].as_str().unwrap().to_owned()
    };
    let refused = async |client: &TestClient, path: String| {
        client.get(&path).await.problem(400, "invalid-cursor");
    };
    let pending = next(&ada, "/orders?status=pending&limit=1").await;
    let path = format!("/orders?limit=2&cursor={pending}&status=pending");
    assert_eq!(ada.get(&path).await.ok(200)["items"].as_array().unwrap().len(), 2);
    refused(&eve, path.clone()).await;
    refused(&orders.admin(), path).await;
    refused(&ada, format!("/orders?cursor={pending}")).await;
    refused(&ada, format!("/orders?cursor={pending}&status=confirmed")).await;

    let admin = orders.admin();
    let all = next(&admin, "/orders?limit=1").await;
    for list in ["/orders/dead-letters", "/orders/dead-letters/audit"] {
        refused(&admin, format!("{list}?cursor={all}")).await;
    }
    // another position under the same signature
    let first = if all.starts_with('A') { "B" } else { "A" };
    refused(&admin, format!("/orders?cursor={first}{}", &all[1..])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_leads_on_in_every_replica_that_has_the_secret() {
    const SECRET: &str = "http.cursor_secret";
    let orders = Orders::start_with(&[(SECRET, "one that all the replicas share, and long")]).await;
    let ada = user();
    let client = orders.customer(ada);
    for _ in 0..3 {
        place(&client).await;
    }
    let page = client.get("/orders?limit=2").await.ok(200);
    let path = format!("/orders?limit=2&cursor={}", page["next_cursor"].as_str().unwrap());
    let token = || Some(orders.issuer.customer(ada).unwrap());
    let same = orders
        .replica(&[(SECRET, "one that all the replicas share, and long")])
        .await;
    let rest = same.client(token()).get(&path).await.ok(200);
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
    let other = orders
        .replica(&[(SECRET, "one that no other replica has, and as long")])
        .await;
    other
        .client(token())
        .get(&path)
        .await
        .problem(400, "invalid-cursor");
}
