//! Dead letters that operators replay through the gateway.

use std::time::Duration;

use acceptance::books::{count, settle};
use acceptance::customer::{Customer, uuid};
use acceptance::{turn, until};
use reqwest::Method;
use serde_json::json;
use stack::{Service, Stack};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_charge_whose_order_timed_out_is_obsolete_and_takes_no_money() {
    let _turn = turn().await;
    let stack = Stack::builder().service_env(Service::Order, "QUADRILLE__SAGA__DEADLINE_S", "5");
    let stack = Box::pin(stack.build()).await.unwrap();
    let (customer, admin) = (Customer::register(&stack).await, Customer::admin(&stack).await);

    let order = customer.place("pm_provider_error").await;
    let letter = dead_letter_of(&admin, order).await;
    let seen = customer.sees(order, "cancelled").await;
    assert_eq!(seen["cancellation"]["reason"], "payment_timeout");
    customer.pays(order, "voided").await;

    // nobody has to look at it any more, and it says why
    comes_to_be(&admin, letter, "obsolete").await;
    let settled = admin.get(&format!("/payments/dead-letters/{letter}")).await.body;
    assert!(
        settled["settled_reason"]
            .as_str()
            .unwrap()
            .contains("the order is cancelled"),
        "{settled}"
    );

    // from now on the provider would take the money
    let approve = json!({"mode": "approve", "remaining": null, "latency_ms": 0});
    let forced = admin
        .send(Method::PUT, "/payments/simulator", Some(&approve))
        .await;
    forced.expect(200);
    let path = format!("/payments/dead-letters/{letter}/replay");
    let reason = json!({"reason": "the provider is well again"});
    let clicks = (0..5).map(|_click| admin.send(Method::POST, &path, Some(&reason)));
    for click in futures::future::join_all(clicks).await {
        click.expect(409);
    }

    customer.pays(order, "voided").await;
    assert_eq!(
        count(
            &stack,
            Service::Payment,
            "simulator.charge where status = 'approved'"
        )
        .await,
        0
    );
    let audit = admin.get("/operations/audit").await;
    let [forced] = audit.items() else {
        panic!(
            "the simulator was forced, and nothing was replayed: {:?}",
            audit.items()
        )
    };
    assert_eq!(forced["action"], "force-payments");
    assert_eq!(settle(&stack, 0).await, 1, "it died once");
}

/// The charge of a pending order was given up: an operator lets it be paid with another card, five times at once.
pub(crate) async fn corrected(admin: &Customer, customer: &Customer, order: Uuid) {
    let letter = dead_letter_of(admin, order).await;
    let path = format!("/payments/dead-letters/{letter}");
    let payload = admin.get(&path).await.body["payload"].clone();
    let none = json!({"payload": {"foo": 1}, "reason": "to see"});
    let refused = admin
        .send(Method::POST, &format!("{path}/edit-and-replay"), Some(&none))
        .await;
    assert_eq!(
        refused.expect(422).body["errors"][0]["pointer"],
        "/payload/action"
    );
    let payload = json!({
        "action": payload["action"], "order_id": payload["order_id"], "amount": payload["amount"],
        "payment_method": "pm_card_visa",
    });
    let edit = json!({"payload": payload, "reason": "the customer pays with another card"});
    let edit_path = format!("{path}/edit-and-replay");
    let clicks = (0..5).map(|_click| admin.send(Method::POST, &edit_path, Some(&edit)));
    let mut successors: Vec<Uuid> = futures::future::join_all(clicks)
        .await
        .into_iter()
        .map(|click| uuid(&click.expect(200).body["superseded_by"]))
        .collect();
    successors.dedup();
    let [successor] = successors[..] else {
        panic!("clicked five times, done once: {successors:?}")
    };
    customer.sees(order, "confirmed").await;
    comes_to_be(admin, successor, "replayed").await;
    let audit = admin.get("/operations/audit").await;
    let about = audit
        .items()
        .iter()
        .filter(|entry| entry["subject"] == json!(letter));
    let [entry] = about.collect::<Vec<_>>()[..] else {
        panic!("clicked five times, done once: {:?}", audit.items());
    };
    assert_eq!(entry["service"], "payments");
    assert_eq!(entry["subject"], json!(letter));
    assert_eq!(entry["action"], "edit-and-replay");
    assert_eq!(entry["reason"], edit["reason"]);
    assert_eq!(
        (&entry["before"]["state"], &entry["after"]["state"]),
        (&json!("open"), &json!("superseded"))
    );
    assert_eq!(entry["after"]["payload_changes"][0]["pointer"], "/payment_method");
}

/// The dead letter with this order's key.
async fn dead_letter_of(admin: &Customer, order: Uuid) -> Uuid {
    let path = format!("/payments/dead-letters?state=open&key={order}");
    let letter = until("a dead letter", PATIENCE, async || {
        admin.get(&path).await.items().first().cloned()
    });
    uuid(&letter.await["id"])
}

async fn comes_to_be(admin: &Customer, letter: Uuid, state: &str) {
    let path = format!("/payments/dead-letters/{letter}");
    until(&format!("{letter} to be {state}"), PATIENCE, async || {
        (admin.get(&path).await.body["state"] == state).then_some(())
    })
    .await;
}
