//! Starts analytics beside a running platform, with a PostgreSQL of its own, and prints its figures as they change.
//! Ctrl-C ends both; the figures stay for the next time.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use contracts::topics::dead_letter_topic;
use nix::sys::signal::Signal;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use stack::kafka::Kind;
use stack::postgres::{Options, Postgres, connect};
use stack::process::Launch;
use stack::state::State;
use terminal::outln;
use tokio_postgres::Client;

const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_secs(1);

const REVENUE: &str = "select day::text || '  ' || currency || '  paid ' || payments || '  taken ' || taken_minor \
     || '  refunded ' || refunded_minor || '  net ' || net_minor || ' (minor units)' from revenue order by day, currency";
const FAILURES: &str = "select day::text || '  attempts ' || attempts || '  failed ' || failed || '  ' || percent || ' %' \
     from failures order by day";

/// Starts analytics beside a running platform, and prints its figures as they change; Ctrl-C ends it
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The platform's state directory
    #[arg(default_value_os_t = stack::repository().join(".stack"))]
    directory: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { directory } = Arguments::parse();
    if !directory.is_dir() {
        bail!(
            "no platform has its state in {}; make up starts one",
            directory.display()
        );
    }
    let broker = State::load(&directory)?.broker;
    // in containers, where there is no such file, the platform's broker is at its usual address
    let (kind, brokers) = broker.map_or_else(
        || (Kind::Apache, "127.0.0.1:9092".to_owned()),
        |broker| (broker.kind, broker.address),
    );
    // the embedded one makes topics as they are asked for, and knows no command for it
    if kind == Kind::Apache {
        make_topic(&brokers)
            .await
            .with_context(|| format!("no broker at {brokers}; make up starts the platform"))?;
    }

    let home = directory.join("analytics");
    std::fs::create_dir_all(&home)?;
    let port = stack::ports::lease()?;
    let mut postgres = Postgres::start(Options::new(home.join("postgres"), port.port())).await?;
    let url = postgres
        .ensure_database("analytics", &uuid::Uuid::new_v4().simple().to_string())
        .await?;
    let env = BTreeMap::from([
        ("QUADRILLE__DATABASE__URL".to_owned(), url.clone()),
        ("QUADRILLE__KAFKA__BROKERS".to_owned(), brokers),
    ]);
    let log = home.join("analytics.log");
    let launch = |command: &str| {
        let program = stack::binaries().join("analytics");
        Launch::new("analytics", program, &log)
            .args([command])
            .env(env.clone())
            .start()
    };
    let mut migration = launch("migrate")?;
    if !migration.ended_within(PATIENCE).await || !migration.exit().is_some_and(|status| status.success()) {
        bail!("analytics migrate failed:\n{}", migration.log_tail());
    }
    let mut service = launch("serve")?;
    let address = home.join("database-url");
    keep_secret(&address, &url)?;
    outln!(
        "analytics listens; the URL of its database is in {}, its log is {}",
        address.display(),
        log.display()
    );
    let figures = connect(&url).await?;
    let mut shown = String::new();
    // until nobody reads them any more
    while !terminal::is_closed() {
        let now = report(&figures).await?;
        if now != shown {
            outln!("{now}");
            shown = now;
        }
        if !service.is_running() {
            bail!("analytics ended:\n{}", service.log_tail());
        }
        tokio::select! {
            _ = tokio::signal::ctrl_c() => break,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    service.stop(Signal::SIGTERM, PATIENCE).await;
    postgres.stop().await;
    Ok(())
}

/// The URL has the password: the file is its owner's alone.
fn keep_secret(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}

/// Topics are made by a command, never by a producer; this one is the participant's own.
async fn make_topic(brokers: &str) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> = stack::kafka::client(brokers).create()?;
    let name = dead_letter_topic("analytics");
    let topic = NewTopic::new(&name, 1, TopicReplication::Fixed(1));
    let options = AdminOptions::new().request_timeout(Some(Duration::from_secs(10)));
    // that it is there already is said in the result within
    admin.create_topics([&topic], &options).await?;
    Ok(())
}

async fn report(figures: &Client) -> anyhow::Result<String> {
    let mut lines = Vec::new();
    for (title, query) in [("revenue a day", REVENUE), ("failed payments a day", FAILURES)] {
        lines.push(title.to_owned());
        for row in figures.query(query, &[]).await? {
            lines.push(format!("  {}", row.get::<_, String>(0)));
        }
    }
    Ok(lines.join("\n"))
}
