//! Password hashing, token signing, sealing.

mod hasher;
mod issuer;
mod keys;
mod refresh_token;
mod sealed_answer;
mod sealing;

pub(crate) use hasher::{Hasher, HasherError, PasswordHash, Place, Verdict};
pub(crate) use issuer::{Issuer, Signer, TokenGrant};
pub(crate) use keys::{SigningKeyPair, VerifyingKey, key_set};
pub(crate) use refresh_token::RefreshToken;
pub(crate) use sealed_answer::AnswerSealing;
pub(crate) use sealing::{KeyEncryption, OpenError, SealedSeed};
