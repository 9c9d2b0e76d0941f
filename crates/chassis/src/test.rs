//! The same process inside a test: a service on free ports, with settings of the test's own.

mod issuer;

use std::net::SocketAddr;

pub use issuer::{TestIssuer, claims};

use crate::run::Running;
use crate::settings::Layers;
use crate::telemetry::{self, LogTarget};
use crate::{Service, database};

/// A service running in this process. Stop it with [`TestService::stop`]; dropped, it is left to the end of
/// the test's runtime.
pub struct TestService {
    running: Running,
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
            ("log.format", "text"),
            ("log.filter", "warn"),
        ];
        let variables = ports.iter().chain(settings).map(|(key, value)| {
            let variable = format!("QUADRILLE__{}", key.replace('.', "__").to_ascii_uppercase());
            (variable, (*value).to_owned())
        });
        let layers = Layers::new(S::DEFAULTS, None, variables)?;
        let core = layers.core()?;
        telemetry::init(S::NAME, &core.log, LogTarget::Stderr)?;
        database::migrate(&core.database.url, S::migrations()).await?;
        Ok(Self {
            running: Running::start::<S>(core, layers.read()?).await?,
        })
    }

    /// Where the service listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.running.http
    }

    /// Where its management endpoints listen.
    #[must_use]
    pub fn management_address(&self) -> SocketAddr {
        self.running.management
    }

    /// The URL of a path that begins with a slash.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.http)
    }

    /// Stops it as SIGTERM would. Returns whether everything ended in time.
    pub async fn stop(self) -> bool {
        self.running.stop().await
    }
}
