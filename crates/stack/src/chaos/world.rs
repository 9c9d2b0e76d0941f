//! The platform that chaos happens to: two processes of each service, every connection to PostgreSQL and Kafka through
//! a proxy, and nobody who waits for long.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Client;

use super::kind::Kind;
use super::{NamedBroker, Proxy};
use crate::error::Result;
use crate::platform::Stack;
use crate::ports::Lease;
use crate::process::Starvation;
use crate::service::Service;

/// A customer's order is cancelled when it was not paid for so long.
const DEADLINE_S: &str = "20";

/// The platform and the ways to harm it.
#[derive(Debug)]
pub(super) struct World {
    pub(super) stack: Stack,
    /// Each service's way to its database.
    pub(super) databases: BTreeMap<Service, Proxy>,
    /// Everybody's way to the broker.
    pub(super) broker: NamedBroker,
    /// Connections that are open for no other reason than to be open.
    pub(super) filling: Vec<Client>,
    /// Connections that hold a lock.
    pub(super) locks: Vec<Client>,
    /// What is being starved.
    pub(super) starving: BTreeMap<Kind, Starvation>,
    /// Who did not do as told.
    pub(super) unruly: Vec<String>,
    _kafka: Lease,
}

impl World {
    /// Starts everything.
    pub(super) async fn build(binaries: Option<PathBuf>) -> Result<Self> {
        let kafka = Proxy::lease()?;
        let broker = NamedBroker::open(kafka.port()).await?;
        let mut builder = Stack::builder()
            .kafka_proxied(kafka.port(), broker.advertised())
            .env("QUADRILLE__KAFKA__BROKERS", broker.advertised())
            .env("QUADRILLE__LOG__FILTER", "warn")
            .env("QUADRILLE__DATABASE__STATEMENT_TIMEOUT_MS", "2000")
            .env("QUADRILLE__MESSAGING__SESSION_TIMEOUT_MS", "3000")
            .env("QUADRILLE__MESSAGING__ACTION_LEASE_MS", "8000")
            .service_env(Service::Notification, "QUADRILLE__WEBHOOKS__TIMEOUT_MS", "2000")
            .service_env(Service::Notification, "QUADRILLE__EMAIL__TIMEOUT_MS", "2000")
            .service_env(Service::Payment, "QUADRILLE__PROVIDER__TIMEOUT_MS", "1500")
            .service_env(Service::Payment, "QUADRILLE__PROVIDER__BOOKS_TIMEOUT_MS", "1000")
            .service_env(Service::Payment, "QUADRILLE__SIMULATOR__SLOW_MS", "500")
            .service_env(Service::Order, "QUADRILLE__SAGA__DEADLINE_S", DEADLINE_S);
        for (key, value) in broker.env() {
            builder = builder.env(key, value);
        }
        if let Some(binaries) = binaries {
            builder = builder.binaries(binaries);
        }
        let mut stack = Box::pin(builder.build()).await?;
        let mut databases = BTreeMap::new();
        for service in Service::ALL {
            let port = stack.postgres().port();
            let proxy = Proxy::open(Proxy::lease()?, port).await?;
            let through = stack
                .database_url(service)
                .replace(&format!(":{port}/"), &format!(":{}/", proxy.port()));
            stack.set_env(service, "QUADRILLE__DATABASE__URL", Some(&through));
            databases.insert(service, proxy);
            stack.kill9(service).await;
            stack.launch(service)?;
            stack.add_replica(service).await?;
        }
        stack.wait_until_healthy(Duration::from_secs(60)).await?;
        Ok(Self {
            stack,
            databases,
            broker,
            filling: Vec::new(),
            locks: Vec::new(),
            starving: BTreeMap::new(),
            unruly: Vec::new(),
            _kafka: kafka,
        })
    }

    /// Starts again what has ended by itself, as a supervisor does, and names it, and who did not do as told.
    pub(super) fn supervise(&mut self) -> Result<Vec<String>> {
        let mut ended = std::mem::take(&mut self.unruly);
        for service in Service::ALL {
            if !self.stack.is_running(service) {
                ended.push(format!("{service} ended by itself"));
                self.stack.launch(service)?;
            }
        }
        Ok(ended)
    }
}
