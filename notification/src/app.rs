//! The composition root.

use chassis::{App, NoCommand, Parts, Pool, Service};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use messaging::Kernel;
use messaging::metrics::KernelMetrics;

use crate::config::Settings;
use crate::{reactions, routes};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../migrations/notification");

/// The notification service.
pub struct NotificationService;

/// What the endpoints need.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) pool: Pool,
}

impl Service for NotificationService {
    const NAME: &'static str = "notification";
    const DEFAULTS: &'static str = include_str!("../defaults.toml");
    type Settings = Settings;
    type Command = NoCommand;

    fn migrations() -> EmbeddedMigrations {
        MIGRATIONS
    }

    fn openapi() -> utoipa::openapi::OpenApi {
        operations::document(routes::openapi(), "/notifications")
    }

    async fn build(parts: Parts<Settings>) -> anyhow::Result<App> {
        let metrics = KernelMetrics::default();
        parts.metrics.register(|registry| metrics.register(registry));
        let kernel = Kernel::builder(
            Self::NAME,
            &parts.core.kafka.brokers,
            parts.pool.clone(),
            parts.settings.messaging,
        )
        .metrics(metrics)
        .participant(reactions::participant())
        .build()?;
        let state = State { pool: parts.pool };
        let broker = kernel.probe();
        let operations = kernel.operations();
        kernel.start(&parts.tasks)?;
        Ok(App::new(move |config| {
            operations::configure(config, "/notifications", operations.clone());
            routes::configure(config, state.clone());
        })
        .probe(broker))
    }

    async fn command(command: NoCommand, _: Parts<Settings>) -> anyhow::Result<()> {
        match command {}
    }
}
