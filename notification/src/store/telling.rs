//! Telling: a notification is stored together with its deliveries on every way that its user wants, in the kernel's
//! transaction. There is one intent a notification and way, because only what is new is planned.

use std::collections::{HashMap, HashSet};

use chassis::clock;
use contracts::{Context, OrderId, UserId};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use messaging::{Conn, command};
use uuid::Uuid;

use super::deliveries::DeliveryRepository;
use super::notifications::Row;
use super::preferences::Choices;
use super::schema::{notification, recipient};
use super::stream;
use super::webhooks::{self, Listening};
use crate::domain::{Notification, Target, Way, start};

/// What is configured about the ways to users.
#[derive(Debug, Clone, Copy)]
pub struct Channels {
    /// Whether e-mail is sent at all.
    pub email: bool,
    /// Deliveries given up one after the other, until their webhook is disabled.
    pub disable_after: i32,
}

/// Stores notifications that are not there yet, and what follows from them.
pub(super) async fn tell(
    conn: &mut Conn,
    channels: Channels,
    notifications: &[&Notification],
) -> QueryResult<()> {
    if notifications.is_empty() {
        return Ok(());
    }
    remember_addresses(conn, notifications).await?;
    let users: HashSet<Uuid> = notifications.iter().map(|told| told.user_id.uuid()).collect();
    let users: Vec<Uuid> = users.into_iter().collect();
    let mut numbers = stream::give_out(conn, notifications.iter().map(|told| told.user_id.uuid())).await?;
    // asked for after the users' rows are locked
    let choices = Choices::of(conn, &users).await?;
    let rows: Vec<Row> = notifications
        .iter()
        .map(|told| {
            let number = numbers.get_mut(&told.user_id.uuid()).map(|number| {
                *number = number.saturating_add(1);
                *number
            });
            let hidden = !choices.get(told.user_id, told.kind).in_app;
            Row::of(told, number, hidden)
        })
        .collect();
    let new: HashSet<Uuid> = diesel::insert_into(notification::table)
        .values(&rows)
        .on_conflict_do_nothing()
        .returning(notification::id)
        .get_results(conn)
        .await?
        .into_iter()
        .collect();
    let listening = webhooks::listening(conn, &users).await?;
    for told in notifications.iter().filter(|told| new.contains(&told.id.uuid())) {
        for target in targets(channels, told, &choices, &listening) {
            deliver(conn, channels, told, target).await?;
        }
    }
    Ok(())
}

/// Where a notification goes.
fn targets(
    channels: Channels,
    told: &Notification,
    choices: &Choices,
    listening: &HashMap<Uuid, Vec<Listening>>,
) -> Vec<Target> {
    let wanted = choices.get(told.user_id, told.kind);
    let mut targets = Vec::new();
    if channels.email && wanted.allows(Way::Email) {
        targets.push(Target::Email);
    }
    if wanted.allows(Way::Webhook) {
        let hooks = listening.get(&told.user_id.uuid()).into_iter().flatten();
        targets.extend(
            hooks
                .filter(|hook| hook.hears(told.kind))
                .map(|hook| Target::Webhook(hook.id)),
        );
    }
    targets
}

async fn deliver(
    conn: &mut Conn,
    channels: Channels,
    told: &Notification,
    target: Target,
) -> QueryResult<()> {
    let context = Context {
        now: clock::now(),
        fresh_id: clock::new_id(),
        cause_id: told.id.uuid(),
        correlation_id: told.order_id.map_or(told.id.uuid(), OrderId::uuid),
    };
    let transition = start(told.user_id, Some(told.id), target, &context);
    let repository = DeliveryRepository(channels);
    command::create(
        &repository,
        conn,
        "notification",
        context.fresh_id,
        &context,
        transition,
    )
    .await
    .map(drop)
}

async fn remember_addresses(conn: &mut Conn, notifications: &[&Notification]) -> QueryResult<()> {
    let addresses: HashMap<Uuid, &str> = notifications
        .iter()
        .filter_map(|told| Some((told.user_id.uuid(), told.address.as_ref()?.as_str())))
        .collect();
    if addresses.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = addresses
        .into_iter()
        .map(|(user, email)| (recipient::user_id.eq(user), recipient::email.eq(email)))
        .collect();
    diesel::insert_into(recipient::table)
        .values(&rows)
        .on_conflict(recipient::user_id)
        .do_update()
        .set(recipient::email.eq(diesel::upsert::excluded(recipient::email)))
        .execute(conn)
        .await
        .map(drop)
}

/// Lets changes of one user's own settings happen one after the other, until the end of the transaction.
pub(super) async fn one_at_a_time(conn: &mut Conn, user: UserId) -> QueryResult<()> {
    /// Tells these locks from others.
    const SETTINGS: i64 = 0x6e6f_7469_6679;
    diesel::sql_query("select pg_advisory_xact_lock(hashtextextended($1::text, $2))")
        .bind::<SqlUuid, _>(user.uuid())
        .bind::<BigInt, _>(SETTINGS)
        .execute(conn)
        .await
        .map(drop)
}
