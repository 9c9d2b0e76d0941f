//! librdkafka's mock cluster in a process of its own, for a first look without Java. It keeps at most 5 MiB a
//! partition, in memory.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use contracts::Topic;
use rdkafka::mocking::MockCluster;

use super::topics::Plan;
use super::{Options, not_ready};
use crate::error::{IoContext, Result};
use crate::process::{Launch, Process};

fn address_file(directory: &Path) -> PathBuf {
    directory.join("address")
}

/// Starts `stack embedded-broker`.
pub(super) fn spawn(options: &Options) -> Result<Process> {
    let file = address_file(&options.directory);
    if file.exists() {
        std::fs::remove_file(&file).at("remove", &file)?;
    }
    Launch::new("kafka", &options.program, &options.log)
        .args([
            "embedded-broker".to_owned(),
            "--address-file".to_owned(),
            file.display().to_string(),
        ])
        .env(options.env.clone())
        .lifetime(options.lifetime)
        .start()
}

/// Waits for the address that the broker writes when it is ready: it chooses its port itself.
pub(super) async fn bootstrap(options: &Options, process: &mut Process) -> Result<String> {
    let begin = Instant::now();
    loop {
        if let Ok(address) = std::fs::read_to_string(address_file(&options.directory)) {
            return Ok(address);
        }
        if !process.is_running() || begin.elapsed() > Duration::from_secs(10) {
            return Err(not_ready(begin, process.log_tail()));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Runs the broker with the platform's topics until the program is ended.
pub async fn serve(file: &Path, plan: &Plan) -> Result<()> {
    let cluster = MockCluster::new(1)?;
    for topic in Topic::ALL {
        cluster.create_topic(topic.name(), plan.partitions_of(topic), 1)?;
    }
    let part = file.with_extension("part");
    std::fs::write(&part, cluster.bootstrap_servers()).at("write", &part)?;
    std::fs::rename(&part, file).at("rename", &part)?;
    let mut ended =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).at("watch", file)?;
    ended.recv().await;
    Ok(())
}
