//! `POST /auth/register`

use actix_web::HttpResponse;
use actix_web::web::Data;
use chassis::json::Json;
use chassis::problem::{Code, Problem};
use contracts::{Context, Transition};
use diesel_async::AsyncConnection;
use garde::Validate;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::user_view::RoleView;
use crate::app::{State, context};
use crate::crypto::{PasswordHash, Place};
use crate::domain::user::DISPLAY_NAME_LENGTH_MAX;
use crate::domain::{EmailAddress, Role, User};
use crate::store::{self, StoreError};

/// A new account.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "email": "ada@example.org",
    "password": "correct horse battery",
    "display_name": "Ada Lovelace",
}))]
pub(crate) struct RegisterRequest {
    /// The name to log in with; case makes no difference.
    #[garde(custom(well_formed))]
    #[schema(format = "email", max_length = 254, example = "ada@example.org")]
    email: String,
    /// Any 12 to 128 characters; not a common password, a repetition, a sequence, or a part of the e-mail address.
    #[garde(skip)]
    #[schema(value_type = String, format = "password", min_length = 12, max_length = 128)]
    password: SecretString,
    /// What the user wants to be called.
    #[garde(inner(custom(presentable)))]
    #[schema(min_length = 1, max_length = 100)]
    display_name: Option<String>,
}

/// The account that was made.
#[derive(Serialize, ToSchema)]
pub(crate) struct RegisterResponse {
    /// Its id.
    user_id: Uuid,
    /// The canonical e-mail address.
    email: String,
    /// Always `customer`.
    role: RoleView,
}

/// Makes an account.
#[utoipa::path(
    post, path = "/auth/register", tag = "auth",
    request_body = RegisterRequest,
    responses(
        (status = 201, description = "The account was made", body = RegisterResponse),
        (status = 409, description = "The e-mail address is taken"),
        (status = 422, description = "Malformed e-mail address, weak password, unknown member"),
        (status = 503, description = "Too much to do, or not known to be done in time; see Retry-After"),
    ),
)]
pub(crate) async fn register(
    state: Data<State>,
    Json(request): Json<RegisterRequest>,
) -> Result<HttpResponse, Problem> {
    let email =
        EmailAddress::parse(&request.email).map_err(|error| Problem::invalid("/email", error.to_string()))?;
    state
        .rules
        .check(request.password.expose_secret(), &email)
        .map_err(|error| Problem::invalid("/password", error.to_string()))?;
    let place = state.hasher.place()?;
    place.within(make(&state, &place, email, request)).await?
}

async fn make(
    state: &State,
    place: &Place,
    email: EmailAddress,
    request: RegisterRequest,
) -> Result<HttpResponse, Problem> {
    let hash = state.hasher.hash(place.clone(), request.password).await?;
    let context = context();
    let transition = User::register(email, request.display_name, Role::Customer, &context);
    if !store(state, &transition, &hash, &context).await? {
        return Err(Problem::new(Code::EmailTaken));
    }
    state.signals.committed();
    let user = transition.state;
    tracing::info!(user.id = %user.id, "user registered");
    Ok(HttpResponse::Created().json(RegisterResponse {
        user_id: user.id.uuid(),
        email: user.email.as_str().to_owned(),
        role: user.role.into(),
    }))
}

async fn store(
    state: &State,
    transition: &Transition<User>,
    hash: &PasswordHash,
    context: &Context,
) -> Result<bool, Problem> {
    let stored = state.bulkhead.run(async |conn| {
        Ok(conn
            .transaction::<bool, StoreError, _>(async |conn| {
                store::users::register(conn, transition, hash, context).await
            })
            .await?)
    });
    stored.await
}

fn well_formed(email: &str, (): &()) -> garde::Result {
    EmailAddress::parse(email).map(drop).map_err(garde::Error::new)
}

fn presentable(name: &str, (): &()) -> garde::Result {
    let length = name.chars().count();
    if length > DISPLAY_NAME_LENGTH_MAX {
        return Err(garde::Error::new(format!(
            "is longer than {DISPLAY_NAME_LENGTH_MAX} characters"
        )));
    }
    if name.trim().is_empty()
        || name
            .chars()
            .any(|letter| letter.is_control() || turns_text(letter))
    {
        return Err(garde::Error::new("is blank or has control characters"));
    }
    Ok(())
}

/// Whether it changes the direction of what stands around it: a name could then be read as another one (Unicode
/// Standard Annex 9, explicit directional formatting).
const fn turns_text(letter: char) -> bool {
    matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
