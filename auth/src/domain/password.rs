//! What a password must be like.
//!
//! Length is the first rule (NIST 800-63B-4, OWASP ASVS 5 section 6.2): no rule of composition makes people choose
//! better ones. Then those are refused that are guessed first: common ones, those made of repetitions, sequences and
//! keyboard walks, and the account's own name. Nothing is trimmed; what counts is the form of [`prepared`].

mod common;
mod prepared;
mod trivial;

pub use prepared::prepared;

use super::EmailAddress;
use super::email::canonical;

/// The lengths a password may have, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Fewest.
    pub length_min: usize,
    /// Most.
    pub length_max: usize,
}

/// Why a password is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too easy to guess.
    #[error("is shorter than {0} characters")]
    TooShort(usize),
    /// More than anyone types, or a denial of service.
    #[error("is longer than {0} characters")]
    TooLong(usize),
    /// Made of repetitions, sequences or neighbours on the keyboard.
    #[error("is a repetition or a sequence")]
    Trivial,
    /// Among the first that anyone tries.
    #[error("is too common")]
    Common,
    /// The account's name, which everybody knows.
    #[error("is part of the e-mail address")]
    OwnName,
}

impl Rules {
    /// Judges a new password of the account with this e-mail address.
    ///
    /// # Errors
    /// When it is refused; the error says why and does not repeat it.
    pub fn check(&self, password: &str, email: &EmailAddress) -> Result<(), PasswordError> {
        let password = &prepared(password);
        let length = password.chars().count();
        if length < self.length_min {
            return Err(PasswordError::TooShort(self.length_min));
        }
        if length > self.length_max {
            return Err(PasswordError::TooLong(self.length_max));
        }
        let compared = canonical(password);
        if [email.as_str(), email.local(), email.domain()].contains(&compared.as_str()) {
            return Err(PasswordError::OwnName);
        }
        if trivial::is_trivial(&compared) {
            return Err(PasswordError::Trivial);
        }
        if common::is_common(&compared) {
            return Err(PasswordError::Common);
        }
        if common::is_built_on(&compared, &names(email)) {
            return Err(PasswordError::OwnName);
        }
        Ok(())
    }
}

/// The names in an address: its local part, its domain, and the domain's labels.
fn names(email: &EmailAddress) -> Vec<&str> {
    let labels = email.domain().split('.');
    [email.local(), email.domain()]
        .into_iter()
        .chain(labels)
        .collect()
}

#[cfg(test)]
mod tests;
