//! Starts the server's process with settings for this machine.

use std::path::Path;

use super::{Installation, Options};
use crate::error::{IoContext, Result};
use crate::process::{Launch, Process};

pub(super) fn spawn(installation: &Installation, options: &Options) -> Result<Process> {
    let data = options.directory.join("data");
    remove_stale_lock(&data)?;
    Launch::new("postgres", installation.program("postgres"), &options.log)
        .args(["-D".to_owned(), data.display().to_string()])
        .args(server_settings(options))
        .account(installation.account().cloned())
        .env(options.env.clone())
        // what its messages are looked up in; the locale need not be installed
        .env(std::collections::BTreeMap::from([(
            "LANGUAGE".to_owned(),
            options.language.clone(),
        )]))
        .lifetime(options.lifetime)
        .start()
}

/// Removes the lock file of a killed server. PostgreSQL does so itself, but not while the killed process is still
/// a zombie, as it stays where the first process of a container reaps no orphans.
fn remove_stale_lock(data: &Path) -> Result<()> {
    let lock = data.join("postmaster.pid");
    let Ok(text) = std::fs::read_to_string(&lock) else {
        return Ok(());
    };
    let holder = text.lines().next().and_then(|line| line.trim().parse().ok());
    match holder {
        Some(pid) if !crate::proc::is_running(pid) => std::fs::remove_file(&lock).at("remove", &lock),
        Some(_) | None => Ok(()),
    }
}

/// Settings for a machine that is shared with everything else.
pub(super) fn server_settings(options: &Options) -> Vec<String> {
    let durable = if options.durable { "on" } else { "off" };
    let settings = [
        ("listen_addresses", "127.0.0.1"),
        ("port", &options.port.to_string()),
        // Everybody comes by TCP, with a password.
        ("unix_socket_directories", ""),
        ("max_connections", &options.connections.to_string()),
        ("shared_buffers", "256MB"),
        ("wal_buffers", "16MB"),
        ("max_wal_size", "2GB"),
        ("checkpoint_timeout", "10min"),
        ("fsync", durable),
        ("full_page_writes", durable),
        ("synchronous_commit", "on"),
        ("autovacuum_naptime", "10s"),
        ("random_page_cost", "1.1"),
        ("jit", "off"),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
        ("log_min_duration_statement", "1s"),
        // with the SQLSTATE: texts are in the server's language
        ("log_line_prefix", "%m [%p] [%e] %u@%d "),
    ];
    settings
        .iter()
        .flat_map(|(key, value)| ["-c".to_owned(), format!("{key}={value}")])
        .collect()
}
