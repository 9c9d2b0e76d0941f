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
async fn support_finds_a_payment_by_what_is_known_of_it() {
    let payments = Payments::start().await;
    let (ada, eve) = (user(), user());
    let stored = [completed(ada), completed(eve), completed(ada)];
    payments.stored(&stored).await;
    let [first, second, third] = &stored;
    payments
        .run(&format!(
            "update payment set status = 'failed', failure_code = 'card_declined', amount_minor = 12900
                where id = '{}';
             update payment set payment_method = 'pm_other', currency = 'JPY',
                created_at = created_at + interval '1 hour' where id = '{}'",
            first.id, third.id
        ))
        .await;
    let admin = payments.admin();
    let found = async |query: &str| ids(&admin.get(&format!("/payments?{query}")).await.ok(200));
    let [one, two, three] = [first, second, third].map(|payment| payment.id.uuid());
    assert_eq!(found("").await, [three, two, one]);
    assert_eq!(found(&format!("customer={ada}")).await, [three, one]);
    assert_eq!(found("status=failed").await, [one]);
    assert_eq!(found("reason=card_declined").await, [one]);
    assert_eq!(found("method=pm_other").await, [three]);
    assert_eq!(found("currency=JPY").await, [three]);
    assert_eq!(found("amount=12900").await, [one]);
    assert_eq!(found("amount_min=12900&amount_max=12900").await, [one]);
    assert_eq!(found("amount_max=12899").await, [three, two]);
    assert!(found("amount_min=12901").await.is_empty());
    let time = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339().replace('+', "%2B");
    let (from, to) = (
        time(second.created_at),
        time(second.created_at + chrono::TimeDelta::microseconds(1)),
    );
    assert!(found(&format!("from={from}&to={to}")).await.contains(&two));
    assert!(!found(&format!("to={from}")).await.contains(&two));
    // a customer finds their own by the same, and nobody else's
    let client = payments.customer(ada);
    assert_eq!(ids(&client.get("/payments?status=failed").await.ok(200)), [one]);
    assert_eq!(
        ids(&client.get(&format!("/payments?customer={ada}")).await.ok(200)),
        [three, one]
    );
    let others = client.get(&format!("/payments?customer={eve}")).await;
    others.problem(403, "forbidden");
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
        "status=lost",
        "customer=ada",
        "from=yesterday",
        "amount=12.90",
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
