//! `GET /payments`

use serde_json::Value;

use crate::harness::{Payments, completed, ids, newest_first, user};

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_each_other_without_gap_or_repetition() {
    let payments = Payments::start().await;
    let ada = user();
    let stored: Vec<_> = (0..7).map(|_| completed(ada)).collect();
    payments.stored(&stored).await;
    payments.stored(&[completed(user())]).await;
    let client = payments.customer(ada);

    let mut seen = Vec::new();
    let mut next = Some("/payments?limit=3".to_owned());
    while let Some(path) = next {
        let answer = client.get(&path).await;
        let page = answer.ok(200);
        assert!(ids(&page).len() <= 3);
        seen.extend(ids(&page));
        next = page["next_cursor"]
            .as_str()
            .map(|cursor| format!("/payments?limit=3&cursor={cursor}"));
        let link = next.as_ref().map(|path| format!("<{path}>; rel=\"next\""));
        assert_eq!(answer.header("link"), link.unwrap_or_default());
        // what begins meanwhile stands before what has been seen
        payments.stored(&[completed(ada)]).await;
    }
    assert_eq!(seen, newest_first(&stored));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_can_be_of_one_order() {
    let payments = Payments::start().await;
    let ada = user();
    let stored = [completed(ada), completed(ada), completed(ada)];
    payments.stored(&stored).await;
    for client in [payments.customer(ada), payments.admin()] {
        for payment in &stored {
            let path = format!("/payments?order_id={}", payment.order_id);
            let page = client.get(&path).await.ok(200);
            assert_eq!(ids(&page), [payment.id.uuid()]);
            assert_eq!(page["next_cursor"], Value::Null);
        }
        let unknown = format!("/payments?order_id={}", chassis::clock::new_id());
        assert!(ids(&client.get(&unknown).await.ok(200)).is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_has_20_items_unless_said() {
    let payments = Payments::start().await;
    let ada = user();
    let stored: Vec<_> = (0..101).map(|_| completed(ada)).collect();
    payments.stored(&stored).await;
    let client = payments.customer(ada);
    for (query, length) in [("", 20), ("?limit=1", 1), ("?limit=100", 100)] {
        let page = client.get(&format!("/payments{query}")).await.ok(200);
        assert_eq!(ids(&page).len(), length, "{query}");
        assert!(page["next_cursor"].is_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_makes_no_sense_is_400() {
    let payments = Payments::start().await;
    let client = payments.somebody();
    for query in [
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=1.5",
        "limit=",
        "order_id=",
        "order_id=1",
        "status=completed",
        "customer_id=1",
    ] {
        let answer = client.get(&format!("/payments?{query}")).await;
        answer.problem(400, "invalid-query");
    }
    for cursor in ["", "!", "AAAA", "e30", "bnVsbA", "Ijci"] {
        let answer = client.get(&format!("/payments?cursor={cursor}")).await;
        answer.problem(400, "invalid-cursor");
    }
}
