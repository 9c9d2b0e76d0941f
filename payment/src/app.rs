//! The composition root.

use std::sync::Arc;
use std::time::Duration;

use chassis::{App, NoCommand, Parts, Pool, Service};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use messaging::metrics::KernelMetrics;
use messaging::{Kernel, Participant};

use crate::actions::ProviderCalls;
use crate::config::Settings;
use crate::domain;
use crate::provider::SimulatedProvider;
use crate::routes;
use crate::store::PaymentRepository;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../migrations/payment");

/// The payment service.
pub struct PaymentService;

/// What the endpoints need.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) pool: Pool,
    pub(crate) simulator: SimulatedProvider,
}

impl Service for PaymentService {
    const NAME: &'static str = "payment";
    const DEFAULTS: &'static str = include_str!("../defaults.toml");
    type Settings = Settings;
    type Command = NoCommand;

    fn migrations() -> EmbeddedMigrations {
        MIGRATIONS
    }

    fn openapi() -> utoipa::openapi::OpenApi {
        operations::document(routes::openapi(), "/payments")
    }

    async fn build(parts: Parts<Settings>) -> anyhow::Result<App> {
        let settings = parts.settings;
        let slow = Duration::from_millis(settings.simulator.slow_ms);
        let simulator = SimulatedProvider::new(parts.pool.clone(), slow);
        let patience = settings.patience()?;
        let payments = Participant::new(PaymentRepository)
            .on(domain::on_order_created)
            .on(domain::on_order_cancelled)
            .performing(
                ProviderCalls::new(Arc::new(simulator.clone()), patience),
                domain::is_wanted,
                domain::on_provider_answer,
            );
        let metrics = KernelMetrics::default();
        parts.metrics.register(|registry| metrics.register(registry));
        let brokers = &parts.core.kafka.brokers;
        let kernel = Kernel::builder(Self::NAME, brokers, parts.pool.clone(), settings.messaging)
            .metrics(metrics)
            .participant(payments)
            .build()?;
        let broker = kernel.probe();
        let operations = kernel.operations();
        kernel.start(&parts.tasks)?;
        let state = State {
            pool: parts.pool,
            simulator,
        };
        Ok(App::new(move |config| {
            operations::configure(config, "/payments", operations.clone());
            routes::configure(config, state.clone());
        })
        .probe(broker))
    }

    async fn command(command: NoCommand, _: Parts<Settings>) -> anyhow::Result<()> {
        match command {}
    }
}
