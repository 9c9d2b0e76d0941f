//! The scenes of the story.

use std::time::{Duration, Instant};

use contracts::Topic;
use serde_json::{Value, json};
use stack::state::Admin;

use super::api::{Api, text};
use super::dead_letter::Watch;
use super::narrator::Narrator;
use super::steps::{money, notified, payment, place, settled};
use super::timeline;

/// Three retries with their pauses (1 s, 5 s and 30 s by default, with jitter) and some room.
const RETRIES: Duration = Duration::from_secs(90);

/// A customer registers, logs in and looks at the catalogue.
pub(super) async fn arrival(narrator: &mut Narrator, api: &Api) -> anyhow::Result<Api> {
    narrator.scene("A customer arrives");
    let health = api.get("/health").await?;
    narrator.check(
        "every service, its database and the broker are well",
        health.text("/status") == "ok",
        &health,
    )?;
    let email = format!("ada-{:08x}@quadrille.example", rand::random::<u32>());
    let password = format!("countess {:016x}", rand::random::<u64>());
    let registered = api
        .post("/auth/register", &json!({"email": email, "password": password}))
        .await?;
    narrator.check(
        format!("POST /auth/register: {email} is a customer"),
        registered.status == 201 && registered.text("/role") == "customer",
        &registered,
    )?;
    let (customer, login) = api.login(&email, &password).await?;
    narrator.check(
        "POST /auth/login: a bearer token for 15 minutes",
        login.text("/token_type") == "Bearer" && login.body.pointer("/expires_in") == Some(&json!(900)),
        &login,
    )?;
    let products = customer.get("/products").await?;
    let items = products
        .body
        .pointer("/items")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    narrator.check(
        format!("GET /products: {} products", items.len()),
        items.len() >= 2,
        &products,
    )?;
    for item in items.iter().take(3) {
        let price = item.pointer("/unit_price").map(money).unwrap_or_default();
        narrator.show(format!(
            "{:<20} {:<32} {price:>12}",
            text(item, "/sku"),
            text(item, "/name")
        ));
    }
    Ok(customer)
}

/// An order is paid and confirmed.
pub(super) async fn confirmed(narrator: &mut Narrator, customer: &Api) -> anyhow::Result<()> {
    narrator.scene("An order is paid and confirmed");
    let begin = Instant::now();
    let order = place(narrator, customer, "pm_card_visa").await?;
    let id = order.text("/id").to_owned();
    let end = settled(customer, &id).await?;
    narrator.check(
        format!(
            "the order is confirmed {} ms after its POST; nobody orchestrated it",
            begin.elapsed().as_millis()
        ),
        end.text("/status") == "confirmed",
        &end,
    )?;
    payment(narrator, customer, &end, "completed").await?;
    notified(
        narrator,
        customer,
        &id,
        &["order_created", "payment_completed", "order_confirmed"],
    )
    .await?;
    timeline::tell(
        narrator,
        customer,
        &id,
        &["order.created", "payment.completed", "order.confirmed"],
    )
    .await
}

/// The next payment is forced to fail, and the order cancels itself.
pub(super) async fn compensated(
    narrator: &mut Narrator,
    api: &Api,
    customer: &Api,
    admin: &Admin,
) -> anyhow::Result<()> {
    narrator.scene("A payment fails, and its order cancels itself");
    let (admin, _) = api.login(&admin.email, &admin.password).await?;
    let force = json!({"mode": "decline", "remaining": 1, "latency_ms": 0});
    let refused = customer.put("/payments/simulator", &force).await?;
    narrator.check(
        "a customer may not force payments",
        refused.status == 403,
        &refused,
    )?;
    let forced = admin.put("/payments/simulator", &force).await?;
    narrator.check(
        "PUT /payments/simulator: the admin forces the next payment to be declined",
        forced.status.is_success() && forced.text("/mode") == "decline",
        &forced,
    )?;
    let order = place(narrator, customer, "pm_card_visa").await?;
    let id = order.text("/id").to_owned();
    let end = settled(customer, &id).await?;
    let code = end.text("/cancellation/code").to_owned();
    narrator.check(
        format!("the order is cancelled, reason payment_failed, code {code}"),
        end.text("/status") == "cancelled"
            && end.text("/cancellation/reason") == "payment_failed"
            && !code.is_empty(),
        &end,
    )?;
    payment(narrator, customer, &end, "failed").await?;
    notified(
        narrator,
        customer,
        &id,
        &["order_created", "payment_failed", "order_cancelled"],
    )
    .await?;
    timeline::tell(
        narrator,
        customer,
        &id,
        &["order.created", "payment.failed", "order.cancelled"],
    )
    .await
}

/// The provider fails until the retries are spent: nothing vanishes, it becomes a dead letter.
pub(super) async fn poisoned(narrator: &mut Narrator, customer: &Api, brokers: &str) -> anyhow::Result<()> {
    narrator.scene("A payment is poisoned, and becomes a dead letter");
    let topic = Topic::PaymentDeadLetters;
    let watch = Watch::begin(brokers, topic).await?;
    let begin = Instant::now();
    let order = place(narrator, customer, "pm_provider_error").await?;
    let id = order.text("/id").to_owned();
    narrator
        .say("the provider fails each time; the payment service retries three times, later each time ...");
    let letter = watch.find(&id, RETRIES).await?;
    narrator.check(
        format!(
            "a dead letter is on {topic} (partition {}, offset {}) after {:.1} s",
            letter.partition,
            letter.offset,
            begin.elapsed().as_secs_f64()
        ),
        true,
        "",
    )?;
    for (name, value) in &letter.headers {
        narrator.show(format!("{name:<22} {value}"));
    }
    narrator.show(format!("{:<22} {}", "payload", letter.payload));
    narrator.check(
        "its headers say how often it was tried and why it failed",
        letter
            .header("x-retry-count")
            .parse::<u32>()
            .is_ok_and(|count| count >= 3)
            && !letter.header("x-error-class").is_empty()
            && !letter.header("x-error-message").is_empty(),
        format!("{:?}", letter.headers),
    )?;
    let payments = customer.get(&format!("/payments?order_id={id}")).await?;
    let status = payments.text("/items/0/status");
    narrator.check(
        "no money moved: the payment is not completed",
        payments.status.is_success() && status != "completed",
        &payments,
    )?;
    timeline::tell(narrator, customer, &id, &["order.created", "payment.failed.dlq"]).await
}
