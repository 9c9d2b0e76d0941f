//! Commands: what a user asks for over HTTP goes through the same pure core and the same commit as an event.

use contracts::{Context, Step};
use diesel::result::Error as DieselError;
use tracing::Span;
use uuid::Uuid;

use crate::new_work::NewAction;
use crate::outbox::{self, OutboxRow};
use crate::repository::{Change, Conn, Repository, Versioned};
use crate::trace::TraceContext;
use crate::work;

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done<S> {
    /// The state moved on and is stored.
    Moved(Versioned<S>),
    /// Nothing had to be done; the state as it is, if there is any.
    Unchanged(Option<Versioned<S>>),
}

/// Loads the aggregate `id`, lets `decide` move it, and writes the new state, its events and its actions, all in the
/// caller's transaction. After the commit the caller wakes the kernel ([`crate::Signals::committed`]).
///
/// # Errors
/// What `decide` answers with; the database's errors; a change by somebody else between load and save (of an
/// aggregate that is just being made) is a serialization failure.
pub async fn execute<R, E>(
    repository: &R,
    conn: &mut Conn,
    service: &str,
    id: Uuid,
    context: &Context,
    decide: impl FnOnce(Option<R::State>, &Context) -> Result<Step<R::State, R::Action>, E>,
) -> Result<Done<R::State>, E>
where
    R: Repository,
    E: From<DieselError>,
{
    let before = repository
        .load(conn, &[id])
        .await?
        .into_iter()
        .next()
        .map(|(_, stored)| stored);
    let version = before.as_ref().map_or(0, |stored| stored.version);
    let step = decide(before.as_ref().map(|stored| stored.state.clone()), context)?;
    let Step::Next(transition) = step else {
        return Ok(Done::Unchanged(before));
    };
    create_or_update(repository, conn, service, id, version, context, transition)
        .await
        .map_err(E::from)
}

/// As [`execute`], for an aggregate that is known to be new: spares the load.
///
/// # Errors
/// The database's.
pub async fn create<R: Repository>(
    repository: &R,
    conn: &mut Conn,
    service: &str,
    id: Uuid,
    context: &Context,
    transition: contracts::Transition<R::State, R::Action>,
) -> Result<Done<R::State>, DieselError> {
    create_or_update(repository, conn, service, id, 0, context, transition).await
}

async fn create_or_update<R: Repository>(
    repository: &R,
    conn: &mut Conn,
    service: &str,
    id: Uuid,
    version: i64,
    context: &Context,
    transition: contracts::Transition<R::State, R::Action>,
) -> Result<Done<R::State>, DieselError> {
    let trace = TraceContext::of(&Span::current());
    let rows = transition
        .events
        .iter()
        .map(|outgoing| OutboxRow::announcing(service, context, &trace, outgoing))
        .collect::<Result<Vec<_>, _>>()
        .map_err(unwritable)?;
    let actions = transition
        .actions
        .iter()
        .map(|action| NewAction::new(service, id, action, context, &trace, None))
        .collect::<Result<Vec<_>, _>>()
        .map_err(unwritable)?;
    let change = Change {
        id,
        version: version.saturating_add(1),
        state: transition.state,
    };
    if repository.save(conn, std::slice::from_ref(&change)).await? != 1 {
        let message = format!("aggregate {id} was changed by somebody else");
        let kind = diesel::result::DatabaseErrorKind::SerializationFailure;
        return Err(DieselError::DatabaseError(kind, Box::new(message)));
    }
    outbox::append(conn, &rows).await?;
    work::insert_actions(conn, actions).await?;
    chassis::crossing!("command.written");
    Ok(Done::Moved(Versioned {
        version: change.version,
        state: change.state,
    }))
}

fn unwritable(error: serde_json::Error) -> DieselError {
    DieselError::SerializationError(Box::new(error))
}
