//! The composition root.

use std::sync::Arc;

use actix_web::web;
use anyhow::Context;
use chassis::{App, NoCommand, Parts, Probe, Service};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use messaging::Kernel;
use messaging::metrics::KernelMetrics;
use utoipa::OpenApi as _;

use crate::config::Settings;
use crate::edge::Gate;
use crate::jobs::forget_the_idle;
use crate::limits::Limits;
use crate::metrics::GatewayMetrics;
use crate::openapi::Documentation;
use crate::proxy::{Proxy, ProxyConfig};
use crate::routes::health::LastAnswer;
use crate::{reactions, routes};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../migrations/gateway");

/// The gateway as a process.
pub struct GatewayService;

impl Service for GatewayService {
    const NAME: &'static str = "gateway";
    const DEFAULTS: &'static str = include_str!("../defaults.toml");
    type Settings = Settings;
    type Command = NoCommand;

    fn migrations() -> EmbeddedMigrations {
        MIGRATIONS
    }

    fn openapi() -> utoipa::openapi::OpenApi {
        Documentation::openapi()
    }

    async fn build(parts: Parts<Settings>) -> anyhow::Result<App> {
        let broker = start_kernel(&parts)?;
        let limits = Arc::new(Limits::new(&parts.settings.rate_limit));
        let remembered = limits.clone();
        parts.tasks.spawn("rate limits", |stopping| {
            forget_the_idle::run(remembered, stopping)
        });

        let gate = web::Data::new(Gate::new(limits, GatewayMetrics::registered(&parts.metrics)));
        let proxy = Arc::new(proxy_config(&parts)?);
        let reconciliation = web::Data::new(parts.settings.reconciliation);
        let pool = web::Data::new(parts.pool.clone());
        let last_health = web::Data::new(LastAnswer::default());
        let app = App::new(move |config| {
            config
                .app_data(gate.clone())
                .app_data(pool.clone())
                .app_data(reconciliation.clone())
                .app_data(last_health.clone())
                .app_data(web::Data::new(Proxy::new(proxy.clone())));
            routes::configure(config);
        });
        Ok(app.probe(broker).without_docs().without_health_route())
    }

    async fn command(command: NoCommand, _parts: Parts<Settings>) -> anyhow::Result<()> {
        match command {}
    }
}

fn start_kernel(parts: &Parts<Settings>) -> anyhow::Result<Probe> {
    let metrics = KernelMetrics::default();
    parts.metrics.register(|registry| metrics.register(registry));
    let kernel = Kernel::builder(
        GatewayService::NAME,
        &parts.core.kafka.brokers,
        parts.pool.clone(),
        parts.settings.messaging.clone(),
    )
    .metrics(metrics)
    .participant(reactions::participant())
    .build()?;
    let probe = kernel.probe();
    kernel.start(&parts.tasks)?;
    Ok(probe)
}

fn proxy_config(parts: &Parts<Settings>) -> anyhow::Result<ProxyConfig> {
    Ok(ProxyConfig {
        upstreams: parts.settings.upstreams.clone(),
        settings: parts.settings.proxy.clone(),
        body_limit_bytes: u64::try_from(parts.core.http.body_limit_bytes).context("http.body_limit_bytes")?,
        draining: parts.tasks.draining(),
    })
}
