//! What happens to every request before it is answered, and to every answer before it leaves.

mod access_log;
mod admission;
mod browsers;
mod origin;
mod revocations;
mod unread;

pub(crate) use admission::{Gate, admit, admit_attempt, admit_each};
pub(crate) use browsers::cors;
pub(crate) use revocations::Revocations;

use std::cell::{Cell, Ref};
use std::net::IpAddr;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Extensions, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, ResponseError, web};
use chassis::RouteTemplate;
use chassis::problem::Problem;

use crate::domain::interface;
use crate::domain::routing::Upstream;
use crate::limits::Standing;
use crate::proxy::REQUEST_ID;

/// How the pattern of a route ends behind which all is passed on.
const PASSED_ON: &str = ":.*}";
/// The route of what no service publishes.
const NO_ROUTE: &str = "(none)";

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What the gateway knows about the request it is answering.
pub(crate) struct Passage {
    /// The id it is known by.
    pub(crate) request_id: HeaderValue,
    /// Where it comes from, past the proxies that are believed.
    pub(crate) address: IpAddr,
    /// `http` or `https`, as the client sees it.
    pub(crate) scheme: &'static str,
    standing: Cell<Option<Standing>>,
    upstream: Cell<Option<Upstream>>,
    attempts: Cell<u32>,
}

impl Passage {
    /// Notes that a service is asked, for the access log.
    pub(crate) fn asks(request: &HttpRequest, upstream: Upstream) {
        if let Some(passage) = Self::of(request) {
            passage.upstream.set(Some(upstream));
            passage.attempts.set(passage.attempts.get().saturating_add(1));
        }
    }

    /// The passage of a request; [`pass`] has put it there.
    pub(crate) fn of(request: &HttpRequest) -> Option<Ref<'_, Self>> {
        Ref::filter_map(request.extensions(), Extensions::get::<Self>).ok()
    }

    /// The client is told the tightest of the limits it was held against.
    fn note(&self, standing: Standing) {
        let tightest = self
            .standing
            .get()
            .map_or(standing, |noted| noted.tighter(standing));
        self.standing.set(Some(tightest));
    }

    /// Of a limit that turned the request away the client is told, whatever else it was held against.
    fn refuse(&self, standing: Standing) {
        self.standing.set(Some(standing));
    }
}

/// The middleware around every route: names the request, counts it against its address, and signs the answer.
pub(crate) async fn pass<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let unread = unread::hold(&mut request);
    let gate = request
        .app_data::<web::Data<Gate>>()
        .cloned()
        .ok_or_else(|| Problem::internal(anyhow::anyhow!("there is no gate")))?;
    let begun_at = Instant::now();
    let passage = origin::passage(&request, gate.settings());
    tracing::Span::current().record("request.id", passage.request_id.to_str().unwrap_or_default());
    let refusal = gate
        .count_address(request.path(), &passage)
        .and_then(|()| origin::check(&request, gate.settings()))
        .err();
    request.extensions_mut().insert(passage);
    name_route(&request);
    let mut response = match refusal {
        Some(problem) => request.into_response(problem.error_response()),
        None => browsers::explain(next.call(request).await?.map_into_boxed_body()),
    };
    hang_up(&mut response);
    sign(&mut response);
    browsers::warn(&mut response, gate.settings());
    access_log::write(&response, begun_at.elapsed());
    Ok(match unread {
        Some(unread) => unread.until_sent(response),
        None => response,
    })
}

/// What is passed on is counted, and traced, under the route of the service that answers.
fn name_route(request: &ServiceRequest) {
    if request
        .match_pattern()
        .is_none_or(|pattern| pattern.ends_with(PASSED_ON))
    {
        let route = interface::resource(request.path()).map_or(NO_ROUTE, |resource| &resource.template);
        tracing::Span::current().record("http.route", route);
        request.extensions_mut().insert(RouteTemplate(route.into()));
    }
}

/// Closes the connection of a request that was refused before its end: nobody waits for the rest of it.
fn hang_up(response: &mut ServiceResponse<BoxBody>) {
    if matches!(
        response.status(),
        StatusCode::BAD_REQUEST | StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE
    ) {
        let head = response.response_mut().head_mut();
        head.set_connection_type(ConnectionType::Close);
    }
}

fn sign(response: &mut ServiceResponse<BoxBody>) {
    let Some((id, standing)) =
        Passage::of(response.request()).map(|passage| (passage.request_id.clone(), passage.standing.get()))
    else {
        return;
    };
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    for (name, value) in standing.iter().flat_map(rate_limit_headers) {
        headers.insert(name, value);
    }
}

fn rate_limit_headers(standing: &Standing) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let policy = HeaderValue::try_from(standing.policy()).map(|value| (RATE_LIMIT_POLICY, value));
    let state = HeaderValue::try_from(standing.state()).map(|value| (RATE_LIMIT, value));
    [policy, state].into_iter().flatten()
}
