//! Webhooks of the caller's: each is seen and changed by its user alone, and is not there for anybody else.

mod audited;
pub(super) mod create_webhook;
pub(super) mod delete_webhook;
pub(super) mod get_delivery;
pub(super) mod get_webhook;
pub(super) mod list_deliveries;
pub(super) mod list_webhooks;
pub(super) mod patch_webhook;
pub(super) mod resend_delivery;
pub(super) mod rotate_secret;
pub(super) mod test_webhook;
mod view;

use actix_web::web::ServiceConfig;
use chassis::problem::{Code, Problem};
use uuid::Uuid;

use super::view::KindView;
use crate::domain::Kind;
use crate::webhooks::Guard;

/// Longest description, in characters.
const DESCRIPTION_MAX: usize = 200;

pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .service(create_webhook::create_webhook)
        .service(list_webhooks::list_webhooks)
        .service(get_webhook::get_webhook)
        .service(patch_webhook::patch_webhook)
        .service(delete_webhook::delete_webhook)
        .service(test_webhook::test_webhook)
        .service(rotate_secret::rotate_secret)
        .service(list_deliveries::list_deliveries)
        .service(get_delivery::get_delivery)
        .service(resend_delivery::resend_delivery);
}

/// The URL, if it is one that is called. What its host resolves to is looked at now, and again at each call.
async fn callable(guard: &Guard, url: String) -> Result<String, Problem> {
    let refused = |why: crate::webhooks::Refused| Problem::invalid("/url", why.to_string());
    let parsed = guard.url(&url).map_err(refused)?;
    guard.resolve(&parsed).await.map_err(refused)?;
    Ok(parsed.into())
}

/// Each kind once; none for all.
fn kinds_of(kinds: Option<Vec<KindView>>) -> Result<Option<Vec<Kind>>, Problem> {
    let Some(asked) = kinds else { return Ok(None) };
    if asked.is_empty() {
        return Err(Problem::invalid(
            "/kinds",
            "must name a kind, or be null for all of them",
        ));
    }
    let asked: Vec<Kind> = asked.into_iter().map(Kind::from).collect();
    let kinds = Kind::ALL.into_iter().filter(|kind| asked.contains(kind));
    Ok(Some(kinds.collect()))
}

fn described(description: Option<String>) -> Result<Option<String>, Problem> {
    let Some(text) = description else { return Ok(None) };
    if text.chars().count() > DESCRIPTION_MAX || text.chars().any(char::is_control) {
        let detail =
            format!("must have at most {DESCRIPTION_MAX} characters, none of them a control character");
        return Err(Problem::invalid("/description", detail));
    }
    Ok(Some(text))
}

fn id(text: &str) -> Result<Uuid, Problem> {
    text.parse().map_err(|_no_id: uuid::Error| no_webhook())
}

fn no_webhook() -> Problem {
    Problem::new(Code::NotFound).detail("there is no such webhook")
}

fn no_delivery() -> Problem {
    Problem::new(Code::NotFound).detail("there is no such delivery")
}
