//! Accounts.

use chassis::page;
use chrono::{DateTime, Utc};
use contracts::reaction::Outgoing;
use contracts::{Context, Transition, UserId};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::schema::{sessions, users};
use super::{Conn, StoreError};
use crate::crypto::PasswordHash;
use crate::domain::{EmailAddress, Role, User};

/// The service's name as the source of its events.
const SOURCE: &str = "auth";

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = users)]
#[diesel(check_for_backend(diesel::pg::Pg))]
struct Row {
    id: Uuid,
    email: String,
    display_name: Option<String>,
    role: String,
    disabled: bool,
    password_hash: String,
    event_sequence: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl Row {
    fn new(user: &User, hash: &PasswordHash) -> Self {
        Self {
            id: user.id.uuid(),
            email: user.email.as_str().to_owned(),
            display_name: user.display_name.clone(),
            role: user.role.as_str().to_owned(),
            disabled: user.disabled,
            password_hash: hash.as_str().to_owned(),
            event_sequence: sequence_column(user),
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }

    fn read(self) -> Result<(User, PasswordHash), StoreError> {
        let corrupt = |column| StoreError::Corrupt {
            table: "users",
            column,
        };
        let user = User {
            id: UserId::new(self.id),
            email: EmailAddress::parse(&self.email).map_err(|_error| corrupt("email"))?,
            display_name: self.display_name,
            role: Role::from_name(&self.role).ok_or_else(|| corrupt("role"))?,
            disabled: self.disabled,
            event_sequence: u64::try_from(self.event_sequence).map_err(|_error| corrupt("event_sequence"))?,
            created_at: self.created_at,
            updated_at: self.updated_at,
        };
        Ok((user, PasswordHash::from_row(self.password_hash)))
    }
}

fn sequence_column(user: &User) -> i64 {
    i64::try_from(user.event_sequence).unwrap_or(i64::MAX)
}

/// Stores a new account and announces it, in the caller's transaction. Returns false when its e-mail address
/// is taken.
pub(crate) async fn register(
    conn: &mut Conn,
    transition: &Transition<User>,
    hash: &PasswordHash,
    context: &Context,
) -> Result<bool, StoreError> {
    let inserted = diesel::insert_into(users::table)
        .values(Row::new(&transition.state, hash))
        .on_conflict(users::email)
        .do_nothing()
        .execute(conn)
        .await?;
    if inserted == 1 {
        announce(conn, context, &transition.events).await?;
    }
    Ok(inserted == 1)
}

/// Stores a change of an account whose row the caller has locked, and announces it.
pub(crate) async fn save(
    conn: &mut Conn,
    transition: &Transition<User>,
    context: &Context,
) -> Result<(), StoreError> {
    let user = &transition.state;
    diesel::update(users::table.find(user.id.uuid()))
        .set((
            users::role.eq(user.role.as_str()),
            users::disabled.eq(user.disabled),
            users::event_sequence.eq(sequence_column(user)),
            users::updated_at.eq(user.updated_at),
        ))
        .execute(conn)
        .await?;
    announce(conn, context, &transition.events).await
}

/// Gives the account another password.
pub(crate) async fn set_password(
    conn: &mut Conn,
    id: UserId,
    hash: &PasswordHash,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    diesel::update(users::table.find(id.uuid()))
        .set((users::password_hash.eq(hash.as_str()), users::updated_at.eq(now)))
        .execute(conn)
        .await?;
    Ok(())
}

async fn announce(conn: &mut Conn, context: &Context, events: &[Outgoing]) -> Result<(), StoreError> {
    Ok(messaging::outbox::announce(conn, SOURCE, context, events).await?)
}

/// The account of an e-mail address, with its password's hash.
pub(crate) async fn by_email(
    conn: &mut Conn,
    email: &EmailAddress,
) -> Result<Option<(User, PasswordHash)>, StoreError> {
    let row = users::table
        .filter(users::email.eq(email.as_str()))
        .select(Row::as_select())
        .first(conn)
        .await
        .optional()?;
    row.map(Row::read).transpose()
}

/// An account.
pub(crate) async fn by_id(conn: &mut Conn, id: UserId) -> Result<Option<User>, StoreError> {
    let row = users::table
        .find(id.uuid())
        .select(Row::as_select())
        .first(conn)
        .await
        .optional()?;
    Ok(row.map(Row::read).transpose()?.map(|(user, _hash)| user))
}

/// An account, its row locked until the transaction ends. Lock its sessions first.
pub(crate) async fn lock(conn: &mut Conn, id: UserId) -> Result<Option<User>, StoreError> {
    Ok(lock_with_hash(conn, id).await?.map(|(user, _hash)| user))
}

/// The same, with the hash of its password.
pub(crate) async fn lock_with_hash(
    conn: &mut Conn,
    id: UserId,
) -> Result<Option<(User, PasswordHash)>, StoreError> {
    let row = users::table
        .find(id.uuid())
        .select(Row::as_select())
        .for_no_key_update()
        .first(conn)
        .await
        .optional()?;
    row.map(Row::read).transpose()
}

/// The account of a login that has not ended, with the hash of its password; none when the account is disabled.
pub(crate) async fn of_live_session(
    conn: &mut Conn,
    id: UserId,
    session_id: Uuid,
    now: DateTime<Utc>,
) -> Result<Option<(User, PasswordHash)>, StoreError> {
    let row = users::table
        .inner_join(sessions::table)
        .filter(users::id.eq(id.uuid()).and(users::disabled.eq(false)))
        .filter(sessions::id.eq(session_id))
        .filter(sessions::ended_at.is_null().and(sessions::expires_at.gt(now)))
        .select(Row::as_select())
        .first(conn)
        .await
        .optional()?;
    row.map(Row::read).transpose()
}

/// Which accounts a list shows.
#[derive(Debug, Default)]
pub(crate) struct UserFilter {
    /// Only the one with this address.
    pub(crate) email: Option<EmailAddress>,
    /// Only those with one of these ids.
    pub(crate) ids: Option<Vec<Uuid>>,
    /// Only those with this role.
    pub(crate) role: Option<Role>,
    /// Only those who are kept out, or who are not.
    pub(crate) disabled: Option<bool>,
    /// Only those made at this time or later.
    pub(crate) from: Option<DateTime<Utc>>,
    /// Only those made before this time.
    pub(crate) to: Option<DateTime<Utc>>,
    /// Only those that come after this one in the list.
    pub(crate) before: Option<Uuid>,
}

/// Accounts from the newest to the oldest, `limit` at most.
pub(crate) async fn list(conn: &mut Conn, filter: &UserFilter, limit: i64) -> Result<Vec<User>, StoreError> {
    let mut query = users::table
        .select(Row::as_select())
        .order(users::id.desc())
        .limit(limit)
        .into_boxed();
    if let Some(email) = &filter.email {
        query = query.filter(users::email.eq(email.as_str()));
    }
    if let Some(ids) = &filter.ids {
        query = query.filter(users::id.eq_any(ids));
    }
    if let Some(role) = filter.role {
        query = query.filter(users::role.eq(role.as_str()));
    }
    if let Some(disabled) = filter.disabled {
        query = query.filter(users::disabled.eq(disabled));
    }
    if let Some(from) = filter.from {
        query = query.filter(
            users::created_at
                .ge(from)
                .and(users::id.ge(page::first_id_about(from))),
        );
    }
    if let Some(to) = filter.to {
        query = query.filter(
            users::created_at
                .lt(to)
                .and(users::id.lt(page::last_id_about(to))),
        );
    }
    if let Some(before) = filter.before {
        query = query.filter(users::id.lt(before));
    }
    let rows: Vec<Row> = query.load(conn).await?;
    rows.into_iter()
        .map(|row| row.read().map(|(user, _hash)| user))
        .collect()
}
