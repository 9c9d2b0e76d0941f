//! From arguments to an exit code: the life of a service process.

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use anyhow::Context;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use socket2::SockRef;
use terminal::{errln, outln};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use crate::auth::TokenVerifier;
use crate::database::MigrateError;
use crate::docs::AllowedMethods;
use crate::health::{Health, Probe};
use crate::page::CursorKey;
use crate::server::Surface;
use crate::settings::Layers;
use crate::telemetry::{self, LogTarget};
use crate::{CoreSettings, Metrics, Parts, Service, Tasks, database, management, server, tls};

/// How long between two looks at a database that is not ready yet.
const SCHEMA_POLL: Duration = Duration::from_millis(500);
/// How long after a failed attempt the token keys are fetched again.
const KEYS_RETRY: Duration = Duration::from_secs(5);

#[derive(Parser)]
#[command(version)]
struct Arguments<C: Subcommand> {
    #[command(subcommand)]
    command: Command<C>,
}

#[derive(Subcommand)]
enum Command<C: Subcommand> {
    /// Serve requests until SIGTERM or SIGINT
    Serve,
    /// Bring the database's schema up to date
    Migrate,
    /// Print the OpenAPI document
    Openapi,
    /// Print the effective configuration, secrets blacked out, and where each value came from
    Config,
    /// Ask the running service on this machine whether it is ready
    Healthcheck,
    #[command(flatten)]
    Own(C),
}

/// The whole `main` of a service.
#[must_use]
pub fn main<S: Service>() -> ExitCode {
    let usage = Arguments::<S::Command>::command()
        .name(S::NAME)
        .about(format!("The {} service of Quadrille", S::NAME));
    let arguments = match Arguments::<S::Command>::from_arg_matches(&usage.get_matches()) {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    #[cfg(debug_assertions)]
    let _armed = crate::crossing::arm();
    match run::<S>(arguments.command) {
        Ok(code) => code,
        Err(error) => {
            complain(S::NAME, &error);
            ExitCode::FAILURE
        }
    }
}

/// Before telemetry is up, or after it is down, people read this.
fn complain(service: &str, error: &anyhow::Error) {
    errln!("{service}: {error:#}");
}

fn run<S: Service>(command: Command<S::Command>) -> anyhow::Result<ExitCode> {
    if let Command::Openapi = command {
        outln!("{}", S::openapi().to_pretty_json()?);
        return Ok(ExitCode::SUCCESS);
    }
    let layers = Layers::from_process::<S>().context("configuration")?;
    if let Command::Config = command {
        outln!("{}", serde_json::to_string_pretty(&layers.redacted()?)?);
    }
    let core = layers.core().context("configuration")?;
    let settings: S::Settings = layers.read().context("configuration")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Serve => serve_process::<S>(core, settings).await,
            Command::Migrate => migrate::<S>(&core).await.map(|()| ExitCode::SUCCESS),
            Command::Healthcheck => {
                management::ask_ready(core.management_socket()).await?;
                Ok(ExitCode::SUCCESS)
            }
            Command::Own(own) => own_command::<S>(own, core, settings)
                .await
                .map(|()| ExitCode::SUCCESS),
            Command::Config | Command::Openapi => Ok(ExitCode::SUCCESS),
        }
    })
}

async fn migrate<S: Service>(core: &CoreSettings) -> anyhow::Result<()> {
    let telemetry = telemetry::init(S::NAME, &core.log, LogTarget::Stderr)?;
    let applied = database::migrate_within(&core.migration, &core.database.url, S::migrations()).await?;
    tracing::info!(migrations.applied = applied.len(), "schema is up to date");
    telemetry.shutdown().await;
    Ok(())
}

async fn own_command<S: Service>(
    command: S::Command,
    core: CoreSettings,
    settings: S::Settings,
) -> anyhow::Result<()> {
    let telemetry = telemetry::init(S::NAME, &core.log, LogTarget::Stderr)?;
    let (limit, parts) = (core.shutdown_timeout(), parts::<S>(core, settings)?);
    let tasks = parts.tasks.clone();
    let outcome = S::command(command, parts).await;
    tasks.finish(limit).await;
    telemetry.shutdown().await;
    outcome
}

fn parts<S: Service>(core: CoreSettings, settings: S::Settings) -> anyhow::Result<Parts<S::Settings>> {
    Ok(Parts {
        pool: database::pool(&core.database)?,
        background: database::background_pool(&core.database)?,
        settings,
        core,
        tasks: Tasks::new(),
        metrics: Metrics::new(),
    })
}

async fn serve_process<S: Service>(core: CoreSettings, settings: S::Settings) -> anyhow::Result<ExitCode> {
    let telemetry = telemetry::init(S::NAME, &core.log, LogTarget::Stdout)?;
    let outcome = match await_schema::<S>(&core).await {
        Ok(()) => serve_until_told::<S>(core, settings).await,
        Err(error) => Err(error),
    };
    if let Err(error) = &outcome {
        tracing::error!(error.message = format!("{error:#}"), "the service failed");
    }
    telemetry.shutdown().await;
    outcome
}

async fn serve_until_told<S: Service>(core: CoreSettings, settings: S::Settings) -> anyhow::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let running = Running::start::<S>(core, settings).await?;
    let asked = running.tasks.draining();
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
        () = asked.cancelled() => tracing::info!("stopping"),
    }
    let failed = running.tasks.has_failed();
    let finished = running.stop().await;
    Ok(if failed || !finished {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Waits until the database is there and its schema is the one this program was built with.
async fn await_schema<S: Service>(core: &CoreSettings) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(core.database.start_timeout_s);
    loop {
        let problem = match database::pending_migrations(&core.database.url, S::migrations()).await {
            Ok(0) => return Ok(()),
            Ok(pending) => anyhow::anyhow!("{pending} migrations are pending: run `{} migrate`", S::NAME),
            // nothing that waiting would change
            Err(MigrateError::Connect(error)) if error.is_final() => return Err(error.into()),
            Err(error) => error.into(),
        };
        if Instant::now() >= deadline {
            return Err(problem.context("the database is not ready"));
        }
        tracing::info!(error.message = format!("{problem:#}"), "waiting for the database");
        tokio::time::sleep(SCHEMA_POLL).await;
    }
}

/// A service that is up: both servers and the background tasks.
pub(crate) struct Running {
    pub(crate) tasks: Tasks,
    pub(crate) http: SocketAddr,
    pub(crate) management: SocketAddr,
    http_server: (ServerHandle, JoinHandle<std::io::Result<()>>),
    management_server: (ServerHandle, JoinHandle<std::io::Result<()>>),
    limit: Duration,
    drain_delay: Duration,
}

impl Running {
    /// Builds the service and starts both servers. Returns once they listen.
    pub(crate) async fn start<S: Service>(core: CoreSettings, settings: S::Settings) -> anyhow::Result<Self> {
        let http_listener = listen(core.http_socket())?;
        // accepted connections inherit it
        SockRef::from(&http_listener)
            .set_tcp_user_timeout(Some(Duration::from_millis(core.http.write_timeout_ms)))?;
        let management_listener = listen(core.management_socket())?;
        let (http, management) = (http_listener.local_addr()?, management_listener.local_addr()?);
        let parts = parts::<S>(core.clone(), settings)?;
        let (tasks, metrics) = (parts.tasks.clone(), parts.metrics.clone());
        // not the requests' pool: that all its connections are in use does not mean that the database is away
        let database = Probe::database(parts.background.clone());
        let app = S::build(parts).await?;
        let health = Health::new(database, &app.health, tasks.draining());
        let verifier = match app.verifier.clone() {
            Some(verifier) => verifier,
            None => TokenVerifier::from_url(&core.token)?,
        };
        keep_keys_fresh(
            &tasks,
            verifier.clone(),
            Duration::from_secs(core.token.jwks_refresh_s),
        );
        let openapi = S::openapi();
        let allowed = AllowedMethods::of(&openapi);
        let management_server = management::serve(management_listener, &health, &metrics)?;
        let surface = Surface {
            app,
            openapi: openapi.to_json()?.into(),
            allowed,
            health,
            metrics,
            verifier,
            cursor_key: CursorKey::new(&core.http.cursor_secret),
        };
        let tls = tls::config(&tasks, &core.http.tls)?;
        let http_server = server::serve(http_listener, &core.http, tls, surface)?;
        tracing::info!(server.address = %http, management.address = %management, "{} is up", S::NAME);
        Ok(Self {
            limit: core.shutdown_timeout(),
            drain_delay: core.drain_delay(),
            http_server: watch(&tasks, http_server),
            management_server: watch(&tasks, management_server),
            tasks,
            http,
            management,
        })
    }

    /// Stops in good order: it says that it is not ready, and goes on for a while; then no new requests, those in flight
    /// finish, then the tasks end, then the rest. Returns whether everything ended in time.
    pub(crate) async fn stop(self) -> bool {
        self.tasks.stop();
        tokio::time::sleep(self.drain_delay).await;
        let (http, http_done) = self.http_server;
        http.stop(true).await;
        let drained = http_done.await.is_ok();
        crate::crossing!("shutdown.drained");
        let finished = self.tasks.finish(self.limit).await;
        crate::crossing!("shutdown.finished");
        if !finished {
            tracing::error!("background tasks did not end in time");
        }
        let (management, management_done) = self.management_server;
        management.stop(false).await;
        management_done.await.is_ok() && drained && finished
    }
}

fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Drives a server; one that ends by itself takes the process down.
fn watch(tasks: &Tasks, server: actix_web::dev::Server) -> (ServerHandle, JoinHandle<std::io::Result<()>>) {
    let (handle, tasks) = (server.handle(), tasks.clone());
    let runtime = tasks.runtime().clone();
    let driven = runtime.spawn(async move {
        let outcome = server.await;
        if outcome.is_err() {
            tasks.fail();
        }
        outcome
    });
    (handle, driven)
}

fn keep_keys_fresh(tasks: &Tasks, verifier: TokenVerifier, every: Duration) {
    tasks.spawn("token keys", move |stopping| async move {
        let mut wait = Duration::ZERO;
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            wait = match verifier.refresh().await {
                Ok(()) => every,
                Err(error) => {
                    tracing::warn!(error.message = format!("{error:#}"), "token keys not refreshed");
                    every.min(KEYS_RETRY)
                }
            };
        }
    });
}
