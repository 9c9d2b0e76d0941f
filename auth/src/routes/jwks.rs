//! `GET /.well-known/jwks.json`

use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use chassis::problem::Problem;
use chassis::{clock, etag};
use sha2::{Digest, Sha256};

use crate::app::State;
use crate::crypto::{VerifyingKey, key_set};

/// The keys that access tokens are verified with (RFC 7517).
///
/// A new key is here long before its first token. They may be cached for `keys.jwks_max_age_s`, which is less than that.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "auth",
    params(("If-None-Match" = Option<String>, Header, description = "The tag of the set one has")),
    responses(
        (status = 200, description = "The key set", body = Object,
            headers(("ETag" = String), ("Cache-Control" = String))),
        (status = 304, description = "The set is the one of the tag"),
    ),
)]
pub(crate) async fn jwks(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let keys = state.keys.published(clock::now());
    let set = key_set(&keys).map_err(Problem::internal)?;
    let mut response = etag::respond(&request, version(&keys), &set);
    let max_age = format!("public, max-age={}", state.key_settings.jwks_max_age_s);
    let value = HeaderValue::try_from(max_age).map_err(Problem::internal)?;
    response.headers_mut().insert(CACHE_CONTROL, value);
    Ok(response)
}

/// The same at every replica that has the same keys.
fn version(keys: &[VerifyingKey]) -> i64 {
    let names = keys.iter().map(|key| key.kid.as_bytes());
    let digest = names.fold(Sha256::new(), Sha256::chain_update);
    let digest: [u8; 32] = digest.finalize().into();
    digest.first_chunk().map_or(0, |first| i64::from_be_bytes(*first))
}
