//! A receiver of webhooks: a real HTTP server that keeps what it gets and verifies signatures as the specification
//! says.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::{StreamExt, stream};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use crate::harness::eventually;

/// What it answers.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Status(u16),
    Redirect(String),
    /// With `Retry-After`.
    Later(u16, &'static str),
    Body(u16, Vec<u8>),
    /// The beginning of a body that never ends.
    Endless(u16, &'static str),
    Never,
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

#[derive(Default)]
struct Inner {
    got: Vec<Got>,
    replies: VecDeque<Reply>,
}

/// Listens on a free port of 127.0.0.1 until the test's runtime ends.
#[derive(Clone)]
pub(crate) struct Receiver {
    inner: Arc<Mutex<Inner>>,
    port: u16,
}

impl Receiver {
    #[expect(
        clippy::disallowed_methods,
        reason = "the server ends with the test's runtime"
    )]
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let inner = Arc::new(Mutex::new(Inner::default()));
        let data = Data::from(inner.clone());
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .default_service(web::to(receive))
        });
        let server = server.workers(1).disable_signals().listen(listener).unwrap();
        tokio::spawn(server.run());
        Self { inner, port }
    }

    /// The URL of a path that begins with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Answers the next requests so, and those after them with 200.
    pub(crate) fn replies(&self, replies: impl IntoIterator<Item = Reply>) {
        self.inner.lock().unwrap().replies.extend(replies);
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.inner.lock().unwrap().got.clone()
    }

    /// All requests, once there are that many.
    pub(crate) async fn gets(&self, count: usize) -> Vec<Got> {
        eventually("a call", async || {
            let got = self.got();
            (got.len() >= count).then_some(got)
        })
        .await
    }
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    /// Whether one of its signatures was made with that secret.
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("{}.{}.", self.id(), self.headers["webhook-timestamp"]).as_bytes());
        mac.update(&self.body);
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        self.headers["webhook-signature"]
            .split(' ')
            .any(|signature| signature == expected)
    }
}

async fn receive(request: HttpRequest, inner: Data<Mutex<Inner>>, body: Bytes) -> HttpResponse {
    let header = |(name, value): (
        &actix_web::http::header::HeaderName,
        &actix_web::http::header::HeaderValue,
    )| { (name.to_string(), value.to_str().unwrap().to_owned()) };
    let reply = {
        let mut inner = inner.lock().unwrap();
        inner.got.push(Got {
            path: request.uri().to_string(),
            headers: request.headers().iter().map(header).collect(),
            body: body.to_vec(),
        });
        inner.replies.pop_front().unwrap_or(Reply::Status(200))
    };
    let answer = |status: u16| HttpResponse::build(status.try_into().unwrap());
    match reply {
        Reply::Status(status) => answer(status).finish(),
        Reply::Redirect(to) => answer(307).insert_header(("location", to)).finish(),
        Reply::Later(status, after) => answer(status).insert_header(("retry-after", after)).finish(),
        Reply::Body(status, body) => answer(status).body(body),
        Reply::Endless(status, begin) => {
            let begin = stream::iter([Ok::<_, Infallible>(Bytes::from_static(begin.as_bytes()))]);
            answer(status).streaming(begin.chain(stream::pending()))
        }
        Reply::Never => std::future::pending().await,
    }
}
