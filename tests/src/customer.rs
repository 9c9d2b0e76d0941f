//! The HTTP interface through the gateway, as a customer or the admin uses it.

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use stack::Stack;
use uuid::Uuid;

use crate::{PATIENCE, until};

/// Somebody who is logged in.
#[derive(Debug, Clone)]
pub struct Customer {
    http: reqwest::Client,
    url: String,
    token: String,
    refresh_token: String,
    /// The account.
    pub id: Uuid,
}

/// What was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; null where it is no JSON.
    pub body: Value,
}

impl Answer {
    /// The answer, which must have this status.
    #[allow(
        clippy::return_self_not_must_use,
        reason = "the status is what many callers are after"
    )]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    /// The id in the body.
    #[must_use]
    pub fn id(&self) -> Uuid {
        uuid(&self.body["id"])
    }

    /// The items of a list.
    #[must_use]
    pub fn items(&self) -> &[Value] {
        self.body["items"].as_array().expect("a list")
    }
}

async fn answer(request: RequestBuilder) -> reqwest::Result<Answer> {
    let answer = request.send().await?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = serde_json::from_slice(&answer.bytes().await?).unwrap_or_default();
    Ok(Answer {
        status,
        headers,
        body,
    })
}

/// A UUID in a body.
#[must_use]
pub fn uuid(value: &Value) -> Uuid {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is no id"));
    text.parse().unwrap_or_else(|_| panic!("{text} is no id"))
}

/// One of a cheap thing.
#[must_use]
pub fn an_order(payment_method: &str) -> Value {
    json!({"items": [{"sku": "CABLE-USBC", "quantity": 2}], "payment_method": payment_method})
}

impl Customer {
    /// Registers somebody new, and logs in.
    pub async fn register(stack: &Stack) -> Self {
        let email = format!("{}@quadrille.example", Uuid::new_v4().simple());
        let mut customer = Self::stranger(stack);
        let account = json!({"email": email, "password": "an oak, a birch, a yew"});
        let registered = customer
            .send(Method::POST, "/auth/register", Some(&account))
            .await;
        customer.id = uuid(&registered.expect(201).body["user_id"]);
        customer.log_in(&account).await;
        customer
    }

    /// The first admin, logged in.
    pub async fn admin(stack: &Stack) -> Self {
        let mut admin = Self::stranger(stack);
        let account = json!({"email": stack.admin().email, "password": stack.admin().password});
        admin.log_in(&account).await;
        admin
    }

    /// Somebody without a token.
    #[must_use]
    pub fn stranger(stack: &Stack) -> Self {
        Self {
            http: reqwest::Client::new(),
            url: stack.url(),
            token: String::new(),
            refresh_token: String::new(),
            id: Uuid::nil(),
        }
    }

    /// The access token of the login.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The same one with another token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: token.to_owned(),
            ..self.clone()
        }
    }

    /// Logs out.
    pub async fn log_out(&self) {
        let login = json!({"refresh_token": self.refresh_token});
        self.send(Method::POST, "/auth/logout", Some(&login))
            .await
            .expect(204);
    }

    async fn log_in(&mut self, account: &Value) {
        let login = self
            .send(Method::POST, "/auth/login", Some(account))
            .await
            .expect(200);
        let text = |member: &str| login.body[member].as_str().unwrap().to_owned();
        self.token = text("access_token");
        self.refresh_token = text("refresh_token");
    }

    /// Sends a request. A connection that breaks is an error here.
    ///
    /// # Errors
    /// What became of the connection.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Option<Vec<u8>>,
    ) -> reqwest::Result<Answer> {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.header("content-type", content_type).body(body);
        }
        answer(request).await
    }

    /// Places an order as part of the trace that a `traceparent` header names.
    pub async fn place_traced(&self, traceparent: &str) -> Uuid {
        let request = self
            .request(Method::POST, "/orders")
            .header("traceparent", traceparent);
        answer(request.json(&an_order("pm_card_visa")))
            .await
            .unwrap()
            .expect(202)
            .id()
    }

    /// Places an order under an idempotency key. A connection that breaks is an error here.
    ///
    /// # Errors
    /// What became of the connection.
    pub async fn place_under(&self, key: Uuid, order: &Value) -> reqwest::Result<Answer> {
        let request = self.request(Method::POST, "/orders");
        answer(request.header("idempotency-key", key.to_string()).json(order)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        if self.token.is_empty() {
            request
        } else {
            request.bearer_auth(&self.token)
        }
    }

    /// Sends a request that must be answered.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let body = body.map(|body| body.to_string().into_bytes());
        self.try_send(method, path, "application/json", body)
            .await
            .unwrap()
    }

    /// GETs what must be there.
    pub async fn get(&self, path: &str) -> Answer {
        let answer = self.send(Method::GET, path, None).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer
    }

    /// Places an order that must be accepted.
    pub async fn place(&self, payment_method: &str) -> Uuid {
        let order = an_order(payment_method);
        let answer = self.send(Method::POST, "/orders", Some(&order)).await.expect(202);
        assert_eq!(answer.body["status"], "pending");
        assert_eq!(answer.headers["location"], format!("/orders/{}", answer.id()));
        answer.id()
    }

    /// Takes an order back.
    pub async fn cancel(&self, order: Uuid) -> Answer {
        self.send(Method::POST, &format!("/orders/{order}/cancel"), None)
            .await
    }

    /// The order.
    pub async fn order(&self, order: Uuid) -> Value {
        self.get(&format!("/orders/{order}")).await.body
    }

    /// The order once it has that status.
    pub async fn sees(&self, order: Uuid, status: &str) -> Value {
        until(&format!("order {order} to be {status}"), PATIENCE, async || {
            Some(self.order(order).await).filter(|order| order["status"] == status)
        })
        .await
    }

    /// The order's one payment once it has that status.
    pub async fn pays(&self, order: Uuid, status: &str) -> Value {
        until(
            &format!("the payment of {order} to be {status}"),
            PATIENCE,
            async || {
                let list = self.get(&format!("/payments?order_id={order}")).await;
                assert!(list.items().len() <= 1, "more than one payment: {}", list.body);
                list.items()
                    .first()
                    .cloned()
                    .filter(|payment| payment["status"] == status)
            },
        )
        .await
    }

    /// The kinds of the order's notifications, sorted, once they are these.
    pub async fn is_told(&self, order: Uuid, kinds: &[&str]) {
        let mut expected = kinds.to_vec();
        expected.sort_unstable();
        until(
            &format!("{order} to be told as {kinds:?}"),
            PATIENCE,
            async || {
                let list = self
                    .get(&format!("/notifications?order_id={order}&limit=100"))
                    .await;
                let mut found: Vec<_> = list
                    .items()
                    .iter()
                    .map(|item| item["kind"].as_str().unwrap())
                    .collect();
                found.sort_unstable();
                assert!(found.len() <= expected.len(), "{found:?} instead of {expected:?}");
                (found == expected).then_some(())
            },
        )
        .await;
    }

    /// The order's timeline once it holds these types, in this order.
    pub async fn reads_timeline(&self, order: Uuid, types: &[&str]) -> Vec<Value> {
        until(
            &format!("the timeline of {order} to be {types:?}"),
            PATIENCE,
            async || {
                let path = format!("/orders/{order}/timeline");
                let timeline = self.send(Method::GET, &path, None).await;
                if timeline.status == 404 {
                    // the gateway has not heard of the order yet
                    return None;
                }
                let found: Vec<_> = timeline
                    .items()
                    .iter()
                    .map(|item| item["type"].as_str().unwrap())
                    .collect();
                (found == types).then(|| timeline.items().to_vec())
            },
        )
        .await
    }
}
