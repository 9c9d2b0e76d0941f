//! `GET /.well-known/jwks.json`

use actix_web::HttpResponse;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::Data;
use chassis::problem::Problem;

use crate::app::State;
use crate::crypto::key_set;
use crate::store;

/// How long others may keep the keys: less than it takes from publishing a new one to signing with it.
const MAX_AGE: &str = "public, max-age=300";

/// The keys that access tokens are verified with (RFC 7517).
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "auth",
    responses((status = 200, description = "The key set", body = Object)),
)]
pub(crate) async fn jwks(state: Data<State>) -> Result<HttpResponse, Problem> {
    let mut connection = state.connection().await?;
    let keys = store::keys::published(&mut connection).await?;
    let set = key_set(&keys).map_err(Problem::internal)?;
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, MAX_AGE))
        .json(set))
}
