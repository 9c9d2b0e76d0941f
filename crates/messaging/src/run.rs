//! One batch on its way through a participant: states loaded, reactions called in order, changes collected.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use contracts::{Context, Step, Topic, Transition};
use diesel::result::Error as DieselError;
use tracing::info_span;
use uuid::Uuid;

use crate::Failure;
use crate::new_work::NewAction;
use crate::outbox::{Effects, OutboxRow};
use crate::participant::{Answer, Participant, StepResult};
use crate::record::{Origin, envelope};
use crate::repository::{Action, Change, Conn, Repository, Versioned};
use crate::saga_log::SagaStep;
use crate::steps::{Body, Input, Verdict, aggregate_of_row, distinct};
use crate::trace::TraceContext;
use chassis::clock;

/// One batch on its way through a participant.
pub(crate) struct Run<'a, R: Repository> {
    participant: &'a Participant<R>,
    service: &'a str,
    loaded: HashMap<Uuid, Versioned<R::State>>,
    moved: HashMap<Uuid, R::State>,
    failed_lanes: HashSet<&'a [u8]>,
}

impl<'a, R: Repository> Run<'a, R> {
    pub(crate) async fn load(
        participant: &'a Participant<R>,
        service: &'a str,
        conn: &mut Conn,
        inputs: &[Input<'a>],
    ) -> Result<Self, DieselError> {
        let ids = distinct(
            inputs
                .iter()
                // what it does not tell is told when it is taken
                .filter_map(|input| participant.aggregate(&input.body).unwrap_or_default()),
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

    pub(crate) fn take(&mut self, input: &Input<'a>, effects: &mut Effects) -> Verdict {
        if input.lane.is_some_and(|lane| self.failed_lanes.contains(lane)) {
            return Verdict::Behind;
        }
        match self.react(&input.body, effects) {
            Ok(moved) => Verdict::Done { moved },
            Err(failure) => {
                self.failed_lanes.extend(input.lane);
                Verdict::Failed(failure)
            }
        }
    }

    /// Whether the state moved.
    fn react(&mut self, body: &Body<'_>, effects: &mut Effects) -> Result<bool, Failure> {
        let caused = Caused::of(body)?;
        let id = self
            .participant
            .aggregate(body)?
            .ok_or_else(|| Failure::new("malformed-action", "the action's key is no aggregate"))?;
        let span = info_span!("process", messaging.destination.name = caused.name, messaging.message.id = %caused.context.cause_id, saga.id = %id);
        caused.trace.adopt(&span);
        let _entered = span.enter();
        let state = self
            .moved
            .get(&id)
            .or_else(|| self.loaded.get(&id).map(|stored| &stored.state));
        let step = guarded(|| self.participant.react(state.cloned(), body, &caused.context))?;
        let Step::Next(transition) = step else {
            return Ok(false);
        };
        let trace = TraceContext::of(&span).or(&caused.trace);
        let rows = self.announcements(&caused, &trace, &transition)?;
        let actions = self.actions(id, &caused, &trace, &transition)?;
        effects.steps.push(SagaStep {
            saga: caused.context.correlation_id,
            cause: caused.name,
            cause_id: caused.context.cause_id,
            announces: transition
                .events
                .iter()
                .map(|it| it.event.topic().name())
                .collect(),
            asks: transition.actions.iter().map(Action::name).collect(),
            trace,
        });
        effects.outbox.extend(rows);
        effects.actions.extend(actions);
        self.moved.insert(id, transition.state);
        Ok(true)
    }

    fn announcements(
        &self,
        caused: &Caused,
        trace: &TraceContext,
        transition: &Transition<R::State, R::Action>,
    ) -> Result<Vec<OutboxRow>, Failure> {
        let rows = transition
            .events
            .iter()
            .map(|outgoing| OutboxRow::announcing(self.service, &caused.context, trace, outgoing));
        rows.collect::<Result<_, _>>()
            .map_err(|error| Failure::new("unwritable-event", error))
    }

    fn actions(
        &self,
        id: Uuid,
        caused: &Caused,
        trace: &TraceContext,
        transition: &Transition<R::State, R::Action>,
    ) -> Result<Vec<NewAction>, Failure> {
        let (context, origin) = (&caused.context, caused.origin.as_ref());
        let rows = transition
            .actions
            .iter()
            .map(|action| NewAction::new(self.service, id, action, context, trace, origin));
        rows.collect::<Result<_, _>>()
            .map_err(|error| Failure::new("unwritable-action", error))
    }

    pub(crate) fn changes(self) -> Vec<Change<R::State>> {
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
    fn aggregate(&self, body: &Body<'_>) -> Result<Option<Uuid>, Failure> {
        guarded(|| {
            Ok(match body {
                Body::Message(message) => Some(self.repository.aggregate_of(&message.envelope)),
                Body::Outcome { row, .. } => aggregate_of_row(row),
                Body::Failed(_) => None,
            })
        })
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
                let (_, listener) = self
                    .listeners
                    .iter()
                    .find(|(listened, _)| *listened == topic)
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
    catch_unwind(AssertUnwindSafe(react)).unwrap_or_else(|panic| Err(Failure::of_panic(panic.as_ref())))
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
        let mut name = None;
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
                name = Some(row.name.clone());
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
            name: name.unwrap_or(envelope.name),
            trace,
            origin,
        })
    }
}
