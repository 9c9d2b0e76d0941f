//! The composition root.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use anyhow::Context;
use chassis::auth::TokenVerifier;
use chassis::settings::TokenSettings;
use chassis::{App, NoCommand, Parts, Probe, Service};
use chrono::TimeDelta;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use messaging::metrics::KernelMetrics;
use messaging::operations::Operations;
use messaging::{Kernel, MessagingSettings};
use tokio::time::Instant;

use crate::config::Settings;
use crate::edge::{Gate, Revocations};
use crate::jobs::check_health::HealthChecks;
use crate::jobs::gather_health::Gatherer;
use crate::jobs::{follow_revocations, forget_the_idle, hear_revocations};
use crate::limits::Limits;
use crate::metrics::GatewayMetrics;
use crate::proxy::{Proxy, ProxyConfig};
use crate::store::revocations::{Mark, RevocationRepository};
use crate::{reactions, routes};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../migrations/gateway");

/// The gateway as a process.
pub struct GatewayService;

impl Service for GatewayService {
    const NAME: &'static str = "gateway";
    const DEFAULTS: &'static str = include_str!("../defaults.toml");
    const OPTIONAL: &'static [&'static str] = &["rate_limit.per_admin_per_minute"];
    type Settings = Settings;
    type Command = NoCommand;

    fn kernel_defaults() -> serde_json::Value {
        MessagingSettings::defaults()
    }

    fn migrations() -> EmbeddedMigrations {
        MIGRATIONS
    }

    fn openapi() -> utoipa::openapi::OpenApi {
        crate::openapi::document()
    }

    async fn build(parts: Parts<Settings>) -> anyhow::Result<App> {
        let kernel_metrics = KernelMetrics::default();
        let (messaging, operations) = start_kernel(&parts, &kernel_metrics)?;
        let metrics = GatewayMetrics::registered(&parts.metrics);
        let (verifier, revocations) = verifier(&parts, &metrics, kernel_metrics).await?;
        let limits = Arc::new(Limits::new(&parts.settings.rate_limit));
        let remembered = limits.clone();
        let every = parts.settings.rate_limit.clean();
        parts.tasks.spawn("rate limits", move |stopping| {
            forget_the_idle::run(remembered, every, stopping)
        });

        let gate = web::Data::new(Gate::new(limits, parts.settings.edge.clone(), metrics.clone()));
        let proxy = Arc::new(proxy_config(&parts, &metrics)?);
        if let Some(every) = parts.settings.proxy.check_interval() {
            let checks = HealthChecks::new(proxy.clone(), every)?;
            parts
                .tasks
                .spawn("health checks", |stopping| checks.run(stopping));
        }
        let edge_settings = parts.settings.edge.clone();
        let reconciliation = web::Data::new(parts.settings.reconciliation);
        let pool = web::Data::new(parts.pool.clone());
        let (gatherer, last_health) = Gatherer::new(proxy.clone())?;
        parts.tasks.spawn("health", |stopping| gatherer.run(stopping));
        let last_health = web::Data::new(last_health);
        let app = App::new(move |config| {
            config
                .app_data(gate.clone())
                .app_data(pool.clone())
                .app_data(reconciliation.clone())
                .app_data(last_health.clone())
                .app_data(web::Data::new(operations.clone()))
                .app_data(web::Data::new(Proxy::new(proxy.clone())));
            routes::configure(config, &edge_settings, &operations);
        });
        Ok(app
            .verifier(verifier)
            .probe(messaging)
            .probe(revocations)
            .without_docs()
            .without_heads()
            .without_health_route())
    }

    async fn command(command: NoCommand, _parts: Parts<Settings>) -> anyhow::Result<()> {
        match command {}
    }
}

fn start_kernel(parts: &Parts<Settings>, metrics: &KernelMetrics) -> anyhow::Result<(Probe, Operations)> {
    let registered = metrics.clone();
    parts.metrics.register(|registry| registered.register(registry));
    let kernel = Kernel::builder(
        GatewayService::NAME,
        &parts.core.kafka.brokers,
        parts.background.clone(),
        parts.settings.messaging.clone(),
    )
    .metrics(metrics.clone())
    .participant(reactions::timeline::participant())
    .participant(reactions::revocations::participant(RevocationRepository {
        token_lifetime: token_lifetime(&parts.core.token),
    }))
    .build()?;
    let (probe, operations) = (kernel.probe(), kernel.operations());
    kernel.start(&parts.tasks)?;
    Ok((probe, operations))
}

/// Verifies tokens by the published keys, and refuses those whose login has ended. What is known of ended logins is read
/// before the first request is, from the database and from the topic.
async fn verifier(
    parts: &Parts<Settings>,
    metrics: &GatewayMetrics,
    kernel_metrics: KernelMetrics,
) -> anyhow::Result<(TokenVerifier, Probe)> {
    let settings = parts.settings.revocations;
    let lifetime = TimeDelta::from_std(token_lifetime(&parts.core.token)).context("token.lifetime_max_s")?;
    let revocations = Revocations::new(settings.max_entries.get(), lifetime);
    let mark = first_catch_up(&revocations, parts).await?;
    let (probe, all_heard) =
        hear_revocations::start(parts, revocations.clone(), metrics.clone(), kernel_metrics)?;
    if !matches!(
        tokio::time::timeout(settings.start_wait(), all_heard).await,
        Ok(Ok(()))
    ) {
        tracing::warn!("session.revoked could not be read in time: only logins that ended before are known");
    }
    let verifier = TokenVerifier::from_url(&parts.core.token)?.refusing(revocations.judge());
    let (pool, metrics) = (parts.background.clone(), metrics.clone());
    parts.tasks.spawn("revocations", move |stopping| {
        follow_revocations::run(revocations, mark, pool, settings, metrics, stopping)
    });
    let pool = parts.background.clone();
    parts.tasks.spawn("revocations sweep", move |stopping| {
        follow_revocations::sweep(pool, settings.sweep(), stopping)
    });
    Ok((verifier, probe))
}

/// Reads what the database knows, as soon as it answers: so long a start waits for it in any case.
async fn first_catch_up(revocations: &Revocations, parts: &Parts<Settings>) -> anyhow::Result<Mark> {
    let deadline = Instant::now() + Duration::from_secs(parts.core.database.start_timeout_s);
    loop {
        match revocations.catch_up(&parts.background, &Mark::default()).await {
            Ok(mark) => return Ok(mark),
            Err(error) if Instant::now() < deadline => {
                tracing::info!(error.message = format!("{error:#}"), "waiting for the database");
                tokio::time::sleep(parts.settings.revocations.poll()).await;
            }
            Err(error) => return Err(error.context("cannot read which logins have ended")),
        }
    }
}

/// How long a token may outlive what ends it: its longest life, and what clocks may disagree.
fn token_lifetime(settings: &TokenSettings) -> Duration {
    Duration::from_secs(settings.leeway_s.saturating_mul(2))
        + Duration::from_secs(settings.lifetime_max_s.into())
}

fn proxy_config(parts: &Parts<Settings>, metrics: &GatewayMetrics) -> anyhow::Result<ProxyConfig> {
    Ok(ProxyConfig::new(
        &parts.settings.upstreams,
        parts.settings.proxy.clone(),
        u64::try_from(parts.core.http.body_limit_bytes).context("http.body_limit_bytes")?,
        parts.tasks.draining(),
        metrics,
    ))
}
