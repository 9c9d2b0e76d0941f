//! `stack status`

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;
use stack::proc;
use stack::state::{Entry, State};
use terminal::outln;

use super::paint;

/// Shows each process and the gateway's health; fails when something is not well.
pub(crate) async fn run(directory: &Path) -> anyhow::Result<ExitCode> {
    let state = State::load(directory)?;
    if state.processes.is_empty() {
        outln!("nothing runs in {}; start it with make up", directory.display());
        return Ok(ExitCode::FAILURE);
    }
    let mut well = true;
    for entry in &state.processes {
        let runs = entry.find().is_some();
        well &= runs;
        outln!("{}", line(entry, runs));
    }
    if let Some(port) = state.entry("gateway").and_then(|entry| entry.ports.get("http")) {
        let health = health(*port).await;
        well &= health
            .as_ref()
            .is_ok_and(|health| health.get("status") == Some(&Value::from("ok")));
        match health {
            Ok(health) => outln!("health: {health}"),
            Err(error) => outln!("health: {}", paint::error(error)),
        }
    }
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn line(entry: &Entry, runs: bool) -> String {
    let ports: Vec<String> = entry
        .ports
        .iter()
        .map(|(purpose, port)| format!("{purpose} {port}"))
        .collect();
    let state = if runs {
        paint::good("runs   ")
    } else {
        paint::error("stopped")
    };
    let memory = if runs {
        proc::memory(entry.pid).resident_bytes >> 20
    } else {
        0
    };
    format!(
        "{:<13} {state}  pid {:<8} {memory:>4} MiB  {}",
        entry.name,
        entry.pid,
        ports.join(", ")
    )
}

async fn health(port: u16) -> reqwest::Result<Value> {
    let client = reqwest::Client::new();
    let url = format!("http://127.0.0.1:{port}/health");
    client
        .get(url)
        .timeout(Duration::from_secs(5))
        .send()
        .await?
        .json()
        .await
}
