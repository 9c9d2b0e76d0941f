//! A customer who keeps asking.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::sync::RwLock;
use uuid::Uuid;

use crate::error::{Error, Result};

/// What an answer means.
#[derive(Debug)]
pub(super) enum Reply {
    /// The order was accepted.
    Placed(Uuid),
    /// The order was taken back.
    Cancelled,
    /// The order had ended already.
    TooLate,
    /// The provider will not answer to its next charge.
    Silent,
    /// Not now.
    Again(String),
    /// What no fault excuses.
    Wrong(String),
}

/// What a customer wants.
#[derive(Debug)]
pub(super) enum Ask {
    /// An order under an idempotency key.
    Place {
        /// The key.
        key: Uuid,
        /// The body.
        order: Value,
    },
    /// An order taken back.
    Cancel(Uuid),
    /// As an admin: that the provider takes the money of its next charge and does not answer.
    Silence,
}

impl Ask {
    /// Where it is asked.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Place { .. } => "POST /orders".to_owned(),
            Self::Cancel(order) => format!("POST /orders/{order}/cancel"),
            Self::Silence => "PUT /payments/simulator".to_owned(),
        }
    }
}

/// Somebody with an account.
#[derive(Debug)]
pub(super) struct Customer {
    http: reqwest::Client,
    url: String,
    account: Value,
    token: RwLock<String>,
}

impl Customer {
    /// Registers and logs in.
    pub(super) async fn register(url: &str) -> Result<Self> {
        let account = json!({
            "email": format!("{}@quadrille.example", Uuid::new_v4().simple()),
            "password": "an alder, a larch 42",
        });
        let customer = Self::of(url, account)?;
        let registered = customer
            .request(Method::POST, "/auth/register")
            .json(&customer.account);
        let status = registered.send().await?.status();
        if status != StatusCode::CREATED {
            return Err(Error::Invalid(format!("a customer cannot register: {status}")));
        }
        customer.log_in().await?;
        Ok(customer)
    }

    /// Somebody who has an account, logged in.
    pub(super) async fn log_in_as(url: &str, email: &str, password: &str) -> Result<Self> {
        let customer = Self::of(url, json!({"email": email, "password": password}))?;
        customer.log_in().await?;
        Ok(customer)
    }

    fn of(url: &str, account: Value) -> Result<Self> {
        Ok(Self {
            http: reqwest::Client::builder()
                .timeout(Duration::from_secs(6))
                .build()?,
            url: url.to_owned(),
            account,
            token: RwLock::default(),
        })
    }

    async fn log_in(&self) -> Result<()> {
        let login = self.request(Method::POST, "/auth/login").json(&self.account);
        let answer: Value = login.send().await?.error_for_status()?.json().await?;
        let token = answer.pointer("/access_token").and_then(Value::as_str);
        token
            .unwrap_or_default()
            .clone_into(&mut *self.token.write().await);
        Ok(())
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// Reads JSON, with a new login where the token has run out.
    pub(super) async fn read(&self, path: &str) -> Result<Value> {
        for _again in 0..2 {
            let token = self.token.read().await.clone();
            let answer = self.request(Method::GET, path).bearer_auth(token).send().await?;
            if answer.status() != StatusCode::UNAUTHORIZED {
                return Ok(answer.error_for_status()?.json().await?);
            }
            self.log_in().await?;
        }
        Err(Error::Invalid(format!("GET {path} is refused after a login")))
    }

    /// Asks once.
    pub(super) async fn ask(&self, ask: &Ask) -> Reply {
        match ask {
            Ask::Place { key, order } => self.place(*key, order).await,
            Ask::Cancel(order) => self.cancel(*order).await,
            Ask::Silence => self.silence().await,
        }
    }

    async fn place(&self, key: Uuid, order: &Value) -> Reply {
        let request = self.request(Method::POST, "/orders");
        let request = request.header("idempotency-key", key.to_string()).json(order);
        let answer = self.send(request).await;
        match answer {
            Ok((StatusCode::ACCEPTED, body)) => {
                let id = body
                    .pointer("/id")
                    .and_then(Value::as_str)
                    .and_then(|id| id.parse().ok());
                id.map_or_else(|| Reply::Wrong(format!("202 {body}")), Reply::Placed)
            }
            // in flight: an earlier attempt under this key is not over yet
            Ok((StatusCode::CONFLICT, _)) => Reply::Again("409".to_owned()),
            other => self.excuse(other).await,
        }
    }

    async fn cancel(&self, order: Uuid) -> Reply {
        let request = self.request(Method::POST, &format!("/orders/{order}/cancel"));
        match self.send(request).await {
            Ok((StatusCode::ACCEPTED, _)) => Reply::Cancelled,
            Ok((StatusCode::CONFLICT, _)) => Reply::TooLate,
            other => self.excuse(other).await,
        }
    }

    async fn silence(&self) -> Reply {
        let setting = json!({"mode": "timeout", "remaining": 1, "latency_ms": 0});
        let request = self.request(Method::PUT, "/payments/simulator").json(&setting);
        match self.send(request).await {
            Ok((StatusCode::OK, _)) => Reply::Silent,
            other => self.excuse(other).await,
        }
    }

    async fn send(&self, request: RequestBuilder) -> reqwest::Result<(StatusCode, Value)> {
        let token = self.token.read().await.clone();
        let answer = request.bearer_auth(token).send().await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }

    /// A part that is away answers 5xx, or nothing; anything else is a fault of the platform.
    async fn excuse(&self, answer: reqwest::Result<(StatusCode, Value)>) -> Reply {
        match answer {
            Err(error) if error.is_timeout() => Reply::Again("timeout".to_owned()),
            Err(_broken) => Reply::Again("connection".to_owned()),
            Ok((StatusCode::UNAUTHORIZED, _)) => {
                // the token has run out; where auth is away, the next answer says so again
                let _ = self.log_in().await;
                Reply::Again("401".to_owned())
            }
            Ok((status, _)) if status.is_server_error() => Reply::Again(status.as_u16().to_string()),
            // a gateway that was frozen, or starved, has not read the request in time
            Ok((status @ (StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT), _)) => {
                Reply::Again(status.as_u16().to_string())
            }
            Ok((status, body)) => Reply::Wrong(format!("{status} {body}")),
        }
    }
}
