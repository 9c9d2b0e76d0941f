//! The composition root.

use std::time::Duration;

use chassis::{App, NoCommand, Parts, Pool, Service};
use chrono::TimeDelta;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use messaging::metrics::KernelMetrics;
use messaging::{Kernel, MessagingSettings, Signals};
use tokio_util::sync::CancellationToken;

use crate::actions::{Deliverer, Mails, Webhooks};
use crate::config::{Settings, StreamSettings, WebhookSettings};
use crate::mail::Mailer;
use crate::store::Channels;
use crate::streams::Streams;
use crate::webhooks::Guard;
use crate::{jobs, reactions, routes};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../migrations/notification");

/// The notification service.
pub struct NotificationService;

/// What the endpoints need.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) pool: Pool,
    pub(crate) signals: Signals,
    pub(crate) channels: Channels,
    pub(crate) guard: Guard,
    pub(crate) webhooks: WebhookSettings,
    pub(crate) streams: Streams,
    pub(crate) stream: StreamSettings,
    /// Cancelled when the process begins to stop.
    pub(crate) draining: CancellationToken,
}

impl Service for NotificationService {
    const NAME: &'static str = "notification";
    const DEFAULTS: &'static str = include_str!("../defaults.toml");
    type Settings = Settings;
    type Command = NoCommand;

    fn kernel_defaults() -> serde_json::Value {
        MessagingSettings::defaults()
    }

    fn migrations() -> EmbeddedMigrations {
        MIGRATIONS
    }

    fn openapi() -> utoipa::openapi::OpenApi {
        operations::document(routes::openapi(), "/notifications", routes::PROBLEMS)
    }

    async fn build(parts: Parts<Settings>) -> anyhow::Result<App> {
        let Parts {
            settings,
            core,
            pool,
            background,
            tasks,
            metrics: registry,
        } = parts;
        settings.validate()?;
        let guard = Guard::new(
            settings.webhooks.allow_insecure,
            settings.webhooks.allow_private_addresses,
        );
        let channels = Channels {
            email: settings.email.is_on(),
            disable_after: settings.webhooks.disable_after.into(),
        };
        let mailer = Mailer::new(&settings.email)?;
        let deliverer = Deliverer {
            pool: background.clone(),
            webhooks: Webhooks::new(guard.clone(), settings.webhooks.clone())?,
            mails: Mails::new(mailer, settings.email),
        };
        let metrics = KernelMetrics::default();
        registry.register(|registry| metrics.register(registry));
        let brokers = &core.kafka.brokers;
        let kernel = Kernel::builder(Self::NAME, brokers, background.clone(), settings.messaging)
            .metrics(metrics)
            .participant(reactions::telling(channels))
            .participant(reactions::delivering(channels, deliverer))
            .build()?;
        let (messaging, operations, signals) = (kernel.probe(), kernel.operations(), kernel.signals());
        kernel.start(&tasks)?;
        let streams = Streams::new(
            settings.stream.per_user_max.into(),
            settings.stream.per_process_max.into(),
            Duration::from_millis(settings.stream.place_wait_ms.into()),
        );
        let state = State {
            pool,
            signals: signals.clone(),
            channels,
            guard,
            webhooks: settings.webhooks,
            streams: streams.clone(),
            stream: settings.stream.clone(),
            draining: tasks.draining(),
        };
        let poll = Duration::from_millis(settings.stream.poll_ms.max(1).into());
        let of_streams = background.clone();
        tasks.spawn("streams", move |stop| streams.run(of_streams, poll, stop));
        let of_retention = background.clone();
        let kept = jobs::Kept {
            deliveries: TimeDelta::days(settings.deliveries.retention_days.into()),
            keys: TimeDelta::seconds(settings.idempotency.retention_s.into()),
        };
        tasks.spawn("retention", move |stop| {
            jobs::forget_old(of_retention, kept, stop)
        });
        let deliveries = settings.deliveries;
        tasks.spawn("deliveries", move |stop| {
            jobs::resume_due(background, signals, channels, deliveries, stop)
        });
        Ok(App::new(move |config| {
            operations::configure(config, "/notifications", operations.clone());
            routes::configure(config, state.clone());
        })
        .probe(messaging))
    }

    async fn command(command: NoCommand, _: Parts<Settings>) -> anyhow::Result<()> {
        match command {}
    }
}
