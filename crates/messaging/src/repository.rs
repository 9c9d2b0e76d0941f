//! How a participant's state gets in and out of its database: in bulk, guarded by a version.

use async_trait::async_trait;
use contracts::{Aggregate, Envelope, InvalidField, NoAction};
use diesel::QueryResult;
use diesel_async::AsyncPgConnection;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::correction;

/// A connection to the service's database.
pub type Conn = AsyncPgConnection;

/// A state with the number of times it has been saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<S> {
    /// 1 after the first save.
    pub version: i64,
    /// The state.
    pub state: S,
}

/// A state to save.
#[derive(Debug, Clone)]
pub struct Change<S> {
    /// The aggregate.
    pub id: Uuid,
    /// The version to write. The row must be at the version before it; 1 means that there must be no row.
    pub version: i64,
    /// The state to write.
    pub state: S,
}

/// Bulk persistence of one kind of aggregate.
#[async_trait]
pub trait Repository: Send + Sync + 'static {
    /// The aggregate's state; pure.
    type State: Aggregate + Clone + Send + Sync + 'static;
    /// The side effects that its reactions ask for; [`NoAction`] where there are none.
    type Action: Action;

    /// Which aggregate an event is about: the event's key, unless a participant keeps a state an event.
    fn aggregate_of(&self, event: &Envelope) -> Uuid {
        event.key
    }

    /// Loads and locks (`FOR UPDATE`, in the order of their ids) what exists of `ids`.
    async fn load(&self, conn: &mut Conn, ids: &[Uuid]) -> QueryResult<Vec<(Uuid, Versioned<Self::State>)>>;

    /// Writes all changes, each only where the row is at the version before it, and returns how many were
    /// written. Writing fewer makes the kernel roll back and try again.
    async fn save(&self, conn: &mut Conn, changes: &[Change<Self::State>]) -> QueryResult<usize>;
}

/// A side effect on the outside world, committed as a row with the state that asked for it.
pub trait Action: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Stable name of the kind of action, `snake_case`.
    fn name(&self) -> &'static str;

    /// Whether it must be done in the end, however often it fails: it is then never given up, but tried again at the
    /// longest of the retry delays.
    fn keeps_trying(&self) -> bool {
        false
    }

    /// Reads the action `name` from what an operator sends in place of a dead letter's payload: stricter than what is
    /// read from a row, and with everything that is wrong.
    ///
    /// # Errors
    /// What is wrong, and where in the payload.
    fn corrected(name: &str, payload: &[u8]) -> Result<Self, Vec<InvalidField>> {
        let action: Self = correction::read(payload)?;
        if action.name() == name {
            return Ok(action);
        }
        let detail = format!(
            "must be the action {name}, as the dead letter is, not {}",
            action.name()
        );
        Err(vec![InvalidField::new("", detail)])
    }
}

impl Action for NoAction {
    fn name(&self) -> &'static str {
        match *self {}
    }
}
