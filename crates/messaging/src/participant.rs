//! A participant: one kind of aggregate, the facts it listens to and the actions it asks for. This is what a
//! service author writes; [`crate::steps`] is how the kernel runs it.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::{Context, Envelope, Fact, InvalidField, Obsolete, Reaction, Step, Topic};
use uuid::Uuid;

use crate::Failure;
use crate::performer::{ActionError, Attempt, Performer};
use crate::record::Record;
use crate::repository::Repository;

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

pub(crate) type StepResult<R> = Result<Step<<R as Repository>::State, <R as Repository>::Action>, Failure>;
type Listener<R> =
    Arc<dyn Fn(Option<<R as Repository>::State>, &Message, &Context) -> StepResult<R> + Send + Sync>;
/// A reaction to an outcome, with the outcome inside.
pub(crate) type Answer<R> =
    Box<dyn Fn(Option<<R as Repository>::State>, &Context) -> StepResult<R> + Send + Sync>;
type Guard<R> = fn(&<R as Repository>::State, &<R as Repository>::Action) -> Result<(), Obsolete>;
/// A pure correction: the state, the action that an operator puts in place of a dead one, and that one's letter.
pub type CorrectionOf<R> =
    fn(
        <R as Repository>::State,
        <R as Repository>::Action,
        Uuid,
    ) -> Result<(<R as Repository>::State, <R as Repository>::Action), Vec<InvalidField>>;

/// One kind of aggregate with everything that moves it.
pub struct Participant<R: Repository> {
    pub(crate) repository: R,
    /// One a topic; a second one for a topic is refused when the kernel is built.
    pub(crate) listeners: Vec<(Topic, Listener<R>)>,
    pub(crate) performer: Option<Box<dyn Performs<R>>>,
    pub(crate) correction: Option<CorrectionOf<R>>,
}

impl<R: Repository> Participant<R> {
    /// A participant that keeps its state in `repository` and listens to nothing yet.
    #[must_use]
    pub fn new(repository: R) -> Self {
        Self {
            repository,
            listeners: Vec::new(),
            performer: None,
            correction: None,
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
        self.listeners.push((topic, Arc::new(listener)));
        self
    }

    /// Carries out the actions that reactions ask for. An action that its `precondition` no longer holds for, by the
    /// state of that moment, is dropped, and its dead letter is obsolete; an outcome goes through `reaction`.
    #[must_use]
    pub fn performing<P: Performer<R::Action>>(
        mut self,
        performer: P,
        precondition: Guard<R>,
        reaction: ReactionTo<R, P::Outcome>,
    ) -> Self {
        self.performer = Some(Box::new(PerformerOf {
            performer,
            precondition,
            reaction,
        }));
        self
    }

    /// Lets the state know of an action that an operator has corrected, in the transaction of the edit. Without it an
    /// edited action only has to be one.
    #[must_use]
    pub fn correcting(mut self, correction: CorrectionOf<R>) -> Self {
        self.correction = Some(correction);
        self
    }
}

/// A performer with its outcome type erased.
#[async_trait]
pub(crate) trait Performs<R: Repository>: Send + Sync {
    fn precondition(&self, state: &R::State, action: &R::Action) -> Result<(), Obsolete>;
    async fn perform(&self, action: &R::Action, attempt: Attempt) -> Result<Answer<R>, ActionError>;
}

struct PerformerOf<R: Repository, P: Performer<R::Action>> {
    performer: P,
    precondition: Guard<R>,
    reaction: ReactionTo<R, P::Outcome>,
}

#[async_trait]
impl<R: Repository, P: Performer<R::Action>> Performs<R> for PerformerOf<R, P> {
    fn precondition(&self, state: &R::State, action: &R::Action) -> Result<(), Obsolete> {
        (self.precondition)(state, action)
    }

    async fn perform(&self, action: &R::Action, attempt: Attempt) -> Result<Answer<R>, ActionError> {
        let outcome = self.performer.perform(action, attempt).await?;
        let reaction = self.reaction;
        Ok(Box::new(move |state, context| {
            Ok(reaction(state, &outcome, context)?)
        }))
    }
}
