//! Layered configuration: embedded defaults, an optional file, the environment. Read once at start.
//!
//! The defaults also say which settings there are, and give each its type: any other name is refused wherever it is given,
//! an environment variable for a number must be a number, and one for an array is split at its commas.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

mod layers;
mod names;
mod redact;

pub use layers::Layers;
pub use names::Unknown;

/// Characters of a cursor secret at least.
const CURSOR_SECRET_MIN: usize = 32;

/// Why the configuration cannot be used. The text names the key.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A layer is unreadable, or a key is missing or of the wrong type.
    #[error(transparent)]
    Read(#[from] config::ConfigError),
    /// An environment variable does not have the type of its key's default.
    #[error("environment variable {variable}: {value:?} is not {expected}")]
    Variable {
        /// The variable as it was set.
        variable: String,
        /// Its value.
        value: String,
        /// The type that was expected.
        expected: &'static str,
    },
    /// Settings that there are none of.
    #[error("{}", names::list(.0))]
    Unknown(Vec<Unknown>),
    /// A value is of the right type but makes no sense.
    #[error("{key}: {reason}")]
    Invalid {
        /// The key, dotted.
        key: &'static str,
        /// What is wrong with its value.
        reason: &'static str,
    },
}

/// The settings every service has.
#[derive(Debug, Clone, Deserialize)]
pub struct CoreSettings {
    /// The service's own port.
    pub http: HttpSettings,
    /// The management port, never routed.
    pub management: ManagementSettings,
    /// The service's database.
    pub database: DatabaseSettings,
    /// How `migrate` goes about its locks.
    pub migration: MigrationSettings,
    /// The broker.
    pub kafka: KafkaSettings,
    /// How bearer tokens are verified.
    pub token: TokenSettings,
    /// What is logged and how.
    pub log: LogSettings,
}

/// `http.*`
#[derive(Debug, Clone, Deserialize)]
pub struct HttpSettings {
    /// Address to listen on.
    pub address: IpAddr,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// Longest request body, in bytes; longer ones get 413.
    pub body_limit_bytes: usize,
    /// Worker threads; 0 is one for each core.
    pub workers: usize,
    /// How long a stop waits for requests in flight, and then again for background tasks, in seconds.
    pub shutdown_timeout_s: u64,
    /// How long an idle connection is kept, in seconds.
    pub keep_alive_s: u64,
    /// How long a client may take to send its request's head, in milliseconds.
    pub header_timeout_ms: u64,
    /// How long a client may take nothing of what is sent to it, in milliseconds.
    pub write_timeout_ms: u64,
    /// How long a client may take for an answer from its head to its end, in milliseconds; event streams may go on.
    pub answer_timeout_ms: u64,
    /// How long an event stream over HTTP/2 may be silent before it is looked whether its client is still there, in
    /// milliseconds.
    pub event_stream_look_ms: u64,
    /// Connections a worker holds at most.
    pub max_connections: usize,
    /// Requests on one connection at once at most.
    pub requests_per_connection: NonZeroUsize,
    /// How long after a stop has begun requests are still taken, in milliseconds: the time whoever sends them needs to
    /// learn of it.
    pub drain_delay_ms: u64,
    /// What cursors of lists are signed with, the same in every replica of a service; when empty, each process has a key
    /// of its own.
    pub cursor_secret: SecretString,
    /// TLS, when a certificate is given.
    pub tls: TlsSettings,
}

/// `http.tls.*`
#[derive(Debug, Clone, Deserialize)]
pub struct TlsSettings {
    /// PEM file of the certificate and its chain; empty for plain HTTP.
    pub certificate: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
    /// How often the files are looked at for a change, in seconds.
    pub reload_s: u64,
}

impl TlsSettings {
    /// Whether there is a certificate.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.certificate.as_os_str().is_empty()
    }
}

/// `management.*`
#[derive(Debug, Clone, Deserialize)]
pub struct ManagementSettings {
    /// Address to listen on.
    pub address: IpAddr,
    /// Port to listen on; `http.port` + 100 when unset.
    pub port: Option<u16>,
}

/// `database.*`
#[derive(Debug, Clone, Deserialize)]
pub struct DatabaseSettings {
    /// libpq URL of the service's database.
    pub url: SecretString,
    /// Connections of requests at most.
    pub pool_size: usize,
    /// Connections of everything else (consumer, retries, actions, timers) at most: requests, however many of them wait,
    /// take none of these.
    pub background_pool_size: usize,
    /// How long a request waits for a connection, in milliseconds.
    pub wait_timeout_ms: u64,
    /// How long Postgres lets one statement run, in milliseconds.
    pub statement_timeout_ms: u64,
    /// How long a transaction may stand still before Postgres ends it, in milliseconds: a process that froze gives its
    /// locks back.
    pub idle_in_transaction_timeout_ms: u64,
    /// How long `serve` waits for the database and its schema, in seconds.
    pub start_timeout_s: u64,
}

/// `migration.*`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct MigrationSettings {
    /// How long a statement of a migration waits for a lock, in milliseconds, before the migration is rolled back and
    /// tried again. Everybody who needs the table waits as long, so it is shorter than anybody notices.
    pub lock_timeout_ms: u64,
    /// How long that goes on, and how long another `migrate` is waited for, in seconds.
    pub wait_s: u64,
}

impl Default for MigrationSettings {
    fn default() -> Self {
        Self {
            lock_timeout_ms: 500,
            wait_s: 300,
        }
    }
}

impl MigrationSettings {
    pub(crate) fn lock_timeout(&self) -> Duration {
        Duration::from_millis(self.lock_timeout_ms)
    }

    pub(crate) fn wait(&self) -> Duration {
        Duration::from_secs(self.wait_s)
    }
}

/// `kafka.*`
#[derive(Debug, Clone, Deserialize)]
pub struct KafkaSettings {
    /// Bootstrap servers, comma separated.
    pub brokers: String,
}

/// `token.*`
#[derive(Debug, Clone, Deserialize)]
pub struct TokenSettings {
    /// Where the public keys are.
    pub jwks_url: String,
    /// The `iss` a token must have.
    pub issuer: String,
    /// The `aud` a token must have.
    pub audience: String,
    /// How often the keys are fetched anew, in seconds.
    pub jwks_refresh_s: u64,
    /// How often at most they are fetched because a token names a key we do not have, in seconds.
    pub jwks_refetch_s: u64,
    /// How long keys count that cannot be fetched anew, in seconds.
    pub jwks_stale_s: u64,
    /// How far clocks may disagree, in seconds.
    pub leeway_s: u64,
    /// Longest token looked at, in bytes.
    pub length_max_bytes: usize,
    /// Longest time from `iat` to `exp`, in seconds: what ends a token early is remembered so long.
    pub lifetime_max_s: u32,
    /// Verified tokens remembered at most.
    pub cache_entries: NonZeroUsize,
    /// How long a verification counts, in seconds.
    pub cache_age_s: u64,
}

/// `log.*`
#[derive(Debug, Clone, Deserialize)]
pub struct LogSettings {
    /// A `tracing` filter, for example `info,messaging=debug`.
    pub filter: String,
    /// One JSON object a line, or text for people.
    pub format: LogFormat,
}

/// The shape of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text for people.
    Text,
}

impl CoreSettings {
    /// Where the service listens.
    #[must_use]
    pub fn http_socket(&self) -> SocketAddr {
        SocketAddr::new(self.http.address, self.http.port)
    }

    /// Where the management endpoints listen: `http.port` + 100 by default, a free port when that is 0.
    #[must_use]
    pub fn management_socket(&self) -> SocketAddr {
        let default = if self.http.port == 0 {
            0
        } else {
            self.http.port.saturating_add(100)
        };
        SocketAddr::new(self.management.address, self.management.port.unwrap_or(default))
    }

    /// How long after a stop has begun requests are still taken.
    #[must_use]
    pub fn drain_delay(&self) -> Duration {
        Duration::from_millis(self.http.drain_delay_ms)
    }

    /// How long a stop waits for requests in flight, and then again for background tasks.
    #[must_use]
    pub fn shutdown_timeout(&self) -> Duration {
        Duration::from_secs(self.http.shutdown_timeout_s)
    }

    pub(crate) fn validate(&self) -> Result<(), SettingsError> {
        let invalid = |key, reason| Err(SettingsError::Invalid { key, reason });
        if self.database.url.expose_secret().is_empty() {
            return invalid("database.url", "is required");
        }
        if self.database.pool_size == 0 {
            return invalid("database.pool_size", "must be at least 1");
        }
        if self.database.background_pool_size == 0 {
            return invalid("database.background_pool_size", "must be at least 1");
        }
        if self.migration.lock_timeout_ms == 0 {
            return invalid("migration.lock_timeout_ms", "must be at least 1");
        }
        if self.http.body_limit_bytes == 0 {
            return invalid("http.body_limit_bytes", "must be at least 1");
        }
        if (1..CURSOR_SECRET_MIN).contains(&self.http.cursor_secret.expose_secret().len()) {
            return invalid("http.cursor_secret", "must have at least 32 characters");
        }
        if self.http.tls.is_on() && self.http.tls.key.as_os_str().is_empty() {
            return invalid("http.tls.key", "is required with a certificate");
        }
        if self.http.tls.reload_s == 0 {
            return invalid("http.tls.reload_s", "must be at least 1");
        }
        if !self.token.jwks_url.starts_with("http://") && !self.token.jwks_url.starts_with("https://") {
            return invalid("token.jwks_url", "must be an http or https URL");
        }
        if self.token.jwks_refresh_s == 0 {
            return invalid("token.jwks_refresh_s", "must be at least 1");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
