//! Opens a connection: to the server that takes writes, to the server itself, set up, and looked at.

use std::sync::Arc;
use std::time::Duration;

use diesel_async::AsyncPgConnection;
use futures::future::{Either, select};
use tokio_postgres::config::{Host, SslMode, SslNegotiation, TargetSessionAttrs};
use tokio_postgres::{Client, Config, SimpleQueryMessage};

use super::wire::{Generation, Tap, Wire};

/// After so long without a word from the other end it is asked whether it is still there, and then so often and so many
/// times: a server whose address has vanished is given up after 20 s.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
const KEEPALIVE_RETRIES: u32 = 3;
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL makes no sense.
    #[error("database.url cannot be read: {}", chain(.0))]
    Url(tokio_postgres::Error),
    /// The URL asks for what there is not.
    #[error("database.url: {0}")]
    Unsupported(&'static str),
    /// The server cannot be reached, refuses, or takes no writes.
    #[error("cannot connect to the database: {}", chain(.0))]
    Server(tokio_postgres::Error),
    /// Between here and the server somebody hands sessions out.
    #[error(
        "database.url leads to a pooler (the session of server process {announced} is served by {serving}): locks and \
         settings of a session would be another client's in the next transaction. Connect to PostgreSQL itself"
    )]
    Pooler {
        /// The process that was announced at the session's start.
        announced: i32,
        /// The one that answered.
        serving: i32,
    },
    /// The session cannot be set up.
    #[error("the database's session cannot be set up: {0}")]
    Setup(#[from] diesel::ConnectionError),
    /// The task that connected died.
    #[error("the task that connected died")]
    Died(#[from] tokio::task::JoinError),
}

impl ConnectError {
    /// Whether trying again is in vain until somebody changes the configuration.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Url(_) | Self::Unsupported(_) | Self::Pooler { .. } => true,
            Self::Server(_) | Self::Setup(_) | Self::Died(_) => false,
        }
    }
}

/// The causes as well: the error itself says little more than "db error".
fn chain(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Connects and runs `setup`. Names are resolved anew each time. Of several hosts the first is taken that accepts writes,
/// and a single one must.
pub(super) async fn connect(
    url: &str,
    setup: &str,
    generations: &Arc<Generation>,
) -> Result<(AsyncPgConnection, Arc<Wire>), ConnectError> {
    let config = config(url)?;
    let wire = Arc::new(Wire::new(generations));
    let (client, mut connection) = config
        .connect(Tap(wire.clone()))
        .await
        .map_err(ConnectError::Server)?;
    let serving = {
        let asked = std::pin::pin!(set_up(&client, setup));
        match select(asked, &mut connection).await {
            Either::Left((serving, _)) => serving.map_err(ConnectError::Server)?,
            Either::Right((Err(error), _)) => return Err(ConnectError::Server(error)),
            Either::Right((Ok(()), _)) => return Err(ConnectError::Unsupported("the server hung up")),
        }
    };
    if wire.backend() != serving {
        return Err(ConnectError::Pooler {
            announced: wire.backend(),
            serving,
        });
    }
    let connection = AsyncPgConnection::try_from_client_and_connection(client, connection).await?;
    Ok((connection, wire))
}

/// Returns the process that serves the session. In the simple protocol, which every pooler passes on.
async fn set_up(client: &Client, setup: &str) -> Result<i32, tokio_postgres::Error> {
    let answers = client
        .simple_query(&format!("SELECT pg_backend_pid(); {setup}"))
        .await?;
    let process = answers.iter().find_map(|answer| {
        let SimpleQueryMessage::Row(row) = answer else {
            return None;
        };
        row.get(0)?.parse().ok()
    });
    Ok(process.unwrap_or_default())
}

fn config(url: &str) -> Result<Config, ConnectError> {
    let mut config: Config = url.parse().map_err(ConnectError::Url)?;
    if config.get_ssl_mode() == SslMode::Require {
        return Err(ConnectError::Unsupported("TLS is not supported (sslmode)"));
    }
    let named = |host: &Host| matches!(host, Host::Tcp(_));
    if config.get_hosts().is_empty() || !config.get_hosts().iter().all(named) {
        return Err(ConnectError::Unsupported(
            "a host that is reached by TCP is required",
        ));
    }
    if config.get_target_session_attrs() == TargetSessionAttrs::Any {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    // the tap takes the place of TLS: "direct" has it put in before the first byte
    config
        .ssl_mode(SslMode::Require)
        .ssl_negotiation(SslNegotiation::Direct);
    config
        .keepalives_idle(KEEPALIVE_IDLE)
        .keepalives_interval(KEEPALIVE_INTERVAL)
        .keepalives_retries(KEEPALIVE_RETRIES)
        .tcp_user_timeout(UNACKNOWLEDGED);
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_cannot_be_kept_to_is_refused() {
        for url in [
            "postgres://a:b@127.0.0.1/c?sslmode=require",
            "postgres://a:b@%2Frun%2Fpostgresql/c",
            "host=127.0.0.1 what=is",
        ] {
            let refused = config(url).unwrap_err();
            assert!(refused.is_final(), "{url}: {refused}");
        }
        let several = config("postgres://a:b@one:1,two:2/c").unwrap();
        assert_eq!(several.get_hosts().len(), 2);
        assert_eq!(several.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
    }
}
