//! The composition root.

use std::sync::Arc;
use std::time::Duration;

use chassis::{App, NoCommand, Parts, Pool, Service};
use contracts::events::{OrderCancelled, OrderCreated};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use messaging::metrics::KernelMetrics;
use messaging::{Kernel, MessagingSettings, Participant, Signals};
use secrecy::ExposeSecret;

use crate::actions::ProviderCalls;
use crate::config::{Settings, StripeSettings};
use crate::domain::{self, Provider};
use crate::jobs::webhook_events;
use crate::metrics::PaymentMetrics;
use crate::provider::{ByPayment, Ledger, SimulatedProvider, StripeProvider};
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
    /// Where Stripe tells what became of payments, when that is set up.
    pub(crate) webhooks: Option<Arc<Webhooks>>,
}

/// What Stripe's webhooks need.
pub(crate) struct Webhooks {
    pub(crate) stripe: Arc<StripeProvider>,
    pub(crate) settings: StripeSettings,
    pub(crate) metrics: PaymentMetrics,
    pub(crate) signals: Signals,
}

impl Service for PaymentService {
    const NAME: &'static str = "payment";
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
        operations::document(routes::openapi(), "/payments", routes::PROBLEMS)
    }

    async fn build(parts: Parts<Settings>) -> anyhow::Result<App> {
        let settings = parts.settings;
        let slow = Duration::from_millis(settings.simulator.slow_ms);
        settings.validate()?;
        let provider = &settings.provider;
        let ledger = Ledger::new(parts.background.clone(), provider.books_timeout());
        let simulator = SimulatedProvider::new(ledger.clone(), slow, provider.timeout());
        let stripe = settings
            .has_stripe()
            .then(|| StripeProvider::new(ledger.clone(), &provider.stripe).map(Arc::new))
            .transpose()?;
        let provider = ByPayment::new(ledger, simulator.clone(), stripe.clone());
        let payments = listening(settings.provider.kind)
            .performing(
                ProviderCalls::new(Arc::new(provider)),
                domain::precondition,
                domain::on_provider_answer,
            )
            .correcting(domain::on_charge_corrected);
        let metrics = KernelMetrics::default();
        let counted = PaymentMetrics::default();
        parts.metrics.register(|registry| {
            metrics.register(registry);
            counted.register(registry);
        });
        let brokers = &parts.core.kafka.brokers;
        let kernel = Kernel::builder(Self::NAME, brokers, parts.background.clone(), settings.messaging)
            .metrics(metrics)
            .participant(payments)
            .build()?;
        let messaging = kernel.probe();
        let operations = kernel.operations();
        let webhooks = webhooks(stripe, settings.provider.stripe, counted, kernel.signals());
        if let Some(webhooks) = &webhooks {
            let (pool, retention) = (parts.background, webhooks.settings.webhook_retention());
            parts.tasks.spawn("webhook_events", |stop| {
                webhook_events::run(pool, retention, stop)
            });
        }
        kernel.start(&parts.tasks)?;
        let state = State {
            pool: parts.pool,
            simulator,
            webhooks,
        };
        Ok(App::new(move |config| {
            operations::configure(config, "/payments", operations.clone());
            routes::configure(config, state.clone());
        })
        .probe(messaging))
    }

    async fn command(command: NoCommand, _: Parts<Settings>) -> anyhow::Result<()> {
        match command {}
    }
}

/// New payments go through `provider`.
fn listening(provider: Provider) -> Participant<PaymentRepository> {
    let payments = Participant::new(PaymentRepository);
    match provider {
        Provider::Simulated => payments
            .on(domain::on_order_created)
            .on(domain::on_order_cancelled),
        Provider::Stripe => payments
            .on::<OrderCreated>(|payment, order, context| {
                domain::on_order_created_at(Provider::Stripe, payment, order, context)
            })
            .on::<OrderCancelled>(|payment, order, context| {
                domain::on_order_cancelled_at(Provider::Stripe, payment, order, context)
            }),
    }
}

/// Webhooks are there when there is a secret to tell them by.
fn webhooks(
    stripe: Option<Arc<StripeProvider>>,
    settings: StripeSettings,
    metrics: PaymentMetrics,
    signals: Signals,
) -> Option<Arc<Webhooks>> {
    let stripe = stripe.filter(|_| !settings.webhook_secret.expose_secret().is_empty())?;
    Some(Arc::new(Webhooks {
        stripe,
        settings,
        metrics,
        signals,
    }))
}
