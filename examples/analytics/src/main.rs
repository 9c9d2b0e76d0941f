//! A sixth participant: revenue a day and failure rates, from the topics alone. Nobody else knows that it is there.
//!
//! docs/ANALYTICS.md tells how it was written.

use async_trait::async_trait;
use chassis::{App, NoCommand, Parts, Service};
use chrono::NaiveDate;
use contracts::events::{PaymentCompleted, PaymentFailed, PaymentRefunded};
use contracts::{Aggregate, Envelope, Fact, Money, NoAction, Reaction, Rejection, Topic, Transition};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use messaging::{Change, Conn, Kernel, Message, MessagingSettings, Participant, Repository, Versioned};
use uuid::Uuid;

diesel::table! {
    /// One row a payment event.
    fact (event_id) {
        /// The event.
        event_id -> Uuid,
        /// When it was announced, in UTC.
        day -> Date,
        /// Its topic.
        kind -> Text,
        /// ISO 4217.
        currency -> Text,
        /// Cents, for EUR.
        amount_minor -> BigInt,
        /// Why it failed.
        failure_code -> Nullable<Text>,
    }
}

/// What is kept of a payment event. It never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Counted {
    day: NaiveDate,
    topic: Topic,
    amount: Money,
    failure_code: Option<String>,
}

/// It announces nothing, so there is nothing to number.
impl Aggregate for Counted {
    fn next_sequence(&mut self) -> u64 {
        0
    }
}

/// The reaction to each of the three: the day is that of the event, however late it is read.
fn count<F: Fact>(message: &Message, read: fn(F) -> (Money, Option<String>)) -> Reaction<Counted> {
    let body = message
        .fact()
        .map_err(|failure| Rejection::new("unreadable", failure))?;
    let (amount, failure_code) = read(body);
    Ok(Transition::to(Counted {
        day: message.envelope.time.date_naive(),
        topic: F::TOPIC,
        amount,
        failure_code,
    })
    .into())
}

fn participant() -> Participant<Facts> {
    Participant::new(Facts)
        .on_any(Topic::PaymentCompleted, |_, message, _| {
            count(message, |paid: PaymentCompleted| (paid.amount, None))
        })
        .on_any(Topic::PaymentFailed, |_, message, _| {
            count(message, |failed: PaymentFailed| {
                (failed.amount, Some(failed.failure_code))
            })
        })
        .on_any(Topic::PaymentRefunded, |_, message, _| {
            count(message, |refunded: PaymentRefunded| (refunded.amount, None))
        })
}

struct Facts;

#[async_trait]
impl Repository for Facts {
    type State = Counted;
    type Action = NoAction;

    /// Each event is a row of its own.
    fn aggregate_of(&self, event: &Envelope) -> Uuid {
        event.id.uuid()
    }

    /// The kernel hands each event over once: there is nothing to load.
    async fn load(&self, _: &mut Conn, _: &[Uuid]) -> QueryResult<Vec<(Uuid, Versioned<Counted>)>> {
        Ok(Vec::new())
    }

    async fn save(&self, conn: &mut Conn, changes: &[Change<Counted>]) -> QueryResult<usize> {
        let rows: Vec<_> = changes
            .iter()
            .map(|Change { id, state, .. }| {
                (
                    fact::event_id.eq(id),
                    fact::day.eq(state.day),
                    fact::kind.eq(state.topic.name()),
                    fact::currency.eq(state.amount.currency().code()),
                    fact::amount_minor.eq(state.amount.amount_minor()),
                    fact::failure_code.eq(state.failure_code.clone()),
                )
            })
            .collect();
        let insert = diesel::insert_into(fact::table).values(rows);
        insert.on_conflict_do_nothing().execute(conn).await?;
        Ok(changes.len())
    }
}

#[derive(Debug, Clone, serde::Deserialize)]
struct Settings {
    #[serde(default)]
    messaging: MessagingSettings,
}

struct Analytics;

impl Service for Analytics {
    const NAME: &'static str = "analytics";
    const DEFAULTS: &'static str = "http.port = 5005";
    type Settings = Settings;
    type Command = NoCommand;

    fn kernel_defaults() -> serde_json::Value {
        MessagingSettings::defaults()
    }

    fn migrations() -> EmbeddedMigrations {
        const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");
        MIGRATIONS
    }

    fn openapi() -> utoipa::openapi::OpenApi {
        let info = utoipa::openapi::Info::new("Analytics", env!("CARGO_PKG_VERSION"));
        operations::document(
            utoipa::openapi::OpenApi::new(info, utoipa::openapi::Paths::new()),
            "/analytics",
            &[],
        )
    }

    async fn build(parts: Parts<Settings>) -> anyhow::Result<App> {
        let brokers = &parts.core.kafka.brokers;
        let kernel = Kernel::builder(Self::NAME, brokers, parts.background, parts.settings.messaging)
            .participant(participant())
            .build()?;
        let (messaging, operations) = (kernel.probe(), kernel.operations());
        kernel.start(&parts.tasks)?;
        Ok(
            App::new(move |config| operations::configure(config, "/analytics", operations.clone()))
                .probe(messaging),
        )
    }

    async fn command(command: NoCommand, _: Parts<Settings>) -> anyhow::Result<()> {
        match command {}
    }
}

fn main() -> std::process::ExitCode {
    chassis::main::<Analytics>()
}
