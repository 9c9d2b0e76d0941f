//! The HTTP interface as a client meets it.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// A client of the gateway, with or without a login.
#[derive(Debug, Clone)]
pub(super) struct Api {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
}

/// What was answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) location: Option<String>,
    retry_after: Duration,
    pub(super) body: Value,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.body)
    }
}

impl Answer {
    /// The member at a JSON pointer as text, empty when it is missing.
    pub(super) fn text(&self, pointer: &str) -> &str {
        text(&self.body, pointer)
    }
}

/// The member of `value` at a JSON pointer as text, empty when it is missing.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

impl Api {
    /// A client without a login.
    pub(super) fn new(url: &str) -> Self {
        Self {
            http: reqwest::Client::new(),
            url: url.to_owned(),
            token: None,
        }
    }

    /// Logs in and returns a client that uses the login.
    pub(super) async fn login(&self, email: &str, password: &str) -> anyhow::Result<(Self, Answer)> {
        let answer = self
            .post("/auth/login", &json!({"email": email, "password": password}))
            .await?;
        if answer.status != StatusCode::OK {
            bail!("{email} cannot log in: {answer}");
        }
        let token = Some(answer.text("/access_token").to_owned());
        Ok((
            Self {
                token,
                ..self.clone()
            },
            answer,
        ))
    }

    /// GET
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(Method::GET, path, None).await
    }

    /// POST
    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send(Method::POST, path, Some(body)).await
    }

    /// PUT
    pub(super) async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send(Method::PUT, path, Some(body)).await
    }

    /// Asks again until the answer satisfies `enough`; an error with the last answer when it does not in time.
    pub(super) async fn wait(
        &self,
        path: &str,
        patience: Duration,
        enough: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Answer> {
        let deadline = Instant::now() + patience;
        let mut pause = Duration::from_millis(25);
        loop {
            let answer = self.get(path).await?;
            if answer.status.is_success() && enough(&answer.body) {
                return Ok(answer);
            }
            if Instant::now() > deadline {
                bail!("GET {path} did not come to what was awaited within {patience:?}: {answer}");
            }
            tokio::time::sleep(pause).await;
            // The gateway allows a user two requests a second for long.
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    /// Sends a request; where the gateway asks for patience (429), once more after the pause it names.
    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        for _ in 0..10 {
            let answer = self
                .exchange(&method, path, body)
                .await
                .with_context(|| format!("{method} {path}"))?;
            if answer.status != StatusCode::TOO_MANY_REQUESTS {
                return Ok(answer);
            }
            tokio::time::sleep(answer.retry_after).await;
        }
        bail!("{method} {path} is refused again and again: too many requests");
    }

    async fn exchange(&self, method: &Method, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.url));
        request = request.timeout(Duration::from_secs(20));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let header = |name: &str| answer.headers().get(name)?.to_str().ok().map(str::to_owned);
        let (status, location) = (answer.status(), header("location"));
        let seconds = header("retry-after")
            .and_then(|text| text.parse().ok())
            .unwrap_or(1);
        let bytes = answer.bytes().await?;
        let body = match bytes.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&bytes)
                .with_context(|| format!("{status}, and the body is no JSON"))?,
        };
        Ok(Answer {
            status,
            location,
            retry_after: Duration::from_secs(seconds),
            body,
        })
    }
}
