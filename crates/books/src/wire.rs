//! Facts from their bodies.

use contracts::{Event, Fact, FactVisitor, Topic};
use serde_json::{Error, Value};

/// The fact in a body on `topic`; none on topics of dead letters.
///
/// # Errors
/// When the body is not such a fact.
pub fn event(topic: Topic, body: Value) -> Result<Option<Event>, Error> {
    topic.visit(Read(body)).transpose()
}

struct Read(Value);

impl FactVisitor for Read {
    type Output = Result<Event, Error>;

    fn visit<F: Fact>(self) -> Self::Output {
        serde_json::from_value::<F>(self.0).map(Into::into)
    }
}
