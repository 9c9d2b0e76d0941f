//! Asks the endpoints of services whether they are there.
//!
//! Any answer to `GET /health` is a sign of life: a service whose database or broker is down still answers, and its other
//! processes share both. Only one that is about to stop says so, by an answer that closes the connection, and is left out
//! from then on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::uri::Authority;
use futures::future::join_all;
use reqwest::header::CONNECTION;
use reqwest::{Client, StatusCode};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::proxy::ProxyConfig;
use crate::proxy::endpoints::Endpoint;

/// What an endpoint said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Life,
    Farewell,
    Silence,
}

/// The checks of all services.
pub(crate) struct HealthChecks {
    proxy: Arc<ProxyConfig>,
    client: Client,
    every: Duration,
    /// Checks in a row that an endpoint left unanswered.
    silences: HashMap<Authority, u32>,
}

impl HealthChecks {
    /// Nothing asked yet.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub(crate) fn new(proxy: Arc<ProxyConfig>, every: Duration) -> anyhow::Result<Self> {
        let client = Client::builder()
            .timeout(proxy.settings.check_timeout())
            .no_proxy()
            .build()?;
        Ok(Self {
            proxy,
            client,
            every,
            silences: HashMap::new(),
        })
    }

    /// Runs until the process stops.
    pub(crate) async fn run(mut self, stopping: CancellationToken) {
        let mut ticks = tokio::time::interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = ticks.tick() => self.ask_all().await,
            }
        }
    }

    async fn ask_all(&mut self) {
        let proxy = self.proxy.clone();
        let wanted = proxy.services().iter().filter(|service| service.wants_checks());
        let endpoints: Vec<_> = wanted.flat_map(|service| service.all()).collect();
        let signs = join_all(endpoints.iter().map(|endpoint| self.ask(endpoint))).await;
        for (endpoint, sign) in endpoints.into_iter().zip(signs) {
            self.learn(endpoint, sign);
        }
    }

    async fn ask(&self, endpoint: &Endpoint) -> Sign {
        let url = format!("http://{}/health", endpoint.authority());
        match self.client.get(url).send().await {
            Ok(answer) => {
                let closes = answer
                    .headers()
                    .get(CONNECTION)
                    .is_some_and(|value| value == "close");
                if closes && answer.status() == StatusCode::SERVICE_UNAVAILABLE {
                    Sign::Farewell
                } else {
                    Sign::Life
                }
            }
            Err(_none) => Sign::Silence,
        }
    }

    fn learn(&mut self, endpoint: &Endpoint, sign: Sign) {
        let silences = self.silences.entry(endpoint.authority().clone()).or_default();
        match sign {
            Sign::Life => {
                *silences = 0;
                endpoint.checked(true);
            }
            Sign::Farewell => {
                *silences = 0;
                endpoint.checked(false);
            }
            Sign::Silence => {
                *silences = silences.saturating_add(1);
                if *silences >= self.proxy.settings.check_failures.get() {
                    endpoint.checked(false);
                }
            }
        }
    }
}
