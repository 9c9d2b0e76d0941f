//! E-mail addresses in one canonical form, so that an account has no twins.

use std::borrow::Cow;
use std::fmt;

use unicode_normalization::UnicodeNormalization;

/// Longest address (RFC 5321, with its angle brackets taken off).
const LENGTH_MAX: usize = 254;
/// Longest text looked at, in bytes: an address in wide characters takes four times its length.
const RECEIVED_LENGTH_MAX: usize = 4 * LENGTH_MAX;
/// Longest part before the `@`.
const LOCAL_LENGTH_MAX: usize = 64;
/// Longest label of a domain name.
const LABEL_LENGTH_MAX: usize = 63;

/// A well-formed address in canonical form: compatibility characters replaced by what they stand for (Unicode
/// NFKC), lower case. What is then still outside ASCII is refused, which leaves no room for look-alikes; an
/// international domain is written in its ASCII form. Nothing is trimmed. The canonical form is the only one that
/// is kept, shown and written to, so that it cannot differ from the one that was compared.
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
        if text.len() > RECEIVED_LENGTH_MAX {
            return Err(EmailError::TooLong);
        }
        let canonical = canonical(text);
        if canonical.len() > LENGTH_MAX {
            return Err(EmailError::TooLong);
        }
        let (local, domain) = canonical.rsplit_once('@').ok_or(EmailError::Malformed)?;
        if is_local(local) && is_domain(domain) {
            Ok(Self(canonical))
        } else {
            Err(EmailError::Malformed)
        }
    }

    /// What is before the `@`.
    #[must_use]
    pub fn local(&self) -> &str {
        self.0.rsplit_once('@').map_or(&self.0, |(local, _domain)| local)
    }

    /// What is behind the `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_local, domain)| domain)
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

/// The form in which whatever was sent as an address is compared: the canonical one, unless the text is longer than any
/// address. Such a text is no account's, and not worth the work.
#[must_use]
pub fn compared(text: &str) -> Cow<'_, str> {
    if text.len() > RECEIVED_LENGTH_MAX {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(canonical(text))
    }
}

/// The canonical form of any text: Unicode NFKC, lower case. It is its own canonical form.
#[must_use]
pub fn canonical(text: &str) -> String {
    let lower = |text: &str| text.nfkc().flat_map(char::to_lowercase).collect::<String>();
    // The lower case of a few characters is not in NFKC again, and the NFKC of a few not in lower case.
    let mut canonical = lower(text);
    for _ in 0..2 {
        canonical = lower(&canonical);
    }
    canonical.nfkc().collect()
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
mod tests;
