//! The id that a request is known by in logs and answers.

/// Longest request id that is taken from a client.
const LENGTH_MAX: usize = 64;

/// Whether a client's `X-Request-Id` may be kept: 1 to 64 letters, digits, `-`, `_` or `.`. Anything else
/// could forge log lines or headers, and is replaced by an id of our own.
#[must_use]
pub fn is_acceptable(id: &str) -> bool {
    (1..=LENGTH_MAX).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::is_acceptable;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_kept_can_stand_in_a_header_and_in_a_log_line(id in ".{0,80}|[a-zA-Z0-9._-]{0,80}") {
            if is_acceptable(&id) {
                prop_assert!(id.len() <= 64 && id.is_ascii());
                let telling = |c: char| c.is_whitespace() || c.is_control() || "\"'\\{}".contains(c);
                let misread = id.contains(telling);
                prop_assert!(!misread);
            }
        }
    }

    #[test]
    fn usual_ids_are_kept() {
        for id in [
            "a",
            "01936d9a-7c00-7000-8000-000000000001",
            "req_42.retry-1",
            &"x".repeat(64),
        ] {
            assert!(is_acceptable(id), "{id}");
        }
    }

    #[test]
    fn what_could_be_misread_is_not() {
        for id in ["", " ", "a b", "a\nb", "{\"a\":1}", "é", "a=b", &"x".repeat(65)] {
            assert!(!is_acceptable(id), "{id:?}");
        }
    }
}
