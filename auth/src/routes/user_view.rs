//! A user as the interface shows one.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::{Role, User};

/// A user.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserView {
    /// The user's id.
    user_id: Uuid,
    /// The canonical e-mail address.
    email: String,
    /// What the user wants to be called.
    display_name: Option<String>,
    /// What the user may do.
    role: RoleView,
    /// Whether the user is kept out.
    disabled: bool,
    /// When the user registered.
    created_at: DateTime<Utc>,
}

/// What a user may do.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Role)]
pub(crate) enum RoleView {
    /// Orders, and sees what is their own.
    Customer,
    /// Operates the platform.
    Admin,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            user_id: user.id.uuid(),
            email: user.email.as_str().to_owned(),
            display_name: user.display_name,
            role: user.role.into(),
            disabled: user.disabled,
            created_at: user.created_at,
        }
    }
}

impl From<Role> for RoleView {
    fn from(role: Role) -> Self {
        match role {
            Role::Customer => Self::Customer,
            Role::Admin => Self::Admin,
        }
    }
}

impl From<RoleView> for Role {
    fn from(view: RoleView) -> Self {
        match view {
            RoleView::Customer => Self::Customer,
            RoleView::Admin => Self::Admin,
        }
    }
}
