//! One guess of a password: by whom it is made, it counts the same.

use chassis::problem::{Code, Problem};
use secrecy::SecretString;

use crate::app::State;
use crate::crypto::{HasherError, PasswordHash, Place, Verdict};
use crate::throttle::Attempt;

impl From<HasherError> for Problem {
    fn from(error: HasherError) -> Self {
        match error {
            HasherError::Overloaded | HasherError::Late | HasherError::Memory(_) => {
                Self::new(Code::Overloaded).retry_after(2).caused_by(error)
            }
            HasherError::Argon2(_) | HasherError::Panicked(_) | HasherError::Threads(_) => {
                Self::internal(error)
            }
        }
    }
}

/// Compares a password with the stored one. A right one answers with the attempt, which the caller ends, and with its
/// hash by the parameters of today where the stored one has others; a wrong one stays counted.
///
/// `place` is taken before the database is asked for anything, so that a flood of guesses is turned away at once; the
/// caller holds it to the end, so that no more guesses than there are places want connections.
///
/// # Errors
/// 503 when there is too much to do, or no time left: then nothing is counted.
pub(super) async fn judge(
    state: &State,
    place: &Place,
    attempt: Attempt,
    password: SecretString,
    stored: Option<PasswordHash>,
) -> Result<Option<(Attempt, Option<PasswordHash>)>, Problem> {
    match state.hasher.verify(place.clone(), password, stored).await {
        Ok(Verdict::Right { rehashed }) => Ok(Some((attempt, rehashed))),
        Ok(Verdict::Wrong) => {
            state.metrics.failed_logins.inc();
            Ok(None)
        }
        Err(error) => {
            withdraw(state, place.clone(), attempt);
            Err(error.into())
        }
    }
}

/// Takes back what the attempt was charged, beside the answer: that has no time left to wait for the database. The place is
/// held until it is done, so that there are no more of these than places.
fn withdraw(state: &State, place: Place, attempt: Attempt) {
    let bulkhead = state.bulkhead.clone();
    state.tasks.spawn("attempt withdrawn", |_stopping| async move {
        let _place = place;
        let withdrawn = async {
            let (_permit, mut connection) = bulkhead.lend().await?;
            anyhow::Ok(attempt.withdrawn(&mut connection).await?)
        };
        if let Err(error) = withdrawn.await {
            tracing::warn!(
                error.message = format!("{error:#}"),
                "an attempt that nobody judged stays counted"
            );
        }
    });
}
