//! E-mail addresses in one canonical form, so that an account has no twins.

use std::fmt;

/// Longest address (RFC 5321, with its angle brackets taken off).
const LENGTH_MAX: usize = 254;
/// Longest part before the `@`.
const LOCAL_LENGTH_MAX: usize = 64;
/// Longest label of a domain name.
const LABEL_LENGTH_MAX: usize = 63;

/// A well-formed address in canonical form: ASCII, lower case. Addresses outside ASCII are refused, which
/// leaves no room for look-alikes; an international domain is written in its ASCII form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

/// Why a text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// Longer than any address.
    #[error("is longer than {LENGTH_MAX} characters")]
    TooLong,
    /// Not of the form `local@domain`.
    #[error("is not an e-mail address")]
    Malformed,
}

impl EmailAddress {
    /// Reads an address and brings it into canonical form.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        if text.len() > LENGTH_MAX {
            return Err(EmailError::TooLong);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(EmailError::Malformed)?;
        if is_local(local) && is_domain(domain) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(EmailError::Malformed)
        }
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A dot-atom (RFC 5322): no quotes, no dot at either end, no two in a row.
fn is_local(text: &str) -> bool {
    let is_atom_char = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    text.len() <= LOCAL_LENGTH_MAX
        && text
            .split('.')
            .all(|atom| !atom.is_empty() && atom.chars().all(is_atom_char))
}

/// At least two labels of letters, digits and inner hyphens.
fn is_domain(text: &str) -> bool {
    text.contains('.') && text.split('.').all(is_label)
}

fn is_label(text: &str) -> bool {
    let is_label_char = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (1..=LABEL_LENGTH_MAX).contains(&text.len())
        && text.chars().all(is_label_char)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_makes_no_twin() {
        assert_eq!(
            EmailAddress::parse("Ada.L+x@Example.ORG").unwrap().as_str(),
            "ada.l+x@example.org"
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "@",
            "ada",
            "ada@",
            "@example.org",
            "ada@example",
            "ada@@example.org",
            "a b@example.org",
            " ada@example.org",
            "ada@example.org ",
            ".ada@example.org",
            "ada.@example.org",
            "a..b@example.org",
            "ada@-example.org",
            "ada@example-.org",
            "ada@example..org",
            "ada@example.org.",
            "àda@example.org",
            "ada@exämple.org",
            "\"a\"@example.org",
            "ada@example.org\n",
            "ada@[127.0.0.1]",
            "ada\0@example.org",
        ] {
            assert_eq!(EmailAddress::parse(text), Err(EmailError::Malformed), "{text:?}");
        }
    }

    #[test]
    fn length_is_bounded() {
        let local = "a".repeat(64);
        assert!(EmailAddress::parse(&format!("{local}@example.org")).is_ok());
        assert_eq!(
            EmailAddress::parse(&format!("a{local}@example.org")),
            Err(EmailError::Malformed)
        );
        assert_eq!(EmailAddress::parse(&"a".repeat(255)), Err(EmailError::TooLong));
    }
}
