//! Starts the parts that the services need, or takes over those that still run.

use std::collections::BTreeMap;
use std::time::Instant;

use super::{Plan, Progress, Tell};
use crate::error::{Error, Result};
use crate::kafka::{Distribution, Kafka, Kind, topics};
use crate::ports;
use crate::postgres::Postgres;
use crate::process::Process;
use crate::service::Service;
use crate::state::{State, role_passwords};

pub(super) async fn start_postgres(
    plan: &Plan,
    state: &State,
    tell: Tell<'_>,
) -> Result<(Postgres, BTreeMap<Service, String>)> {
    let begin = Instant::now();
    let options = plan.postgres();
    let at = format!("127.0.0.1:{}", plan.postgres_port);
    let (postgres, runs) = match running(state, "postgres", "postgres", plan.postgres_port)? {
        Some(process) => (Postgres::adopt(options, process).await?, true),
        None => {
            require_free(plan, plan.postgres_port, "postgres", "--postgres-port")?;
            (Postgres::start(options).await?, false)
        }
    };
    let passwords = role_passwords(&plan.directory, Service::ALL.map(Service::name))?;
    let mut databases = BTreeMap::new();
    for service in Service::ALL {
        let password = passwords
            .get(service.name())
            .map(String::as_str)
            .unwrap_or_default();
        databases.insert(service, postgres.ensure_database(service.name(), password).await?);
    }
    tell(match runs {
        true => Progress::Runs { name: "postgres", at },
        false => Progress::Done {
            name: "postgres",
            what: at,
            took: begin.elapsed(),
        },
    });
    Ok((postgres, databases))
}

pub(super) async fn start_kafka(plan: &Plan, state: &State, tell: Tell<'_>) -> Result<Kafka> {
    let begin = Instant::now();
    let options = plan.kafka();
    let embedded = plan.broker == Kind::Embedded;
    let wanted = if embedded { 0 } else { plan.kafka_port };
    let earlier = running(state, "kafka", "broker", wanted)?;
    if let (Some(process), Some(broker)) = (earlier, &state.broker) {
        if broker.kind != plan.broker {
            return Err(Error::Invalid(format!(
                "{} runs already: stop it first (make down)",
                broker.kind.label()
            )));
        }
        tell(Progress::Runs {
            name: "kafka",
            at: format!("{} ({})", broker.address, broker.kind.label()),
        });
        return Ok(Kafka::adopt(options, broker.address.clone(), process));
    }
    if !embedded {
        require_free(plan, plan.kafka_port, "kafka", "--kafka-port")?;
        require_free(plan, plan.controller_port, "kafka's controller", "--kafka-port")?;
        if !Distribution::is_cached(&plan.cache) {
            tell(Progress::Begins(
                "fetching Apache Kafka by Maven, once (about half a minute)",
            ));
        }
    }
    let kafka = Kafka::start(options).await?;
    let what = format!("{} ({})", kafka.bootstrap(), plan.broker.label());
    tell(Progress::Done {
        name: "kafka",
        what,
        took: begin.elapsed(),
    });
    if !embedded {
        let begin = Instant::now();
        let report = topics::ensure(kafka.bootstrap(), &plan.topics).await?;
        let what = format!(
            "{} created, {} present",
            report.created.len(),
            report.present.len()
        );
        tell(Progress::Done {
            name: "topics",
            what,
            took: begin.elapsed(),
        });
    }
    Ok(kafka)
}

/// The recorded process, when it still runs. Port 0 stands for any.
pub(super) fn running(state: &State, name: &str, purpose: &str, port: u16) -> Result<Option<Process>> {
    let Some((entry, process)) = state.entry(name).and_then(|entry| Some((entry, entry.find()?))) else {
        return Ok(None);
    };
    match entry.ports.get(purpose) {
        Some(found) if port != 0 && *found != port => Err(Error::Invalid(format!(
            "{name} already runs on port {found}, not {port}: stop the stack first to move it (make down)"
        ))),
        Some(_) | None => Ok(Some(process)),
    }
}

pub(super) fn require_free(plan: &Plan, port: u16, what: &str, flag: &'static str) -> Result<()> {
    // The ports of a test's stack are leased.
    if plan.detached && !ports::is_free(port) {
        return Err(Error::PortTaken {
            port,
            what: what.to_owned(),
            flag,
        });
    }
    Ok(())
}
