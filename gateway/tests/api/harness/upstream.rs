//! A service as the gateway sees it: a real server on a port of its own.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use futures::StreamExt;
use futures::future::{BoxFuture, LocalBoxFuture};

/// What it does about a request.
pub(crate) type Behaviour =
    Arc<dyn Fn(HttpRequest, web::Payload) -> LocalBoxFuture<'static, HttpResponse> + Send + Sync>;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    headers: Vec<(String, String)>,
}

impl Seen {
    /// All values of a header, in one text.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let values: Vec<_> = self
            .headers
            .iter()
            .filter(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
            .collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    pub(crate) fn header_names(&self) -> Vec<&str> {
        self.headers.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// A running upstream.
pub(crate) struct Upstream {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Upstream {
    pub(crate) fn start(behaviour: Behaviour) -> Self {
        Self::listening(TcpListener::bind("127.0.0.1:0").unwrap(), behaviour)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the server ends with the test's runtime"
    )]
    pub(crate) fn listening(listener: TcpListener, behaviour: Behaviour) -> Self {
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let book = seen.clone();
        let server = HttpServer::new(move || {
            let (behaviour, book) = (behaviour.clone(), book.clone());
            App::new().default_service(web::to(move |request: HttpRequest, payload: web::Payload| {
                note(&book, &request);
                behaviour(request, payload)
            }))
        });
        let server = server
            .workers(1)
            .h1_allow_half_closed(false)
            .disable_signals()
            .listen(listener)
            .unwrap()
            .run();
        let serving: BoxFuture<'static, _> = Box::pin(server);
        tokio::spawn(serving);
        Self { address, seen }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The only request so far.
    #[track_caller]
    pub(crate) fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen[0].clone()
    }
}

fn note(book: &Mutex<Vec<Seen>>, request: &HttpRequest) {
    let header = |(name, value): (
        &actix_web::http::header::HeaderName,
        &actix_web::http::header::HeaderValue,
    )| {
        (
            name.as_str().to_owned(),
            String::from_utf8_lossy(value.as_bytes()).into_owned(),
        )
    };
    book.lock().unwrap().push(Seen {
        method: request.method().to_string(),
        target: request.uri().to_string(),
        headers: request.headers().iter().map(header).collect(),
    });
}

/// An upstream that runs `answer` for each request.
pub(crate) fn behaviour<F, Fut>(answer: F) -> Behaviour
where
    F: Fn(HttpRequest, web::Payload) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = HttpResponse> + 'static,
{
    Arc::new(move |request, payload| Box::pin(answer(request, payload)))
}

/// Answers 200 with the body it was sent.
pub(crate) fn echo() -> Behaviour {
    behaviour(async |_, payload| {
        let body = read(payload).await;
        HttpResponse::Ok()
            .content_type("application/octet-stream")
            .body(body)
    })
}

/// Answers 200 with a JSON text a path, 404 elsewhere.
pub(crate) fn documents(documents: &[(&str, u16, &str)]) -> Behaviour {
    let documents: HashMap<String, (u16, String)> = documents
        .iter()
        .map(|(path, status, text)| ((*path).to_owned(), (*status, (*text).to_owned())))
        .collect();
    behaviour(move |request, _| {
        let found = documents.get(request.path()).cloned();
        async move {
            let (status, text) = found.unwrap_or((404, "{}".to_owned()));
            HttpResponse::build(status.try_into().unwrap())
                .content_type("application/json")
                .body(text)
        }
    })
}

pub(crate) async fn read(mut payload: web::Payload) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        // a client that breaks off ends the test's interest in the rest
        let Ok(chunk) = chunk else { break };
        body.extend_from_slice(&chunk);
    }
    body
}
