//! `GET /notifications/stream`

use std::collections::VecDeque;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse, get};
use chassis::auth::Principal;
use chassis::docs::ServerSentEvent;
use chassis::problem::{Code, Problem};
use chassis::{Pool, clock};
use contracts::UserId;
use futures::stream;
use serde_json::json;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::view::NotificationView;
use crate::app::State;
use crate::store;
use crate::streams::{NoSeat, Seat};

/// Where a stream goes on.
const LAST_EVENT_ID: &str = "last-event-id";
/// Read at a time.
const PAGE: i64 = 100;
/// When a client without a place may ask again, in seconds.
const FULL_RETRY_S: u64 = 5;

impl NoSeat {
    fn problem(self, per_user_max: u16) -> Problem {
        let problem = match self {
            Self::User => {
                Problem::new(Code::RateLimited).detail(format!("a user has at most {per_user_max} streams"))
            }
            Self::Process => Problem::new(Code::Overloaded),
        };
        problem.retry_after(FULL_RETRY_S)
    }
}

/// One stream.
struct Live {
    user: UserId,
    /// The number of the last notification that was sent.
    position: i64,
    ready: VecDeque<Bytes>,
    seat: Seat,
    pool: Pool,
    heartbeat: Duration,
    ends: Instant,
    draining: CancellationToken,
}

/// The caller's notifications as they come, as server-sent events: `event: notification`, `id: <number>`, `data:` a
/// notification. With `Last-Event-ID` those after it come first; without, what comes from now on. The stream ends with
/// the token.
#[utoipa::path(
    tag = "notifications",
    security(("bearer" = [])),
    params(("Last-Event-ID" = Option<i64>, Header, description = "The id of the last event that was seen", minimum = 0)),
    responses(
        (status = 200, description = "Events", body = ServerSentEvent, content_type = "text/event-stream"),
    ),
)]
#[get("/notifications/stream")]
pub(super) async fn stream_notifications(
    caller: Principal,
    request: HttpRequest,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let asked = last_event_id(&request)?;
    let max = state.stream.per_user_max;
    let seat = state
        .streams
        .join(caller.user_id)
        .await
        .map_err(|none| none.problem(max))?;
    let mut conn = state.pool.get().await?;
    let last = store::last_numbers(&mut conn, &[caller.user_id.uuid()]).await?;
    drop(conn);
    let last = last.first().map_or(0, |(_, number)| *number);
    let left = (caller.expires_at - clock::now()).to_std().unwrap_or_default();
    let live = Live {
        user: caller.user_id,
        // a number that was never given out would keep silent until it is
        position: asked.map_or(last, |asked| asked.min(last)),
        ready: VecDeque::from([Bytes::from(chassis::event_stream::retry())]),
        seat,
        pool: state.pool.clone(),
        heartbeat: Duration::from_secs(state.stream.heartbeat_s.max(1).into()),
        ends: Instant::now() + left,
        draining: state.draining.clone(),
    };
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(stream::unfold(live, |mut live| async move {
            let chunk = live.next().await?;
            Some((Ok::<_, actix_web::Error>(chunk), live))
        })))
}

fn last_event_id(request: &HttpRequest) -> Result<Option<i64>, Problem> {
    let mut values = request.headers().get_all(LAST_EVENT_ID);
    let number = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value.to_str().ok().and_then(number),
        (Some(_), Some(_)) => None,
    };
    let unknown = || Problem::new(Code::BadRequest).detail("Last-Event-ID is not an id of this stream");
    number.map(Some).ok_or_else(unknown)
}

/// Digits, and nothing else.
fn number(text: &str) -> Option<i64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

impl Live {
    /// What is sent next; none when the stream is over.
    async fn next(&mut self) -> Option<Bytes> {
        let heartbeat = Instant::now() + self.heartbeat;
        loop {
            if self.draining.is_cancelled() || Instant::now() >= self.ends {
                return None;
            }
            if let Some(chunk) = self.ready.pop_front() {
                return Some(chunk);
            }
            if self.read().await? {
                continue;
            }
            tokio::select! {
                () = self.draining.cancelled() => return None,
                () = sleep_until(self.ends) => return None,
                () = sleep_until(heartbeat) => return Some(Bytes::from_static(b": alive\n\n")),
                () = self.seat.news() => {}
            }
        }
    }

    /// Reads what is new; whether there was anything. None when it cannot be read: the client comes again with the last
    /// id.
    async fn read(&mut self) -> Option<bool> {
        match self.read_page().await {
            Ok(any) => Some(any),
            Err(error) => {
                warn!(error = %error, "a stream cannot read on, it ends");
                None
            }
        }
    }

    async fn read_page(&mut self) -> anyhow::Result<bool> {
        let mut conn = self.pool.get().await?;
        let page = store::told_after(&mut conn, self.user, self.position, PAGE).await?;
        drop(conn);
        let any = !page.is_empty();
        for (number, told) in page {
            self.position = number;
            if let Some(told) = told {
                let data = json!(NotificationView::from(told));
                let event = format!("event: notification\nid: {number}\ndata: {data}\n\n");
                self.ready.push_back(Bytes::from(event));
            }
        }
        Ok(any)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_number_that_a_stream_gives_out_is_taken_back(id in 0..=i64::MAX) {
            prop_assert_eq!(number(&id.to_string()), Some(id));
        }

        #[test]
        fn whatever_comes_is_a_number_of_digits_or_none(text in r"\PC{0,24}|[-+ 0-9]{0,24}|[0-9]{0,24}") {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            let known = number(&text);
            prop_assert_eq!(known.is_some(), digits && text.parse::<i64>().is_ok());
            prop_assert!(known.is_none_or(|number| number >= 0));
        }
    }
}
