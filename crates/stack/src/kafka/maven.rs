//! Fetches Apache Kafka once, by the pinned pom of `deploy/kafka`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, IoContext, Result};
use crate::process::{run, which};

const POM: &str = include_str!("../../../../deploy/kafka/pom.xml");

fn libs(cache: &Path) -> PathBuf {
    cache.join("libs")
}

/// True when the jars of the pom as it is now are there.
pub(super) fn is_fetched(cache: &Path) -> bool {
    std::fs::read_to_string(libs(cache).join("pom.xml")).is_ok_and(|fetched| fetched == POM)
}

/// Returns the directory with the jars, fetched by Maven when it is not there or the pom has changed.
pub(super) async fn fetch(cache: &Path) -> Result<PathBuf> {
    let libs = libs(cache);
    if is_fetched(cache) {
        return Ok(libs);
    }
    let maven = which("mvn").ok_or_else(|| Error::Missing {
        what: "mvn".to_owned(),
        hint:
            "install Maven so that Apache Kafka can be fetched once, or set KAFKA_HOME, or use the embedded \
               broker (--broker embedded)"
                .to_owned(),
    })?;
    for stale in [cache.join("libs.new"), libs.clone(), cache.join("fetched")] {
        if stale.exists() {
            std::fs::remove_dir_all(&stale).at("remove", &stale)?;
        }
    }
    let fresh = cache.join("libs.new");
    std::fs::create_dir_all(&fresh).at("create", &fresh)?;
    let pom = fresh.join("pom.xml");
    std::fs::write(&pom, POM).at("write", &pom)?;
    let mut command = Command::new(maven);
    command
        .args(["--batch-mode", "--no-transfer-progress", "--quiet", "--file"])
        .arg(&pom);
    command
        .arg("dependency:copy-dependencies")
        .arg(format!("-DoutputDirectory={}", fresh.display()));
    run(command).await?;
    std::fs::rename(&fresh, &libs).at("rename", &fresh)?;
    Ok(libs)
}
