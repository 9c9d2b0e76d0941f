//! An HTTP client for tests. What it does not expect is a panic: in a test that is the report.
#![expect(clippy::expect_used, reason = "only tests call this")]

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::TestService;
use crate::problem::{CONTENT_TYPE, ProblemBody};

/// Asks one service, perhaps with a token.
#[derive(Debug, Clone)]
pub struct TestClient {
    base: String,
    token: Option<String>,
    http: reqwest::Client,
}

/// An answer that has been read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl TestClient {
    /// A client of `service` that sends `token` with each request.
    #[must_use]
    pub fn new(service: &TestService, token: Option<String>) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("an HTTP client");
        Self {
            base: service.url(""),
            token,
            http,
        }
    }

    /// A request to add to; `path` begins with a slash.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// `GET`
    pub async fn get(&self, path: &str) -> Answer {
        Answer::to(self.request(Method::GET, path)).await
    }

    /// `POST` with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::to(self.request(Method::POST, path).json(body)).await
    }

    /// `PUT` with a JSON body.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        Answer::to(self.request(Method::PUT, path).json(body)).await
    }
}

impl Answer {
    /// The answer to `request`.
    ///
    /// # Panics
    /// When there is none, or one that the service's document does not tell of.
    pub async fn to(request: RequestBuilder) -> Self {
        let (client, request) = request.build_split();
        let request = request.expect("a request");
        let (method, url) = (request.method().clone(), request.url().clone());
        let response = client.execute(request).await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.expect("a whole answer").to_vec();
        super::check_documented(&method, &url, status.as_u16(), &body);
        Self {
            status: status.as_u16(),
            headers,
            body,
        }
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    /// A header's value, empty when it is absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The JSON body of an answer with this status.
    ///
    /// # Panics
    /// When it has another status.
    #[track_caller]
    pub fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }

    /// The problem `code`, whole in its shape.
    ///
    /// # Panics
    /// When the answer is anything else.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> ProblemBody {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), CONTENT_TYPE);
        let problem: ProblemBody = serde_json::from_slice(&self.body).expect("a problem");
        assert_eq!(problem.kind, format!("https://quadrille.dev/problems/{code}"));
        assert_eq!(problem.status, status);
        assert!(!problem.title.is_empty());
        assert_eq!(problem.trace_id.as_ref().map(String::len), Some(32));
        problem
    }
}
