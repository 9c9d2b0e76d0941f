//! `session.revoked` into the list of logins that ended.

use contracts::events::SessionRevoked;
use contracts::{Context, NoAction, Reaction, Step, Transition};
use messaging::Participant;

use crate::domain::revocation::Revocation;
use crate::store::revocations::RevocationRepository;

/// Listens to logins that end.
#[must_use]
pub fn participant(repository: RevocationRepository) -> Participant<RevocationRepository> {
    Participant::new(repository).on(remember)
}

fn remember(
    known: Option<Revocation>,
    fact: &SessionRevoked,
    _context: &Context,
) -> Reaction<Revocation, NoAction> {
    let revocation = Revocation::from(fact.clone());
    match known {
        Some(known) if known == revocation => Ok(Step::Unchanged),
        Some(_) | None => Ok(Transition::to(revocation).into()),
    }
}
