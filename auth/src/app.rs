//! The composition root: what the service is made of.

use std::sync::Arc;

use anyhow::Context as _;
use chassis::auth::{KeySource, TokenVerifier};
use chassis::problem::Problem;
use chassis::{App, Parts, Pool, Service, Tasks, clock};
use contracts::Context;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use messaging::metrics::KernelMetrics;
use messaging::{Kernel, MessagingSettings, Signals};
use prometheus_client::metrics::gauge::ConstGauge;
use utoipa::OpenApi as _;

use crate::bulkhead::Bulkhead;
use crate::command::{self, Command};
use crate::config::{AuthSettings, KeySettings, SessionSettings};
use crate::crypto::{AnswerSealing, Hasher, Issuer, KeyEncryption};
use crate::domain::password::Rules;
use crate::metrics::AuthMetrics;
use crate::signing::{self, KeyRing};
use crate::throttle::Throttle;
use crate::{jobs, routes};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../migrations/auth");

/// The service, as the chassis runs it.
#[derive(Debug, Clone, Copy)]
pub struct AuthService;

/// What handlers work with.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) pool: Pool,
    /// What requests with a password have of it.
    pub(crate) bulkhead: Bulkhead,
    pub(crate) hasher: Hasher,
    pub(crate) rules: Rules,
    pub(crate) throttle: Throttle,
    pub(crate) issuer: Arc<Issuer>,
    /// Keeps what refreshes were answered with.
    pub(crate) answers: Arc<AnswerSealing>,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) key_settings: KeySettings,
    pub(crate) metrics: AuthMetrics,
    pub(crate) session: SessionSettings,
    pub(crate) signals: Signals,
    pub(crate) tasks: Tasks,
}

impl State {
    /// A connection; 503 when there is none.
    pub(crate) async fn connection(&self) -> Result<chassis::Connection, Problem> {
        Ok(self.pool.get().await?)
    }
}

impl Service for AuthService {
    const NAME: &'static str = "auth";
    const DEFAULTS: &'static str = include_str!("../defaults.toml");
    type Settings = AuthSettings;
    type Command = Command;

    fn kernel_defaults() -> serde_json::Value {
        MessagingSettings::defaults()
    }

    fn migrations() -> EmbeddedMigrations {
        MIGRATIONS
    }

    fn openapi() -> utoipa::openapi::OpenApi {
        operations::document(routes::Documentation::openapi(), "/auth", routes::PROBLEMS)
    }

    async fn build(parts: Parts<AuthSettings>) -> anyhow::Result<App> {
        let settings = &parts.settings;
        settings.validate(&parts.core.token)?;
        let encryption = Arc::new(signing::encryption(&settings.keys)?);
        let metrics = AuthMetrics::default();
        parts.metrics.register(|registry| metrics.register(registry));
        let kernel = kernel(&parts)?;
        let hasher = Hasher::new(&settings.password, metrics.password_hashes.clone())?;
        expose_queue(&parts, &hasher);
        let keys = keys(&parts, &encryption).await?;
        let state = State {
            pool: parts.pool.clone(),
            bulkhead: Bulkhead::new(parts.pool.clone(), settings.password.connections.get()),
            hasher,
            rules: settings.password.rules(),
            throttle: Throttle::new(&settings.throttle, &encryption, metrics.clone()),
            issuer: Arc::new(Issuer::new(&parts.core.token, settings.session.access_ttl())),
            answers: Arc::new(AnswerSealing::new(&encryption)),
            keys: Arc::clone(&keys),
            key_settings: settings.keys.clone(),
            metrics,
            session: settings.session.clone(),
            signals: kernel.signals(),
            tasks: parts.tasks.clone(),
        };
        let messaging = kernel.probe();
        let operations = kernel.operations();
        kernel.start(&parts.tasks)?;
        let verifier = TokenVerifier::new(&parts.core.token, own_keys(Arc::clone(&keys)));
        jobs::start(
            &parts.tasks,
            parts.background,
            &parts.settings,
            keys,
            verifier.clone(),
        );
        Ok(App::new(move |config| {
            operations::configure(config, "/auth", operations.clone());
            routes::configure(config, &state);
        })
        .probe(messaging)
        .verifier(verifier))
    }

    async fn command(command: Command, parts: Parts<AuthSettings>) -> anyhow::Result<()> {
        command::run(command, parts).await
    }
}

/// Auth listens to nobody; the kernel carries its outbox.
fn kernel(parts: &Parts<AuthSettings>) -> anyhow::Result<Kernel> {
    let metrics = KernelMetrics::default();
    parts.metrics.register(|registry| metrics.register(registry));
    let settings = parts.settings.messaging.clone();
    let builder = Kernel::builder(
        AuthService::NAME,
        &parts.core.kafka.brokers,
        parts.background.clone(),
        settings,
    );
    Ok(builder.metrics(metrics).build()?)
}

/// The keys of the database; the first service to start makes the first one.
async fn keys(parts: &Parts<AuthSettings>, encryption: &Arc<KeyEncryption>) -> anyhow::Result<Arc<KeyRing>> {
    let settings = &parts.settings;
    let overlap = signing::overlap(&settings.keys, &settings.session);
    {
        let mut connection = parts.background.get().await.context("no database connection")?;
        signing::ensure_one(&mut connection, encryption, clock::now()).await?;
    }
    let ring = KeyRing::open(parts.background.clone(), Arc::clone(encryption), overlap).await?;
    Ok(Arc::new(ring))
}

/// Tokens are verified with the keys that are published.
fn own_keys(keys: Arc<KeyRing>) -> KeySource {
    KeySource::new(Arc::new(move || {
        let keys = Arc::clone(&keys);
        Box::pin(async move { keys.fetch().await })
    }))
}

/// What caused an account to change: a request, which no saga precedes. Make it when the login or the account is locked:
/// then tokens and revocations of a user have times in the order in which they were committed.
pub(crate) fn context() -> Context {
    let request = clock::new_id();
    Context {
        now: clock::now(),
        fresh_id: clock::new_id(),
        cause_id: request,
        correlation_id: request,
    }
}

fn expose_queue(parts: &Parts<AuthSettings>, hasher: &Hasher) {
    parts.metrics.register(|registry| {
        registry.register_collector(Box::new(QueueLength(hasher.clone())));
    });
}

/// Reads the length of the password queue when somebody asks.
struct QueueLength(Hasher);

impl std::fmt::Debug for QueueLength {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("QueueLength")
    }
}

impl prometheus_client::collector::Collector for QueueLength {
    fn encode(
        &self,
        mut encoder: prometheus_client::encoding::DescriptorEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        use prometheus_client::encoding::EncodeMetric;
        let gauge = ConstGauge::new(i64::try_from(self.0.in_hand()).unwrap_or(i64::MAX));
        let metric = encoder.encode_descriptor(
            "password_hashes",
            "Password hashes that run or wait",
            None,
            gauge.metric_type(),
        )?;
        gauge.encode(metric)
    }
}
