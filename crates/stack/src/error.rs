//! What can go wrong while a stack is built, and what the reader should do about it.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure to build, steer or read a stack.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or a directory could not be read or written.
    #[error("cannot {doing} {path}", path = .path.display())]
    Io {
        /// Verb of the sentence, e.g. `write`.
        doing: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A program could not be started.
    #[error("cannot start {program}")]
    Spawn {
        /// Program as it was called.
        program: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A program ended with a failure.
    #[error("{program} failed ({status}): {output}")]
    Command {
        /// Program as it was called.
        program: String,
        /// Its exit status.
        status: String,
        /// The end of what it printed.
        output: String,
    },
    /// A program or an installation that the stack needs is not there.
    #[error("{what} not found: {hint}")]
    Missing {
        /// What is missing.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// Something did not become ready in time, or ended while it was waited for.
    #[error("{what} is not ready after {waited:?}: {reason}")]
    NotReady {
        /// What was waited for.
        what: String,
        /// For how long.
        waited: Duration,
        /// The last thing seen.
        reason: String,
    },
    /// A port is taken by something that is not of this stack.
    #[error("port {port} for {what} is taken by another program: stop it, or choose another with {flag}")]
    PortTaken {
        /// The port.
        port: u16,
        /// Who wanted it.
        what: String,
        /// How to choose another.
        flag: &'static str,
    },
    /// PostgreSQL refused a statement or a connection.
    #[error("postgres")]
    Postgres(#[from] tokio_postgres::Error),
    /// The caller's migrations of a template database failed.
    #[error("the migrations of the test database failed: {0}")]
    Migrate(Box<dyn std::error::Error + Send + Sync>),
    /// Kafka refused a request.
    #[error("kafka")]
    Kafka(#[from] rdkafka::error::KafkaError),
    /// An HTTP request failed.
    #[error("http")]
    Http(#[from] reqwest::Error),
    /// A file of the state directory is not what it should be.
    #[error("{path} is not what it should be", path = .path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A name that the stack does not know, or a request it cannot serve.
    #[error("{0}")]
    Invalid(String),
}

/// Adds the path and the verb to an [`std::io::Error`].
pub(crate) trait IoContext<T> {
    /// `doing` completes the sentence "cannot … <path>".
    fn at(self, doing: &'static str, path: &Path) -> Result<T>;
}

impl<T> IoContext<T> for std::io::Result<T> {
    fn at(self, doing: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Io {
            doing,
            path: path.to_owned(),
            source,
        })
    }
}

/// An error and its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}
