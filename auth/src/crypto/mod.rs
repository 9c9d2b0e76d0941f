//! Password hashing and token signing.

mod hasher;
mod issuer;
mod keys;
mod refresh_token;

pub(crate) use hasher::{Hasher, HasherError, PasswordHash};
pub(crate) use issuer::{Issuer, TokenGrant};
pub(crate) use keys::{SigningKeyPair, VerifyingKey, key_set};
pub(crate) use refresh_token::RefreshToken;
