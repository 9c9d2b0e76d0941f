//! Apache Kafka's programs, and what makes them start quickly.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Kind, Options, maven};
use crate::error::{Error, IoContext, Result};
use crate::ports;
use crate::process::{run, which};

const LOGGING: &str = include_str!("../../../../deploy/kafka/log4j2.properties");
/// Any id will do for a cluster of one; 22 characters of base64.
const CLUSTER: &str = "UXVhZHJpbGxlLWxvY2FsLQ";

/// A Kafka that can be run.
#[derive(Debug, Clone)]
pub struct Distribution {
    pub(super) java: PathBuf,
    /// Directory with the broker's jars.
    libs: PathBuf,
    /// Directory for what is made from it once.
    cache: PathBuf,
}

impl Distribution {
    /// Takes `KAFKA_HOME`, else what Maven fetched, else fetches it. Processes that come at the same time wait for
    /// the first.
    pub async fn find(cache: &Path) -> Result<Self> {
        let java = which("java").ok_or_else(|| Error::Missing {
            what: "java".to_owned(),
            hint: "install a Java 17 run time, or use the embedded broker (--broker embedded)".to_owned(),
        })?;
        #[expect(
            clippy::disallowed_methods,
            reason = "KAFKA_HOME names an installation, as JAVA_HOME does"
        )]
        let home = std::env::var_os("KAFKA_HOME")
            .filter(|home| !home.is_empty())
            .map(PathBuf::from);
        std::fs::create_dir_all(cache).at("create", cache)?;
        let _one_at_a_time = lock(cache).await?;
        let distribution = match home {
            Some(home) => {
                let name = home.display().to_string().replace('/', "_");
                Self {
                    java,
                    libs: home.join("libs"),
                    cache: cache.join(format!("home{name}")),
                }
            }
            None => Self {
                java,
                libs: maven::fetch(cache).await?,
                cache: cache.join("fetched"),
            },
        };
        distribution.prepare().await?;
        Ok(distribution)
    }

    /// True when nothing has to be fetched or made before the first start.
    pub fn is_cached(cache: &Path) -> bool {
        maven::is_fetched(cache) && cache.join("fetched").join("formatted").exists()
    }

    /// What the machine offers: Apache Kafka where it can be run, else the embedded broker.
    pub fn offered(cache: &Path) -> Kind {
        #[expect(
            clippy::disallowed_methods,
            reason = "KAFKA_HOME names an installation, as JAVA_HOME does"
        )]
        let home = std::env::var_os("KAFKA_HOME").is_some_and(|home| !home.is_empty());
        let runnable =
            which("java").is_some() && (home || maven::is_fetched(cache) || which("mvn").is_some());
        if runnable { Kind::Apache } else { Kind::Embedded }
    }

    /// Arguments for the Java machine.
    pub(super) fn flags(&self, throughput: bool) -> Vec<String> {
        let mut flags = self.common_flags();
        if !throughput {
            // Saves half of the processor time of a short run.
            flags.push("-XX:TieredStopAtLevel=1".to_owned());
        }
        if self.archive().exists() {
            flags.push(format!("-XX:SharedArchiveFile={}", self.archive().display()));
        }
        flags
    }

    fn common_flags(&self) -> Vec<String> {
        [
            "-Xms128m",
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-XX:+ExitOnOutOfMemoryError",
            "-Xshare:auto",
            "-Xlog:disable",
            "-Xlog:all=error:stderr",
            "-Djava.awt.headless=true",
            "-cp",
        ]
        .into_iter()
        .map(str::to_owned)
        .chain([
            format!("{}/*", self.libs.display()),
            format!(
                "-Dlog4j2.configurationFile={}",
                self.cache.join("log4j2.properties").display()
            ),
        ])
        .collect()
    }

    /// Fills an empty data directory. What `kafka-storage format` writes depends on no port and no path, so it is
    /// made once and copied, which saves a start of the Java machine.
    pub(super) async fn format(&self, settings: &Path, data: &Path) -> Result<()> {
        let (fresh, master) = (data.with_extension("new"), self.cache.join("formatted"));
        if fresh.exists() {
            std::fs::remove_dir_all(&fresh).at("remove", &fresh)?;
        }
        if data.exists() {
            std::fs::remove_dir_all(data).at("remove", data)?;
        }
        if !master.exists() {
            let mut tool = Command::new(&self.java);
            tool.args(self.flags(false))
                .args(["kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER]);
            tool.arg("--config").arg(settings);
            run(tool).await?;
            copy(data, &master)?;
            return Ok(());
        }
        copy(&master, &fresh)?;
        std::fs::rename(&fresh, data).at("rename", &fresh)
    }

    fn archive(&self) -> PathBuf {
        self.cache.join("classes.jsa")
    }

    /// Makes, once, what a start copies or maps instead of computing it.
    async fn prepare(&self) -> Result<()> {
        let tried = self.cache.join("archive-tried");
        if self.cache.join("formatted").exists() && tried.exists() {
            return Ok(());
        }
        std::fs::create_dir_all(&self.cache).at("create", &self.cache)?;
        let logging = self.cache.join("log4j2.properties");
        std::fs::write(&logging, LOGGING).at("write", &logging)?;
        let scratch = crate::temporary()?;
        let (port, controller) = (ports::lease()?, ports::lease()?);
        let options = Options::new(scratch.path().join("kafka"), port.port(), controller.port());
        std::fs::create_dir_all(&options.directory).at("create", &options.directory)?;
        let settings = super::write_settings(&options)?;
        self.format(&settings, &options.directory.join("data")).await?;
        // Without the archive everything works as well, so its failure is not one of the start.
        let _ = self.archive_classes(options, &settings).await;
        std::fs::write(&tried, "").at("write", &tried)
    }

    /// Runs the broker once so that Java keeps an archive of the classes it loaded: a start then takes 0.7 s instead
    /// of 1.7 s.
    async fn archive_classes(&self, options: Options, settings: &Path) -> Result<()> {
        let fresh = self.cache.join("classes.new");
        let mut launch = self.launch(&options, settings)?;
        launch
            .args
            .insert(0, format!("-XX:ArchiveClassesAtExit={}", fresh.display()));
        let bootstrap = format!("127.0.0.1:{}", options.port);
        let mut broker = super::Kafka {
            bootstrap: bootstrap.clone(),
            process: launch.start()?,
            options,
        };
        broker.wait_until_ready().await?;
        super::topics::exercise(&bootstrap).await?;
        broker.stop().await;
        std::fs::rename(&fresh, self.archive()).at("rename", &fresh)
    }
}

async fn lock(cache: &Path) -> Result<std::fs::File> {
    let path = cache.join("lock");
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .at("open", &path)?;
    super::blocking(move || file.lock().map(|()| file))
        .await?
        .at("lock", &path)
}

/// Copies a directory of plain files; the target appears when it is complete.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let part = to.with_extension("part");
    std::fs::create_dir_all(&part).at("create", &part)?;
    for entry in std::fs::read_dir(from).at("read", from)? {
        let source = entry.at("read", from)?.path();
        if source.is_file() && source.file_name().is_some_and(|name| name != ".lock") {
            let target = part.join(source.file_name().unwrap_or_default());
            std::fs::copy(&source, &target).at("copy", &source)?;
        }
    }
    std::fs::rename(&part, to).at("rename", &part)
}
