//! A small participant: a tally writes down the label of every event of its order. Orders can be made to fail.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use async_trait::async_trait;
use contracts::events::{OrderConfirmed, OrderCreated};
use contracts::{Aggregate, Context, Obsolete, OrderId, PaymentId, Reaction, Rejection};
use contracts::{Currency, Money, Step, Transition, UserId};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text};
use diesel_async::RunQueryDsl;
use messaging::{
    Action, ActionError, Attempt, Change, Conn, Failure, Participant, Performer, Repository, Versioned,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use uuid::Uuid;

pub(crate) const TABLE: &str = "create table tally (
    id uuid primary key,
    version bigint not null,
    sequence bigint not null,
    seen text[] not null check (not 'forbidden' = any (seen))
)";

/// What is wrong with an order, until it is cured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ill {
    Rejected,
    Panics,
    BreaksConstraint,
    HasNul,
    LoadPanics,
    SavesNothing,
}

static ILL: LazyLock<Mutex<HashMap<Uuid, Ill>>> = LazyLock::new(Mutex::default);

pub(crate) fn infect(order: Uuid, ill: Ill) {
    ILL.lock().unwrap().insert(order, ill);
}

pub(crate) fn cure(order: Uuid) {
    ILL.lock().unwrap().remove(&order);
}

fn is(order: Uuid, ill: Ill) -> bool {
    ILL.lock().unwrap().get(&order) == Some(&ill)
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) sequence: u64,
    pub(crate) seen: Vec<String>,
}

impl Aggregate for Tally {
    fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }
}

/// Something to do for an order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Errand {
    order: Uuid,
    label: String,
}

impl Action for Errand {
    fn name(&self) -> &'static str {
        "errand"
    }

    fn keeps_trying(&self) -> bool {
        self.label.contains("vital")
    }
}

/// A label means nothing any more once `never mind` of it has been seen. A label `announce…` also announces the order as confirmed, a label `errand…` also asks for an action.
pub(crate) fn write_down(tally: Option<Tally>, fact: &OrderCreated, _: &Context) -> Reaction<Tally, Errand> {
    let (order, mut label) = (fact.order_id.uuid(), fact.payment_method.clone());
    let mut tally = tally.unwrap_or_default();
    if is(order, Ill::Rejected) {
        return Err(Rejection::new("not-now", format!("order {order} is not well")));
    }
    assert!(!is(order, Ill::Panics), "order {order} makes it panic");
    if is(order, Ill::BreaksConstraint) {
        label = "forbidden".to_owned();
    }
    if is(order, Ill::HasNul) {
        label = "a\0b".to_owned();
    }
    if tally.seen.contains(&format!("never mind {label}")) {
        return Ok(Step::Unchanged);
    }
    tally.seen.push(label.clone());
    let mut next = Transition::to(tally);
    if label.starts_with("announce") {
        next = next.announce(confirmed(order));
    }
    if label.starts_with("errand") {
        next = next.perform(Errand { order, label });
    }
    Ok(Step::from(next))
}

pub(crate) fn confirmed(order: Uuid) -> OrderConfirmed {
    OrderConfirmed {
        order_id: OrderId::new(order),
        customer_id: UserId::new(order),
        payment_id: PaymentId::new(order),
        total: Money::zero(Currency::EUR),
    }
}

pub(crate) struct Tallies;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = diesel::sql_types::Uuid)]
    id: Uuid,
    #[diesel(sql_type = BigInt)]
    version: i64,
    #[diesel(sql_type = BigInt)]
    sequence: i64,
    #[diesel(sql_type = Array<Text>)]
    seen: Vec<String>,
}

#[async_trait]
impl Repository for Tallies {
    type State = Tally;
    type Action = Errand;

    async fn load(&self, conn: &mut Conn, ids: &[Uuid]) -> QueryResult<Vec<(Uuid, Versioned<Tally>)>> {
        let ill = ids.iter().find(|id| is(**id, Ill::LoadPanics));
        assert!(ill.is_none(), "cannot load {ill:?}");
        let rows: Vec<Row> = diesel::sql_query(
            "select id, version, sequence, seen from tally where id = any($1) order by id for update",
        )
        .bind::<Array<diesel::sql_types::Uuid>, _>(ids)
        .load(conn)
        .await?;
        let stored = rows.into_iter().map(|row| {
            let state = Tally {
                sequence: u64::try_from(row.sequence).unwrap(),
                seen: row.seen,
            };
            let version = row.version;
            (row.id, Versioned { version, state })
        });
        Ok(stored.collect())
    }

    async fn save(&self, conn: &mut Conn, changes: &[Change<Tally>]) -> QueryResult<usize> {
        let mut saved = 0;
        for change in changes.iter().filter(|change| !is(change.id, Ill::SavesNothing)) {
            saved += diesel::sql_query(
                "insert into tally (id, version, sequence, seen) values ($1, $2, $3, $4)
                 on conflict (id) do update set version = excluded.version, sequence = excluded.sequence,
                    seen = excluded.seen
                 where tally.version = excluded.version - 1",
            )
            .bind::<diesel::sql_types::Uuid, _>(change.id)
            .bind::<BigInt, _>(change.version)
            .bind::<BigInt, _>(i64::try_from(change.state.sequence).unwrap())
            .bind::<Array<Text>, _>(&change.state.seen)
            .execute(conn)
            .await?;
        }
        Ok(saved)
    }
}

/// A participant that only listens.
pub(crate) fn listening() -> Participant<Tallies> {
    Participant::new(Tallies).on(write_down)
}

/// One that runs errands too, as `script` says.
pub(crate) fn running_errands(script: &Arc<Script>) -> Participant<Tallies> {
    listening().performing(Runner(script.clone()), still_to_do, come_back)
}

fn still_to_do(tally: &Tally, errand: &Errand) -> Result<(), Obsolete> {
    if tally.seen.contains(&format!("never mind {}", errand.label)) {
        return Err(Obsolete("somebody said never mind"));
    }
    Ok(())
}

fn come_back(tally: Option<Tally>, label: &String, _: &Context) -> Reaction<Tally, Errand> {
    let mut tally = tally.unwrap_or_default();
    if label.ends_with("spurned") {
        return Err(Rejection::new("spurned", "nobody wants it"));
    }
    tally.seen.push(format!("done {label}"));
    Ok(Transition::to(tally).into())
}

/// How errands go.
#[derive(Debug)]
pub(crate) struct Script {
    /// What happens at each next attempt of an errand; when it is empty it goes well.
    plan: Mutex<HashMap<String, VecDeque<Fortune>>>,
    /// Label and failed attempts before, of each errand begun.
    begun: Mutex<Vec<(String, u32)>>,
    running: AtomicUsize,
    most_at_once: AtomicUsize,
    gate: Semaphore,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Fortune {
    Fails,
    Panics,
    IsOut,
    /// Until the gate opens.
    Waits,
    NeverEnds,
}

impl Script {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            plan: Mutex::default(),
            begun: Mutex::default(),
            running: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
            gate: Semaphore::new(0),
        })
    }

    pub(crate) fn plan(&self, label: &str, fortunes: &[Fortune]) {
        let fortunes = fortunes.iter().copied().collect();
        self.plan.lock().unwrap().insert(label.to_owned(), fortunes);
    }

    pub(crate) fn open_gate(&self) {
        self.gate.add_permits(1_000);
    }

    /// The attempts begun for `label`, each with how many had failed before.
    pub(crate) fn attempts(&self, label: &str) -> Vec<u32> {
        let begun = self.begun.lock().unwrap();
        begun
            .iter()
            .filter(|(of, _)| of == label)
            .map(|(_, attempt)| *attempt)
            .collect()
    }

    pub(crate) fn begun(&self) -> usize {
        self.begun.lock().unwrap().len()
    }

    pub(crate) fn most_at_once(&self) -> usize {
        AtomicUsize::load(&self.most_at_once, Ordering::SeqCst)
    }

    fn next(&self, label: &str) -> Option<Fortune> {
        self.plan.lock().unwrap().get_mut(label)?.pop_front()
    }
}

struct Runner(Arc<Script>);

#[async_trait]
impl Performer<Errand> for Runner {
    type Outcome = String;

    async fn perform(&self, errand: &Errand, attempt: Attempt) -> Result<String, ActionError> {
        let script = &self.0;
        let at_once = script.running.fetch_add(1, Ordering::SeqCst) + 1;
        script.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        let label = errand.label.clone();
        script
            .begun
            .lock()
            .unwrap()
            .push((label.clone(), attempt.failed_before));
        let done = match script.next(&label) {
            None => Ok(label),
            Some(Fortune::Fails) => Err(Failure::new("closed", "the shop is closed").into()),
            Some(Fortune::IsOut) => Err(ActionError::Outage("no road".into())),
            Some(Fortune::Panics) => {
                script.running.fetch_sub(1, Ordering::SeqCst);
                panic!("fell on the way")
            }
            Some(Fortune::Waits) => {
                script.gate.acquire().await.unwrap().forget();
                Ok(label)
            }
            Some(Fortune::NeverEnds) => std::future::pending().await,
        };
        script.running.fetch_sub(1, Ordering::SeqCst);
        done
    }
}
