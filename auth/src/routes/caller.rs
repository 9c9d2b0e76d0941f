//! The caller's account as it is now: a token outlives its login by some minutes, and says what its user was.

use chassis::auth::Principal;
use chassis::clock;
use chassis::problem::{Code, Problem};

use crate::crypto::PasswordHash;
use crate::domain::{Role, User};
use crate::store::{self, Conn};

/// The caller's account, with the hash of its password.
///
/// # Errors
/// 401 when the login has ended, or the account is gone or disabled.
pub(super) async fn account(conn: &mut Conn, caller: &Principal) -> Result<(User, PasswordHash), Problem> {
    store::users::of_live_session(conn, caller.user_id, caller.session_id, clock::now())
        .await?
        .ok_or_else(over)
}

/// The caller's account, an admin's.
///
/// # Errors
/// As [`account`]; 403 when it is no admin's any more.
pub(super) async fn admin(conn: &mut Conn, caller: &Principal) -> Result<User, Problem> {
    let (user, _hash) = account(conn, caller).await?;
    match user.role {
        Role::Admin => Ok(user),
        Role::Customer => Err(Problem::new(Code::Forbidden).detail("this needs the role admin")),
    }
}

/// The answer to a caller whose login is over.
pub(super) fn over() -> Problem {
    Problem::new(Code::Unauthenticated).detail("the login is over, or the account is gone or disabled")
}
