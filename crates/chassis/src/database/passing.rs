//! Whose fault an error of the database is, told by its SQLSTATE. Some pass by themselves: the server went away or is
//! coming back, somebody else held what was needed, or was faster; who tries again may well succeed. Some are the data's:
//! nobody will succeed.

use diesel::result::{DatabaseErrorKind, Error};

use super::sqlstate::SqlState;

/// Classes whose every error passes: the connection, a transaction that has to be run again, resources that are short,
/// an operator's intervention (a statement's timeout is one), the server's own files.
const PASSING_CLASSES: [&str; 5] = ["08", "40", "53", "57", "58"];

/// Errors that pass out of classes that do not: a server that takes no writes, a transaction that stood still or went on
/// for too long, a prepared statement that is gone, an object in use, a lock not had in time.
const PASSING: [&str; 6] = ["25006", "25P03", "25P04", "26000", "55006", "55P03"];

/// Classes whose every error is the data's: values, and constraints.
const DATA_CLASSES: [&str; 2] = ["22", "23"];

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
    ) || state_of(error).is_some_and(|state| DATA_CLASSES.contains(&state.class()))
}

/// Whether the same may succeed in a moment, on another connection if need be.
#[must_use]
pub fn is_passing(error: &Error) -> bool {
    if let Error::RollbackErrorOnCommit { commit_error, .. } = error {
        return is_passing(commit_error);
    }
    let Error::DatabaseError(kind, _) = error else {
        return matches!(error, Error::BrokenTransactionManager);
    };
    let broken_off = matches!(
        kind,
        DatabaseErrorKind::UnableToSendCommand
            | DatabaseErrorKind::ClosedConnection
            | DatabaseErrorKind::SerializationFailure
            | DatabaseErrorKind::ReadOnlyTransaction
    );
    broken_off
        || state_of(error).is_some_and(|state| {
            state.stale_plan || PASSING_CLASSES.contains(&state.class()) || PASSING.contains(&state.code)
        })
}

/// The error's SQLSTATE, where it came from a server over a connection that this module opened.
#[must_use]
pub fn sqlstate(error: &Error) -> Option<&str> {
    state_of(error).map(|state| state.code)
}

fn state_of(error: &Error) -> Option<SqlState<'_>> {
    let Error::DatabaseError(_, information) = error else {
        return None;
    };
    SqlState::of(information.message())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(message: &str) -> Error {
        Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message.to_owned()))
    }

    #[test]
    fn the_code_decides_and_not_the_text() {
        for passes in [
            "[57014] storniere Anfrage wegen Zeitüberschreitung der Anfrage",
            "[57P01] breche Verbindung ab aufgrund von Anweisung des Administrators",
            "[57P03] das Datenbanksystem kommt hoch",
            "[40P01] Verklemmung (Deadlock) entdeckt",
            "[55P03] konnte Sperre nicht setzen",
            "[53100] konnte Datei nicht erweitern",
            "[25006] kann INSERT nicht in einer Read-Only-Transaktion ausführen",
            "[0A000 stale plan] gecachter Plan darf den Ergebnistyp nicht ändern",
        ] {
            assert!(is_passing(&error(passes)), "{passes}");
            assert!(!is_of_data(&error(passes)), "{passes}");
        }
        for stays in [
            "[0A000] not supported",
            "[42P01] Relation »x« existiert nicht",
            "canceling statement due to statement timeout",
        ] {
            assert!(!is_passing(&error(stays)), "{stays}");
            assert!(!is_of_data(&error(stays)), "{stays}");
        }
        assert!(is_of_data(&error("[22003] bigint zu lang")));
        assert_eq!(sqlstate(&error("[40P01] deadlock detected")), Some("40P01"));
    }
}
