//! What this service knows of its charges at Stripe: which intent is whose. Each statement is a transaction of its own.

use diesel::dsl::case_when;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel_async::RunQueryDsl;
use messaging::Conn;

use crate::store::stripe_schema::charge;

/// A charge as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = charge)]
pub(crate) struct Entry {
    #[diesel(column_name = idempotency_key)]
    pub(crate) order: String,
    pub(crate) intent_id: Option<String>,
    /// What the intent is to take, in Stripe's unit.
    pub(crate) amount: Option<i64>,
    /// Voided before there was an intent.
    pub(crate) voided: bool,
    pub(crate) round: i32,
}

/// Opens the charge of `order`, or finds it as it is.
pub(super) async fn open(conn: &mut Conn, order: &str) -> QueryResult<Entry> {
    diesel::insert_into(charge::table)
        .values(charge::idempotency_key.eq(order))
        .on_conflict(charge::idempotency_key)
        .do_nothing()
        .execute(conn)
        .await?;
    find(conn, order).await?.ok_or(diesel::result::Error::NotFound)
}

pub(super) async fn find(conn: &mut Conn, order: &str) -> QueryResult<Option<Entry>> {
    charge::table
        .find(order)
        .select(Entry::as_select())
        .first(conn)
        .await
        .optional()
}

/// The charge that the intent belongs to; none when it is not this service's.
pub(crate) async fn of_intent(conn: &mut Conn, intent: &str) -> QueryResult<Option<Entry>> {
    charge::table
        .filter(charge::intent_id.eq(intent))
        .select(Entry::as_select())
        .first(conn)
        .await
        .optional()
}

/// Notes the intent of a charge, unless there is one already or it was voided meanwhile. Answers with what is noted.
pub(super) async fn record(conn: &mut Conn, order: &str, intent: &str, amount: i64) -> QueryResult<Entry> {
    let free = charge::table
        .find(order)
        .filter(charge::intent_id.is_null())
        .filter(charge::voided.eq(false));
    diesel::update(free)
        .set((charge::intent_id.eq(intent), charge::amount.eq(amount)))
        .execute(conn)
        .await?;
    find(conn, order).await?.ok_or(diesel::result::Error::NotFound)
}

/// Voids the charge of `order` when it has no intent: a charge that comes later finds it voided.
pub(super) async fn void(conn: &mut Conn, order: &str) -> QueryResult<Entry> {
    let has_none = charge::intent_id.is_null();
    diesel::insert_into(charge::table)
        .values((charge::idempotency_key.eq(order), charge::voided.eq(true)))
        .on_conflict(charge::idempotency_key)
        .do_update()
        .set(charge::voided.eq(case_when::<_, _, Bool>(has_none, true).otherwise(false)))
        .returning(Entry::as_returning())
        .get_result(conn)
        .await
}

/// The next call is to have a key of its own, unless somebody else has seen to it.
pub(super) async fn next_round(conn: &mut Conn, order: &str, after: i32) -> QueryResult<()> {
    diesel::update(charge::table.find(order).filter(charge::round.eq(after)))
        .set(charge::round.eq(charge::round + 1))
        .execute(conn)
        .await
        .map(drop)
}
