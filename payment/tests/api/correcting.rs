//! A charge that was given up, as an operator corrects it.

use serde_json::{Value, json};

use crate::harness::{Order, Payments, until};

const LETTERS: &str = "/payments/dead-letters";

/// An order whose charge was given up, and its letter.
async fn given_up(payments: &Payments) -> (Order, String) {
    let order = Order::by("pm_provider_error");
    payments.placed(&order).await;
    let letter = open_letter(payments, &order).await;
    (order, letter)
}

async fn open_letter(payments: &Payments, order: &Order) -> String {
    let path = format!("{LETTERS}?state=open&key={}", order.id);
    let letter = until("the charge is given up", async || {
        payments.admin().get(&path).await.ok(200)["items"].get(0).cloned()
    });
    letter.await["id"].as_str().unwrap().to_owned()
}

fn charge(order: &Order, method: &str) -> Value {
    json!({
        "action": "charge", "order_id": order.id, "payment_method": method,
        "amount": {"amount_minor": order.total.amount_minor(), "currency": order.total.currency().code()},
    })
}

/// Sends another payload; answers with the original.
async fn corrected(payments: &Payments, letter: &str, payload: &Value) -> Value {
    let edit = json!({"payload": payload, "reason": "the customer pays otherwise"});
    let path = format!("{LETTERS}/{letter}/edit-and-replay");
    payments.admin().post(&path, &edit).await.ok(200)
}

/// The charges of the order at the provider: key without the order, and status.
async fn charges(payments: &Payments, order: &Order) -> Vec<(String, String)> {
    let query = format!(
        "select idempotency_key, status from simulator.charge where idempotency_key like '{}%' order by created_at",
        order.id
    );
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let rows = payments.rows(&query).await;
    rows.iter()
        .map(|row| {
            (
                text(row, "idempotency_key").replace(&order.id.to_string(), ""),
                text(row, "status"),
            )
        })
        .collect()
}

fn booked(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter()
        .map(|(key, status)| ((*key).to_owned(), (*status).to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_payment_method_is_charged_under_a_key_of_its_own_and_the_letters_name_each_other() {
    let payments = Payments::start().await;
    let (order, letter) = given_up(&payments).await;
    let original = corrected(&payments, &letter, &charge(&order, "pm_card_visa")).await;
    let successor = original["superseded_by"].as_str().unwrap();
    let payment = payments.becomes(&order, "completed").await;
    assert_eq!(payment["payment_method"], "pm_card_visa");
    let key = format!(".{letter}");
    assert_eq!(
        charges(&payments, &order).await,
        booked(&[("", "voided"), (&key, "approved")])
    );

    let admin = payments.admin();
    let whole = admin.get(&format!("{LETTERS}/{successor}")).await.ok(200);
    assert_eq!(
        (&whole["edited_from"], &whole["state"]),
        (&json!(letter), &json!("replayed"))
    );
    let original = admin.get(&format!("{LETTERS}/{letter}")).await.ok(200);
    assert_eq!(
        (&original["superseded_by"], &original["edited_from"]),
        (&json!(successor), &Value::Null)
    );
    assert_eq!(
        original["history"][0]["after"]["payload_changes"],
        json!([{"pointer": "/payment_method", "before": "pm_provider_error", "after": "pm_card_visa"}])
    );

    // the money goes back where it came from
    assert!(payments.cancelled(&order).await);
    let payment = payments.becomes(&order, "refunded").await;
    let under = format!(
        "select * from simulator.charge where idempotency_key = '{}{key}'",
        order.id
    );
    let charge = payments.rows(&under).await;
    assert_eq!(charge[0]["refund_reference"], payment["refund_reference"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_that_went_through_after_all_is_found_before_another_one_is_made() {
    let payments = Payments::start().await;
    let (order, letter) = given_up(&payments).await;
    payments
        .run(&format!(
            "update simulator.charge set status = 'approved', reference = 'sim_ch_late' where idempotency_key = '{}'",
            order.id
        ))
        .await;
    corrected(&payments, &letter, &charge(&order, "pm_card_visa")).await;
    let payment = payments.becomes(&order, "completed").await;
    assert_eq!(payment["provider_reference"], "sim_ch_late");
    assert_eq!(charges(&payments, &order).await, booked(&[("", "approved")]));
    assert!(payments.cancelled(&order).await);
    payments.becomes(&order, "refunded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_that_is_given_up_too_is_corrected_again_and_a_cancellation_voids_them_all() {
    let payments = Payments::start().await;
    let (order, first) = given_up(&payments).await;
    corrected(&payments, &first, &charge(&order, "pm_provider_error")).await;
    let second = open_letter(&payments, &order).await;
    assert_ne!(first, second);
    corrected(&payments, &second, &charge(&order, "pm_provider_error")).await;
    let third = open_letter(&payments, &order).await;
    assert!(payments.cancelled(&order).await);
    payments.becomes(&order, "voided").await;
    let (of_first, of_second) = (format!(".{first}"), format!(".{second}"));
    let expected = booked(&[("", "voided"), (&of_first, "voided"), (&of_second, "voided")]);
    assert_eq!(charges(&payments, &order).await, expected);
    until("nobody has to look at the last letter", async || {
        let letter = payments.admin().get(&format!("{LETTERS}/{third}")).await.ok(200);
        (letter["state"] == "obsolete").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_charge_of_the_order_is_refused_with_all_its_places_and_changes_nothing() {
    let payments = Payments::start().await;
    let (order, letter) = given_up(&payments).await;
    let all =
        "select (select jsonb_agg(d) from dead_letter d) letters, (select jsonb_agg(w) from work w) work,
        (select jsonb_agg(p) from payment p) payments, (select jsonb_agg(a) from operation_audit a) audit,
        (select jsonb_agg(c) from simulator.charge c) charges";
    let before = payments.rows(all).await;
    let with = |member: &str, value: Value| {
        let mut charge = charge(&order, "pm_card_visa");
        charge[member] = value;
        charge
    };
    let path = format!("{LETTERS}/{letter}/edit-and-replay");
    for (payload, expected) in [
        (
            json!({"foo": 1}),
            vec!["/action", "/foo", "/order_id", "/amount", "/payment_method"],
        ),
        (json!([]), vec![""]),
        (with("payment_method", json!("")), vec!["/payment_method"]),
        (
            with("order_id", json!(chassis::clock::new_id())),
            vec!["/order_id"],
        ),
        (
            with("amount", json!({"amount_minor": 1, "currency": "USD"})),
            vec!["/amount/currency", "/amount/amount_minor"],
        ),
        (with("action", json!("refund")), vec!["/action"]),
    ] {
        let edit = json!({"payload": payload, "reason": "to see"});
        let problem = payments
            .admin()
            .post(&path, &edit)
            .await
            .problem(422, "validation");
        let pointers: Vec<_> = problem
            .errors
            .iter()
            .map(|error| error.pointer.as_str())
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|pointer| format!("/payload{pointer}"))
            .collect();
        assert_eq!(pointers, expected, "{payload}");
    }
    assert_eq!(payments.rows(all).await, before);
}
