//! Customers that place orders, each the next one once the last is answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hdrhistogram::Histogram;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::clock::now_ms;

/// Logged-in customers and an order that they place.
#[derive(Debug)]
pub(super) struct Users {
    tokens: Vec<String>,
    order: Vec<u8>,
}

impl Users {
    /// Registers `count` customers.
    pub(super) async fn register(url: &str, count: usize) -> anyhow::Result<Self> {
        let http = reqwest::Client::new();
        let post = async |path: &str, body: Value| -> anyhow::Result<Value> {
            let answer = http.post(format!("{url}{path}")).json(&body).send().await?;
            let status = answer.status();
            let text = answer.text().await?;
            ensure!(status.is_success(), "POST {path}: {status} {text}");
            Ok(serde_json::from_str(&text)?)
        };
        let mut tokens = Vec::new();
        for number in 0..count {
            let user = json!({"email": format!("bench-{number}@quadrille.example"), "password": "a bench of oak 42"});
            post("/auth/register", user.clone()).await?;
            let login = post("/auth/login", user).await?;
            tokens.push(
                login
                    .pointer("/access_token")
                    .and_then(Value::as_str)
                    .context("a token")?
                    .to_owned(),
            );
        }
        let products: Value = http.get(format!("{url}/products")).send().await?.json().await?;
        let items = products
            .pointer("/items")
            .and_then(Value::as_array)
            .context("the catalogue")?;
        let lines: Vec<Value> = items
            .iter()
            .take(2)
            .map(|item| json!({"sku": item.pointer("/sku"), "quantity": 1}))
            .collect();
        let order = serde_json::to_vec(&json!({"items": lines, "payment_method": "pm_card_visa"}))?;
        Ok(Self { tokens, order })
    }
}

/// What one run of the load did.
#[derive(Debug)]
pub(super) struct Run {
    /// Connections at once.
    pub(super) connections: usize,
    /// How long orders were placed.
    pub(super) took: Duration,
    /// When the run began and ended, in milliseconds since 1970.
    pub(super) window_ms: (i64, i64),
    /// Each accepted order and when its POST began, in milliseconds since 1970.
    pub(super) accepted: Vec<(Uuid, i64)>,
    /// Latency of accepted POSTs in microseconds.
    pub(super) latency_us: Histogram<u64>,
    /// Every other outcome by name.
    pub(super) refused: BTreeMap<String, u64>,
}

impl Run {
    /// Orders accepted a second.
    pub(super) fn accepted_per_second(&self) -> f64 {
        f64::from(u32::try_from(self.accepted.len()).unwrap_or(u32::MAX)) / self.took.as_secs_f64()
    }
}

/// Places orders through a gateway.
#[derive(Debug)]
pub(super) struct Load {
    url: String,
    users: Arc<Users>,
    accepted: Arc<AtomicU64>,
}

#[derive(Deserialize)]
struct Placed {
    id: Uuid,
}

impl Load {
    /// A load on the gateway at `url`.
    pub(super) fn new(url: &str, users: Users) -> Self {
        Self {
            url: format!("{url}/orders"),
            users: Arc::new(users),
            accepted: Arc::default(),
        }
    }

    /// Orders accepted in all runs.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Keeps `connections` POSTs in flight for `duration`.
    pub(super) async fn run(&self, connections: usize, duration: Duration) -> anyhow::Result<Run> {
        self.run_paced(connections, duration, Duration::ZERO).await
    }

    /// The same, but each connection begins at most one POST every `pace`.
    pub(super) async fn run_paced(
        &self,
        connections: usize,
        duration: Duration,
        pace: Duration,
    ) -> anyhow::Result<Run> {
        let (begin, begin_ms) = (Instant::now(), now_ms());
        let workers = (0..connections).map(|number| {
            let worker = Worker {
                // A client each, so that each has a connection of its own.
                http: reqwest::Client::new(),
                url: self.url.clone(),
                token: self
                    .users
                    .tokens
                    .get(number % self.users.tokens.len())
                    .cloned()
                    .unwrap_or_default(),
                order: self.users.order.clone(),
                total: Arc::clone(&self.accepted),
            };
            #[expect(clippy::disallowed_methods, reason = "awaited a few lines below")]
            tokio::spawn(worker.work(begin + duration, pace))
        });
        let mut run = Run {
            connections,
            took: duration,
            window_ms: (begin_ms, begin_ms),
            accepted: Vec::new(),
            latency_us: Histogram::new(3)?,
            refused: BTreeMap::new(),
        };
        for worker in futures::future::join_all(workers).await {
            let share = worker??;
            run.accepted.extend(share.accepted);
            run.latency_us.add(share.latency_us)?;
            for (name, count) in share.refused {
                *run.refused.entry(name).or_default() += count;
            }
        }
        run.took = begin.elapsed();
        run.window_ms.1 = now_ms();
        Ok(run)
    }
}

struct Worker {
    http: reqwest::Client,
    url: String,
    token: String,
    order: Vec<u8>,
    total: Arc<AtomicU64>,
}

struct Share {
    accepted: Vec<(Uuid, i64)>,
    latency_us: Histogram<u64>,
    refused: BTreeMap<String, u64>,
}

impl Worker {
    async fn work(self, deadline: Instant, pace: Duration) -> anyhow::Result<Share> {
        let mut share = Share {
            accepted: Vec::new(),
            latency_us: Histogram::new(3)?,
            refused: BTreeMap::new(),
        };
        while Instant::now() < deadline {
            let (begin, begin_ms) = (Instant::now(), now_ms());
            match self.place().await {
                Ok(Ok(id)) => {
                    share
                        .latency_us
                        .record(u64::try_from(begin.elapsed().as_micros())?)?;
                    share.accepted.push((id, begin_ms));
                    self.total.fetch_add(1, Ordering::Relaxed);
                }
                Ok(Err(status)) => *share.refused.entry(status.to_string()).or_default() += 1,
                Err(error) => *share.refused.entry(error.without_url().to_string()).or_default() += 1,
            }
            tokio::time::sleep_until((begin + pace).into()).await;
        }
        Ok(share)
    }

    async fn place(&self) -> reqwest::Result<Result<Uuid, StatusCode>> {
        let request = self.http.post(&self.url).bearer_auth(&self.token);
        let answer = request
            .header("content-type", "application/json")
            .body(self.order.clone())
            .send()
            .await?;
        if answer.status() != StatusCode::ACCEPTED {
            return Ok(Err(answer.status()));
        }
        Ok(Ok(answer.json::<Placed>().await?.id))
    }
}
