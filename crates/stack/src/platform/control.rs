//! Stops, kills, pauses and restarts single parts of a running stack, as operators and accidents do.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{Instance, Stack};
use crate::error::{Error, Result};
use crate::kafka::Kafka;
use crate::ports;
use crate::postgres::Postgres;
use crate::process::tail;
use crate::service::{Ports, Service};

/// A service may finish what it holds for 30 s.
pub(super) const SHUTDOWN: Duration = Duration::from_secs(40);

impl Stack {
    /// Asks every process of a service to end, and waits. False when one had to be killed.
    pub async fn stop(&mut self, service: Service) -> bool {
        let mut obeyed = true;
        for instance in self.of(service) {
            obeyed &= instance.process.stop(Signal::SIGTERM, SHUTDOWN).await;
        }
        obeyed
    }

    /// Kills every process of a service with no chance to tidy up.
    pub async fn kill9(&mut self, service: Service) {
        for instance in self.of(service) {
            instance.process.kill().await;
        }
    }

    /// Freezes every process of a service (`SIGSTOP`): it keeps its connections and answers nothing.
    pub fn pause(&mut self, service: Service) {
        self.of(service)
            .for_each(|instance| instance.process.signal(Signal::SIGSTOP));
    }

    /// Lets a paused service go on.
    pub fn resume(&mut self, service: Service) {
        self.of(service)
            .for_each(|instance| instance.process.signal(Signal::SIGCONT));
    }

    /// Starts every process of a service that has ended, on the same ports, and waits until it answers HTTP.
    pub async fn start(&mut self, service: Service) -> Result<()> {
        let (plan, bootstrap) = (self.plan.clone(), self.kafka.bootstrap().to_owned());
        let url = self.database_url(service).to_owned();
        for instance in self.of(service) {
            if !instance.process.is_running() {
                let Instance { replica, ports, .. } = *instance;
                *instance = plan.serve(service, replica, ports, &url, &bootstrap)?;
            }
        }
        self.record_instances()?;
        self.wait_until_answers(service).await
    }

    /// Starts one more process of a service on ports of its own and returns them. The gateway does not know it;
    /// it shares the database and the consumer group.
    pub async fn add_replica(&mut self, service: Service) -> Result<Ports> {
        let (http, management) = (ports::lease()?, ports::lease()?);
        let ports = Ports {
            http: http.port(),
            management: management.port(),
        };
        self.held.leases.extend([http, management]);
        let replica = self.of(service).count();
        let url = self.database_url(service).to_owned();
        let instance = self
            .plan
            .serve(service, replica, ports, &url, self.kafka.bootstrap())?;
        self.instances.push(instance);
        self.record_instances()?;
        self.wait_until_answers(service).await?;
        Ok(ports)
    }

    /// Kills one process of a service; 0 is the first.
    pub async fn kill9_replica(&mut self, service: Service, replica: usize) {
        for instance in self.of(service).filter(|instance| instance.replica == replica) {
            instance.process.kill().await;
        }
    }

    /// True while every process of the service runs.
    pub fn is_running(&mut self, service: Service) -> bool {
        self.of(service).all(|instance| instance.process.is_running())
    }

    /// The broker, to stop, kill and restart it.
    pub fn kafka(&mut self) -> &mut Kafka {
        &mut self.kafka
    }

    /// The database server, to stop, kill and restart it.
    pub fn postgres(&mut self) -> &mut Postgres {
        &mut self.postgres
    }

    /// Puts another server with the same databases in the place of the stack's own, which is returned. Services find it
    /// by themselves or not; the books are read there.
    pub fn move_postgres(&mut self, to: Postgres) -> Postgres {
        let (old, new) = (self.postgres.port(), to.port());
        for url in self.databases.values_mut() {
            *url = url.replace(&format!(":{old}/"), &format!(":{new}/"));
        }
        std::mem::replace(&mut self.postgres, to)
    }

    /// The last lines of a process's log.
    pub fn log_tail(&self, name: &str, lines: usize) -> String {
        tail(&self.plan.log(name), lines)
    }

    /// Process ids by name, for measurements.
    pub fn pids(&mut self) -> Vec<(String, u32)> {
        let mut pids = vec![
            ("postgres".to_owned(), self.postgres.process().pid()),
            ("kafka".to_owned(), self.kafka.process().pid()),
        ];
        pids.extend(
            self.instances
                .iter()
                .map(|instance| (instance.process.name().to_owned(), instance.process.pid())),
        );
        pids
    }

    pub(super) fn of(&mut self, service: Service) -> impl Iterator<Item = &mut Instance> {
        self.instances
            .iter_mut()
            .filter(move |instance| instance.service == service)
    }

    /// Waits until each process of the service answers `/livez`; what it depends on may still be down.
    pub(super) async fn wait_until_answers(&mut self, service: Service) -> Result<()> {
        let (begin, patience) = (Instant::now(), Duration::from_secs(30));
        let http = self.http.clone();
        for instance in self.of(service) {
            let url = format!("{}/livez", instance.ports.management_url());
            loop {
                let reason = match http.get(&url).timeout(Duration::from_secs(2)).send().await {
                    Ok(answer) if answer.status().is_success() => break,
                    Ok(answer) => answer.status().to_string(),
                    Err(error) => crate::error::chain(&error),
                };
                if !instance.process.is_running() || begin.elapsed() > patience {
                    let reason = format!("{reason}; the end of its log:\n{}", instance.process.log_tail());
                    let what = instance.process.name().to_owned();
                    return Err(Error::NotReady {
                        what,
                        waited: begin.elapsed(),
                        reason,
                    });
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }
}
