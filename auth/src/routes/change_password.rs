//! `PUT /auth/password`

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use chassis::auth::Principal;
use chassis::clock;
use chassis::json::Json;
use chassis::problem::Problem;
use chrono::TimeDelta;
use contracts::events::RevocationReason;
use diesel_async::AsyncConnection;
use garde::Validate;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{caller, guess};
use crate::app::{State, context};
use crate::crypto::{PasswordHash, Place};
use crate::domain::password::prepared;
use crate::store::{self, Conn, StoreError};

/// The password, and the one to have instead.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "current_password": "correct horse battery",
    "new_password": "an oak, a birch, a yew",
}))]
pub(crate) struct ChangePasswordRequest {
    /// The password until now: a stolen access token does not know it.
    #[garde(skip)]
    #[schema(value_type = String, format = "password")]
    current_password: SecretString,
    /// Any 12 to 128 characters; not a common password, a repetition, a sequence, or a part of the e-mail address.
    #[garde(skip)]
    #[schema(value_type = String, format = "password", min_length = 12, max_length = 128)]
    new_password: SecretString,
}

/// Changes the caller's password.
///
/// This login goes on, with its tokens; every other one ends: if somebody else knew the old password, they are out.
#[utoipa::path(
    put, path = "/auth/password", tag = "auth",
    security(("bearer" = [])),
    request_body = ChangePasswordRequest,
    responses(
        (status = 204, description = "The password is the new one, and other logins are over"),
        (status = 422, description = "The current password is wrong, or the new one is weak"),
        (status = 429, description = "Too many failed attempts; see Retry-After"),
        (status = 503, description = "Too much to do, or not known to be done in time; see Retry-After"),
    ),
)]
pub(crate) async fn change_password(
    state: Data<State>,
    request: HttpRequest,
    principal: Principal,
    Json(body): Json<ChangePasswordRequest>,
) -> Result<HttpResponse, Problem> {
    let place = state.hasher.place()?;
    place
        .within(change(&state, &place, (&request, &principal), body))
        .await?
}

async fn change(
    state: &State,
    place: &Place,
    (request, principal): (&HttpRequest, &Principal),
    body: ChangePasswordRequest,
) -> Result<HttpResponse, Problem> {
    let admitted = state.bulkhead.run(async |conn| {
        let (user, stored) = caller::account(conn, principal).await?;
        state
            .rules
            .check(body.new_password.expose_secret(), &user.email)
            .map_err(|error| Problem::invalid("/new_password", error.to_string()))?;
        let attempt = state.throttle.admit(conn, user.email.as_str(), request).await?;
        Ok((stored, attempt))
    });
    let (stored, attempt) = admitted.await?;
    let unchanged =
        prepared(body.current_password.expose_secret()) == prepared(body.new_password.expose_secret());
    let verdict = guess::judge(state, place, attempt, body.current_password, Some(stored.clone())).await?;
    let Some((attempt, _rehashed)) = verdict else {
        return Err(Problem::invalid(
            "/current_password",
            "is not the current password",
        ));
    };
    let hash = match unchanged {
        true => None,
        false => Some(state.hasher.hash(place.clone(), body.new_password).await),
    };
    let changed = state.bulkhead.run(async |conn| {
        attempt.succeeded(conn).await?;
        let Some(hash) = hash.transpose()? else {
            return Err(Problem::invalid("/new_password", "is the current password"));
        };
        let change = Change {
            principal,
            from: &stored,
            to: &hash,
            token_life: state.session.access_ttl() + state.key_settings.leeway(),
        };
        Ok(conn
            .transaction::<bool, StoreError, _>(async |conn| store_change(conn, &change).await)
            .await?)
    });
    if !changed.await? {
        return Err(caller::over());
    }
    state.signals.committed();
    tracing::info!(user.id = %principal.user_id, "password changed");
    Ok(HttpResponse::NoContent().finish())
}

/// A change whose password was right.
struct Change<'a> {
    principal: &'a Principal,
    from: &'a PasswordHash,
    to: &'a PasswordHash,
    /// Access tokens that are older have expired.
    token_life: TimeDelta,
}

/// Stores it, unless the login ended or the password was changed meanwhile.
async fn store_change(conn: &mut Conn, change: &Change<'_>) -> Result<bool, StoreError> {
    let (user_id, session_id) = (change.principal.user_id, change.principal.session_id);
    store::sessions::lock_all(conn, user_id).await?;
    let still = store::users::of_live_session(conn, user_id, session_id, clock::now()).await?;
    let locked = store::users::lock_with_hash(conn, user_id).await?;
    let Some((user, current)) = locked.filter(|_| still.is_some()) else {
        return Ok(false);
    };
    if current != *change.from {
        return Ok(false);
    }
    let (reason, context) = (RevocationReason::PasswordChanged, context());
    store::users::set_password(conn, user_id, change.to, context.now).await?;
    let kept = (user_id, session_id);
    let ended =
        store::sessions::end_others(conn, kept, reason, context.now, context.now - change.token_life).await?;
    store::users::save(conn, &user.revoking_some(&ended, reason, &context), &context).await?;
    Ok(true)
}
