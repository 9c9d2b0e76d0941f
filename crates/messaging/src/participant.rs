//! A participant: one kind of aggregate, the facts it listens to and the actions it asks for.
//!
//! [`Participant`] is what a service author writes; [`Steps`] is the same thing with its types erased, as the
//! kernel runs it.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use contracts::{Context, Envelope, Fact, Reaction, Step, Topic};
use diesel::result::Error as DieselError;
use tracing::info_span;
use uuid::Uuid;

use crate::outbox::{Effects, OutboxRow};
use crate::performer::{ActionError, Attempt, Performer};
use crate::record::{Origin, Record, envelope};
use crate::repository::{Action, Change, Conn, Repository, Versioned};
use crate::trace::TraceContext;
use crate::work::{NewAction, WorkRow};
use crate::{Failure, Outage};
use chassis::clock;

/// A record with its envelope read, as reactions to any topic get it.
#[derive(Debug, Clone)]
pub struct Message {
    /// The envelope.
    pub envelope: Envelope,
    /// The record.
    pub record: Record,
}

impl Message {
    /// The body as the fact `F`.
    ///
    /// # Errors
    /// A [`Failure`] when it is another fact, another major version, malformed, or about another key than
    /// the record's.
    pub fn fact<F: Fact>(&self) -> Result<F, Failure> {
        let (expected, found) = (F::TOPIC.name(), &self.envelope.name);
        if found != expected {
            return Err(Failure::new(
                "unknown-type",
                format!("{found} on the topic {expected}"),
            ));
        }
        if self.envelope.major != F::MAJOR {
            let detail = format!(
                "{found} has version {}, this service reads {}",
                self.envelope.major,
                F::MAJOR
            );
            return Err(Failure::new("unknown-version", detail));
        }
        let body = self.record.payload.as_deref().unwrap_or_default();
        let fact: F = serde_json::from_slice(body).map_err(|error| Failure::new("malformed-body", error))?;
        if fact.key() != self.envelope.key {
            let detail = format!(
                "the body is about {}, the key is {}",
                fact.key(),
                self.envelope.key
            );
            return Err(Failure::new("malformed-body", detail));
        }
        Ok(fact)
    }
}

/// A pure reaction of a participant to a `T`: a fact, any message, or the outcome of an action.
pub type ReactionTo<R, T> = fn(
    Option<<R as Repository>::State>,
    &T,
    &Context,
) -> Reaction<<R as Repository>::State, <R as Repository>::Action>;

type StepResult<R> = Result<Step<<R as Repository>::State, <R as Repository>::Action>, Failure>;
type Listener<R> =
    Arc<dyn Fn(Option<<R as Repository>::State>, &Message, &Context) -> StepResult<R> + Send + Sync>;
/// A reaction to an outcome, with the outcome inside.
type Answer<R> = Box<dyn Fn(Option<<R as Repository>::State>, &Context) -> StepResult<R> + Send + Sync>;
type Guard<R> = fn(&<R as Repository>::State, &<R as Repository>::Action) -> bool;

/// One kind of aggregate with everything that moves it.
pub struct Participant<R: Repository> {
    repository: R,
    listeners: HashMap<Topic, Listener<R>>,
    performer: Option<Box<dyn Performs<R>>>,
}

impl<R: Repository> Participant<R> {
    /// A participant that keeps its state in `repository` and listens to nothing yet.
    #[must_use]
    pub fn new(repository: R) -> Self {
        Self {
            repository,
            listeners: HashMap::new(),
            performer: None,
        }
    }

    /// Listens to the fact that `reaction` takes.
    #[must_use]
    pub fn on<F: Fact>(self, reaction: ReactionTo<R, F>) -> Self {
        self.listen(F::TOPIC, move |state, message, context| {
            Ok(reaction(state, &message.fact::<F>()?, context)?)
        })
    }

    /// Listens to a topic whatever it carries.
    #[must_use]
    pub fn on_any(self, topic: Topic, reaction: ReactionTo<R, Message>) -> Self {
        self.listen(topic, move |state, message, context| {
            Ok(reaction(state, message, context)?)
        })
    }

    fn listen(
        mut self,
        topic: Topic,
        listener: impl Fn(Option<R::State>, &Message, &Context) -> StepResult<R> + Send + Sync + 'static,
    ) -> Self {
        self.listeners.insert(topic, Arc::new(listener));
        self
    }

    /// Carries out the actions that reactions ask for. An action that `wanted` no longer holds for, by the
    /// state of that moment, is dropped; an outcome goes through `reaction`.
    #[must_use]
    pub fn performing<P: Performer<R::Action>>(
        mut self,
        performer: P,
        wanted: Guard<R>,
        reaction: ReactionTo<R, P::Outcome>,
    ) -> Self {
        self.performer = Some(Box::new(PerformerOf {
            performer,
            wanted,
            reaction,
        }));
        self
    }
}

/// A performer with its outcome type erased.
#[async_trait]
trait Performs<R: Repository>: Send + Sync {
    fn wanted(&self, state: &R::State, action: &R::Action) -> bool;
    async fn perform(&self, action: &R::Action, attempt: Attempt) -> Result<Answer<R>, ActionError>;
}

struct PerformerOf<R: Repository, P: Performer<R::Action>> {
    performer: P,
    wanted: Guard<R>,
    reaction: ReactionTo<R, P::Outcome>,
}

#[async_trait]
impl<R: Repository, P: Performer<R::Action>> Performs<R> for PerformerOf<R, P> {
    fn wanted(&self, state: &R::State, action: &R::Action) -> bool {
        (self.wanted)(state, action)
    }

    async fn perform(&self, action: &R::Action, attempt: Attempt) -> Result<Answer<R>, ActionError> {
        let outcome = self.performer.perform(action, attempt).await?;
        let reaction = self.reaction;
        Ok(Box::new(move |state, context| {
            Ok(reaction(state, &outcome, context)?)
        }))
    }
}

/// Something to react to.
pub(crate) struct Input<'a> {
    /// Inputs of one lane are taken in order: when one fails, those after it wait. The Kafka key.
    pub(crate) lane: Option<&'a [u8]>,
    pub(crate) body: Body<'a>,
}

pub(crate) enum Body<'a> {
    Message(&'a Message),
    /// The answer to an action; made by the same participant's `perform`.
    Outcome {
        row: &'a WorkRow,
        answer: &'a (dyn Any + Send + Sync),
    },
    /// It has failed before any reaction saw it.
    Failed(Failure),
}

/// What became of one input.
#[derive(Debug)]
pub(crate) enum Verdict {
    Done,
    /// An earlier input of its lane failed.
    Behind,
    Failed(Failure),
}

/// What became of an action that was to be performed.
pub(crate) enum Performed {
    Answer(Box<dyn Any + Send + Sync>),
    Failed(ActionError),
}

/// A participant as the kernel runs it.
#[async_trait]
pub(crate) trait Steps: Send + Sync {
    fn topics(&self) -> Vec<Topic>;
    fn performs(&self) -> bool;

    /// Reacts to `inputs` in order and saves the states that moved, in the caller's transaction. What must be
    /// written besides goes to `effects`.
    async fn apply(
        &self,
        service: &str,
        conn: &mut Conn,
        inputs: &[Input<'_>],
        effects: &mut Effects,
    ) -> Result<Vec<Verdict>, Outage>;

    /// Which of `rows` (actions) are still wanted.
    async fn wanted(&self, conn: &mut Conn, rows: &[WorkRow]) -> Result<Vec<bool>, DieselError>;

    /// Carries out one action.
    async fn perform(&self, row: &WorkRow) -> Performed;
}

#[async_trait]
impl<R: Repository> Steps for Participant<R> {
    fn topics(&self) -> Vec<Topic> {
        self.listeners.keys().copied().collect()
    }

    fn performs(&self) -> bool {
        self.performer.is_some()
    }

    async fn apply(
        &self,
        service: &str,
        conn: &mut Conn,
        inputs: &[Input<'_>],
        effects: &mut Effects,
    ) -> Result<Vec<Verdict>, Outage> {
        let mut run = Run::load(self, service, conn, inputs).await?;
        let verdicts = inputs.iter().map(|input| run.take(input, effects)).collect();
        let changes = run.changes();
        if !changes.is_empty() {
            let saved = self.repository.save(conn, &changes).await?;
            if saved != changes.len() {
                return Err(Outage::Conflict {
                    expected: changes.len(),
                    saved,
                });
            }
        }
        Ok(verdicts)
    }

    async fn wanted(&self, conn: &mut Conn, rows: &[WorkRow]) -> Result<Vec<bool>, DieselError> {
        let Some(performer) = &self.performer else {
            return Ok(vec![true; rows.len()]);
        };
        let ids = distinct(rows.iter().filter_map(aggregate_of_row));
        let states: HashMap<Uuid, Versioned<R::State>> =
            self.repository.load(conn, &ids).await?.into_iter().collect();
        Ok(rows
            .iter()
            .map(|row| {
                let state = aggregate_of_row(row).and_then(|id| states.get(&id));
                match (state, action_of::<R::Action>(row)) {
                    (Some(stored), Ok(action)) => performer.wanted(&stored.state, &action),
                    // what cannot be read must come to light: performing it fails with the reason
                    _ => true,
                }
            })
            .collect())
    }

    async fn perform(&self, row: &WorkRow) -> Performed {
        let Some(performer) = &self.performer else {
            return Performed::Failed(Failure::new("no-performer", "nothing performs this action").into());
        };
        let action = match action_of::<R::Action>(row) {
            Ok(action) => action,
            Err(failure) => return Performed::Failed(failure.into()),
        };
        let attempt = Attempt {
            failed_before: u32::try_from(row.attempts).unwrap_or_default(),
        };
        match performer.perform(&action, attempt).await {
            Ok(answer) => Performed::Answer(Box::new(answer)),
            Err(error) => Performed::Failed(error),
        }
    }
}

fn aggregate_of_row(row: &WorkRow) -> Option<Uuid> {
    crate::record::uuid_key(row.key.as_deref())
}

fn action_of<A: Action>(row: &WorkRow) -> Result<A, Failure> {
    serde_json::from_slice(row.payload.as_deref().unwrap_or_default())
        .map_err(|error| Failure::new("malformed-action", error))
}

fn distinct(ids: impl Iterator<Item = Uuid>) -> Vec<Uuid> {
    let mut ids: Vec<Uuid> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// One batch on its way through a participant.
struct Run<'a, R: Repository> {
    participant: &'a Participant<R>,
    service: &'a str,
    loaded: HashMap<Uuid, Versioned<R::State>>,
    moved: HashMap<Uuid, R::State>,
    failed_lanes: HashSet<&'a [u8]>,
}

impl<'a, R: Repository> Run<'a, R> {
    async fn load(
        participant: &'a Participant<R>,
        service: &'a str,
        conn: &mut Conn,
        inputs: &[Input<'a>],
    ) -> Result<Self, DieselError> {
        let ids = distinct(
            inputs
                .iter()
                .filter_map(|input| participant.aggregate(&input.body)),
        );
        let loaded = if ids.is_empty() {
            Vec::new()
        } else {
            participant.repository.load(conn, &ids).await?
        };
        Ok(Self {
            participant,
            service,
            loaded: loaded.into_iter().collect(),
            moved: HashMap::new(),
            failed_lanes: HashSet::new(),
        })
    }

    fn take(&mut self, input: &Input<'a>, effects: &mut Effects) -> Verdict {
        if input.lane.is_some_and(|lane| self.failed_lanes.contains(lane)) {
            return Verdict::Behind;
        }
        match self.react(&input.body, effects) {
            Ok(()) => Verdict::Done,
            Err(failure) => {
                self.failed_lanes.extend(input.lane);
                Verdict::Failed(failure)
            }
        }
    }

    fn react(&mut self, body: &Body<'_>, effects: &mut Effects) -> Result<(), Failure> {
        let caused = Caused::of(body)?;
        let id = self
            .participant
            .aggregate(body)
            .unwrap_or(caused.context.correlation_id);
        let state = self
            .moved
            .get(&id)
            .or_else(|| self.loaded.get(&id).map(|stored| &stored.state))
            .cloned();
        let span = info_span!("process", messaging.destination.name = caused.name, messaging.message.id = %caused.context.cause_id, saga.id = %id);
        caused.trace.adopt(&span);
        let _entered = span.enter();
        let step = guarded(|| self.participant.react(state, body, &caused.context))?;
        let Step::Next(transition) = step else {
            return Ok(());
        };
        let trace = TraceContext::of(&span);
        for outgoing in &transition.events {
            let row = OutboxRow::announcing(self.service, &caused.context, &trace, outgoing)
                .map_err(|error| Failure::new("unwritable-event", error))?;
            effects.outbox.push(row);
        }
        for action in &transition.actions {
            let row = NewAction::new(
                self.service,
                id,
                action,
                &caused.context,
                &trace,
                caused.origin.as_ref(),
            )
            .map_err(|error| Failure::new("unwritable-action", error))?;
            effects.actions.push(row);
        }
        self.moved.insert(id, transition.state);
        Ok(())
    }

    fn changes(self) -> Vec<Change<R::State>> {
        let Self { loaded, moved, .. } = self;
        let version = |id: &Uuid| {
            loaded
                .get(id)
                .map_or(0, |stored| stored.version)
                .saturating_add(1)
        };
        let mut changes: Vec<_> = moved
            .into_iter()
            .map(|(id, state)| Change {
                id,
                version: version(&id),
                state,
            })
            .collect();
        changes.sort_unstable_by_key(|change| change.id);
        changes
    }
}

impl<R: Repository> Participant<R> {
    fn aggregate(&self, body: &Body<'_>) -> Option<Uuid> {
        match body {
            Body::Message(message) => Some(self.repository.aggregate_of(&message.envelope)),
            Body::Outcome { row, .. } => aggregate_of_row(row),
            Body::Failed(_) => None,
        }
    }

    fn react(&self, state: Option<R::State>, body: &Body<'_>, context: &Context) -> StepResult<R> {
        match body {
            Body::Failed(failure) => Err(failure.clone()),
            Body::Message(message) => {
                let topic: Topic = message
                    .record
                    .origin
                    .topic
                    .parse()
                    .map_err(|error| Failure::new("unknown-topic", error))?;
                let listener = self
                    .listeners
                    .get(&topic)
                    .ok_or_else(|| Failure::new("unknown-topic", format!("nothing listens to {topic}")))?;
                listener(state, message, context)
            }
            Body::Outcome { answer, .. } => {
                let answer = answer
                    .downcast_ref::<Answer<R>>()
                    .ok_or_else(|| Failure::new("bug", "an answer for another participant"))?;
                answer(state, context)
            }
        }
    }
}

/// A bug in a reaction is the message's own failure, not the process's end.
fn guarded<T>(react: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(react)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        Err(Failure::new("panic", text))
    })
}

/// What led to a step.
struct Caused {
    name: String,
    context: Context,
    trace: TraceContext,
    origin: Option<Origin>,
}

impl Caused {
    fn of(body: &Body<'_>) -> Result<Self, Failure> {
        let (envelope, cause, origin) = match body {
            Body::Failed(failure) => return Err(failure.clone()),
            Body::Message(message) => {
                let envelope = message.envelope.clone();
                let cause = envelope.id.uuid();
                (envelope, cause, Some(message.record.origin.clone()))
            }
            Body::Outcome { row, .. } => {
                let envelope =
                    envelope(&row.headers()).map_err(|error| Failure::new("malformed-action", error))?;
                // an outcome was caused by the event that asked for the action: the action itself is
                // never announced
                let cause = envelope.causation_id;
                (envelope, cause, row.origin())
            }
        };
        let trace = TraceContext::of_event(&envelope);
        Ok(Self {
            context: Context {
                now: clock::now(),
                fresh_id: clock::new_id(),
                cause_id: cause,
                correlation_id: envelope.correlation_id,
            },
            name: envelope.name,
            trace,
            origin,
        })
    }
}
