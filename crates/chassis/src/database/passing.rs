//! Which errors of the database pass by themselves: the server went away or is coming back, somebody else held what was
//! needed, or was faster. Who tries again may well succeed.

use diesel::result::{DatabaseErrorKind, Error};

/// How PostgreSQL's messages begin that say so. Diesel keeps no error code of these; the texts are as old as the codes.
const PASSING: [&str; 4] = [
    "terminating connection",
    "the database system is ",
    "canceling statement due to ",
    "deadlock detected",
];

/// Whether the same may succeed in a moment.
#[must_use]
pub fn is_passing(error: &Error) -> bool {
    if let Error::RollbackErrorOnCommit { commit_error, .. } = error {
        return is_passing(commit_error);
    }
    let Error::DatabaseError(kind, information) = error else {
        return matches!(error, Error::BrokenTransactionManager);
    };
    let broken_off = matches!(
        kind,
        DatabaseErrorKind::UnableToSendCommand
            | DatabaseErrorKind::ClosedConnection
            | DatabaseErrorKind::SerializationFailure
            | DatabaseErrorKind::ReadOnlyTransaction
    );
    let message = information.message();
    broken_off
        || (matches!(kind, DatabaseErrorKind::Unknown)
            && PASSING.iter().any(|begin| message.starts_with(begin)))
}
