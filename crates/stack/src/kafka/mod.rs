//! A Kafka broker of one's own: Apache Kafka in KRaft mode, or the embedded broker where Java is missing.

pub mod bounds;
mod distribution;
pub mod embedded;
mod maven;
pub mod topics;

pub use distribution::Distribution;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;

use crate::error::{Error, IoContext, Result};
use crate::process::{Launch, Lifetime, Process};

const PATIENCE: Duration = Duration::from_secs(60);
const TEMPLATE: &str = include_str!("../../../../deploy/kafka/broker.properties");

/// Which broker to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Apache Kafka.
    Apache,
    /// librdkafka's mock cluster: lives in memory, knows neither topics of the Admin API nor a restart.
    Embedded,
}

impl Kind {
    /// Its name in what a person reads.
    pub fn label(self) -> &'static str {
        match self {
            Self::Apache => "Apache Kafka",
            Self::Embedded => "embedded broker (in memory)",
        }
    }
}

/// A listener whose clients come through a proxy.
#[derive(Debug, Clone)]
pub struct Proxied {
    /// The listener's own port on 127.0.0.1.
    pub port: u16,
    /// Where clients are told to come, `host:port`. The host may be a name, which only they need to know.
    pub advertised: String,
}

/// Where a broker lives and how it is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// Directory of its own, for data and settings.
    pub directory: PathBuf,
    /// Where a fetched distribution is kept for all brokers of the machine.
    pub cache: PathBuf,
    /// Port on 127.0.0.1. The embedded broker chooses its own.
    pub port: u16,
    /// Port of the controller on 127.0.0.1.
    pub controller_port: u16,
    /// Log file.
    pub log: PathBuf,
    /// Whether it ends with this program.
    pub lifetime: Lifetime,
    /// Environment on top of the inherited one.
    pub env: BTreeMap<String, String>,
    /// Which broker.
    pub kind: Kind,
    /// Compile for throughput (slower start), as a benchmark wants it.
    pub throughput: bool,
    /// A second listener, for clients that come through a proxy.
    pub proxied: Option<Proxied>,
    /// The `stack` program, which runs the embedded broker.
    pub program: PathBuf,
}

impl Options {
    /// Apache Kafka that ends with this program.
    pub fn new(directory: impl Into<PathBuf>, port: u16, controller_port: u16) -> Self {
        let directory = directory.into();
        Self {
            log: directory.join("kafka.log"),
            cache: crate::repository().join(".stack").join("kafka"),
            directory,
            port,
            controller_port,
            lifetime: Lifetime::Tied(Signal::SIGKILL),
            env: BTreeMap::new(),
            kind: Kind::Apache,
            throughput: false,
            proxied: None,
            program: crate::binaries().join("stack"),
        }
    }
}

/// A running broker.
#[derive(Debug)]
pub struct Kafka {
    options: Options,
    bootstrap: String,
    process: Process,
}

impl Kafka {
    /// Starts the broker, on the data of the last run where there is some, and waits until it answers.
    pub async fn start(options: Options) -> Result<Self> {
        std::fs::create_dir_all(&options.directory).at("create", &options.directory)?;
        let mut process = spawn(&options).await?;
        let bootstrap = bootstrap(&options, &mut process).await?;
        let mut kafka = Self {
            options,
            bootstrap,
            process,
        };
        kafka.wait_until_ready().await?;
        Ok(kafka)
    }

    /// Takes over a broker that an earlier program started.
    pub fn adopt(options: Options, bootstrap: String, process: Process) -> Self {
        Self {
            options,
            bootstrap,
            process,
        }
    }

    /// Address for clients, `host:port`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Which broker it is.
    pub fn kind(&self) -> Kind {
        self.options.kind
    }

    /// The broker's process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Stops the broker: it closes its logs, and is killed when that takes too long.
    pub async fn stop(&mut self) {
        self.process.stop(Signal::SIGTERM, Duration::from_secs(20)).await;
    }

    /// Kills the broker with no chance to tidy up.
    pub async fn kill9(&mut self) {
        self.process.kill().await;
    }

    /// Starts the broker again on the same data and ports.
    pub async fn restart(&mut self) -> Result<()> {
        if self.options.kind == Kind::Embedded {
            return Err(Error::Invalid(
                "the embedded broker lives in memory and cannot be restarted".to_owned(),
            ));
        }
        self.stop().await;
        self.process = spawn(&self.options).await?;
        self.wait_until_ready().await
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let begin = Instant::now();
        loop {
            let reason = match answers(&self.bootstrap).await {
                Ok(()) => return Ok(()),
                Err(error) => crate::error::chain(&error),
            };
            if !self.process.is_running() {
                let tail = self.process.log_tail();
                return Err(not_ready(
                    begin,
                    format!("the broker ended; the end of its log:\n{tail}"),
                ));
            }
            if begin.elapsed() > PATIENCE {
                return Err(not_ready(begin, reason));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn not_ready(begin: Instant, reason: String) -> Error {
    Error::NotReady {
        what: "kafka".to_owned(),
        waited: begin.elapsed(),
        reason,
    }
}

/// Settings of a client that connects to a broker of this machine.
pub fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("broker.address.family", "v4")
        .set("log_level", "3");
    config
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "200");
    config
}

/// One look whether the broker serves metadata; a closed port is seen at once.
async fn answers(bootstrap: &str) -> Result<()> {
    tokio::net::TcpStream::connect(bootstrap)
        .await
        .map_err(|refused| Error::Invalid(format!("{bootstrap}: {refused}")))?;
    let client: AdminClient<DefaultClientContext> = client(bootstrap).create()?;
    let metadata = blocking(move || client.inner().fetch_metadata(None, Duration::from_secs(2))).await??;
    if metadata.brokers().is_empty() {
        return Err(Error::Invalid("no broker has registered yet".to_owned()));
    }
    Ok(())
}

/// Runs a blocking call of librdkafka off the async workers.
pub(crate) async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(call)
        .await
        .map_err(|gone| Error::Invalid(gone.to_string()))
}

async fn spawn(options: &Options) -> Result<Process> {
    match options.kind {
        Kind::Apache => spawn_apache(options).await,
        Kind::Embedded => embedded::spawn(options),
    }
}

async fn bootstrap(options: &Options, process: &mut Process) -> Result<String> {
    match options.kind {
        Kind::Apache => Ok(format!("127.0.0.1:{}", options.port)),
        Kind::Embedded => embedded::bootstrap(options, process).await,
    }
}

async fn spawn_apache(options: &Options) -> Result<Process> {
    let distribution = Distribution::find(&options.cache).await?;
    let data = options.directory.join("data");
    let settings = write_settings(options)?;
    if !data.join("meta.properties").exists() {
        distribution.format(&settings, &data).await?;
    }
    distribution.launch(options, &settings)?.start()
}

/// Where the broker unpacks its native libraries. One that is killed leaves them behind, so a start clears them away.
fn empty_scratch(options: &Options) -> Result<PathBuf> {
    let scratch = options.directory.join("scratch");
    if scratch.exists() {
        std::fs::remove_dir_all(&scratch).at("remove", &scratch)?;
    }
    std::fs::create_dir_all(&scratch).at("create", &scratch)?;
    Ok(scratch)
}

/// Writes the broker's settings for these ports and this data directory.
fn write_settings(options: &Options) -> Result<PathBuf> {
    let mut text = TEMPLATE
        .replace("${PORT}", &options.port.to_string())
        .replace("${CONTROLLER_PORT}", &options.controller_port.to_string())
        .replace("${DATA}", &options.directory.join("data").display().to_string());
    if let Some(proxied) = &options.proxied {
        text.push_str(&second_listener(options, proxied));
    }
    let path = options.directory.join("broker.properties");
    std::fs::write(&path, text).at("write", &path)?;
    Ok(path)
}

/// The last of several lines with one key counts.
fn second_listener(options: &Options, Proxied { port, advertised }: &Proxied) -> String {
    let (own, controller) = (options.port, options.controller_port);
    format!(
        "
listeners=PLAINTEXT://127.0.0.1:{own},PROXIED://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{own},PROXIED://{advertised}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT
"
    )
}

impl Distribution {
    fn launch(&self, options: &Options, settings: &Path) -> Result<Launch> {
        let scratch = empty_scratch(options)?;
        Ok(Launch::new("kafka", &self.java, &options.log)
            .args(self.flags(options.throughput))
            .args([format!("-Djava.io.tmpdir={}", scratch.display())])
            .args(["kafka.Kafka".to_owned(), settings.display().to_string()])
            .env(options.env.clone())
            .lifetime(options.lifetime))
    }
}
