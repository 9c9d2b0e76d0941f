//! `auth create-admin`: how the first admin comes into being. There is no default account.

use anyhow::{Context as _, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::Parts;
use contracts::UserId;
use contracts::events::RevocationReason;
use diesel_async::AsyncConnection;
use prometheus_client::metrics::counter::Counter;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use terminal::outln;
use uuid::Uuid;

use crate::app::context;
use crate::config::{AuthSettings, PasswordSettings};
use crate::crypto::{Hasher, PasswordHash, Verdict};
use crate::domain::user::Change;
use crate::domain::{EmailAddress, Role, User};
use crate::store::{self, Conn, StoreError};

/// Where the password comes from when it is not to be generated.
const PASSWORD_VARIABLE: &str = "QUADRILLE_ADMIN_PASSWORD";
/// Milliseconds that hashing may take.
const COMMAND_MS: u64 = 60_000;

#[expect(
    clippy::disallowed_methods,
    reason = "a secret for one command, not a setting of the service"
)]
fn given_password() -> Option<SecretString> {
    let text = std::env::var(PASSWORD_VARIABLE).ok()?;
    (!text.is_empty()).then(|| text.into())
}

pub(super) async fn run(email: &str, parts: &Parts<AuthSettings>) -> anyhow::Result<()> {
    let email = EmailAddress::parse(email).context("--email")?;
    // nobody waits behind a command, and it may wait for a busy machine
    let settings = &PasswordSettings {
        answer_ms: parts.settings.password.answer_ms.max(COMMAND_MS),
        ..parts.settings.password.clone()
    };
    let given = given_password();
    if let Some(password) = &given {
        settings
            .rules()
            .check(password.expose_secret(), &email)
            .with_context(|| format!("{PASSWORD_VARIABLE} is no password: it"))?;
    }
    let hasher = Hasher::new(settings, Counter::default())?;
    let mut connection = parts.pool.get().await.context("no database connection")?;
    if let Some((user, stored)) = store::users::by_email(&mut connection, &email).await? {
        let hash = another_hash(&hasher, given, stored).await?;
        promote(&mut connection, user.id, hash).await?;
        tracing::info!(user.id = %user.id, "the account is an admin");
        return Ok(());
    }
    let (password, generated) = match given {
        Some(password) => (password, None),
        None => {
            let text = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 18]>());
            (text.clone().into(), Some(text))
        }
    };
    let hash = hasher.hash(hasher.place()?, password).await?;
    let id = register(&mut connection, &email, &hash).await?;
    tracing::info!(user.id = %id, "admin registered");
    if let Some(password) = generated {
        outln!("{}", json!({ "email": email.as_str(), "password": password }));
    }
    Ok(())
}

/// The hash of the given password, if the account has another one.
async fn another_hash(
    hasher: &Hasher,
    given: Option<SecretString>,
    stored: PasswordHash,
) -> anyhow::Result<Option<PasswordHash>> {
    let Some(password) = given else { return Ok(None) };
    match hasher
        .verify(hasher.place()?, password.clone(), Some(stored))
        .await?
    {
        Verdict::Right { .. } => Ok(None),
        Verdict::Wrong => Ok(Some(hasher.hash(hasher.place()?, password).await?)),
    }
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
    conn.transaction::<(), StoreError, _>(async |conn| promote_locked(conn, id, hash.as_ref()).await)
        .await?;
    Ok(())
}

async fn promote_locked(conn: &mut Conn, id: UserId, hash: Option<&PasswordHash>) -> Result<(), StoreError> {
    store::sessions::lock_all(conn, id).await?;
    let Some(mut user) = store::users::lock(conn, id).await? else {
        return Ok(());
    };
    let context = &context();
    let wanted = Change {
        role: Some(Role::Admin),
        disabled: Some(false),
    };
    // Whoever runs this command is nobody's account.
    let nobody = UserId::new(Uuid::nil());
    if let Ok(contracts::Step::Next(transition)) = user.change(wanted, nobody, context) {
        store::users::save(conn, &transition, context).await?;
        user = transition.state;
    }
    if let Some(hash) = hash {
        let reason = RevocationReason::PasswordChanged;
        store::users::set_password(conn, id, hash, context.now).await?;
        store::sessions::end_all(conn, id, reason, context.now).await?;
        store::users::save(conn, &user.revoking(None, reason, context), context).await?;
    }
    Ok(())
}
