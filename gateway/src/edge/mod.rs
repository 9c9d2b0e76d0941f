//! What happens to every request before it is answered, and to every answer before it leaves.

mod admission;

pub(crate) use admission::{Gate, admit, admit_attempt};

use std::cell::{Cell, Ref};
use std::net::IpAddr;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Extensions, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, ResponseError, web};

use crate::domain::client_address::ClientAddress;
use crate::domain::request_id;
use crate::limits::Standing;
use crate::proxy::REQUEST_ID;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What the gateway knows about the request it is answering.
pub(crate) struct Passage {
    /// The id it is known by.
    pub(crate) request_id: HeaderValue,
    /// Whom it is counted against without a token.
    pub(crate) client: ClientAddress,
    standing: Cell<Option<Standing>>,
}

impl Passage {
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
}

/// The middleware around every route: names the request, counts it against its address, and signs the answer.
pub(crate) async fn pass<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let passage = Passage {
        request_id: named(&request),
        client: client(&request),
        standing: Cell::new(None),
    };
    tracing::Span::current().record("request.id", passage.request_id.to_str().unwrap_or_default());
    let gate = request.app_data::<web::Data<Gate>>().cloned();
    let refusal = gate.and_then(|gate| gate.count_address(request.path(), &passage).err());
    request.extensions_mut().insert(passage);
    let mut response = match refusal {
        Some(problem) => request.into_response(problem.error_response()),
        None => next.call(request).await?.map_into_boxed_body(),
    };
    sign(&mut response);
    Ok(response)
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

/// The client's own id where it can be kept, else a new one.
fn named(request: &ServiceRequest) -> HeaderValue {
    let kept = request
        .headers()
        .get(REQUEST_ID)
        .filter(|id| id.to_str().is_ok_and(request_id::is_acceptable));
    kept.cloned().unwrap_or_else(fresh_id)
}

fn fresh_id() -> HeaderValue {
    let id = chassis::clock::new_id().hyphenated().to_string();
    HeaderValue::try_from(id).unwrap_or_else(|_never| HeaderValue::from_static("unnamed"))
}

/// The address of the connection. No header is believed: the gateway is the edge.
fn client(request: &ServiceRequest) -> ClientAddress {
    request
        .peer_addr()
        .map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.ip())
        .into()
}
