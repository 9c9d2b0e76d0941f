//! Which errors of the database pass by themselves: the server went away or is coming back, somebody else held what was
//! needed, or was faster. Who asks again may well be served, and should be told so (503).

use diesel::result::{DatabaseErrorKind, Error};

/// How PostgreSQL's messages begin that say so. Diesel keeps no error code of these; the texts are as old as the codes.
const PASSING: [&str; 5] = [
    "terminating connection",
    "the database system is ",
    "canceling statement due to ",
    "deadlock detected",
    "sorry, too many clients",
];

/// Whether the same request may succeed in a moment.
pub(super) fn is_passing(error: &Error) -> bool {
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
