//! What a user wants to be told, and on which ways.

use std::collections::HashMap;

use contracts::UserId;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use messaging::Conn;
use uuid::Uuid;

use super::schema::preference;
use crate::domain::{Kind, Way};

/// On which ways a user wants to hear of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preference {
    /// Of what.
    pub kind: Kind,
    /// In the application's list and stream.
    pub in_app: bool,
    /// By e-mail.
    pub email: bool,
    /// By webhooks.
    pub webhook: bool,
}

#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = preference)]
struct Row {
    user_id: Uuid,
    kind: String,
    in_app: bool,
    email: bool,
    webhook: bool,
}

/// The choices of some users. What a user has not chosen is wanted.
#[derive(Debug, Default)]
pub(super) struct Choices(HashMap<(Uuid, String), Preference>);

impl Preference {
    /// What holds until its user says otherwise.
    #[must_use]
    pub const fn default_of(kind: Kind) -> Self {
        Self {
            kind,
            in_app: true,
            email: true,
            webhook: true,
        }
    }

    fn is_default(&self) -> bool {
        *self == Self::default_of(self.kind)
    }

    /// Whether it allows the way.
    #[must_use]
    pub const fn allows(&self, way: Way) -> bool {
        match way {
            Way::Email => self.email,
            Way::Webhook => self.webhook,
        }
    }
}

impl Choices {
    pub(super) async fn of(conn: &mut Conn, users: &[Uuid]) -> QueryResult<Self> {
        let rows: Vec<Row> = preference::table
            .filter(preference::user_id.eq_any(users))
            .select(Row::as_select())
            .load(conn)
            .await?;
        let known = rows.into_iter().filter_map(|row| {
            let kind = Kind::from_name(&row.kind)?;
            Some(((row.user_id, row.kind.clone()), row.preference(kind)))
        });
        Ok(Self(known.collect()))
    }

    pub(super) fn get(&self, user: UserId, kind: Kind) -> Preference {
        self.0
            .get(&(user.uuid(), kind.as_str().to_owned()))
            .copied()
            .unwrap_or_else(|| Preference::default_of(kind))
    }
}

impl Row {
    fn preference(&self, kind: Kind) -> Preference {
        Preference {
            kind,
            in_app: self.in_app,
            email: self.email,
            webhook: self.webhook,
        }
    }
}

/// A user's preferences, one a kind, in the order of [`Kind::ALL`].
///
/// # Errors
/// The database's.
pub async fn preferences_of(conn: &mut Conn, user: UserId) -> QueryResult<Vec<Preference>> {
    let choices = Choices::of(conn, &[user.uuid()]).await?;
    Ok(Kind::ALL
        .into_iter()
        .map(|kind| choices.get(user, kind))
        .collect())
}

/// Replaces a user's preferences, in the caller's transaction: kinds that are not among `chosen` are wanted again.
///
/// # Errors
/// The database's.
pub async fn put_preferences(conn: &mut Conn, user: UserId, chosen: &[Preference]) -> QueryResult<()> {
    let rows: Vec<Row> = chosen
        .iter()
        .filter(|preference| !preference.is_default())
        .map(|preference| Row {
            user_id: user.uuid(),
            kind: preference.kind.as_str().to_owned(),
            in_app: preference.in_app,
            email: preference.email,
            webhook: preference.webhook,
        })
        .collect();
    super::telling::one_at_a_time(conn, user).await?;
    diesel::delete(preference::table.filter(preference::user_id.eq(user.uuid())))
        .execute(conn)
        .await?;
    diesel::insert_into(preference::table)
        .values(&rows)
        .execute(conn)
        .await?;
    Ok(())
}
