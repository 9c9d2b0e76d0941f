//! What the process says about itself: `/health` for people, `/readyz` for load balancers.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use diesel_async::RunQueryDsl;
use futures::future::{BoxFuture, join_all};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use crate::Pool;

/// How long a probe may take before it counts as down.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Something the process needs or does, and how to ask how it is.
#[derive(Clone)]
pub struct Probe(Kind);

#[derive(Clone)]
enum Kind {
    Part {
        name: &'static str,
        check: Arc<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>,
    },
    Messaging(Arc<dyn Fn() -> MessagingHealth + Send + Sync>),
    Concern(Arc<dyn Fn() -> Option<String> + Send + Sync>),
}

impl Probe {
    /// A probe under the name it has in `/health`. `check` answers whether it is up.
    pub fn new<F, Fut>(name: &'static str, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = bool> + Send + 'static,
    {
        Self(Kind::Part {
            name,
            check: Arc::new(move || Box::pin(check())),
        })
    }

    /// The process's Kafka clients, as `broker`, `consumer` and `relay`.
    pub fn messaging(ask: impl Fn() -> MessagingHealth + Send + Sync + 'static) -> Self {
        Self(Kind::Messaging(Arc::new(ask)))
    }

    /// Something that is no part of its own in `/health`: while there is a reason for concern, the process is degraded.
    pub fn concern(ask: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Kind::Concern(Arc::new(ask)))
    }

    /// Asks the database for a 1.
    #[must_use]
    pub fn database(pool: Pool) -> Self {
        Self::new("database", move || {
            let pool = pool.clone();
            async move {
                let Ok(mut connection) = pool.get().await else {
                    return false;
                };
                diesel::sql_query("SELECT 1")
                    .execute(&mut connection)
                    .await
                    .is_ok()
            }
        })
    }

    async fn answer(&self) -> Answer {
        match &self.0 {
            Kind::Part { name, check } => {
                let up = tokio::time::timeout(PROBE_TIMEOUT, check())
                    .await
                    .unwrap_or(false);
                Answer::Part(name, if up { PartStatus::Ok } else { PartStatus::Down })
            }
            Kind::Messaging(ask) => Answer::Messaging(ask()),
            Kind::Concern(ask) => Answer::Concern(ask()),
        }
    }
}

enum Answer {
    Part(&'static str, PartStatus),
    Messaging(MessagingHealth),
    Concern(Option<String>),
}

/// Up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PartStatus {
    /// It answered.
    Ok,
    /// It did not.
    Down,
}

/// The whole, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OverallStatus {
    /// Every part is up.
    Ok,
    /// A part is down.
    Degraded,
}

/// How the Kafka clients of a process are, as told by the clients that do the work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessagingHealth {
    /// Whether the broker answers the relay's producer.
    pub broker: PartStatus,
    /// The consumer; none where nothing is consumed.
    pub consumer: Option<ConsumerHealth>,
    /// The relay.
    pub relay: RelayHealth,
}

/// Whether the process consumes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = Self::well)]
pub struct ConsumerHealth {
    /// `degraded` when it has been in a state other than `assigned` or `standby` for longer than
    /// `messaging.health_grace_ms`.
    pub status: OverallStatus,
    /// What it does.
    pub state: ConsumerState,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Partitions that it has.
    pub partitions: usize,
    /// Why it does not consume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl ConsumerHealth {
    /// For documents: one that reads its partitions.
    #[must_use]
    pub fn well() -> Self {
        Self {
            status: OverallStatus::Ok,
            state: ConsumerState::Assigned,
            since: DateTime::from_timestamp_millis(1_767_268_800_000).unwrap_or_default(),
            partitions: 9,
            reason: None,
        }
    }
}

impl RelayHealth {
    /// For documents: one that relays an outbox without a backlog.
    #[must_use]
    pub fn well() -> Self {
        Self {
            status: OverallStatus::Ok,
            role: RelayRole::Leader,
            oldest_row_seconds: Some(0),
            reason: None,
        }
    }
}

/// What a consumer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConsumerState {
    /// It has partitions and reads them.
    Assigned,
    /// It is a member of a group that has more members than partitions, and takes over when one is gone.
    Standby,
    /// It waits for its assignment.
    Waiting,
    /// It does not take messages in: the database is away, or the breaker is open.
    Paused,
    /// It has partitions, and how far it is behind on them is not known.
    LagUnknown,
}

/// Whether the process publishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = Self::well)]
pub struct RelayHealth {
    /// `degraded` when the oldest row of the outbox is older than `messaging.outbox_overdue_ms`.
    pub status: OverallStatus,
    /// Whether this replica relays the outbox.
    pub role: RelayRole,
    /// Age of the oldest row of the outbox; null while the database does not tell.
    #[schema(required)]
    pub oldest_row_seconds: Option<i64>,
    /// What holds it up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Whether this replica relays the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RelayRole {
    /// It does.
    Leader,
    /// Another one does, or none.
    Follower,
}

/// The body of `/health`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HealthReport {
    /// The whole.
    pub status: OverallStatus,
    /// Whether requests should be sent here; what `/readyz` answers.
    #[serde(default)]
    pub accepts_requests: bool,
    /// Whether it consumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<ConsumerHealth>,
    /// Whether it publishes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<RelayHealth>,
    /// Why it is degraded; empty when it is not.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// What it needs, by name: `database`, `broker`.
    #[serde(flatten)]
    pub parts: BTreeMap<String, PartStatus>,
}

impl HealthReport {
    fn new(accepts_requests: bool) -> Self {
        Self {
            status: OverallStatus::Ok,
            accepts_requests,
            consumer: None,
            relay: None,
            reasons: Vec::new(),
            parts: BTreeMap::new(),
        }
    }

    /// Something that makes the process degraded.
    fn blame(&mut self, reason: String) {
        self.status = OverallStatus::Degraded;
        self.reasons.push(reason);
    }

    fn part(&mut self, name: &str, status: PartStatus) {
        self.parts.insert(name.to_owned(), status);
        if status == PartStatus::Down {
            self.blame(format!("{name}: does not answer"));
        }
    }

    fn take(&mut self, answer: Answer) {
        match answer {
            Answer::Part(name, status) => self.part(name, status),
            Answer::Messaging(messaging) => self.messaging(messaging),
            Answer::Concern(reason) => reason.into_iter().for_each(|reason| self.blame(reason)),
        }
    }

    fn messaging(&mut self, messaging: MessagingHealth) {
        let MessagingHealth {
            broker,
            consumer,
            relay,
        } = messaging;
        self.part("broker", broker);
        if let Some(consumer) = consumer
            .as_ref()
            .filter(|it| it.status == OverallStatus::Degraded)
        {
            self.blame(format!(
                "consumer: {}",
                consumer.reason.as_deref().unwrap_or("does not consume")
            ));
        }
        if relay.status == OverallStatus::Degraded {
            self.blame(format!(
                "relay: {}",
                relay.reason.as_deref().unwrap_or("does not publish")
            ));
        }
        self.consumer = consumer;
        self.relay = Some(relay);
    }
}

/// The process's probes. In the app data of the server the chassis starts.
#[derive(Clone)]
pub struct Health {
    probes: Arc<[Probe]>,
    draining: CancellationToken,
}

impl Health {
    /// The database's probe first, then the service's own.
    pub(crate) fn new(database: Probe, others: &[Probe], draining: CancellationToken) -> Self {
        let probes = std::iter::once(database).chain(others.iter().cloned()).collect();
        Self { probes, draining }
    }

    /// Asks every part, all at once.
    pub async fn report(&self) -> HealthReport {
        let answers = join_all(self.probes.iter().map(Probe::answer)).await;
        // the database's is the first
        let database_down = matches!(
            answers.as_slice().first(),
            Some(Answer::Part(_, PartStatus::Down))
        );
        let mut report = HealthReport::new(!database_down && !self.is_draining());
        for answer in answers {
            report.take(answer);
        }
        if self.is_draining() {
            // whoever chooses between processes shall choose another
            report.blame("the process is stopping".to_owned());
        }
        report
    }

    /// Whether a stop has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Whether requests should be sent here: the database answers and no stop has begun. A broker that is
    /// down does not count: requests go on succeeding without it.
    pub async fn is_ready(&self) -> bool {
        if self.draining.is_cancelled() {
            return false;
        }
        match self.probes.iter().next() {
            Some(database) => matches!(database.answer().await, Answer::Part(_, PartStatus::Ok)),
            None => true,
        }
    }
}

/// `GET /health`
pub(crate) async fn health(health: web::Data<Health>) -> HttpResponse {
    let report = health.report().await;
    match report.status {
        OverallStatus::Ok => HttpResponse::Ok().json(report),
        OverallStatus::Degraded => HttpResponse::ServiceUnavailable().json(report),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messaging(consumer: OverallStatus, relay: OverallStatus) -> MessagingHealth {
        MessagingHealth {
            broker: PartStatus::Ok,
            consumer: Some(ConsumerHealth {
                status: consumer,
                state: ConsumerState::Waiting,
                since: DateTime::UNIX_EPOCH,
                partitions: 0,
                reason: Some("no assignment since 1970-01-01T00:00:00Z".to_owned()),
            }),
            relay: RelayHealth {
                status: relay,
                role: RelayRole::Leader,
                oldest_row_seconds: Some(40),
                reason: Some("the oldest row is 40 s old".to_owned()),
            },
        }
    }

    async fn report(probes: &[Probe]) -> HealthReport {
        let database = Probe::new("database", || std::future::ready(true));
        Health::new(database, probes, CancellationToken::new())
            .report()
            .await
    }

    #[tokio::test]
    async fn what_degrades_a_process_is_named_and_requests_go_on() {
        use OverallStatus::{Degraded, Ok};
        let well = report(&[Probe::messaging(|| messaging(Ok, Ok)), Probe::concern(|| None)]).await;
        assert_eq!((well.status, well.reasons.as_slice()), (Ok, [].as_slice()));
        let ill = report(&[
            Probe::messaging(|| messaging(Degraded, Degraded)),
            Probe::concern(|| Some("the tail is not read".to_owned())),
        ])
        .await;
        assert_eq!(
            ill.reasons,
            [
                "consumer: no assignment since 1970-01-01T00:00:00Z",
                "relay: the oldest row is 40 s old",
                "the tail is not read",
            ]
        );
        assert_eq!((ill.status, ill.accepts_requests), (Degraded, true));
        let told = serde_json::to_value(&ill).unwrap();
        assert_eq!((&told["database"], &told["broker"]), (&"ok".into(), &"ok".into()));
        assert_eq!(told["consumer"]["state"], "waiting");
        let read: HealthReport = serde_json::from_value(told).unwrap();
        assert_eq!((read.consumer, read.relay), (ill.consumer, ill.relay));
    }

    #[tokio::test]
    async fn without_its_database_a_process_accepts_no_requests() {
        let database = Probe::new("database", || std::future::ready(false));
        let health = Health::new(database, &[], CancellationToken::new());
        let report = health.report().await;
        assert_eq!((report.accepts_requests, health.is_ready().await), (false, false));
        assert_eq!(report.reasons, ["database: does not answer"]);
    }
}
