//! Facts of the auth service.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ids::UserId;

/// An account was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserRegistered {
    /// The new user.
    pub user_id: UserId,
    /// Where to reach the user.
    pub email: String,
    /// What the user wants to be called.
    pub display_name: Option<String>,
}

/// Logins ended before their tokens expired: access tokens issued up to `revoked_at` no longer count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionRevoked {
    /// Whose login.
    pub user_id: UserId,
    /// The login that ended; absent when all of the user's did.
    pub session_id: Option<Uuid>,
    /// When.
    pub revoked_at: DateTime<Utc>,
    /// Why.
    pub reason: RevocationReason,
}

/// Why a login ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RevocationReason {
    /// The user logged out.
    Logout,
    /// The password was changed.
    PasswordChanged,
    /// The account was disabled or lost a role.
    AccountChanged,
    /// A spent refresh token was used again.
    TokenReuse,
}
