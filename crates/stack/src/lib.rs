//! Runs the whole platform on one machine without containers: PostgreSQL, Kafka and the five services.
//!
//! The command line (`stack up`), the tests, the chaos runs and the benchmarks all start their stacks with it.

pub mod books;
pub mod chaos;
pub mod error;
pub mod kafka;
pub mod platform;
pub mod ports;
pub mod postgres;
pub mod proc;
pub mod process;
pub mod service;
pub mod state;

use std::path::PathBuf;

pub use error::{Error, Result};
pub use platform::{Plan, Stack};
pub use service::Service;

/// A random password that needs no escaping in a URL or in SQL.
pub(crate) fn secret() -> String {
    use rand::distr::{Alphanumeric, SampleString};
    Alphanumeric.sample_string(&mut rand::rng(), 32)
}

/// A directory for one stack, removed when it is dropped. Other accounts may pass through it, since PostgreSQL
/// runs as another one where this program is root's.
pub fn temporary() -> Result<tempfile::TempDir> {
    use error::IoContext;
    use std::os::unix::fs::PermissionsExt;
    let parent = std::env::temp_dir();
    let open = std::fs::Permissions::from_mode(0o711);
    tempfile::Builder::new()
        .prefix("quadrille-")
        .permissions(open)
        .tempdir()
        .at("create", &parent)
}

/// The repository that this crate was built in, or the working directory when it has gone.
pub fn repository() -> PathBuf {
    let built = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    built
        .canonicalize()
        .or_else(|_gone| std::env::current_dir())
        .unwrap_or_default()
}

/// The directory of the platform's programs: where this program is, or a test's parent directory.
pub fn binaries() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let directory = program.parent().unwrap_or(&program);
    if directory.ends_with("deps") {
        directory.parent().unwrap_or(directory).to_owned()
    } else {
        directory.to_owned()
    }
}
