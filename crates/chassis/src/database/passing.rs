//! Whose fault an error of the database is. Some pass by themselves: the server went away or is coming back, somebody else
//! held what was needed, or was faster; who tries again may well succeed. Some are the data's: nobody will succeed.

use diesel::result::{DatabaseErrorKind, Error};

/// How PostgreSQL's messages begin that say so. Diesel keeps no error code of these; the texts are as old as the codes.
const PASSING: [&str; 4] = [
    "terminating connection",
    "the database system is ",
    "canceling statement due to ",
    "deadlock detected",
];

/// Whether it is certainly the data's fault: a constraint, a value that cannot be written or read.
#[must_use]
pub fn is_of_data(error: &Error) -> bool {
    matches!(
        error,
        Error::DatabaseError(
            DatabaseErrorKind::UniqueViolation
                | DatabaseErrorKind::ForeignKeyViolation
                | DatabaseErrorKind::RestrictViolation
                | DatabaseErrorKind::NotNullViolation
                | DatabaseErrorKind::CheckViolation
                | DatabaseErrorKind::ExclusionViolation,
            _,
        ) | Error::SerializationError(_)
            | Error::DeserializationError(_)
            | Error::InvalidCString(_)
    )
}

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
