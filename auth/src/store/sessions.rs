//! Logins and their refresh tokens.

use chrono::{DateTime, Utc};
use contracts::UserId;
use contracts::events::RevocationReason;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::schema::{refresh_tokens, sessions};
use super::{Conn, StoreError};
use crate::crypto::RefreshToken;
use crate::domain::Session;
use crate::domain::session::{PresentedToken, TokenState};

#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions)]
#[diesel(check_for_backend(diesel::pg::Pg))]
struct Row {
    id: Uuid,
    user_id: Uuid,
    generation: i32,
    expires_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
}

impl From<Row> for Session {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            user_id: UserId::new(row.user_id),
            generation: row.generation,
            expires_at: row.expires_at,
            ended: row.ended_at.is_some(),
        }
    }
}

/// A login as its user sees it. Where it came from is not kept: neither address nor user agent.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = sessions)]
#[diesel(check_for_backend(diesel::pg::Pg))]
pub(crate) struct LiveSession {
    /// Its id.
    pub(crate) id: Uuid,
    /// When it began.
    pub(crate) created_at: DateTime<Utc>,
    /// When it was last refreshed.
    pub(crate) refreshed_at: DateTime<Utc>,
    /// When it ends unless it is refreshed.
    pub(crate) expires_at: DateTime<Utc>,
}

/// Logins of a user that have not ended, from the newest to the oldest, those after `after`.
pub(crate) async fn live(
    conn: &mut Conn,
    user_id: UserId,
    now: DateTime<Utc>,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<LiveSession>, StoreError> {
    let mut query = sessions::table
        .filter(sessions::user_id.eq(user_id.uuid()))
        .filter(sessions::ended_at.is_null().and(sessions::expires_at.gt(now)))
        .select(LiveSession::as_select())
        .order(sessions::id.desc())
        .limit(limit)
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(sessions::id.lt(after));
    }
    Ok(query.load(conn).await?)
}

/// A login of a user, its row locked until the transaction ends.
pub(crate) async fn lock_of(
    conn: &mut Conn,
    user_id: UserId,
    session_id: Uuid,
) -> Result<Option<Session>, StoreError> {
    let row: Option<Row> = sessions::table
        .find(session_id)
        .filter(sessions::user_id.eq(user_id.uuid()))
        .select(Row::as_select())
        .for_update()
        .first(conn)
        .await
        .optional()?;
    Ok(row.map(Session::from))
}

/// Ends every login of a user but one. Answers with those whose access tokens may still live: they were refreshed
/// since `alive_since`.
pub(crate) async fn end_others(
    conn: &mut Conn,
    (user_id, kept): (UserId, Uuid),
    reason: RevocationReason,
    now: DateTime<Utc>,
    alive_since: DateTime<Utc>,
) -> Result<Vec<Uuid>, StoreError> {
    let others = sessions::table
        .filter(sessions::user_id.eq(user_id.uuid()))
        .filter(sessions::id.ne(kept).and(sessions::ended_at.is_null()));
    let ended: Vec<(Uuid, DateTime<Utc>)> = diesel::update(others)
        .set((
            sessions::ended_at.eq(now),
            sessions::end_reason.eq(reason_column(reason)),
        ))
        .returning((sessions::id, sessions::refreshed_at))
        .get_results(conn)
        .await?;
    Ok(ended
        .into_iter()
        .filter(|(_, refreshed_at)| *refreshed_at >= alive_since)
        .map(|(id, _)| id)
        .collect())
}

/// Stores a new login with its first token.
pub(crate) async fn begin(
    conn: &mut Conn,
    session: &Session,
    token: &RefreshToken,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    diesel::insert_into(sessions::table)
        .values((
            sessions::id.eq(session.id),
            sessions::user_id.eq(session.user_id.uuid()),
            sessions::generation.eq(session.generation),
            sessions::created_at.eq(now),
            sessions::refreshed_at.eq(now),
            sessions::expires_at.eq(session.expires_at),
        ))
        .execute(conn)
        .await?;
    add_token(conn, session.id, session.generation, token, now).await
}

/// The login that a token belongs to, its row locked until the transaction ends: of parallel uses of one
/// token, one is the first.
pub(crate) async fn lock_by_token(
    conn: &mut Conn,
    token: &RefreshToken,
) -> Result<Option<(Session, PresentedToken)>, StoreError> {
    let hash = token.hash();
    let Some(session_id) = refresh_tokens::table
        .find(&hash[..])
        .select(refresh_tokens::session_id)
        .first::<Uuid>(conn)
        .await
        .optional()?
    else {
        return Ok(None);
    };
    let session: Option<Row> = sessions::table
        .find(session_id)
        .select(Row::as_select())
        .for_update()
        .first(conn)
        .await
        .optional()?;
    let Some(session) = session else { return Ok(None) };
    // Read only now: whoever held the lock may have spent it.
    let (generation, spent_at): (i32, Option<DateTime<Utc>>) = refresh_tokens::table
        .find(&hash[..])
        .select((refresh_tokens::generation, refresh_tokens::spent_at))
        .first(conn)
        .await?;
    let state = spent_at.map_or(TokenState::Live, |at| TokenState::Used { at });
    Ok(Some((session.into(), PresentedToken { generation, state })))
}

/// The next token of a login, and what whoever sent the one before is answered with.
pub(crate) struct Successor<'a> {
    /// The token.
    pub(crate) token: &'a RefreshToken,
    /// Its generation.
    pub(crate) generation: i32,
    /// When it ends.
    pub(crate) expires_at: DateTime<Utc>,
    /// The answer, sealed.
    pub(crate) sealed_answer: &'a [u8],
}

/// Spends the login's live token and puts its successor in its place. The answer to the token before it is removed:
/// nobody gets that one again.
pub(crate) async fn replace_token(
    conn: &mut Conn,
    session_id: Uuid,
    successor: &Successor<'_>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let tokens = refresh_tokens::table.filter(refresh_tokens::session_id.eq(session_id));
    diesel::update(tokens.filter(refresh_tokens::sealed_answer.is_not_null()))
        .set(refresh_tokens::sealed_answer.eq(None::<Vec<u8>>))
        .execute(conn)
        .await?;
    diesel::update(tokens.filter(refresh_tokens::spent_at.is_null()))
        .set((
            refresh_tokens::spent_at.eq(now),
            refresh_tokens::sealed_answer.eq(Some(successor.sealed_answer)),
        ))
        .execute(conn)
        .await?;
    diesel::update(sessions::table.find(session_id))
        .set((
            sessions::generation.eq(successor.generation),
            sessions::refreshed_at.eq(now),
            sessions::expires_at.eq(successor.expires_at),
        ))
        .execute(conn)
        .await?;
    add_token(conn, session_id, successor.generation, successor.token, now).await
}

/// The answer that a spent token was given, sealed, while it is kept.
pub(crate) async fn sealed_answer(
    conn: &mut Conn,
    token: &RefreshToken,
) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(refresh_tokens::table
        .find(&token.hash()[..])
        .select(refresh_tokens::sealed_answer)
        .first(conn)
        .await?)
}

async fn add_token(
    conn: &mut Conn,
    session_id: Uuid,
    generation: i32,
    token: &RefreshToken,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    diesel::insert_into(refresh_tokens::table)
        .values((
            refresh_tokens::token_hash.eq(&token.hash()[..]),
            refresh_tokens::session_id.eq(session_id),
            refresh_tokens::generation.eq(generation),
            refresh_tokens::created_at.eq(now),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Ends one login.
pub(crate) async fn end(
    conn: &mut Conn,
    session_id: Uuid,
    reason: RevocationReason,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    diesel::update(
        sessions::table
            .find(session_id)
            .filter(sessions::ended_at.is_null()),
    )
    .set((
        sessions::ended_at.eq(now),
        sessions::end_reason.eq(reason_column(reason)),
    ))
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends every login of a user.
pub(crate) async fn end_all(
    conn: &mut Conn,
    user_id: UserId,
    reason: RevocationReason,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    diesel::update(
        sessions::table.filter(
            sessions::user_id
                .eq(user_id.uuid())
                .and(sessions::ended_at.is_null()),
        ),
    )
    .set((
        sessions::ended_at.eq(now),
        sessions::end_reason.eq(reason_column(reason)),
    ))
    .execute(conn)
    .await?;
    Ok(())
}

/// Locks every login of a user that has not ended. Logins are always locked before their user.
pub(crate) async fn lock_all(conn: &mut Conn, user_id: UserId) -> Result<(), StoreError> {
    let _locked: Vec<Uuid> = sessions::table
        .filter(
            sessions::user_id
                .eq(user_id.uuid())
                .and(sessions::ended_at.is_null()),
        )
        .order(sessions::id)
        .select(sessions::id)
        .for_update()
        .load(conn)
        .await?;
    Ok(())
}

/// Deletes a batch of logins that ended or expired before `before`, with their tokens. Returns how many.
pub(crate) async fn sweep(conn: &mut Conn, before: DateTime<Utc>, batch: i64) -> Result<usize, StoreError> {
    Ok(diesel::sql_query(
        "with over as (select id from sessions where expires_at < $1 or ended_at < $1
            limit $2 for update skip locked)
        delete from sessions s using over where s.id = over.id",
    )
    .bind::<Timestamptz, _>(before)
    .bind::<BigInt, _>(batch)
    .execute(conn)
    .await?)
}

/// Deletes a batch of tokens that were spent before `before`, of logins that go on. Returns how many.
pub(crate) async fn sweep_spent(
    conn: &mut Conn,
    before: DateTime<Utc>,
    batch: i64,
) -> Result<usize, StoreError> {
    Ok(diesel::sql_query(
        "with spent as (select token_hash from refresh_tokens where spent_at < $1
            limit $2 for update skip locked)
        delete from refresh_tokens t using spent where t.token_hash = spent.token_hash",
    )
    .bind::<Timestamptz, _>(before)
    .bind::<BigInt, _>(batch)
    .execute(conn)
    .await?)
}

/// Removes a batch of answers that were given before `before`: nobody gets them again. Returns how many.
pub(crate) async fn sweep_answers(
    conn: &mut Conn,
    before: DateTime<Utc>,
    batch: i64,
) -> Result<usize, StoreError> {
    Ok(diesel::sql_query(
        "with given as (select token_hash from refresh_tokens where spent_at < $1 and sealed_answer is not null
            limit $2 for update skip locked)
        update refresh_tokens t set sealed_answer = null from given where t.token_hash = given.token_hash",
    )
    .bind::<Timestamptz, _>(before)
    .bind::<BigInt, _>(batch)
    .execute(conn)
    .await?)
}

const fn reason_column(reason: RevocationReason) -> &'static str {
    match reason {
        RevocationReason::Logout => "logout",
        RevocationReason::PasswordChanged => "password_changed",
        RevocationReason::AccountChanged => "account_changed",
        RevocationReason::TokenReuse => "token_reuse",
    }
}
