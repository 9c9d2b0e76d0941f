//! Single processes with other settings, and how they end: what crash tests and chaos need.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{Instance, Stack};
use crate::error::Result;
use crate::service::Service;

impl Stack {
    /// Sets an environment variable of a service from its next start on, or removes it.
    pub fn set_env(&mut self, service: Service, key: &str, value: Option<&str>) {
        let env = self.plan.service_env.entry(service).or_default();
        match value {
            Some(value) => drop(env.insert(key.to_owned(), value.to_owned())),
            None => drop(env.remove(key)),
        }
    }

    /// Starts every process of a service that has ended, on the same ports, and waits for nothing.
    pub fn launch(&mut self, service: Service) -> Result<()> {
        let (plan, bootstrap) = (self.plan.clone(), self.brokers().to_owned());
        let url = self.database_url(service).to_owned();
        for instance in self.of(service) {
            if !instance.process.is_running() {
                let Instance { replica, ports, .. } = *instance;
                *instance = plan.serve(service, replica, ports, &url, &bootstrap)?;
            }
        }
        self.record_instances()
    }

    /// How many processes a service has; those that have ended count.
    pub fn replicas(&mut self, service: Service) -> usize {
        self.of(service).count()
    }

    /// Sends a signal to one process of a service; 0 is the first.
    pub fn signal_replica(&mut self, service: Service, replica: usize, signal: Signal) {
        self.of(service)
            .filter(|instance| instance.replica == replica)
            .for_each(|instance| instance.process.signal(signal));
    }

    /// Asks one process of a service to end, and waits. False when it had to be killed.
    pub async fn stop_replica(&mut self, service: Service, replica: usize) -> bool {
        let mut obeyed = true;
        for instance in self.of(service).filter(|instance| instance.replica == replica) {
            obeyed &= instance
                .process
                .stop(Signal::SIGTERM, super::control::SHUTDOWN)
                .await;
        }
        obeyed
    }

    /// Waits for the end of a service's first process, and tells how it ended.
    pub async fn death(&mut self, service: Service, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            let exit = self.of(service).next()?.process.exit();
            if exit.is_some() || Instant::now() >= deadline {
                return exit;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
