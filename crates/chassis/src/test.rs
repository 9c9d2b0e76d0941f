//! The same process inside a test: a service on free ports, with settings of the test's own.

mod client;
mod constants;
mod documented;
mod issuer;

use std::net::SocketAddr;
use std::time::Duration;

pub use client::{Answer, TestClient};
pub use constants::constants;
pub use documented::check_documented;
pub use issuer::{TestIssuer, claims};
use tokio::runtime::Runtime;

use crate::run::Running;
use crate::settings::Layers;
use crate::telemetry::{self, LogTarget};
use crate::{CoreSettings, Service, database};

/// How long the runtime of a dropped service may take to end what still runs on it.
const LEFTOVERS_TIMEOUT: Duration = Duration::from_secs(5);

/// A service running in this process, on a runtime of its own: the test may block its own without stopping
/// the service. It is stopped when it is dropped; [`TestService::stop`] waits for that.
pub struct TestService {
    http: SocketAddr,
    management: SocketAddr,
    up: Option<(Runtime, Running)>,
}

impl TestService {
    /// Migrates the database and starts the service on free ports of 127.0.0.1. `settings` are pairs of a
    /// dotted key and its value as in the environment, for example `("database.url", "postgres://…")`.
    ///
    /// # Errors
    /// When the settings are wrong or the service does not start.
    pub async fn start<S: Service>(settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let ports = [
            ("http.port", "0"),
            ("http.workers", "1"),
            // nobody waits for a load balancer to notice
            ("http.drain_delay_ms", "0"),
            ("log.format", "text"),
            ("log.filter", "error,librdkafka=off"),
        ];
        let variables = ports.iter().chain(settings).map(|(key, value)| {
            let variable = format!("QUADRILLE__{}", key.replace('.', "__").to_ascii_uppercase());
            (variable, (*value).to_owned())
        });
        let layers = Layers::of::<S>(None, variables)?;
        let (core, settings) = (layers.core()?, layers.read()?);
        let (runtime, running) = tokio::task::spawn_blocking(move || up::<S>(core, settings)).await??;
        Ok(Self {
            http: running.http,
            management: running.management,
            up: Some((runtime, running)),
        })
    }

    /// Where the service listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.http
    }

    /// Where its management endpoints listen.
    #[must_use]
    pub fn management_address(&self) -> SocketAddr {
        self.management
    }

    /// The URL of a path that begins with a slash.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    /// A client that sends `token` with each request.
    #[must_use]
    pub fn client(&self, token: Option<String>) -> TestClient {
        TestClient::new(self, token)
    }

    /// Stops it as SIGTERM would. Returns whether everything ended in time.
    pub async fn stop(mut self) -> bool {
        let Some(up) = self.up.take() else { return false };
        tokio::task::spawn_blocking(move || down(up))
            .await
            .unwrap_or(false)
    }
}

impl Drop for TestService {
    fn drop(&mut self) {
        if let Some(up) = self.up.take() {
            std::thread::spawn(move || down(up));
        }
    }
}

fn up<S: Service>(core: CoreSettings, settings: S::Settings) -> anyhow::Result<(Runtime, Running)> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let openapi = S::openapi();
    let running = runtime.block_on(async {
        telemetry::init(S::NAME, &core.log, LogTarget::Stderr)?;
        database::migrate(&core.database.url, S::migrations()).await?;
        Running::start::<S>(core, settings).await
    });
    match running {
        Ok(running) => {
            documented::register(running.http, &openapi)?;
            Ok((runtime, running))
        }
        Err(error) => {
            runtime.shutdown_background();
            Err(error)
        }
    }
}

fn down((runtime, running): (Runtime, Running)) -> bool {
    let finished = runtime.block_on(running.stop());
    runtime.shutdown_timeout(LEFTOVERS_TIMEOUT);
    finished
}
