//! The composition root.

use std::time::Duration;

use chassis::{App, NoCommand, Parts, Pool, Service};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use messaging::metrics::KernelMetrics;
use messaging::{Kernel, MessagingSettings, Participant, Signals};

use crate::config::Settings;
use crate::domain::{self, PaymentMethods};
use crate::jobs::{self, DeadlineTimer, Holding};
use crate::routes;
use crate::store::OrderRepository;
use crate::streams::Streams;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../migrations/order");

/// The order service.
pub struct OrderService;

/// What the endpoints need.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) pool: Pool,
    /// Wakes the relay after a commit.
    pub(crate) signals: Signals,
    /// How long a request waits for another that has its idempotency key in hand.
    pub(crate) key_patience: Duration,
    /// The highest price of a product, in minor units.
    pub(crate) price_max_minor: i64,
    /// Those who follow an order.
    pub(crate) streams: Streams,
    /// Whose payment methods are taken.
    pub(crate) payment_methods: PaymentMethods,
}

impl Service for OrderService {
    const NAME: &'static str = "order";
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
        operations::document(routes::openapi(), "/orders", routes::PROBLEMS)
    }

    async fn build(parts: Parts<Settings>) -> anyhow::Result<App> {
        let orders = Participant::new(OrderRepository)
            .on(domain::on_payment_completed)
            .on(domain::on_payment_failed)
            .on(domain::on_payment_refunded);
        let metrics = KernelMetrics::default();
        parts.metrics.register(|registry| metrics.register(registry));
        let kernel = Kernel::builder(
            Self::NAME,
            &parts.core.kafka.brokers,
            parts.background.clone(),
            parts.settings.messaging,
        )
        .metrics(metrics)
        .participant(orders)
        .build()?;
        let state = State {
            pool: parts.pool,
            signals: kernel.signals(),
            key_patience: parts.settings.idempotency.patience(),
            price_max_minor: parts.settings.catalogue.price_max_minor.get(),
            streams: Streams::new(parts.settings.streams, parts.tasks.draining()),
            payment_methods: parts.settings.payment_methods.kind,
        };
        let messaging = kernel.probe();
        let operations = kernel.operations();
        let hold = kernel.deadline_hold();
        parts.metrics.register(|registry| hold.register(registry));
        let fence = kernel.read_fence(parts.settings.saga.read_timeout(), parts.settings.saga.settle());
        kernel.start(&parts.tasks)?;
        let in_background = State {
            pool: parts.background,
            ..state.clone()
        };
        let deadline = DeadlineTimer {
            state: in_background.clone(),
            saga: parts.settings.saga,
            fence,
            holding: Holding::new(hold),
        };
        jobs::start(&parts.tasks, &in_background, deadline, parts.settings.idempotency);
        Ok(App::new(move |config| {
            operations::configure(config, "/orders", operations.clone());
            routes::configure(config, state.clone());
        })
        .probe(messaging))
    }

    async fn command(command: NoCommand, _: Parts<Settings>) -> anyhow::Result<()> {
        match command {}
    }
}
