//! What a password must be like.

/// Fewest characters.
pub const LENGTH_MIN: usize = 12;
/// Most characters.
pub const LENGTH_MAX: usize = 128;

/// Why a password is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too easy to guess.
    #[error("is shorter than {LENGTH_MIN} characters")]
    TooShort,
    /// More than anyone types, or a denial of service.
    #[error("is longer than {LENGTH_MAX} characters")]
    TooLong,
}

/// Length is the only rule (NIST 800-63B): no rule of composition makes people choose better ones. The
/// password is kept as it came.
///
/// # Errors
/// When it is too short or too long.
pub fn check(password: &str) -> Result<(), PasswordError> {
    match password.chars().count() {
        ..LENGTH_MIN => Err(PasswordError::TooShort),
        LENGTH_MIN..=LENGTH_MAX => Ok(()),
        _ => Err(PasswordError::TooLong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_count_not_bytes() {
        assert_eq!(check("elevenchars"), Err(PasswordError::TooShort));
        assert_eq!(check("twelve chars"), Ok(()));
        assert_eq!(check(&"ü".repeat(128)), Ok(()));
        assert_eq!(check(&"x".repeat(129)), Err(PasswordError::TooLong));
    }
}
