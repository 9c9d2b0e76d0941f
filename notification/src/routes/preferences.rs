//! `GET /notifications/preferences` and `PUT /notifications/preferences`

use actix_web::web::Data;
use actix_web::{HttpResponse, get, put};
use chassis::auth::Principal;
use chassis::json::Json;
use chassis::problem::Problem;
use diesel_async::AsyncConnection;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::view::KindView;
use crate::app::State;
use crate::domain::Kind;
use crate::store::{self, Preference};

/// On which ways the caller hears of what.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NotificationPreferences, example = json!({
    "items": [{"kind": "order_created", "in_app": true, "email": false, "webhook": true}],
}))]
pub(super) struct Preferences {
    /// One a kind. Kinds that are not there are told on all ways.
    #[garde(length(max = 8))]
    #[schema(max_items = 8)]
    items: Vec<PreferenceView>,
}

/// On which ways the caller hears of one kind.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NotificationPreference)]
struct PreferenceView {
    kind: KindView,
    /// In the list and the stream.
    in_app: bool,
    /// By e-mail, where the platform sends any.
    email: bool,
    /// By the caller's webhooks.
    webhook: bool,
}

impl From<Preference> for PreferenceView {
    fn from(preference: Preference) -> Self {
        Self {
            kind: preference.kind.into(),
            in_app: preference.in_app,
            email: preference.email,
            webhook: preference.webhook,
        }
    }
}

impl From<PreferenceView> for Preference {
    fn from(view: PreferenceView) -> Self {
        Self {
            kind: Kind::from(view.kind),
            in_app: view.in_app,
            email: view.email,
            webhook: view.webhook,
        }
    }
}

/// What the caller wants to be told, a kind and way.
#[utoipa::path(
    tag = "preferences",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "One a kind", body = Preferences),
    ),
)]
#[get("/notifications/preferences")]
pub(super) async fn get_preferences(caller: Principal, state: Data<State>) -> Result<HttpResponse, Problem> {
    let mut conn = state.pool.get().await?;
    let preferences = store::preferences_of(&mut conn, caller.user_id).await?;
    Ok(HttpResponse::Ok().json(view(preferences)))
}

/// Says what the caller wants to be told. It holds for what happens from now on.
#[utoipa::path(
    tag = "preferences",
    security(("bearer" = [])),
    request_body = Preferences,
    responses(
        (status = 200, description = "One a kind, as it is now", body = Preferences),
    ),
)]
#[put("/notifications/preferences")]
pub(super) async fn put_preferences(
    caller: Principal,
    state: Data<State>,
    Json(asked): Json<Preferences>,
) -> Result<HttpResponse, Problem> {
    let mut chosen: Vec<Preference> = Vec::with_capacity(asked.items.len());
    for (index, item) in asked.items.into_iter().enumerate() {
        let preference = Preference::from(item);
        if chosen.iter().any(|before| before.kind == preference.kind) {
            let pointer = format!("/items/{index}/kind");
            return Err(Problem::invalid(pointer, "is there already"));
        }
        chosen.push(preference);
    }
    let mut conn = state.pool.get().await?;
    let user = caller.user_id;
    let preferences = conn
        .transaction(async |conn| {
            store::put_preferences(conn, user, &chosen).await?;
            store::preferences_of(conn, user).await
        })
        .await?;
    Ok(HttpResponse::Ok().json(view(preferences)))
}

fn view(preferences: Vec<Preference>) -> Preferences {
    Preferences {
        items: preferences.into_iter().map(PreferenceView::from).collect(),
    }
}
