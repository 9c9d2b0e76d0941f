//! What several scenes do and claim.

use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use super::api::{Answer, Api, text};
use super::narrator::Narrator;

const PATIENCE: Duration = Duration::from_secs(30);

/// Places an order of two products and checks what the answer promises.
pub(super) async fn place(narrator: &mut Narrator, customer: &Api, method: &str) -> anyhow::Result<Answer> {
    let products = customer.get("/products").await?;
    let items = products
        .body
        .pointer("/items")
        .and_then(Value::as_array)
        .context("the catalogue")?;
    let lines: Vec<(&Value, i64)> = items
        .iter()
        .filter(|item| item.pointer("/active") == Some(&Value::Bool(true)))
        .zip([1, 2])
        .collect();
    let total: i64 = lines
        .iter()
        .map(|(item, quantity)| minor(item, "/unit_price") * quantity)
        .sum();
    let wanted: Vec<Value> = lines
        .iter()
        .map(|(item, quantity)| json!({"sku": item.pointer("/sku"), "quantity": quantity}))
        .collect();
    let order = customer
        .post("/orders", &json!({"items": wanted, "payment_method": method}))
        .await?;
    let price = order.body.pointer("/total").map(money).unwrap_or_default();
    let expected = format!("/orders/{}", order.text("/id"));
    narrator.check(
        format!("POST /orders with {method}: 202, pending, {price} by the catalogue's prices"),
        order.status == 202
            && order.text("/status") == "pending"
            && order
                .location
                .as_deref()
                .is_some_and(|location| location.ends_with(&expected))
            && minor(&order.body, "/total") == total,
        &order,
    )?;
    Ok(order)
}

/// Waits until the order is in a final state.
pub(super) async fn settled(customer: &Api, id: &str) -> anyhow::Result<Answer> {
    customer
        .wait(&format!("/orders/{id}"), PATIENCE, |order| {
            text(order, "/status") != "pending"
        })
        .await
}

/// The order has one payment, of exactly its total, in this state.
pub(super) async fn payment(
    narrator: &mut Narrator,
    customer: &Api,
    order: &Answer,
    status: &str,
) -> anyhow::Result<()> {
    let payments = customer
        .get(&format!("/payments?order_id={}", order.text("/id")))
        .await?;
    let items = payments
        .body
        .pointer("/items")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    narrator.check(
        format!("it has exactly one payment, of exactly its total: {status}"),
        items == 1
            && payments.text("/items/0/status") == status
            && payments.body.pointer("/items/0/amount") == order.body.pointer("/total"),
        &payments,
    )
}

/// The customer has exactly these notifications of the order.
pub(super) async fn notified(
    narrator: &mut Narrator,
    customer: &Api,
    id: &str,
    kinds: &[&str],
) -> anyhow::Result<()> {
    let path = format!("/notifications?order_id={id}");
    let found = |body: &Value| -> Vec<String> {
        let items = body
            .pointer("/items")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let mut kinds: Vec<String> = items.iter().map(|item| text(item, "/kind").to_owned()).collect();
        kinds.sort();
        kinds
    };
    let mut wanted = kinds.to_vec();
    wanted.sort_unstable();
    let answer = customer
        .wait(&path, PATIENCE, |body| found(body).len() >= wanted.len())
        .await?;
    narrator.check(
        format!("the customer was notified once of each: {}", kinds.join(", ")),
        found(&answer.body) == wanted,
        &answer,
    )
}

fn minor(value: &Value, member: &str) -> i64 {
    value
        .pointer(&format!("{member}/amount_minor"))
        .and_then(Value::as_i64)
        .unwrap_or_default()
}

/// An amount as a person writes it.
pub(super) fn money(value: &Value) -> String {
    let minor = value
        .pointer("/amount_minor")
        .and_then(Value::as_i64)
        .unwrap_or_default();
    format!("{}.{:02} {}", minor / 100, minor % 100, text(value, "/currency"))
}
