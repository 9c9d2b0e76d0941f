//! Reads the five databases, each in one snapshot. Rows come as JSON, in the shape that the comparison has them.

use std::collections::{BTreeMap, HashSet};

use ::books::reading::{
    Charge, Delivery, Dispute, Notification, Order, OrderFact, Payment, TimelineRow, User,
};
use ::books::{Desk, wire};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use contracts::Topic;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_postgres::{IsolationLevel, Transaction};
use uuid::Uuid;

use super::Sources;
use crate::error::{Error, Result};
use crate::postgres::connect;
use crate::service::Service;

/// The services' own rows.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) orders: Vec<Order>,
    pub(super) payments: Vec<Payment>,
    pub(super) disputes: Vec<Dispute>,
    pub(super) charges: Vec<Charge>,
    pub(super) users: Vec<User>,
    pub(super) order_facts: Vec<OrderFact>,
    pub(super) notifications: Vec<Notification>,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) timeline: Vec<TimelineRow>,
    pub(super) accepted: HashSet<Uuid>,
}

const ORDERS: &str = "select jsonb_build_object(
    'id', id, 'customer_id', customer_id, 'status', status, 'payment_method', payment_method,
    'lines', (select coalesce(jsonb_agg(jsonb_build_object(
            'sku', coalesce(line->>'sku', ''),
            'quantity', coalesce((line->>'quantity')::bigint, 0),
            'unit_price', jsonb_build_object(
                'amount_minor', coalesce((line->>'unit_price_minor')::bigint, 0), 'currency', currency)
        ) order by number), '[]') from jsonb_array_elements(items) with ordinality as lines(line, number)),
    'total', jsonb_build_object('amount_minor', total_minor, 'currency', currency),
    'payment_id', payment_id, 'reason', cancellation_reason, 'code', cancellation_code, 'refunded', refunded,
    'announced', announced, 'created_at', created_at, 'updated_at', updated_at) from orders";

const ORDER_FACTS: &str = "select to_jsonb(order_fact) from order_fact";

/// The order that each key was answered with.
const ACCEPTED: &str =
    "select to_jsonb(response->>'id') from idempotency_key where response->>'id' is not null";

const PAYMENTS: &str = "select jsonb_build_object(
    'id', id, 'order_id', order_id, 'customer_id', customer_id, 'status', status,
    'amount', jsonb_build_object('amount_minor', amount_minor, 'currency', currency),
    'provider', provider, 'provider_reference', provider_reference, 'refund_reference', refund_reference, 'failure_code', failure_code,
    'announced', announced, 'created_at', created_at, 'updated_at', updated_at) from payment";

const DISPUTES: &str = "select jsonb_build_object(
    'id', id, 'payment_id', payment_id, 'order_id', order_id, 'status', status, 'reason', reason,
    'amount', jsonb_build_object('amount_minor', amount_minor, 'currency', currency),
    'respond_by', respond_by, 'provider_reference', provider_reference,
    'created_at', created_at, 'updated_at', updated_at) from dispute";

const CHARGES: &str = "select jsonb_build_object(
    'idempotency_key', idempotency_key, 'status', status,
    'amount', jsonb_build_object('amount_minor', amount_minor, 'currency', currency),
    'reference', reference, 'failure_code', failure_code, 'refund_reference', refund_reference,
    'created_at', created_at) from simulator.charge";

const USERS: &str = "select jsonb_build_object('id', id, 'announced', event_sequence,
    'created_at', created_at, 'updated_at', updated_at) from users";

const NOTIFICATIONS: &str = "select jsonb_build_object('id', id, 'user_id', user_id, 'order_id', order_id,
    'kind', kind, 'created_at', created_at) from notification";

const DELIVERIES: &str =
    "select jsonb_build_object('id', id, 'status', status, 'updated_at', updated_at) from delivery";

const TIMELINE: &str = "select to_jsonb(timeline_entry) from timeline_entry";

const OUTBOX: &str =
    "select jsonb_build_object('event_id', event_id, 'topic', topic, 'key', encode(key, 'escape'),
    'dead_letter_id', (select header->>1 from jsonb_array_elements(headers) header
        where header->>0 = 'x-dead-letter-id' limit 1),
    'created_at', created_at) from outbox";

const WORK: &str = "select jsonb_build_object('id', id, 'kind', kind, 'name', name, 'key', encode(key, 'escape'),
    'event_id', event_id, 'state', state, 'origin_topic', origin_topic, 'origin_partition', origin_partition,
    'origin_offset', origin_offset, 'next_attempt_at', next_attempt_at, 'last_failed_at', last_failed_at) from work";

const SUPERSEDED: &str = "select to_jsonb(id) from dead_letter where state = 'superseded'";

const PROCESSED: &str = "select to_jsonb(event_id) from processed_event";

/// Partitions are a day each, named after it.
const REMEMBERED: &str = "select to_jsonb(coalesce(min(c.relname::text), '')) from pg_inherits i
    join pg_class c on c.oid = i.inhrelid where i.inhparent = 'processed_event'::regclass";

/// Reads all rows, and completes the services' desks.
pub(super) async fn read(sources: &Sources, desks: &mut BTreeMap<String, Desk>) -> Result<Rows> {
    let mut rows = Rows::default();
    for service in Service::ALL {
        let mut client = connect(sources.database(service)?).await?;
        let snapshot = client
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()
            .await?;
        if let Some(desk) = desks.get_mut(service.name()) {
            desk.outbox = all(&snapshot, OUTBOX).await?;
            desk.work = all(&snapshot, WORK).await?;
            desk.superseded = all(&snapshot, SUPERSEDED).await?.into_iter().collect();
            desk.processed = all(&snapshot, PROCESSED).await?.into_iter().collect();
            desk.remembers_from = all::<String>(&snapshot, REMEMBERED)
                .await?
                .first()
                .and_then(|name| day(name));
        }
        rows.take(service, &snapshot).await?;
        snapshot.commit().await?;
    }
    Ok(rows)
}

impl Rows {
    async fn take(&mut self, service: Service, snapshot: &Transaction<'_>) -> Result<()> {
        match service {
            Service::Order => {
                self.orders = all(snapshot, ORDERS).await?;
                let kept: Vec<Kept> = all(snapshot, ORDER_FACTS).await?;
                self.order_facts = kept.into_iter().map(OrderFact::from).collect();
                self.accepted = all(snapshot, ACCEPTED).await?.into_iter().collect();
            }
            Service::Payment => {
                self.payments = all(snapshot, PAYMENTS).await?;
                self.disputes = all(snapshot, DISPUTES).await?;
                self.charges = all(snapshot, CHARGES).await?;
            }
            Service::Auth => self.users = all(snapshot, USERS).await?,
            Service::Notification => {
                self.notifications = all(snapshot, NOTIFICATIONS).await?;
                self.deliveries = all(snapshot, DELIVERIES).await?;
            }
            Service::Gateway => {
                let entries: Vec<Entry> = all(snapshot, TIMELINE).await?;
                self.timeline = entries.into_iter().map(TimelineRow::from).collect();
            }
        }
        Ok(())
    }
}

/// The rows of a query of one JSON column.
async fn all<T: DeserializeOwned>(snapshot: &Transaction<'_>, query: &str) -> Result<Vec<T>> {
    let rows = snapshot.query(query, &[]).await?;
    let read = |row: &tokio_postgres::Row| -> Result<T> {
        let value: Value = row.try_get(0)?;
        serde_json::from_value(value).map_err(|error| {
            Error::Invalid(format!(
                "a row is not what it should be ({error}), as read by: {query}"
            ))
        })
    };
    rows.iter().map(read).collect()
}

/// When the day of a partition's name begins.
fn day(name: &str) -> Option<DateTime<Utc>> {
    let text = name.strip_prefix("processed_event_")?;
    let date = NaiveDate::parse_from_str(text, "%Y%m%d").ok()?;
    Some(date.and_time(NaiveTime::MIN).and_utc())
}

/// A fact as the order service keeps it.
#[derive(Deserialize)]
struct Kept {
    order_id: Uuid,
    sequence: i64,
    topic: String,
    data: Value,
}

impl From<Kept> for OrderFact {
    fn from(kept: Kept) -> Self {
        let topic: Option<Topic> = kept.topic.parse().ok();
        Self {
            order_id: kept.order_id,
            sequence: u64::try_from(kept.sequence).unwrap_or(u64::MAX),
            event: topic.and_then(|topic| wire::event(topic, kept.data).ok().flatten()),
        }
    }
}

/// A row of the timeline as it is stored.
#[derive(Deserialize)]
struct Entry {
    event_id: Uuid,
    order_id: Option<Uuid>,
    r#type: String,
    source: String,
    causation_id: Uuid,
    correlation_id: Uuid,
    sequence: i64,
    data: Value,
    recorded_at: DateTime<Utc>,
}

impl From<Entry> for TimelineRow {
    fn from(entry: Entry) -> Self {
        let topic: Option<Topic> = entry.r#type.parse().ok();
        Self {
            event_id: entry.event_id,
            order_id: entry.order_id,
            event: topic.and_then(|topic| wire::event(topic, entry.data).ok().flatten()),
            topic: entry.r#type,
            source: entry.source,
            causation_id: entry.causation_id,
            correlation_id: entry.correlation_id,
            sequence: u64::try_from(entry.sequence).unwrap_or(u64::MAX),
            recorded_at: entry.recorded_at,
        }
    }
}
