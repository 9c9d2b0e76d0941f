//! `GET /operations/dead-letters`: the dead letters of all services as one list.

use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use chassis::page::{self, List};
use chassis::problem::Problem;
use chassis::query::Query;
use chrono::{DateTime, Utc};
use garde::Validate;
use messaging::operations::Operations;
use operations::{Letters, State, Summary};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{Desk, NO_STORE, Part, Position, ServiceName, merge, those_that_answered};
use crate::proxy::Proxy;

/// Which dead letters.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[into_params(parameter_in = Query)]
pub(crate) struct AllLetters {
    /// Only this service's.
    service: Option<ServiceName>,
    /// Only those in this state.
    state: Option<State>,
    /// Only those of this topic or action; an action is of the topic, too, that asked for it.
    #[param(example = "order.created")]
    topic: Option<String>,
    /// Only those that died of an error of this class.
    class: Option<String>,
    /// Only those that died of this.
    fingerprint: Option<String>,
    /// Only those of this saga: the order's id, or the user's where no order is meant.
    saga: Option<Uuid>,
    /// Only those that died last at this time or later.
    from: Option<DateTime<Utc>>,
    /// Only those that died last before this time.
    to: Option<DateTime<Utc>>,
    /// Letters a page, 1 to 100; 20 unless said.
    #[garde(range(min = 1, max = page::MAX_LIMIT))]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    /// From the page before.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// A dead letter, and where it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "service": "orders",
    "path": "/orders/dead-letters/019b7b13-1d4c-7a90-b6e2-3f58c1d07a46",
    "id": "019b7b13-1d4c-7a90-b6e2-3f58c1d07a46",
    "state": "open",
    "kind": "message",
    "name": "payment.completed",
    "key": "019b7b12-b000-7408-a20e-0543f83c7e68",
    "event_id": "019b7b12-b2c8-7c11-b0c4-90e1f1d3a7b2",
    "attempts": 4,
    "deaths": 1,
    "error": {
        "class": "malformed-body",
        "message": "missing field `customer_id` at line 1 column 103",
        "fingerprint": "6f1d0a2b9c3e4f57",
    },
    "first_failed_at": "2026-01-01T12:00:01.062Z",
    "last_failed_at": "2026-01-01T12:00:37.118Z",
    "superseded_by": null,
    "edited_from": null,
    "settled_reason": null,
    "job_id": null,
    "created_at": "2026-01-01T12:00:01.062Z",
    "updated_at": "2026-01-01T12:00:37.118Z",
}))]
pub(crate) struct ServiceDeadLetter {
    /// Whose it is.
    service: ServiceName,
    /// Where it is looked at; what is done to it is under it, for example `…/replay`.
    path: String,
    #[serde(flatten)]
    letter: Summary,
}

/// A page of the dead letters of all services.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLettersOfAll {
    /// The letters, the youngest first.
    items: Vec<ServiceDeadLetter>,
    /// Pass it as `cursor` to get the next page; null on the last.
    #[schema(required)]
    next_cursor: Option<String>,
    /// Services that did not answer: their letters are missing.
    unanswered: Vec<ServiceName>,
}

impl ServiceDeadLetter {
    pub(super) fn new((service, letter): (ServiceName, Summary)) -> Self {
        Self {
            path: format!("/{}/dead-letters/{}", service.as_str(), letter.id),
            service,
            letter,
        }
    }
}

impl AllLetters {
    /// What one service is asked, whose letters before `before` have been shown.
    fn of_one(&self, limit: u16, before: Option<&Uuid>) -> Letters {
        Letters {
            state: self.state,
            topic: self.topic.clone(),
            class: self.class.clone(),
            fingerprint: self.fingerprint.clone(),
            saga: self.saga,
            from: self.from,
            to: self.to,
            before: before.copied(),
            limit: Some(limit),
            ..Letters::default()
        }
    }
}

/// Dead letters of all services, the youngest first. A service that does not answer is named, and takes nothing from the
/// others.
#[utoipa::path(
    get,
    path = "/operations/dead-letters",
    operation_id = "dead_letters_of_all_services",
    tag = "operations",
    params(AllLetters),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "A page of letters", body = DeadLettersOfAll),
        (status = 400, description = "A malformed query"),
        (status = 502, description = "The only service that was asked for did not answer"),
        (status = 504, description = "The only service that was asked for did not answer in time"),
    )
)]
pub(crate) async fn dead_letters(
    request: HttpRequest,
    proxy: web::Data<Proxy>,
    operations: web::Data<Operations>,
) -> Result<HttpResponse, Problem> {
    let desk = Desk::open(&request, &proxy).await?;
    let Query(query) = Query::<AllLetters>::extract(&request).await?;
    let limit = page::limit(query.limit);
    let list = List::of(&request, desk.operator.user_id)?;
    let shown: Position<Uuid> = list.position(query.cursor.as_deref())?.unwrap_or_default();
    let target = |service: ServiceName| {
        let asked = query.of_one(limit, shown.get(service.as_str()));
        asked.target(service.as_str())
    };
    let own = async {
        let asked = query.of_one(limit, shown.get(ServiceName::Gateway.as_str()));
        let letters = operations::letters(&operations, asked, i64::from(limit) + 1).await?;
        Ok(Part::own(letters, limit))
    };
    let parts = desk.parts(query.service, target, own).await;
    let (parts, unanswered) = those_that_answered(parts, query.service)?;
    let ids = |letters: &[Summary]| letters.iter().map(|letter| letter.id).collect();
    let page = merge(&list, parts, limit, shown, ids, |letter| letter.id)?;
    let page = page.map(ServiceDeadLetter::new);
    let mut response = HttpResponse::Ok();
    response.insert_header(NO_STORE);
    page.link(&request, &mut response);
    Ok(response.json(DeadLettersOfAll {
        items: page.items,
        next_cursor: page.next_cursor,
        unanswered,
    }))
}
