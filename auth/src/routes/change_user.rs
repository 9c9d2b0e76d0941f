//! `PATCH /auth/users/{id}`

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use chassis::auth::AdminPrincipal;
use chassis::json::Json;
use chassis::problem::{Code, Problem};
use contracts::events::RevocationReason;
use contracts::{Step, UserId};
use diesel_async::AsyncConnection;
use garde::Validate;
use messaging::operations::{self, Deed};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::caller;
use super::user_view::{RoleView, UserView};
use crate::app::{State, context};
use crate::domain::User;
use crate::domain::user::{Change, ChangeError};
use crate::store::{self, Conn, StoreError};

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
enum ChangeUserError {
    #[error("there is no such user")]
    NotFound,
    #[error(transparent)]
    Refused(#[from] ChangeError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<diesel::result::Error> for ChangeUserError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<ChangeUserError> for Problem {
    fn from(error: ChangeUserError) -> Self {
        match error {
            ChangeUserError::NotFound => Self::new(Code::NotFound),
            ChangeUserError::Refused(refused) => Self::new(Code::Conflict).detail(refused.to_string()),
            ChangeUserError::Store(error) => error.into(),
        }
    }
}

/// What to change; what is left out stays.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"role": "customer", "disabled": false}))]
pub(crate) struct ChangeUserRequest {
    /// The role to give.
    #[garde(skip)]
    role: Option<RoleView>,
    /// Whether to keep the user out.
    #[garde(skip)]
    disabled: Option<bool>,
}

/// Changes a user's role, or keeps a user out. Access tokens issued before no longer count.
#[utoipa::path(
    patch, path = "/auth/users/{id}", tag = "users",
    security(("bearer" = [])),
    params(("id" = Uuid, Path, description = "The user's id")),
    request_body = ChangeUserRequest,
    responses(
        (status = 200, description = "The user as it is now", body = UserView),
        (status = 404, description = "No such user"),
        (status = 409, description = "Admins cannot lock themselves out"),
        (status = 422, description = "Unknown role or member"),
    ),
)]
pub(crate) async fn change_user(
    state: Data<State>,
    AdminPrincipal(admin): AdminPrincipal,
    path: Path<Uuid>,
    Json(request): Json<ChangeUserRequest>,
) -> Result<HttpResponse, Problem> {
    let id = UserId::new(path.into_inner());
    let wanted = Change {
        role: request.role.map(Into::into),
        disabled: request.disabled,
    };
    let mut connection = state.connection().await?;
    caller::admin(&mut connection, &admin).await?;
    let user = connection
        .transaction::<User, ChangeUserError, _>(async |conn| change(conn, id, wanted, admin.user_id).await)
        .await?;
    state.signals.committed();
    tracing::info!(user.id = %id, admin.id = %admin.user_id, "user changed");
    Ok(HttpResponse::Ok().json(UserView::from(user)))
}

async fn change(conn: &mut Conn, id: UserId, wanted: Change, admin: UserId) -> Result<User, ChangeUserError> {
    store::sessions::lock_all(conn, id).await?;
    let user = store::users::lock(conn, id)
        .await?
        .ok_or(ChangeUserError::NotFound)?;
    let context = context();
    match user.clone().change(wanted, admin, &context)? {
        Step::Unchanged => Ok(user),
        Step::Next(transition) => {
            if transition.state.disabled {
                store::sessions::end_all(conn, id, RevocationReason::AccountChanged, context.now).await?;
            }
            let deed = Deed {
                actor: admin.uuid(),
                action: "change-user",
                resource: &format!("/auth/users/{id}"),
                before: Some(audited(&user)),
                after: Some(audited(&transition.state)),
            };
            operations::record(conn, deed).await?;
            store::users::save(conn, &transition, &context).await?;
            Ok(transition.state)
        }
    }
}

/// What an admin can change of a user.
fn audited(user: &User) -> Value {
    json!({"role": user.role.as_str(), "disabled": user.disabled})
}
