//! `GET /products`

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use chassis::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use super::view::ProductView;
use crate::app::State;
use crate::store::products;

/// The catalogue.
#[derive(Serialize, ToSchema)]
pub(super) struct ProductList {
    /// All products, by sku; also those that are not sold any more.
    items: Vec<ProductView>,
}

/// The catalogue, for everybody.
#[utoipa::path(
    tag = "catalogue",
    responses(
        (status = 200, description = "All products", body = ProductList),
    ),
)]
#[get("/products")]
pub(super) async fn list_products(state: Data<State>) -> Result<HttpResponse, Problem> {
    let mut conn = state.pool.get().await?;
    let items = products::all(&mut conn)
        .await?
        .into_iter()
        .map(ProductView::from)
        .collect();
    Ok(HttpResponse::Ok().json(ProductList { items }))
}
