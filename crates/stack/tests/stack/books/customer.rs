//! A customer who orders.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Customer {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Customer {
    pub(super) async fn arrive(url: &str) -> Self {
        let http = reqwest::Client::new();
        let email = format!("{}@example.org", Uuid::now_v7());
        let password = "an oak, a birch, a yew";
        let register = http.post(format!("{url}/auth/register"));
        let credentials = json!({"email": email, "password": password});
        let answer = register.json(&credentials).send().await.unwrap();
        assert_eq!(answer.status(), 201);
        Self::login(url, &email, password).await
    }

    pub(super) async fn login(url: &str, email: &str, password: &str) -> Self {
        let http = reqwest::Client::new();
        let credentials = json!({"email": email, "password": password});
        let login = http.post(format!("{url}/auth/login")).json(&credentials);
        let login: Value = login.send().await.unwrap().json().await.unwrap();
        Self {
            http,
            url: url.to_owned(),
            token: login["access_token"].as_str().unwrap().to_owned(),
        }
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        let request = self
            .http
            .get(format!("{}{path}", self.url))
            .bearer_auth(&self.token);
        request.send().await.unwrap().json().await.unwrap()
    }

    pub(super) async fn order(&self, method: &str) -> Uuid {
        let body = json!({
            "items": [{"sku": "CABLE-USBC", "quantity": 2}, {"sku": "LAMP-LED", "quantity": 1}],
            "payment_method": method,
        });
        let request = self
            .http
            .post(format!("{}/orders", self.url))
            .bearer_auth(&self.token);
        let request = request.header("idempotency-key", Uuid::now_v7().to_string());
        let answer = request.json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 202);
        let order: Value = answer.json().await.unwrap();
        order["id"].as_str().unwrap().parse().unwrap()
    }

    pub(super) async fn cancel(&self, order: Uuid) {
        let url = format!("{}/orders/{order}/cancel", self.url);
        let answer = self.http.post(url).bearer_auth(&self.token).send().await.unwrap();
        assert_eq!(answer.status(), 202);
    }

    pub(super) async fn wait_for(&self, order: Uuid, status: &str) {
        let url = format!("{}/orders/{order}", self.url);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.http.get(&url).bearer_auth(&self.token).send().await.unwrap();
            let order: Value = answer.json().await.unwrap();
            if order["status"] == status {
                return;
            }
            assert!(Instant::now() < deadline, "{order} is not {status}");
        }
    }
}
