//! Builds a stack for a test: free ports, a directory of its own, short waits.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::up::bring_up;
use super::{Held, Plan, Stack};
use crate::error::Result;
use crate::kafka::{Kind, Proxied, topics};
use crate::ports::{self, Lease};
use crate::service::{Ports, Service};

/// Settings of a stack that ends with its value.
#[derive(Debug, Default)]
pub struct Builder {
    binaries: Option<PathBuf>,
    broker: Option<Kind>,
    throughput: bool,
    kafka_proxied: Option<Proxied>,
    postgres_language: Option<String>,
    topics: topics::Plan,
    retry_delays: Option<Vec<Duration>>,
    env: BTreeMap<String, String>,
    service_env: BTreeMap<Service, BTreeMap<String, String>>,
}

impl Builder {
    /// Takes the programs from `directory` instead of this program's own.
    #[must_use]
    pub fn binaries(mut self, directory: impl Into<PathBuf>) -> Self {
        self.binaries = Some(directory.into());
        self
    }

    /// Chooses the broker; Apache Kafka by default.
    #[must_use]
    pub fn broker(mut self, kind: Kind) -> Self {
        self.broker = Some(kind);
        self
    }

    /// Lets the broker compile for throughput, as a benchmark wants it.
    #[must_use]
    pub fn throughput(mut self) -> Self {
        self.throughput = true;
        self
    }

    /// Gives the broker a second listener on `port`, whose clients are told to come to `advertised`, `host:port`.
    #[must_use]
    pub fn kafka_proxied(mut self, port: u16, advertised: impl Into<String>) -> Self {
        let advertised = advertised.into();
        self.kafka_proxied = Some(Proxied { port, advertised });
        self
    }

    /// Lets PostgreSQL speak another language than English.
    #[must_use]
    pub fn postgres_language(mut self, code: &str) -> Self {
        self.postgres_language = Some(code.to_owned());
        self
    }

    /// Declares partitions and retention of the topics.
    #[must_use]
    pub fn topics(mut self, plan: topics::Plan) -> Self {
        self.topics = plan;
        self
    }

    /// Sets the delays before the retries of a message or action; 100, 200 and 400 ms by default.
    #[must_use]
    pub fn retry_delays(mut self, delays: &[Duration]) -> Self {
        self.retry_delays = Some(delays.to_vec());
        self
    }

    /// Sets an environment variable of every service.
    #[must_use]
    pub fn env(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(key.into(), value.into());
        self
    }

    /// Sets an environment variable of one service.
    #[must_use]
    pub fn service_env(mut self, service: Service, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.service_env
            .entry(service)
            .or_default()
            .insert(key.into(), value.into());
        self
    }

    /// Starts the stack and waits until it is healthy.
    pub async fn build(self) -> Result<Stack> {
        let directory = crate::temporary()?;
        let mut held = Held {
            leases: Vec::new(),
            directory: None,
        };
        let plan = self.plan(directory.path().to_owned(), &mut held.leases)?;
        held.directory = Some(directory);
        Box::pin(bring_up(plan, held, &|_progress| {})).await
    }

    fn plan(mut self, directory: PathBuf, leases: &mut Vec<Lease>) -> Result<Plan> {
        let mut port = || -> Result<u16> {
            let lease = ports::lease()?;
            let port = lease.port();
            leases.push(lease);
            Ok(port)
        };
        let mut services = BTreeMap::new();
        for service in Service::ALL {
            services.insert(
                service,
                Ports {
                    http: port()?,
                    management: port()?,
                },
            );
        }
        let delays = self
            .retry_delays
            .unwrap_or_else(|| [100, 200, 400].map(Duration::from_millis).to_vec());
        let delays: Vec<String> = delays.iter().map(|delay| delay.as_millis().to_string()).collect();
        self.env
            .entry("QUADRILLE__MESSAGING__RETRY_DELAYS_MS".to_owned())
            .or_insert(delays.join(","));
        let gateway = self.service_env.entry(Service::Gateway).or_default();
        for limit in [
            "PER_ADDRESS_PER_MINUTE",
            "PER_USER_PER_MINUTE",
            "LOGIN_PER_MINUTE",
        ] {
            // A test comes from one address, in a hurry; one about the limits sets its own.
            gateway
                .entry(format!("QUADRILLE__RATE_LIMIT__{limit}"))
                .or_insert("100000000".to_owned());
        }
        Ok(Plan {
            directory,
            binaries: self.binaries.unwrap_or_else(crate::binaries),
            cache: crate::repository().join(".stack").join("kafka"),
            postgres_port: port()?,
            kafka_port: port()?,
            controller_port: port()?,
            services,
            broker: self.broker.unwrap_or(Kind::Apache),
            detached: false,
            throughput: self.throughput,
            kafka_proxied: self.kafka_proxied,
            postgres_language: self.postgres_language.unwrap_or_else(|| "en".to_owned()),
            topics: self.topics,
            env: self.env,
            service_env: self.service_env,
        })
    }
}
