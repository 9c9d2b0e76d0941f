//! The catalogue's rows.

use chrono::{DateTime, Utc};
use contracts::{Currency, Money, UserId};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use messaging::operations::{self, Deed};

use super::schema::product;
use crate::domain::Product;

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = product)]
struct Row {
    sku: String,
    name: String,
    unit_price_minor: i64,
    currency: String,
    active: bool,
    updated_at: DateTime<Utc>,
}

impl Row {
    /// What an audit tells of it.
    fn told(&self) -> serde_json::Value {
        serde_json::json!({
            "name": self.name,
            "unit_price": {"amount_minor": self.unit_price_minor, "currency": self.currency},
            "active": self.active,
        })
    }

    fn into_product(self) -> QueryResult<Product> {
        Ok(Product {
            unit_price: Money::new(self.unit_price_minor, currency(&self.currency)?),
            sku: self.sku,
            name: self.name,
            active: self.active,
        })
    }
}

/// A currency code out of a row.
pub(super) fn currency(code: &str) -> QueryResult<Currency> {
    Currency::from_code(code).ok_or_else(|| {
        diesel::result::Error::DeserializationError(format!("{code:?} is not a currency").into())
    })
}

/// The whole catalogue, by sku.
///
/// # Errors
/// The database's.
pub async fn all(conn: &mut AsyncPgConnection) -> QueryResult<Vec<Product>> {
    let rows: Vec<Row> = product::table
        .order(product::sku)
        .select(Row::as_select())
        .load(conn)
        .await?;
    rows.into_iter().map(Row::into_product).collect()
}

/// Those of `skus` that exist, in no particular order.
///
/// # Errors
/// The database's.
pub async fn of(conn: &mut AsyncPgConnection, skus: &[String]) -> QueryResult<Vec<Product>> {
    let rows: Vec<Row> = product::table
        .filter(product::sku.eq_any(skus))
        .select(Row::as_select())
        .load(conn)
        .await?;
    rows.into_iter().map(Row::into_product).collect()
}

/// Adds or changes a product, and keeps who did so. Returns whether it is new. Call it in a transaction.
///
/// # Errors
/// The database's.
pub async fn put(
    conn: &mut AsyncPgConnection,
    product: &Product,
    actor: UserId,
    now: DateTime<Utc>,
) -> QueryResult<bool> {
    let row = Row {
        sku: product.sku.clone(),
        name: product.name.clone(),
        unit_price_minor: product.unit_price.amount_minor(),
        currency: product.unit_price.currency().code().to_owned(),
        active: product.active,
        updated_at: now,
    };
    // in this order, so that of two who add the same product one has added it and the other changed it
    let added = diesel::insert_into(product::table)
        .values(&row)
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    let mut before = None;
    if added == 0 {
        let old: Row = product::table
            .find(&row.sku)
            .select(Row::as_select())
            .for_update()
            .first(conn)
            .await?;
        before = Some(old.told());
        diesel::update(product::table.find(&row.sku))
            .set(&row)
            .execute(conn)
            .await?;
    }
    let after = row.told();
    if before.as_ref() != Some(&after) {
        let deed = Deed {
            actor: actor.uuid(),
            action: "put-product",
            resource: &format!("/products/{}", row.sku),
            before,
            after: Some(after),
        };
        operations::record(conn, deed).await?;
    }
    Ok(added > 0)
}
