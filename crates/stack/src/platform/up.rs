//! Starts what does not run yet, in the order in which one part needs another.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::control::SHUTDOWN;
use super::down::{Ended, sweep};
use super::parts::{require_free, running, start_kafka, start_postgres};
use super::{Held, Instance, Plan, Stack};
use crate::error::{Error, IoContext, Result};
use crate::proc;
use crate::process::{Process, run};
use crate::service::Service;
use crate::state::{Admin, Broker, Entry, State, cursor_secret, key_encryption_key};

/// How long a start may take until `/health` is ok.
const PATIENCE: Duration = Duration::from_secs(60);

/// Gives the auth service the key that its signing keys are sealed with.
const KEY_ENCRYPTION_KEY: &str = "QUADRILLE__KEYS__ENCRYPTION_SECRET";
/// What the services sign the cursors of lists with.
const CURSOR_SECRET: &str = "QUADRILLE__HTTP__CURSOR_SECRET";

/// What a start tells while it goes on.
#[derive(Debug)]
pub enum Progress<'a> {
    /// Something that takes a while begins.
    Begins(&'a str),
    /// A part runs already.
    Runs {
        /// Which one.
        name: &'a str,
        /// Its address.
        at: String,
    },
    /// A part is there.
    Done {
        /// Which one.
        name: &'a str,
        /// Its address, or what was done.
        what: String,
        /// Time it took.
        took: Duration,
    },
}

/// Hears of the progress of a start.
pub type Tell<'a> = &'a (dyn Fn(Progress<'_>) + Sync);

/// Starts the platform as planned, taking over what an earlier program left running.
pub(super) async fn bring_up(mut plan: Plan, held: Held, tell: Tell<'_>) -> Result<Stack> {
    std::fs::create_dir_all(&plan.directory).at("create", &plan.directory)?;
    plan.service_env
        .entry(Service::Auth)
        .or_default()
        .entry(KEY_ENCRYPTION_KEY.to_owned())
        .or_insert(key_encryption_key(&plan.directory)?);
    plan.env
        .entry(CURSOR_SECRET.to_owned())
        .or_insert(cursor_secret(&plan.directory)?);
    let state = State::load(&plan.directory)?;
    if plan.detached {
        let known: Vec<u32> = state
            .processes
            .iter()
            .filter_map(Entry::find)
            .map(|process| process.pid())
            .collect();
        let what = |ended: &Ended| Progress::Done {
            name: "leftovers",
            what: format!("ended {} of a start that was stopped half-way", ended.name),
            took: Duration::ZERO,
        };
        sweep(&plan.directory, &known, &|ended| tell(what(ended))).await;
    }
    let (postgres, kafka) = tokio::try_join!(
        Box::pin(start_postgres(&plan, &state, tell)),
        Box::pin(start_kafka(&plan, &state, tell))
    )?;
    let (postgres, databases) = postgres;
    let admin = Admin::load_or_invent(&plan.directory)?;
    let mut stack = Stack {
        instances: Vec::new(),
        kafka,
        postgres,
        databases,
        plan,
        state,
        admin,
        http: reqwest::Client::new(),
        held,
    };
    stack.record_foundations()?;
    stack.start_services(tell).await?;
    Ok(stack)
}

impl Stack {
    /// Starts what does not run yet of the stack in the plan's directory. It goes on after this program.
    pub async fn up(plan: Plan, tell: Tell<'_>) -> Result<Self> {
        bring_up(plan, Held::default(), tell).await
    }

    async fn start_services(&mut self, tell: Tell<'_>) -> Result<()> {
        let missing = self.take_over(tell).await?;
        if missing.is_empty() && self.is_healthy().await {
            return self.admin.save(&self.plan.directory);
        }
        let begin = Instant::now();
        futures_all(
            missing
                .iter()
                .map(|service| self.command(*service, &["migrate"], BTreeMap::new())),
        )
        .await?;
        if !missing.is_empty() {
            let what = missing
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ");
            tell(Progress::Done {
                name: "migrations",
                what,
                took: begin.elapsed(),
            });
        }
        if missing.contains(&Service::Auth) {
            self.create_admin().await?;
        }
        let begin = Instant::now();
        for service in &missing {
            let ports = self.plan.ports_of(*service);
            require_free(&self.plan, ports.http, service.name(), "--port")?;
            require_free(&self.plan, ports.management, service.name(), "--port")?;
            let url = self.databases.get(service).cloned().unwrap_or_default();
            let instance = self
                .plan
                .serve(*service, 0, ports, &url, self.kafka.bootstrap())?;
            self.instances.push(instance);
            self.record_instances()?;
        }
        self.wait_until_healthy(PATIENCE).await?;
        for service in &missing {
            let what = self.service_url(*service);
            tell(Progress::Done {
                name: service.name(),
                what,
                took: begin.elapsed(),
            });
        }
        Ok(())
    }

    /// Takes over the recorded services that still run and returns the others. One that runs an earlier build is
    /// stopped.
    async fn take_over(&mut self, tell: Tell<'_>) -> Result<Vec<Service>> {
        let mut missing = Vec::new();
        for service in Service::ALL {
            let ports = self.plan.ports_of(service);
            let (name, begin) = (service.name(), Instant::now());
            match running(&self.state, name, "http", ports.http)? {
                Some(mut process) if proc::is_outdated(process.pid()) => {
                    process.stop(Signal::SIGTERM, SHUTDOWN).await;
                    tell(Progress::Done {
                        name,
                        what: "stopped, it ran an earlier build".to_owned(),
                        took: begin.elapsed(),
                    });
                    missing.push(service);
                }
                Some(process) => {
                    tell(Progress::Runs {
                        name,
                        at: ports.url(),
                    });
                    self.instances.push(Instance {
                        service,
                        replica: 0,
                        ports,
                        process,
                    });
                }
                None => missing.push(service),
            }
        }
        Ok(missing)
    }

    async fn create_admin(&self) -> Result<()> {
        let password = BTreeMap::from([("QUADRILLE_ADMIN_PASSWORD".to_owned(), self.admin.password.clone())]);
        let args = ["create-admin", "--email", &self.admin.email];
        self.command(Service::Auth, &args, password).await?;
        self.admin.save(&self.plan.directory)
    }

    /// Runs a subcommand of a service to its end.
    async fn command(
        &self,
        service: Service,
        args: &[&str],
        env: BTreeMap<String, String>,
    ) -> Result<String> {
        let url = self.database_url(service);
        let mut command = Command::new(program(&self.plan.binaries, service)?);
        command.args(args).env("QUADRILLE__LOG__FORMAT", "text");
        command
            .envs(
                self.plan
                    .environment(service, self.plan.ports_of(service), url, self.brokers()),
            )
            .envs(env);
        run(command).await
    }

    fn record_foundations(&mut self) -> Result<()> {
        let broker = Broker {
            kind: self.kafka.kind(),
            address: self.kafka.bootstrap().to_owned(),
        };
        let port = broker
            .address
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok())
            .unwrap_or_default();
        self.state.broker = Some(broker);
        let superuser = self.postgres.admin_url("postgres");
        let ports = BTreeMap::from([("postgres".to_owned(), self.postgres.port())]);
        self.state
            .record(entry(self.postgres.process(), ports, Some(superuser)));
        let ports = BTreeMap::from([("broker".to_owned(), port)]);
        self.state.record(entry(self.kafka.process(), ports, None));
        self.state.save(&self.plan.directory)
    }

    /// Writes down the services' processes as they are now.
    pub(super) fn record_instances(&mut self) -> Result<()> {
        for instance in &self.instances {
            let ports = BTreeMap::from([
                ("http".to_owned(), instance.ports.http),
                ("management".to_owned(), instance.ports.management),
            ]);
            let url = self.databases.get(&instance.service).cloned();
            self.state.record(entry(&instance.process, ports, url));
        }
        self.state.save(&self.plan.directory)
    }
}

fn program(binaries: &Path, service: Service) -> Result<std::path::PathBuf> {
    let program = binaries.join(service.name());
    if program.is_file() {
        return Ok(program);
    }
    Err(Error::Missing {
        what: program.display().to_string(),
        hint: "build the services first (cargo build --bins)".to_owned(),
    })
}

fn entry(process: &Process, ports: BTreeMap<String, u16>, database_url: Option<String>) -> Entry {
    Entry {
        name: process.name().to_owned(),
        pid: process.pid(),
        started: process.started(),
        ports,
        log: process.log().to_owned(),
        database_url,
    }
}

/// Awaits all, side by side, and returns the first failure.
async fn futures_all<T>(futures: impl Iterator<Item = impl Future<Output = Result<T>>>) -> Result<Vec<T>> {
    futures::future::try_join_all(futures).await
}
