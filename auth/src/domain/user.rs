//! An account: registered, changed by an admin.

use chrono::{DateTime, Utc};
use contracts::events::{RevocationReason, SessionRevoked, UserRegistered};
use contracts::{Aggregate, Context, Step, Transition, UserId};
use uuid::Uuid;

use super::EmailAddress;

/// Longest display name, in characters.
pub const DISPLAY_NAME_LENGTH_MAX: usize = 100;

/// Most logins whose ends are announced one by one.
pub const ANNOUNCED_MAX: usize = 100;

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Orders, and sees what is their own.
    Customer,
    /// Operates the platform.
    Admin,
}

impl Role {
    /// Its name in rows and tokens.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Admin => "admin",
        }
    }

    /// The role of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "customer" => Some(Self::Customer),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Where to reach the user; also the name to log in with.
    pub email: EmailAddress,
    /// What the user wants to be called.
    pub display_name: Option<String>,
    /// What the user may do.
    pub role: Role,
    /// Whether the user is kept out.
    pub disabled: bool,
    /// Number of the last event announced about this user.
    pub event_sequence: u64,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl Aggregate for User {
    fn next_sequence(&mut self) -> u64 {
        self.event_sequence = self.event_sequence.saturating_add(1);
        self.event_sequence
    }
}

/// What an admin wants of an account; what is `None` stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Change {
    /// The role to give.
    pub role: Option<Role>,
    /// Whether to keep the user out.
    pub disabled: Option<bool>,
}

/// Why a change is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// An admin who did this would be locked out, perhaps as the last one.
    #[error("an admin cannot disable or demote their own account")]
    OwnAccount,
}

impl User {
    /// A new account.
    #[must_use]
    pub fn register(
        email: EmailAddress,
        display_name: Option<String>,
        role: Role,
        context: &Context,
    ) -> Transition<Self> {
        let registered = UserRegistered {
            user_id: UserId::new(context.fresh_id),
            email: email.as_str().to_owned(),
            display_name: display_name.clone(),
        };
        let user = Self {
            id: registered.user_id,
            email,
            display_name,
            role,
            disabled: false,
            event_sequence: 0,
            created_at: context.now,
            updated_at: context.now,
        };
        Transition::to(user).announce(registered)
    }

    /// Changes the account on an admin's behalf. A user who is disabled or whose role changes loses the access
    /// tokens issued so far.
    ///
    /// # Errors
    /// When the admin would lock themselves out.
    pub fn change(
        &self,
        change: Change,
        admin: UserId,
        context: &Context,
    ) -> Result<Step<Self>, ChangeError> {
        let role = change.role.unwrap_or(self.role);
        let disabled = change.disabled.unwrap_or(self.disabled);
        if role == self.role && disabled == self.disabled {
            return Ok(Step::Unchanged);
        }
        if self.id == admin && (disabled || role != Role::Admin) {
            return Err(ChangeError::OwnAccount);
        }
        let loses_tokens = role != self.role || (disabled && !self.disabled);
        let changed = Self {
            role,
            disabled,
            updated_at: context.now,
            ..self.clone()
        };
        if loses_tokens {
            Ok(changed
                .revoking(None, RevocationReason::AccountChanged, context)
                .into())
        } else {
            Ok(Transition::to(changed).into())
        }
    }

    /// Announces that a login ended, or all of them.
    #[must_use]
    pub fn revoking(
        self,
        session_id: Option<Uuid>,
        reason: RevocationReason,
        context: &Context,
    ) -> Transition<Self> {
        self.revoking_each([session_id], reason, context)
    }

    /// Announces that these logins ended; of more than [`ANNOUNCED_MAX`], that all did: a login that goes on then needs
    /// another access token, and gets it for its refresh token.
    #[must_use]
    pub fn revoking_some(
        self,
        sessions: &[Uuid],
        reason: RevocationReason,
        context: &Context,
    ) -> Transition<Self> {
        if sessions.len() > ANNOUNCED_MAX {
            return self.revoking(None, reason, context);
        }
        self.revoking_each(sessions.iter().copied().map(Some), reason, context)
    }

    fn revoking_each(
        self,
        sessions: impl IntoIterator<Item = Option<Uuid>>,
        reason: RevocationReason,
        context: &Context,
    ) -> Transition<Self> {
        let (user_id, revoked_at) = (self.id, context.now);
        let facts: Vec<SessionRevoked> = sessions
            .into_iter()
            .map(|session_id| SessionRevoked {
                user_id,
                session_id,
                revoked_at,
                reason,
            })
            .collect();
        facts.into_iter().fold(Transition::to(self), Transition::announce)
    }
}

#[cfg(test)]
mod tests;
