//! The people of the tests, and tokens that do not hold.

use chassis::auth::Role;
use chassis::test::{TestIssuer, claims};
use contracts::UserId;
use serde_json::json;

pub(crate) const CUSTOMER: &str = "01990000-0000-7000-8000-000000000001";
pub(crate) const STRANGER: &str = "01990000-0000-7000-8000-000000000002";
pub(crate) const ADMIN: &str = "01990000-0000-7000-8000-000000000003";

pub(crate) fn user(id: &str) -> UserId {
    id.parse().unwrap()
}

pub(crate) fn expired(issuer: &TestIssuer) -> String {
    let mut claims = claims(user(CUSTOMER), Role::Customer);
    let now = chassis::clock::now().timestamp();
    claims["exp"] = json!(now - 60);
    issuer.token(&claims).unwrap()
}

/// Signed by somebody else under the same key id.
pub(crate) fn foreign(issuer: &TestIssuer) -> String {
    issuer.forged(&claims(user(CUSTOMER), Role::Customer)).unwrap()
}
