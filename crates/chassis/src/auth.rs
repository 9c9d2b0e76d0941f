//! Who is calling: bearer tokens, verified.

mod cache;
mod jwks;
mod principal;
mod verifier;

pub use jwks::{FetchKeys, KeySource, KeysUnavailable};
pub(crate) use principal::decided;
pub use principal::{AdminPrincipal, Principal, Role};
pub use verifier::{Claims, IsRevoked, TokenError, TokenVerifier};
