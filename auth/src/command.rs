//! `auth create-admin`: how the first admin comes into being. There is no default account.

use anyhow::{Context as _, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::Parts;
use contracts::{Context, UserId};
use diesel_async::AsyncConnection;
use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;

use crate::app::context;
use crate::config::AuthSettings;
use crate::crypto::{Hasher, PasswordHash};
use crate::domain::user::Change;
use crate::domain::{EmailAddress, Role, User, password};
use crate::store::{self, Conn, StoreError};

/// Where the password comes from when it is not to be generated.
const PASSWORD_VARIABLE: &str = "QUADRILLE_ADMIN_PASSWORD";

/// The service's own subcommands.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// Make an account an admin; it is created where it does not exist
    ///
    /// The password of a new account is taken from QUADRILLE_ADMIN_PASSWORD, or else generated and printed as
    /// JSON. An account that exists is enabled and promoted, and gets the password when one is given.
    CreateAdmin {
        /// The account's e-mail address
        #[arg(long)]
        email: String,
    },
}

/// Runs one.
pub(crate) async fn run(command: Command, parts: Parts<AuthSettings>) -> anyhow::Result<()> {
    match command {
        Command::CreateAdmin { email } => create_admin(&email, given_password()?, &parts).await,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a secret for one command, not a setting of the service"
)]
fn given_password() -> anyhow::Result<Option<SecretString>> {
    let Some(text) = std::env::var(PASSWORD_VARIABLE)
        .ok()
        .filter(|text| !text.is_empty())
    else {
        return Ok(None);
    };
    password::check(&text).with_context(|| format!("{PASSWORD_VARIABLE} is no password"))?;
    Ok(Some(text.into()))
}

#[expect(clippy::print_stdout, reason = "the generated password, for whoever asked")]
async fn create_admin(
    email: &str,
    given: Option<SecretString>,
    parts: &Parts<AuthSettings>,
) -> anyhow::Result<()> {
    let email = EmailAddress::parse(email).context("--email")?;
    let hasher = Hasher::new(&parts.settings.password, parts.tasks.runtime().clone())?;
    let given_hash = match given {
        Some(password) => Some(hasher.hash(password).await?),
        None => None,
    };
    let mut connection = parts.pool.get().await.context("no database connection")?;
    if let Some((user, _hash)) = store::users::by_email(&mut connection, &email).await? {
        promote(&mut connection, user.id, given_hash).await?;
        tracing::info!(user.id = %user.id, "the account is an admin");
        return Ok(());
    }
    let generated = given_hash
        .is_none()
        .then(|| URL_SAFE_NO_PAD.encode(rand::random::<[u8; 18]>()));
    let hash = match (given_hash, &generated) {
        (Some(hash), _) => hash,
        (None, Some(password)) => hasher.hash(password.clone().into()).await?,
        (None, None) => bail!("no password"),
    };
    let id = register(&mut connection, &email, &hash).await?;
    tracing::info!(user.id = %id, "admin registered");
    if let Some(password) = generated {
        println!("{}", json!({ "email": email.as_str(), "password": password }));
    }
    Ok(())
}

async fn register(conn: &mut Conn, email: &EmailAddress, hash: &PasswordHash) -> anyhow::Result<UserId> {
    let context = context();
    let transition = User::register(email.clone(), None, Role::Admin, &context);
    let registered = conn
        .transaction::<bool, StoreError, _>(async |conn| {
            store::users::register(conn, &transition, hash, &context).await
        })
        .await?;
    if !registered {
        bail!("somebody registered this e-mail address just now: run the command again");
    }
    Ok(transition.state.id)
}

async fn promote(conn: &mut Conn, id: UserId, hash: Option<PasswordHash>) -> anyhow::Result<()> {
    let context = context();
    conn.transaction::<(), StoreError, _>(async |conn| {
        promote_locked(conn, id, hash.as_ref(), &context).await
    })
    .await?;
    Ok(())
}

async fn promote_locked(
    conn: &mut Conn,
    id: UserId,
    hash: Option<&PasswordHash>,
    context: &Context,
) -> Result<(), StoreError> {
    let Some(user) = store::users::lock(conn, id).await? else {
        return Ok(());
    };
    let wanted = Change {
        role: Some(Role::Admin),
        disabled: Some(false),
    };
    // Whoever runs this command is nobody's account.
    let nobody = UserId::new(Uuid::nil());
    if let Ok(contracts::Step::Next(transition)) = user.change(wanted, nobody, context) {
        store::users::save(conn, &transition, context).await?;
    }
    if let Some(hash) = hash {
        store::users::set_password(conn, id, hash, context.now).await?;
    }
    Ok(())
}
