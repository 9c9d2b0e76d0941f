//! Asks all services about themselves, whenever somebody wants to know. The answer that is there is given at once, and a new
//! one gathered meanwhile: how long it takes depends on the slowest service, and nobody who asks often waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chassis::Health;
use chassis::health::{ConsumerHealth, HealthReport, OverallStatus, PartStatus, RelayHealth};
use futures::future::{join, join_all};
use reqwest::Client;
use serde::Serialize;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use crate::domain::routing::Upstream;
use crate::proxy::ProxyConfig;

/// How long an answer is as good as a new one: asking often costs the services nothing.
const FRESH: Duration = Duration::from_millis(250);
/// How long it is given while a new one is gathered.
const STALE: Duration = Duration::from_secs(1);
/// Longest answer of a service about itself, in bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// The whole platform.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = Self::well)]
pub(crate) struct PlatformHealth {
    /// `ok` when every service is.
    status: OverallStatus,
    /// Each service by name.
    services: BTreeMap<&'static str, ServiceHealth>,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = Self::example)]
pub(crate) struct ServiceHealth {
    status: ServiceStatus,
    database: PartStatus,
    broker: PartStatus,
    /// Whether it consumes; null where it consumes nothing, and where that is not known.
    #[schema(required)]
    consumer: Option<ConsumerHealth>,
    /// Whether it publishes; null where that is not known.
    #[schema(required)]
    relay: Option<RelayHealth>,
    /// Why it is not `ok`; empty when it is.
    reasons: Vec<String>,
}

/// A service in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ServiceStatus {
    /// Every part is up.
    Ok,
    /// A part is down.
    Degraded,
    /// It does not answer.
    Down,
}

/// What the platform says of itself, and how to make it say so again. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LastAnswer {
    latest: watch::Receiver<Option<(Instant, PlatformHealth)>>,
    /// Whoever asks brings the gateway's own health along.
    asked: mpsc::Sender<Health>,
}

/// The task behind it.
pub(crate) struct Gatherer {
    proxy: Arc<ProxyConfig>,
    client: Client,
    asked: mpsc::Receiver<Health>,
    latest: watch::Sender<Option<(Instant, PlatformHealth)>>,
}

impl ServiceHealth {
    /// For the document: one that is well, and consumes or does not.
    fn well(consumes: bool) -> Self {
        Self {
            status: ServiceStatus::Ok,
            database: PartStatus::Ok,
            broker: PartStatus::Ok,
            consumer: consumes.then(ConsumerHealth::well),
            relay: Some(RelayHealth::well()),
            reasons: Vec::new(),
        }
    }

    /// For the document: one that is well.
    fn example() -> Self {
        Self::well(true)
    }

    /// Of a service that says nothing, nothing can be relied on.
    fn silent() -> Self {
        Self {
            status: ServiceStatus::Down,
            database: PartStatus::Down,
            broker: PartStatus::Down,
            consumer: None,
            relay: None,
            reasons: vec!["it does not answer".to_owned()],
        }
    }
}

impl From<HealthReport> for ServiceHealth {
    fn from(report: HealthReport) -> Self {
        let part = |name: &str| report.parts.get(name).copied().unwrap_or(PartStatus::Down);
        Self {
            status: match report.status {
                OverallStatus::Ok => ServiceStatus::Ok,
                OverallStatus::Degraded => ServiceStatus::Degraded,
            },
            database: part("database"),
            broker: part("broker"),
            consumer: report.consumer,
            relay: report.relay,
            reasons: report.reasons,
        }
    }
}

impl PlatformHealth {
    /// The whole, in one word.
    pub(crate) const fn status(&self) -> OverallStatus {
        self.status
    }

    /// Before anybody has asked.
    const fn unknown() -> Self {
        Self {
            status: OverallStatus::Degraded,
            services: BTreeMap::new(),
        }
    }

    /// For the document: all is well.
    pub(crate) fn well() -> Self {
        let services = ["auth", "gateway", "notification", "order", "payment"];
        Self::of(
            services
                .map(|name| (name, ServiceHealth::well(name != "auth")))
                .into(),
        )
    }

    /// For the document: one service is gone.
    pub(crate) fn without_payments() -> Self {
        let mut services = Self::well().services;
        services.insert("payment", ServiceHealth::silent());
        Self::of(services)
    }

    fn of(services: BTreeMap<&'static str, ServiceHealth>) -> Self {
        let all_ok = services
            .values()
            .all(|service| service.status == ServiceStatus::Ok);
        Self {
            status: if all_ok {
                OverallStatus::Ok
            } else {
                OverallStatus::Degraded
            },
            services,
        }
    }
}

impl LastAnswer {
    /// How the platform is: an answer begun at most a second ago if there is one, else a new one.
    pub(crate) async fn get(&self, own: &Health) -> PlatformHealth {
        let mut latest = self.latest.clone();
        let last = latest.borrow_and_update().clone();
        let age = last.as_ref().map_or(Duration::MAX, |(at, _)| at.elapsed());
        if age >= FRESH {
            // one that waits to be gathered is enough
            let _asked = self.asked.try_send(own.clone());
        }
        if let Some((_, answer)) = last.filter(|_| age < STALE) {
            return answer;
        }
        let gathered = latest.changed().await;
        let last = latest.borrow().clone();
        let answer = last.map_or_else(PlatformHealth::unknown, |(_, answer)| answer);
        match gathered {
            Ok(()) => answer,
            // the process stops, and whoever chooses between processes shall choose another
            Err(_stopped) => PlatformHealth {
                status: OverallStatus::Degraded,
                ..answer
            },
        }
    }
}

impl Gatherer {
    /// The task, and where its answers are.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub(crate) fn new(proxy: Arc<ProxyConfig>) -> anyhow::Result<(Self, LastAnswer)> {
        let client = Client::builder()
            .timeout(proxy.settings.health_timeout())
            .no_proxy()
            .build()?;
        let ((ask, asked), (tell, latest)) = (mpsc::channel(1), watch::channel(None));
        let gatherer = Self {
            proxy,
            client,
            asked,
            latest: tell,
        };
        Ok((gatherer, LastAnswer { latest, asked: ask }))
    }

    /// Runs until the process stops.
    pub(crate) async fn run(mut self, stopping: CancellationToken) {
        while let Some(Some(own)) = stopping.run_until_cancelled(self.asked.recv()).await {
            let begun = Instant::now();
            let answer = self.gather(&own).await;
            self.latest.send_replace(Some((begun, answer)));
        }
    }

    async fn gather(&self, own: &Health) -> PlatformHealth {
        let asked = join_all(Upstream::ALL.map(async |upstream| {
            let answer = self.ask(upstream).await;
            (
                upstream.name(),
                answer.map_or_else(ServiceHealth::silent, ServiceHealth::from),
            )
        }));
        let (answers, own) = join(asked, own.report()).await;
        PlatformHealth::of(answers.into_iter().chain([("gateway", own.into())]).collect())
    }

    /// `None` when it does not answer in time or makes no sense.
    async fn ask(&self, upstream: Upstream) -> Option<HealthReport> {
        let authority = self.proxy.service(upstream).ok()?.any()?;
        let url = format!("http://{authority}/health");
        let mut answer = self.client.get(url).send().await.ok()?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.ok()? {
            if body.len().saturating_add(chunk.len()) > ANSWER_BYTES_MAX {
                return None;
            }
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).ok()
    }
}
