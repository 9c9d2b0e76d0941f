//! Everything that is decided before a stack is started.

use std::collections::BTreeMap;
use std::path::PathBuf;

use nix::sys::signal::Signal;

use super::Instance;
use crate::kafka::{self, Kind, Proxied, topics};
use crate::postgres;
use crate::process::{Launch, Lifetime};
use crate::service::{Ports, Service, environment};

/// Environment variable that every process of a stack carries: its value is the state directory. It finds what a
/// stack started but had no time to record.
pub const MARK: &str = "QUADRILLE_STACK";

/// Where a stack lives, on which ports, and how its parts are set.
#[derive(Debug, Clone)]
pub struct Plan {
    /// State directory, absolute.
    pub directory: PathBuf,
    /// Directory of the services' programs.
    pub binaries: PathBuf,
    /// Where a fetched Kafka is kept.
    pub cache: PathBuf,
    /// Port of PostgreSQL.
    pub postgres_port: u16,
    /// Port of the broker.
    pub kafka_port: u16,
    /// Port of the broker's controller.
    pub controller_port: u16,
    /// Ports of each service's first process.
    pub services: BTreeMap<Service, Ports>,
    /// Which broker.
    pub broker: Kind,
    /// Whether the processes go on after this program.
    pub detached: bool,
    /// Let the broker compile for throughput.
    pub throughput: bool,
    /// A second listener of the broker, for clients that come through a proxy.
    pub kafka_proxied: Option<Proxied>,
    /// The language of PostgreSQL's messages, by its code.
    pub postgres_language: String,
    /// How topics are made.
    pub topics: topics::Plan,
    /// Settings of every service.
    pub env: BTreeMap<String, String>,
    /// Settings of one service.
    pub service_env: BTreeMap<Service, BTreeMap<String, String>>,
}

impl Plan {
    /// Ports of a service's first process.
    pub fn ports_of(&self, service: Service) -> Ports {
        self.services
            .get(&service)
            .copied()
            .unwrap_or_else(|| service.ports(5000))
    }

    /// Log file of a process.
    pub fn log(&self, name: &str) -> PathBuf {
        self.directory.join("logs").join(format!("{name}.log"))
    }

    /// Directory of data that `down --wipe` deletes.
    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn lifetime(&self, signal: Signal) -> Lifetime {
        if self.detached {
            Lifetime::Detached
        } else {
            Lifetime::Tied(signal)
        }
    }

    fn mark(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(MARK.to_owned(), self.directory.display().to_string())])
    }

    pub(super) fn postgres(&self) -> postgres::Options {
        postgres::Options {
            log: self.log("postgres"),
            lifetime: self.lifetime(Signal::SIGQUIT),
            env: self.mark(),
            language: self.postgres_language.clone(),
            ..postgres::Options::new(self.data().join("postgres"), self.postgres_port)
        }
    }

    pub(super) fn kafka(&self) -> kafka::Options {
        kafka::Options {
            cache: self.cache.clone(),
            log: self.log("kafka"),
            lifetime: self.lifetime(Signal::SIGKILL),
            env: self.mark(),
            kind: self.broker,
            throughput: self.throughput,
            proxied: self.kafka_proxied.clone(),
            program: self.binaries.join("stack"),
            ..kafka::Options::new(self.data().join("kafka"), self.kafka_port, self.controller_port)
        }
    }

    /// Environment of a service's program, whatever its subcommand.
    pub(super) fn environment(
        &self,
        service: Service,
        ports: Ports,
        database_url: &str,
        bootstrap: &str,
    ) -> BTreeMap<String, String> {
        let mut env = self.mark();
        env.extend(environment(
            service,
            ports,
            &self.services,
            database_url,
            bootstrap,
        ));
        env.extend(self.env.clone());
        env.extend(self.service_env.get(&service).cloned().unwrap_or_default());
        env
    }

    /// Starts one process of a service.
    pub(super) fn serve(
        &self,
        service: Service,
        replica: usize,
        ports: Ports,
        database_url: &str,
        bootstrap: &str,
    ) -> crate::Result<Instance> {
        let name = if replica == 0 {
            service.to_string()
        } else {
            format!("{service}-{replica}")
        };
        let process = Launch::new(&name, self.binaries.join(service.name()), self.log(&name))
            .args(["serve"])
            .env(self.environment(service, ports, database_url, bootstrap))
            .lifetime(self.lifetime(Signal::SIGKILL))
            .start()?;
        Ok(Instance {
            service,
            replica,
            ports,
            process,
        })
    }
}
