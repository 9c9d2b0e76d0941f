//! `GET /notifications`

use serde_json::{Value, json};

use crate::harness::{Notifications, ids, newest_first, notifications, order, user};

#[tokio::test(flavor = "multi_thread")]
async fn a_user_sees_what_has_been_told_the_newest_first() {
    let service = Notifications::start().await;
    let (ada, tea) = (user(), order());
    let told = notifications(ada, tea, 3);
    // stored in another order than they happened
    service
        .told(&[told[1].clone(), told[2].clone(), told[0].clone()])
        .await;

    let page = service.customer(ada).get("/notifications").await.ok(200);
    assert_eq!(ids(&page), newest_first(&told));
    assert_eq!(page["next_cursor"], Value::Null);
    assert_eq!(
        page["items"][0],
        json!({
            "id": told[2].id,
            "order_id": tea,
            "kind": "order_confirmed",
            "channel": "in_app",
            "title": "Order confirmed",
            "body": told[2].body,
            "created_at": told[2].created_at,
            "read_at": null,
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_each_other_without_gap_or_repetition() {
    let service = Notifications::start().await;
    let ada = user();
    let told = notifications(ada, order(), 7);
    service.told(&told).await;
    let client = service.customer(ada);

    let mut seen = Vec::new();
    let mut next = Some("/notifications?limit=3".to_owned());
    while let Some(path) = next {
        let answer = client.get(&path).await;
        let page = answer.ok(200);
        seen.extend(ids(&page));
        next = page["next_cursor"]
            .as_str()
            .map(|cursor| format!("/notifications?limit=3&cursor={cursor}"));
        let link = next.as_ref().map(|path| format!("<{path}>; rel=\"next\""));
        assert_eq!(answer.header("link"), link.unwrap_or_default());
        // what is told meanwhile stands before what has been seen
        service.told(&notifications(ada, order(), 1)).await;
    }
    assert_eq!(seen, newest_first(&told));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_can_be_of_one_order() {
    let service = Notifications::start().await;
    let (ada, tea, cake) = (user(), order(), order());
    let about_tea = notifications(ada, tea, 2);
    service.told(&about_tea).await;
    service.told(&notifications(ada, cake, 2)).await;

    let page = service
        .customer(ada)
        .get(&format!("/notifications?order_id={tea}"))
        .await;
    assert_eq!(ids(&page.ok(200)), newest_first(&about_tea));
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_twenty_a_page_unless_said() {
    let service = Notifications::start().await;
    let ada = user();
    service.told(&notifications(ada, order(), 101)).await;
    let client = service.customer(ada);
    assert_eq!(ids(&client.get("/notifications").await.ok(200)).len(), 20);
    assert_eq!(
        ids(&client.get("/notifications?limit=100").await.ok(200)).len(),
        100
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_makes_no_sense_is_400() {
    let service = Notifications::start().await;
    let client = service.customer(user());
    for query in ["limit=0", "limit=101", "limit=x", "order_id=tea", "offset=1"] {
        client
            .get(&format!("/notifications?{query}"))
            .await
            .problem(400, "invalid-query");
    }
    client
        .get("/notifications?cursor=forged")
        .await
        .problem(400, "invalid-cursor");
}
