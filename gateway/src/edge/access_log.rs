//! One line for each answer. The span around it adds the trace, the request's id and its route.

use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;

use super::Passage;
use crate::domain::routing::Upstream;
use crate::domain::template::template;

/// The lines' target, to be silenced by `log.filter = "info,access=off"`.
const TARGET: &str = "access";

/// `took` is the time to the head of the answer; a body that streams takes longer. No address, no user agent, no query
/// string, and of the path only what is no name of anything.
pub(super) fn write(response: &ServiceResponse<BoxBody>, took: Duration) {
    let Some(passage) = Passage::of(response.request()) else {
        return;
    };
    let path = template(response.request().path());
    tracing::info!(
        target: TARGET,
        {
            url.template = path,
            http.response.status_code = response.status().as_u16(),
            duration_ms = took.as_secs_f64() * 1_000.0,
            upstream = passage.upstream.get().map_or("gateway", Upstream::name),
            attempts = passage.attempts.get(),
        },
        "answered"
    );
}
