//! Webhook events: each is taken in once, with what it does, in one transaction.

use chassis::clock;
use chrono::{DateTime, Utc};
use contracts::{Context, OrderId, Rejection};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz};
use diesel_async::{AsyncConnection, RunQueryDsl};
use messaging::Conn;
use messaging::command::{self, Done};
use thiserror::Error;
use tracing::{error, info};

use super::StripeProvider;
use super::books::{self, Entry};
use super::disputes::{self, DisputeNews};
use super::events::{self, Told, What};
use super::wire::Event;
use crate::domain::{ChargeKey, Notice, Payment, on_charge_notice};
use crate::metrics::PaymentMetrics;
use crate::provider::ProviderError;
use crate::store::PaymentRepository;
use crate::store::stripe_schema::event;

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The payment moved on.
    Applied,
    /// The payment knew it already.
    Unchanged,
    /// It does not matter here, and why.
    Ignored(&'static str),
    /// It contradicts what the payment knows: a person must look.
    Refused(String),
    /// It was received before.
    Duplicate,
}

/// Why an event was not taken in; it is to be sent again.
#[derive(Debug, Error)]
pub(crate) enum NotReceived {
    /// It is not an event.
    #[error("the body is not an event: {0}")]
    Malformed(#[from] serde_json::Error),
    /// What it tells had to be looked up, and could not be.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

#[derive(Debug, Error)]
pub(super) enum NotHeard {
    #[error(transparent)]
    Rejected(#[from] Rejection),
    #[error(transparent)]
    Database(#[from] diesel::result::Error),
}

/// Takes in an event whose signature holds.
pub(crate) async fn receive(
    stripe: &StripeProvider,
    metrics: &PaymentMetrics,
    body: &[u8],
) -> Result<Outcome, NotReceived> {
    let received: Event = serde_json::from_slice(body)?;
    let Some(told) = events::read(&received)? else {
        let outcome = Outcome::Ignored("it is about nothing that matters here");
        let stored = stripe.noted(async |conn| store(conn, &received, None, outcome).await);
        return Ok(stored.await?);
    };
    let told = found_out(stripe, told).await?;
    let (outcome, news) = stripe
        .noted(async |conn| {
            conn.transaction(async |conn| take_in(conn, &received, &told).await)
                .await
        })
        .await?;
    tell(&received, &told, &outcome);
    if let Some(news) = news {
        news.tell(metrics);
    }
    Ok(outcome)
}

/// In one transaction: the event's id, and what it does to the payment.
async fn take_in(
    conn: &mut Conn,
    received: &Event,
    told: &Told,
) -> QueryResult<(Outcome, Option<DisputeNews>)> {
    if is_known(conn, &received.id).await? {
        return Ok((Outcome::Duplicate, None));
    }
    let Some(entry) = books::of_intent(conn, &told.intent).await? else {
        let outcome = Outcome::Ignored("the payment is none of this service's");
        return Ok((store(conn, received, None, outcome).await?, None));
    };
    let charge: Option<ChargeKey> = entry.order.parse().ok();
    let order = charge.map(|charge| charge.order_id);
    // the id goes in first: a second delivery waits here, and finds that it is one
    if store(conn, received, order, Outcome::Unchanged).await? == Outcome::Duplicate {
        return Ok((Outcome::Duplicate, None));
    }
    let (outcome, news) = hear(conn, &entry, charge, &told.what).await?;
    conclude(conn, &received.id, &outcome).await?;
    Ok((outcome, news))
}

/// Looks up which refund gave all of a charge back: the event does not say.
async fn found_out(stripe: &StripeProvider, told: Told) -> Result<Told, NotReceived> {
    if told.what != What::AllGivenBack {
        return Ok(told);
    }
    let intent = told.intent.clone();
    let entry = stripe
        .noted(async move |conn| books::of_intent(conn, &intent).await)
        .await?;
    let Some(amount) = entry.and_then(|entry| entry.amount) else {
        return Ok(told);
    };
    Ok(match stripe.look(&told.intent, amount).await? {
        Some(refund) => Told {
            what: What::GivenBack { refund, amount },
            ..told
        },
        None => told,
    })
}

/// Lets the payment hear of it, as the kernel lets it hear of an answer.
async fn hear(
    conn: &mut Conn,
    entry: &Entry,
    charge: Option<ChargeKey>,
    what: &What,
) -> QueryResult<(Outcome, Option<DisputeNews>)> {
    let Some(charge) = charge else {
        let refused = Outcome::Refused(format!("{:?} is no order's id", entry.order));
        return Ok((refused, None));
    };
    if let What::Disputed(report) = what {
        return disputes::hear(conn, charge.order_id, report).await;
    }
    let outcome = match notice_of(entry, what) {
        Ok(notice) => apply(conn, charge, &notice).await?,
        Err(outcome) => outcome,
    };
    Ok((outcome, None))
}

/// What the payment is to hear; else what becomes of the event without it.
fn notice_of(entry: &Entry, what: &What) -> Result<Notice, Outcome> {
    let expected = entry.amount.unwrap_or_default();
    Ok(match what {
        What::Taken(amount) if *amount != expected => {
            return Err(Outcome::Refused(format!(
                "it took {amount} instead of {expected}"
            )));
        }
        What::Taken(_) => Notice::Taken {
            reference: entry.intent_id.clone().unwrap_or_default(),
        },
        What::Declined(code) => Notice::Declined { code: code.clone() },
        What::Cancelled => Notice::Cancelled,
        What::GivenBack { amount, .. } if *amount < expected => {
            return Err(Outcome::Ignored("it gives a part back only"));
        }
        What::GivenBack { refund, .. } => Notice::GivenBack {
            refund_reference: refund.clone(),
        },
        What::AllGivenBack => return Err(Outcome::Ignored("there is no refund of all of it")),
        What::RefundFailed { refund } => {
            return Err(Outcome::Refused(format!("the refund {refund} failed")));
        }
        What::Disputed(_) => return Err(Outcome::Ignored("it tells nothing of the charge itself")),
        What::Unclear(what) => return Err(Outcome::Refused(what.clone())),
    })
}

async fn apply(conn: &mut Conn, charge: ChargeKey, notice: &Notice) -> QueryResult<Outcome> {
    let order = charge.order_id;
    let context = Context {
        now: clock::now(),
        fresh_id: clock::new_id(),
        cause_id: clock::new_id(),
        correlation_id: order.uuid(),
    };
    let decide =
        |payment: Option<Payment>, context: &Context| Ok(on_charge_notice(charge, payment, notice, context)?);
    let service = <crate::PaymentService as chassis::Service>::NAME;
    let done: Result<_, NotHeard> =
        command::execute(&PaymentRepository, conn, service, order.uuid(), &context, decide).await;
    match done {
        Ok(Done::Moved(_)) => Ok(Outcome::Applied),
        Ok(Done::Unchanged(_)) => Ok(Outcome::Unchanged),
        Err(NotHeard::Rejected(rejection)) => Ok(Outcome::Refused(rejection.to_string())),
        Err(NotHeard::Database(error)) => Err(error),
    }
}

fn tell(received: &Event, told: &Told, outcome: &Outcome) {
    let (event, kind, intent) = (&received.id, &received.kind, &told.intent);
    match outcome {
        Outcome::Refused(detail) => {
            error!(
                webhook.event = event,
                webhook.kind = kind,
                payment.intent = intent,
                error.message = detail,
                "a webhook contradicts its payment, somebody must look"
            );
        }
        Outcome::Ignored(why) => {
            info!(
                webhook.event = event,
                webhook.kind = kind,
                payment.intent = intent,
                reason = why,
                "webhook ignored"
            );
        }
        Outcome::Applied => {
            info!(
                webhook.event = event,
                webhook.kind = kind,
                payment.intent = intent,
                "webhook applied"
            );
        }
        Outcome::Unchanged | Outcome::Duplicate => {}
    }
}

async fn is_known(conn: &mut Conn, id: &str) -> QueryResult<bool> {
    diesel::select(diesel::dsl::exists(event::table.find(id)))
        .get_result(conn)
        .await
}

/// Notes the event, unless it is there.
async fn store(
    conn: &mut Conn,
    received: &Event,
    order: Option<OrderId>,
    outcome: Outcome,
) -> QueryResult<Outcome> {
    let (name, detail) = columns(&outcome);
    let stored = diesel::insert_into(event::table)
        .values((
            event::event_id.eq(&received.id),
            event::kind.eq(&received.kind),
            event::order_id.eq(order.map(OrderId::uuid)),
            event::outcome.eq(name),
            event::detail.eq(detail),
            event::received_at.eq(clock::now()),
        ))
        .on_conflict(event::event_id)
        .do_nothing()
        .execute(conn)
        .await?;
    Ok(if stored == 0 { Outcome::Duplicate } else { outcome })
}

async fn conclude(conn: &mut Conn, id: &str, outcome: &Outcome) -> QueryResult<()> {
    let (name, detail) = columns(outcome);
    diesel::update(event::table.find(id))
        .set((event::outcome.eq(name), event::detail.eq(detail)))
        .execute(conn)
        .await
        .map(drop)
}

fn columns(outcome: &Outcome) -> (&'static str, Option<&str>) {
    match outcome {
        Outcome::Applied => ("applied", None),
        Outcome::Unchanged | Outcome::Duplicate => ("unchanged", None),
        Outcome::Ignored(why) => ("ignored", Some(why)),
        Outcome::Refused(detail) => ("refused", Some(detail)),
    }
}

/// Forgets events received before `before`, `limit` at most. Answers with how many.
pub(crate) async fn forget(conn: &mut Conn, before: DateTime<Utc>, limit: i64) -> QueryResult<usize> {
    diesel::sql_query(
        "with old as (select event_id from stripe.event where received_at < $1
            order by received_at limit $2 for update skip locked)
        delete from stripe.event e using old where e.event_id = old.event_id",
    )
    .bind::<Timestamptz, _>(before)
    .bind::<BigInt, _>(limit)
    .execute(conn)
    .await
}
