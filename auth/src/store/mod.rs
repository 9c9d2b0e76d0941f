//! Rows of the auth database.

pub(crate) mod keys;
#[rustfmt::skip]
pub(crate) mod schema;
pub(crate) mod sessions;
pub(crate) mod throttle;
pub(crate) mod users;

/// The connection every function here works on.
pub(crate) type Conn = diesel_async::AsyncPgConnection;

/// Why a row is not what it should be, or not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The database refused or is not there.
    #[error(transparent)]
    Database(#[from] diesel::result::Error),
    /// A row that this program cannot have written.
    #[error("a row of {table} has an impossible {column}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// What was to be stored could not be made.
    #[error(transparent)]
    Making(anyhow::Error),
}

impl From<StoreError> for chassis::problem::Problem {
    fn from(error: StoreError) -> Self {
        match error {
            // 503 when the database went away in the middle: asking again helps.
            StoreError::Database(error) => error.into(),
            corrupt @ StoreError::Corrupt { .. } => Self::internal(corrupt),
            StoreError::Making(error) => Self::internal(error),
        }
    }
}
