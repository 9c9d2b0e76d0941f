//! `PUT /products/{sku}`

use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, put};
use chassis::auth::AdminPrincipal;
use chassis::clock;
use chassis::json::Json;
use chassis::money::MoneyBody;
use chassis::problem::Problem;
use contracts::{Money, is_paid_with};
use diesel_async::AsyncConnection;
use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;

use super::view::ProductView;
use crate::app::State;
use crate::domain::Product;
use crate::store::products;

/// A product as an admin wants it.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "Tenkeyless mechanical keyboard",
    "unit_price": {"amount_minor": 12900, "currency": "EUR"},
    "active": true,
}))]
pub(super) struct PutProduct {
    /// What it is called.
    #[garde(length(chars, min = 1, max = 200), custom(printable))]
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// The price of one; at least one minor unit.
    #[garde(dive, custom(positive))]
    unit_price: MoneyBody,
    /// Whether it can be ordered.
    #[garde(skip)]
    active: bool,
}

fn printable(text: &str, (): &()) -> garde::Result {
    if text.chars().any(char::is_control) {
        return Err(garde::Error::new("has control characters"));
    }
    Ok(())
}

fn positive(price: &MoneyBody, (): &()) -> garde::Result {
    if price.amount_minor < 1 {
        return Err(garde::Error::new("must be at least 1 minor unit"));
    }
    Ok(())
}

/// A price that people can pay.
fn price(body: &MoneyBody, max_minor: i64) -> Result<Money, Problem> {
    let money = body
        .to_money()
        .filter(|money| is_paid_with(money.currency()))
        .ok_or_else(|| {
            let detail = "must be the ISO 4217 code of a currency that people pay with";
            Problem::invalid("/unit_price/currency", detail)
        })?;
    if money.amount_minor() > max_minor {
        let detail = format!("must be at most {max_minor}");
        return Err(Problem::invalid("/unit_price/amount_minor", detail));
    }
    Ok(money)
}

/// Letters, digits, `-`, `_` and `.`, 64 at most.
fn sku(text: &str) -> Result<String, Problem> {
    let fits = (1..=64).contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if fits {
        Ok(text.to_owned())
    } else {
        Err(Problem::invalid(
            "/sku",
            "must be 1 to 64 letters, digits, -, _ or .",
        ))
    }
}

/// Adds a product or changes it; orders that were placed keep their price.
#[utoipa::path(
    tag = "catalogue",
    security(("bearer" = [])),
    params(("sku" = String, Path, description = "Stock keeping unit", example = "KEYBOARD-TKL")),
    request_body = PutProduct,
    responses(
        (status = 200, description = "Changed", body = ProductView),
        (status = 201, description = "Added", body = ProductView),
    ),
)]
#[put("/products/{sku}")]
pub(super) async fn put_product(
    AdminPrincipal(admin): AdminPrincipal,
    state: Data<State>,
    path: Path<String>,
    Json(body): Json<PutProduct>,
) -> Result<HttpResponse, Problem> {
    let unit_price = price(&body.unit_price, state.price_max_minor)?;
    let product = Product {
        sku: sku(&path)?,
        name: body.name,
        unit_price,
        active: body.active,
    };
    let mut conn = state.pool.get().await?;
    let new = conn
        .transaction(async |conn| products::put(conn, &product, admin.user_id, clock::now()).await)
        .await?;
    let mut response = if new {
        HttpResponse::Created()
    } else {
        HttpResponse::Ok()
    };
    Ok(response.json(ProductView::from(product)))
}
