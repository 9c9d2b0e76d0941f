//! `GET /orders/{id}/events`

use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, get};
use chassis::auth::Principal;
use chassis::clock;
use chassis::docs::ServerSentEvent;
use chassis::problem::{Code, Problem};

use super::{not_found, order_id};
use crate::app::State;
use crate::domain::Status;
use crate::store::{self, facts};
use crate::streams::{Ending, NoSeat, body, is_told};

const LAST_EVENT_ID: &str = "last-event-id";
/// When a client without a seat may ask again, in seconds.
const FULL_RETRY_S: u64 = 5;

impl NoSeat {
    fn problem(self) -> Problem {
        match self {
            Self::User => Problem::new(Code::RateLimited)
                .detail("this user follows as many orders as one may at once")
                .retry_after(FULL_RETRY_S),
            Self::Process => Problem::new(Code::Overloaded).retry_after(FULL_RETRY_S),
        }
    }
}

/// Follows an order's life as server-sent events: all that was announced of it, and then what follows, until the order
/// is confirmed or cancelled or the token expires.
///
/// An event's `id` is its number among the order's; sent back as `Last-Event-ID`, the stream goes on after it. When
/// nothing comes after it the answer is 204, upon which an `EventSource` does not ask again. Lines that begin with a
/// colon are heartbeats.
#[utoipa::path(
    tag = "orders",
    security(("bearer" = [])),
    params(("id" = String, Path, format = "uuid", description = "The order"),
        ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last event seen",
            min_length = 1, max_length = 18, pattern = "^[0-9]{1,18}$")),
    responses(
        (status = 200, description = "The order's events: `event: <topic>`, `id: <sequence>`, `data: <the event's body>`",
            body = ServerSentEvent, content_type = "text/event-stream"),
        (status = 204, description = "Nothing follows the last event seen"),
        (status = 429, description = "Too many requests, or the user follows as many orders as one may at once"),
    ),
)]
#[get("/orders/{id}/events")]
pub(super) async fn follow_order(
    caller: Principal,
    request: HttpRequest,
    state: Data<State>,
    path: Path<String>,
) -> Result<HttpResponse, Problem> {
    let id = order_id(&path)?;
    let seen = last_event_id(&request)?;
    let seat = state
        .streams
        .seat(caller.user_id)
        .await
        .map_err(NoSeat::problem)?;
    let mut conn = state.pool.get().await?;
    let order = store::find(&mut conn, id)
        .await?
        .map(|stored| stored.state)
        .filter(|order| caller.may_see(order.customer_id))
        .ok_or_else(not_found)?;
    // numbers are given by the order and in order: what it has not come to nobody has seen
    if i64::try_from(order.announced).is_ok_and(|announced| seen > announced) {
        return Err(Problem::new(Code::BadRequest).detail("Last-Event-ID is of no event of this order"));
    }
    let known = facts::of(&mut conn, id, seen).await?;
    drop(conn);
    if known.is_empty() && order.status != Status::Pending {
        return Ok(HttpResponse::NoContent()
            .insert_header((CACHE_CONTROL, "no-store"))
            .finish());
    }
    let ending = if is_told(&known) {
        Ending::Now
    } else {
        let come_to = known.last().map_or(seen, |fact| fact.sequence);
        Ending::Later {
            following: state.streams.follow(id.uuid(), come_to),
            token_holds: (caller.expires_at - clock::now()).to_std().unwrap_or_default(),
        }
    };
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-store"))
        // for proxies that would rather collect a while
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(body(&state.streams, seat, &known, ending)))
}

/// The number of the last event that the client has seen; 0 when it has seen none.
fn last_event_id(request: &HttpRequest) -> Result<i64, Problem> {
    let mut values = request.headers().get_all(LAST_EVENT_ID);
    match (values.next(), values.next()) {
        (None, _) => Ok(0),
        (Some(value), None) => value.to_str().ok().and_then(number).ok_or_else(malformed),
        (Some(_), Some(_)) => Err(malformed()),
    }
}

/// Digits, and not too many.
fn number(text: &str) -> Option<i64> {
    let fits = (1..=18).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

fn malformed() -> Problem {
    Problem::new(Code::BadRequest).detail("Last-Event-ID must be the id of an event of this order")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_number_that_an_order_gives_out_is_taken_back(id in 0..1_000_000_000_000_000_000_i64) {
            prop_assert_eq!(number(&id.to_string()), Some(id));
        }

        #[test]
        fn whatever_comes_is_a_number_of_digits_or_none(text in r"\PC{0,24}|[-+ 0-9]{0,24}|[0-9]{0,24}") {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let known = number(&text);
            prop_assert_eq!(known.is_some(), digits && text.len() <= 18);
            prop_assert!(known.is_none_or(|number| number >= 0));
        }
    }
}
