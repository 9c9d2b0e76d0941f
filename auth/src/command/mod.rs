//! The service's own subcommands.

mod create_admin;
mod keys;

use chassis::Parts;

use crate::config::AuthSettings;
use keys::KeysCommand;

/// The service's own subcommands.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// Make an account an admin; it is created where it does not exist
    ///
    /// The password of a new account is taken from QUADRILLE_ADMIN_PASSWORD, or else generated and printed as
    /// JSON. An account that exists is enabled and promoted, and gets the password when one is given; if that is
    /// another one than it had, its logins end.
    CreateAdmin {
        /// The account's e-mail address
        #[arg(long)]
        email: String,
    },
    /// The keys that sign access tokens
    Keys {
        /// What to do with them
        #[command(subcommand)]
        command: KeysCommand,
    },
}

/// Runs one.
pub(crate) async fn run(command: Command, parts: Parts<AuthSettings>) -> anyhow::Result<()> {
    parts.settings.validate(&parts.core.token)?;
    match command {
        Command::CreateAdmin { email } => create_admin::run(&email, &parts).await,
        Command::Keys { command } => keys::run(command, &parts).await,
    }
}
