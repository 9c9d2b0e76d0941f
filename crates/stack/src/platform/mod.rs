//! The whole platform: PostgreSQL, Kafka and the five services.

mod builder;
mod control;
mod crash;
mod down;
mod parts;
mod plan;
pub mod readiness;
mod starve;
mod up;

pub use builder::Builder;
pub use down::{Ended, take_down};
pub use plan::{MARK, Plan};
pub use starve::Starved;
pub use up::{Progress, Tell};

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::kafka::Kafka;
use crate::ports::Lease;
use crate::postgres::Postgres;
use crate::process::Process;
use crate::service::{Ports, Service};
use crate::state::{Admin, State};

/// One process of a service.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) service: Service,
    /// 0 is the one that the others know.
    pub(crate) replica: usize,
    pub(crate) ports: Ports,
    pub(crate) process: Process,
}

/// A running platform. The one that a test builds ends with this value; the one of `stack up` goes on.
#[derive(Debug)]
pub struct Stack {
    // In the order of their end: nothing outlives what it needs.
    pub(crate) instances: Vec<Instance>,
    pub(crate) kafka: Kafka,
    pub(crate) postgres: Postgres,
    pub(crate) databases: BTreeMap<Service, String>,
    pub(crate) plan: Plan,
    pub(crate) state: State,
    admin: Admin,
    http: reqwest::Client,
    held: Held,
}

/// What belongs to a stack of a test and is given back after its last process has ended.
#[derive(Debug, Default)]
struct Held {
    leases: Vec<Lease>,
    directory: Option<tempfile::TempDir>,
}

impl Stack {
    /// A stack on free ports in a directory of its own, which ends with the returned value.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// URL of the gateway.
    pub fn url(&self) -> String {
        self.service_url(Service::Gateway)
    }

    /// URL of a service's own HTTP interface.
    pub fn service_url(&self, service: Service) -> String {
        self.plan.ports_of(service).url()
    }

    /// URL of a service's management port.
    pub fn management_url(&self, service: Service) -> String {
        self.plan.ports_of(service).management_url()
    }

    /// URL of a service's database, as the service's role.
    pub fn database_url(&self, service: Service) -> &str {
        self.databases
            .get(&service)
            .map(String::as_str)
            .unwrap_or_default()
    }

    /// URL of a service's database, as the cluster's superuser.
    pub fn admin_database_url(&self, service: Service) -> String {
        self.postgres.admin_url(service.name())
    }

    /// Address of the broker, `host:port`.
    pub fn brokers(&self) -> &str {
        self.kafka.bootstrap()
    }

    /// The first admin.
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    /// The state directory.
    pub fn directory(&self) -> &Path {
        &self.plan.directory
    }

    /// The gateway's `/health`, which it may have gathered up to a quarter of a second ago. An unreachable gateway
    /// is an error.
    pub async fn health(&self) -> Result<Value> {
        self.health_at(&self.url()).await
    }

    /// True when the gateway's `/health` is ok and every consumer has its assignment.
    pub async fn is_healthy(&self) -> bool {
        self.health()
            .await
            .is_ok_and(|health| readiness::of_platform(&health).is_ok())
    }

    /// Waits until every process says of itself that it is well and that it consumes, and the gateway of all of them.
    pub async fn wait_until_healthy(&mut self, patience: Duration) -> Result<()> {
        let begin = Instant::now();
        while let Err(reason) = self.look().await {
            let dead = self.instances.iter_mut().find_map(|instance| {
                let ended = !instance.process.is_running();
                ended.then(|| (instance.service, instance.process.log_tail()))
            });
            let reason = match dead {
                Some((service, tail)) => format!("{service} ended; the end of its log:\n{tail}"),
                None if begin.elapsed() > patience => reason,
                None => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let what = "the platform".to_owned();
            return Err(Error::NotReady {
                what,
                waited: begin.elapsed(),
                reason,
            });
        }
        Ok(())
    }

    /// Asks each process, the gateway last; the first that is not well is the error.
    async fn look(&self) -> Result<(), String> {
        let services = self
            .instances
            .iter()
            .filter(|instance| instance.service != Service::Gateway);
        for url in services.map(|instance| instance.ports.url()) {
            let health = self
                .health_at(&url)
                .await
                .map_err(|error| crate::error::chain(&error))?;
            readiness::of_process(&health).map_err(|reason| format!("{url}: {reason}"))?;
        }
        let health = self.health().await.map_err(|error| crate::error::chain(&error))?;
        readiness::of_platform(&health)
    }

    async fn health_at(&self, url: &str) -> Result<Value> {
        let request = self
            .http
            .get(format!("{url}/health"))
            .timeout(Duration::from_secs(5));
        Ok(request.send().await?.json().await?)
    }
}
