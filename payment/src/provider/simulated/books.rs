//! The simulated provider's tables.

use contracts::Money;
use diesel::dsl::case_when;
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use diesel_async::RunQueryDsl;
use messaging::Conn;

use super::behaviour::{Chosen, Forced, InForce, Mode, Setting};
use crate::domain::{ChargeAnswer, VoidAnswer};
use crate::store::simulator_schema::{charge, setting};

const OPEN: &str = "open";
const APPROVED: &str = "approved";
const DECLINED: &str = "declined";
const VOIDED: &str = "voided";

/// A charge as it stands.
#[derive(Debug, Clone)]
pub(super) struct Charge {
    pub(super) attempts: i32,
    pub(super) forced: Option<Forced>,
    amount_minor: i64,
    currency: String,
    payment_method: String,
    status: String,
    reference: Option<String>,
    failure_code: Option<String>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = charge)]
struct Row {
    amount_minor: i64,
    currency: String,
    payment_method: String,
    status: String,
    reference: Option<String>,
    failure_code: Option<String>,
    attempts: i32,
    forced_mode: Option<String>,
    forced_generation: Option<i64>,
}

impl From<Row> for Charge {
    fn from(row: Row) -> Self {
        Self {
            attempts: row.attempts,
            forced: forced(row.forced_mode.as_deref(), row.forced_generation),
            amount_minor: row.amount_minor,
            currency: row.currency,
            payment_method: row.payment_method,
            status: row.status,
            reference: row.reference,
            failure_code: row.failure_code,
        }
    }
}

impl Charge {
    /// The answer, when there is one already.
    pub(super) fn answer(&self) -> Option<ChargeAnswer> {
        match self.status.as_str() {
            APPROVED => Some(ChargeAnswer::Approved {
                reference: self.reference.clone()?,
            }),
            DECLINED => Some(ChargeAnswer::Declined {
                code: self.failure_code.clone()?,
            }),
            VOIDED => Some(ChargeAnswer::Voided),
            _ => None,
        }
    }

    /// Whether the key is used for what it was used for first. One that was voided before anything was charged has been
    /// used for nothing yet.
    pub(super) fn is_for(&self, amount: Money, method: &str) -> bool {
        self.status == VOIDED
            || (self.amount_minor == amount.amount_minor()
                && self.currency == amount.currency().code()
                && self.payment_method == method)
    }
}

fn forced(mode: Option<&str>, generation: Option<i64>) -> Option<Forced> {
    Some(Forced {
        mode: Mode::from_name(mode?)?,
        generation: generation?,
    })
}

type SettingRow = (String, Option<i32>, i32, i64);

fn read(row: SettingRow) -> QueryResult<InForce> {
    let (mode, remaining, latency_ms, generation) = row;
    let unreadable = |what: String| diesel::result::Error::DeserializationError(what.into());
    let setting = Setting {
        mode: Mode::from_name(&mode).ok_or_else(|| unreadable(format!("{mode:?} is no mode")))?,
        remaining: remaining.map(|left| u32::try_from(left).unwrap_or_default()),
        latency_ms: u32::try_from(latency_ms).unwrap_or_default(),
    };
    Ok(InForce { setting, generation })
}

const SETTING: (
    setting::mode,
    setting::remaining,
    setting::latency_ms,
    setting::generation,
) = (
    setting::mode,
    setting::remaining,
    setting::latency_ms,
    setting::generation,
);

pub(super) async fn setting(conn: &mut Conn) -> QueryResult<InForce> {
    read(setting::table.select(SETTING).first(conn).await?)
}

/// The setting, locked where a charge may use some of it up.
pub(super) async fn setting_for_charge(conn: &mut Conn) -> QueryResult<InForce> {
    let seen = setting(conn).await?;
    if seen.setting.remaining.is_none_or(|left| left == 0) {
        return Ok(seen);
    }
    setting_to_change(conn).await
}

/// The setting, which nobody else changes before the transaction ends.
pub(super) async fn setting_to_change(conn: &mut Conn) -> QueryResult<InForce> {
    read(setting::table.select(SETTING).for_update().first(conn).await?)
}

pub(super) async fn force(conn: &mut Conn, wanted: &Setting) -> QueryResult<InForce> {
    let remaining = wanted
        .remaining
        .map(|left| i32::try_from(left).unwrap_or(i32::MAX));
    let row = diesel::update(setting::table)
        .set((
            setting::mode.eq(wanted.mode.as_str()),
            setting::remaining.eq(remaining),
            setting::latency_ms.eq(i32::try_from(wanted.latency_ms).unwrap_or(i32::MAX)),
            setting::generation.eq(setting::generation + 1),
        ))
        .returning(SETTING)
        .get_result(conn)
        .await?;
    read(row)
}

/// Opens the charge of `key`, or counts one more attempt of it, and locks it.
pub(super) async fn open(conn: &mut Conn, key: &str, amount: Money, method: &str) -> QueryResult<Charge> {
    let row: Row = diesel::insert_into(charge::table)
        .values((
            charge::idempotency_key.eq(key),
            charge::amount_minor.eq(amount.amount_minor()),
            charge::currency.eq(amount.currency().code()),
            charge::payment_method.eq(method),
            charge::status.eq(OPEN),
            charge::attempts.eq(1),
        ))
        .on_conflict(charge::idempotency_key)
        .do_update()
        .set(charge::attempts.eq(charge::attempts + 1))
        .returning(Row::as_returning())
        .get_result(conn)
        .await?;
    Ok(row.into())
}

/// Notes that the setting has used up one of its payments on this charge, when it has.
pub(super) async fn note_forced(
    conn: &mut Conn,
    by: &InForce,
    key: &str,
    chosen: &Chosen,
) -> QueryResult<()> {
    let Some(mode) = chosen.uses_up else { return Ok(()) };
    diesel::update(setting::table)
        .set(setting::remaining.eq(setting::remaining - 1))
        .execute(conn)
        .await?;
    diesel::update(charge::table.find(key))
        .set((
            charge::forced_mode.eq(mode.as_str()),
            charge::forced_generation.eq(by.generation),
        ))
        .execute(conn)
        .await
        .map(drop)
}

pub(super) async fn conclude(conn: &mut Conn, key: &str, answer: &ChargeAnswer) -> QueryResult<()> {
    let (status, reference, code) = match answer {
        ChargeAnswer::Approved { reference } => (APPROVED, Some(reference), None),
        ChargeAnswer::Declined { code } => (DECLINED, None, Some(code)),
        ChargeAnswer::Voided => (VOIDED, None, None),
    };
    diesel::update(charge::table.find(key))
        .set((
            charge::status.eq(status),
            charge::reference.eq(reference),
            charge::failure_code.eq(code),
        ))
        .execute(conn)
        .await
        .map(drop)
}

/// Voids the charge of `key` unless it has ended; a charge that comes later finds it voided.
pub(super) async fn void(conn: &mut Conn, key: &str) -> QueryResult<VoidAnswer> {
    let is_open = charge::status.eq(OPEN);
    let (status, reference): (String, Option<String>) = diesel::insert_into(charge::table)
        .values((
            charge::idempotency_key.eq(key),
            charge::amount_minor.eq(0),
            charge::currency.eq(""),
            charge::payment_method.eq(""),
            charge::status.eq(VOIDED),
            charge::attempts.eq(0),
        ))
        .on_conflict(charge::idempotency_key)
        .do_update()
        .set(charge::status.eq(case_when::<_, _, Text>(is_open, VOIDED).otherwise(charge::status)))
        .returning((charge::status, charge::reference))
        .get_result(conn)
        .await?;
    Ok(match reference.filter(|_| status == APPROVED) {
        Some(reference) => VoidAnswer::Captured { reference },
        None => VoidAnswer::Voided,
    })
}

#[declare_sql_function]
extern "SQL" {
    fn coalesce(first: Nullable<Text>, otherwise: Text) -> Text;
}

/// Gives back what the charge of `key` took, once: the reference of the first time is kept. None when it took nothing.
pub(super) async fn refund(conn: &mut Conn, key: &str, reference: &str) -> QueryResult<Option<String>> {
    let first = coalesce(charge::refund_reference, reference).nullable();
    let kept: Option<Option<String>> =
        diesel::update(charge::table.find(key).filter(charge::status.eq(APPROVED)))
            .set(charge::refund_reference.eq(first))
            .returning(charge::refund_reference)
            .get_result(conn)
            .await
            .optional()?;
    Ok(kept.flatten())
}
