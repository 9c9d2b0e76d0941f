//! The contract between a service and its process.

use std::future::Future;
use std::sync::Arc;

use actix_web::web::ServiceConfig;
use diesel_migrations::EmbeddedMigrations;
use serde::de::DeserializeOwned;
use utoipa::openapi::OpenApi;

use crate::auth::TokenVerifier;
use crate::health::Probe;
use crate::{CoreSettings, Metrics, Pool, Tasks};

/// One deployable. The chassis turns it into a process with the subcommands
/// `serve | migrate | openapi | config | healthcheck` and the service's own.
pub trait Service: 'static {
    /// The service's name: binary, database, consumer group and telemetry name at once.
    const NAME: &'static str;
    /// The service's defaults as TOML, laid over the chassis' own.
    const DEFAULTS: &'static str;
    /// Settings of the service that have no default, dotted: any other name without one is refused.
    const OPTIONAL: &'static [&'static str] = &[];
    /// The service's own settings, read from the same tree as [`CoreSettings`].
    type Settings: DeserializeOwned + Clone + Send + Sync + 'static;
    /// Extra subcommands; [`NoCommand`] when there are none.
    type Command: clap::Subcommand;

    /// The defaults of the messaging kernel, for those who use it: what its settings say of themselves. The service's own
    /// are laid over them.
    fn kernel_defaults() -> serde_json::Value {
        serde_json::json!({})
    }

    /// The embedded migrations of the service's database.
    fn migrations() -> EmbeddedMigrations;

    /// The OpenAPI document, generated from code.
    fn openapi() -> OpenApi;

    /// The composition root: starts background tasks on `parts.tasks` and returns the HTTP surface.
    fn build(parts: Parts<Self::Settings>) -> impl Future<Output = anyhow::Result<App>>;

    /// Runs one of the service's own subcommands.
    fn command(
        command: Self::Command,
        parts: Parts<Self::Settings>,
    ) -> impl Future<Output = anyhow::Result<()>>;
}

/// No subcommands of its own.
#[derive(Debug, Clone, Copy, clap::Subcommand)]
pub enum NoCommand {}

/// What the chassis hands to a service's composition root.
#[derive(Clone)]
pub struct Parts<S> {
    /// The service's own settings.
    pub settings: S,
    /// The settings every service has.
    pub core: CoreSettings,
    /// The database pool of requests; its connections live on the main runtime.
    pub pool: Pool,
    /// The database pool of the kernel and the timers.
    pub background: Pool,
    /// Background tasks, on the main runtime; stopped after HTTP has drained.
    pub tasks: Tasks,
    /// The metrics registry behind `/metrics`.
    pub metrics: Metrics,
}

/// The HTTP surface a service hands back.
#[derive(Clone)]
pub struct App {
    /// Registers the routes and their app data; called once a worker.
    pub configure: Arc<dyn Fn(&mut ServiceConfig) + Send + Sync>,
    /// Probes shown by `/health` besides the database's, for example the broker's.
    pub health: Vec<Probe>,
    /// Verifies bearer tokens for the extractors in [`crate::auth`]; by default by the keys at `token.jwks_url`.
    pub verifier: Option<TokenVerifier>,
    /// Whether the chassis serves `/openapi.json` and `/docs`.
    pub docs: bool,
    /// Whether the chassis serves `/health`; without, the service registers its own.
    pub health_route: bool,
    /// Whether the chassis answers `HEAD` as `GET` without its body; without, the service does that itself.
    pub reads_heads: bool,
}

impl App {
    /// A surface made of the routes that `configure` registers.
    #[must_use]
    pub fn new(configure: impl Fn(&mut ServiceConfig) + Send + Sync + 'static) -> Self {
        Self {
            configure: Arc::new(configure),
            health: Vec::new(),
            verifier: None,
            docs: true,
            health_route: true,
            reads_heads: true,
        }
    }

    /// Adds a probe to `/health`.
    #[must_use]
    pub fn probe(mut self, probe: Probe) -> Self {
        self.health.push(probe);
        self
    }

    /// Verifies tokens with `verifier` instead of the keys at `token.jwks_url`.
    #[must_use]
    pub fn verifier(mut self, verifier: TokenVerifier) -> Self {
        self.verifier = Some(verifier);
        self
    }

    /// Leaves `/openapi.json` and `/docs` to the service.
    #[must_use]
    pub fn without_docs(mut self) -> Self {
        self.docs = false;
        self
    }

    /// Leaves `HEAD` to the service.
    #[must_use]
    pub fn without_heads(mut self) -> Self {
        self.reads_heads = false;
        self
    }

    /// Leaves `/health` to the service. The probes are still reachable through [`crate::Health`] in the
    /// app data, and `/readyz` stays as it is.
    #[must_use]
    pub fn without_health_route(mut self) -> Self {
        self.health_route = false;
        self
    }
}
