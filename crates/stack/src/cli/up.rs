//! `stack up`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, ValueEnum};
use stack::kafka::{Distribution, Kind, topics};
use stack::platform::Progress;
use stack::{Plan, Service, Stack};
use terminal::outln;

use super::paint;

#[derive(Debug, Clone, Args)]
#[group(id = "up")]
pub(crate) struct Options {
    /// Port of the gateway; the services follow, and their management ports are 100 higher
    #[arg(long, default_value_t = 5000)]
    port: u16,
    /// Port of PostgreSQL
    #[arg(long, default_value_t = 5532)]
    postgres_port: u16,
    /// Port of Kafka; its controller has the next one
    #[arg(long, default_value_t = 9092)]
    kafka_port: u16,
    /// Which broker
    #[arg(long, value_enum, default_value_t = Broker::Auto)]
    broker: Broker,
    /// Directory of the services' programs [default: that of this program]
    #[arg(long, value_name = "DIRECTORY")]
    binaries: Option<PathBuf>,
    /// Pauses before the retries of a failed message; shorter than a production's, so that one can watch
    #[arg(long, default_value = "500,1000,2000", value_name = "MS,MS,MS")]
    retry_delays_ms: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Broker {
    /// Apache Kafka where Java and Maven (or KAFKA_HOME) are there, else the embedded broker
    Auto,
    /// Apache Kafka
    Apache,
    /// librdkafka's mock cluster, in memory
    Embedded,
}

/// Starts the stack and prints where it is.
pub(crate) async fn run(directory: &Path, options: &Options) -> anyhow::Result<()> {
    let _lock = super::lock(directory)?;
    let stack = Box::pin(start(directory, options)).await?;
    print_urls(&stack);
    Ok(())
}

/// Starts what does not run yet, telling of each step.
pub(crate) async fn start(directory: &Path, options: &Options) -> anyhow::Result<Stack> {
    let plan = plan(directory, options);
    if plan.broker == Kind::Embedded {
        outln!(
            "{} the embedded broker of librdkafka takes Kafka's place{}: it lives in memory, and what it holds is \
             lost when it stops",
            paint::warning("note:"),
            match options.broker {
                Broker::Auto => " because Java or Maven is missing",
                Broker::Apache | Broker::Embedded => "",
            }
        );
    }
    outln!("{}", paint::bold(format!("Quadrille in {}", directory.display())));
    let begin = Instant::now();
    let stack = Box::pin(Stack::up(plan, &tell)).await?;
    outln!(
        "{}",
        paint::good(format!("ready in {:.1} s", begin.elapsed().as_secs_f64()))
    );
    Ok(stack)
}

fn plan(directory: &Path, options: &Options) -> Plan {
    let cache = super::cache(directory);
    let broker = match options.broker {
        Broker::Auto => Distribution::offered(&cache),
        Broker::Apache => Kind::Apache,
        Broker::Embedded => Kind::Embedded,
    };
    Plan {
        directory: directory.to_owned(),
        binaries: options.binaries.clone().unwrap_or_else(stack::binaries),
        cache,
        postgres_port: options.postgres_port,
        kafka_port: options.kafka_port,
        controller_port: options.kafka_port.saturating_add(1),
        services: Service::ALL
            .map(|service| (service, service.ports(options.port)))
            .into(),
        broker,
        detached: true,
        throughput: false,
        kafka_proxied: None,
        postgres_language: "en".to_owned(),
        topics: topics::Plan::default(),
        env: BTreeMap::from([(
            "QUADRILLE__MESSAGING__RETRY_DELAYS_MS".to_owned(),
            options.retry_delays_ms.clone(),
        )]),
        service_env: BTreeMap::new(),
    }
}

fn tell(progress: Progress<'_>) {
    match progress {
        Progress::Begins(what) => outln!("  {}", paint::dim(format!("{what} ..."))),
        Progress::Runs { name, at } => outln!("  {name:<13} {at}  {}", paint::dim("runs already")),
        Progress::Done { name, what, took } => {
            outln!(
                "  {name:<13} {what}  {}",
                paint::dim(format!("{:.1} s", took.as_secs_f64()))
            );
        }
    }
}

fn print_urls(stack: &Stack) {
    let url = stack.url();
    let admin = stack.directory().join("admin.json");
    outln!(
        "
  {gateway}   {url}
  {docs}      {url}/docs
  {health}    {url}/health
  {admins}     {email}, password in {admin}
  {state}     {directory}/stack.json, logs in {directory}/logs

Next: {demo} tells a saga's story, {logs} follows the logs, {down} stops everything.",
        gateway = paint::bold("gateway"),
        docs = paint::bold("docs"),
        health = paint::bold("health"),
        admins = paint::bold("admin"),
        state = paint::bold("state"),
        email = stack.admin().email,
        admin = admin.display(),
        directory = stack.directory().display(),
        demo = paint::bold("make demo"),
        logs = paint::bold("make logs"),
        down = paint::bold("make down"),
    );
}
