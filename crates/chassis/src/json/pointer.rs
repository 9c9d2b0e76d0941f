//! JSON pointers (RFC 6901).

use std::fmt::Write;

use serde_path_to_error::{Path, Segment};

/// The pointer of a deserializer's path.
pub(super) fn of_path(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => {
                let _infallible = write!(pointer, "/{index}");
            }
            Segment::Map { key } => push(&mut pointer, key),
            Segment::Enum { variant } => push(&mut pointer, variant),
            Segment::Unknown => {}
        }
    }
    pointer
}

/// The pointer of a path written `items[0].quantity`.
pub(super) fn of_dotted(path: &str) -> String {
    let mut pointer = String::new();
    for part in path.split(['.', '[']).filter(|part| !part.is_empty()) {
        push(&mut pointer, part.trim_end_matches(']'));
    }
    pointer
}

/// The pointer of a member of what `pointer` points at.
#[must_use]
pub fn below(pointer: &str, key: &str) -> String {
    let mut pointer = pointer.to_owned();
    push(&mut pointer, key);
    pointer
}

fn push(pointer: &mut String, key: &str) {
    pointer.push('/');
    for c in key.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::of_dotted;

    #[test]
    fn dots_and_brackets_become_slashes() {
        assert_eq!(of_dotted("items[0].quantity"), "/items/0/quantity");
        assert_eq!(of_dotted("email"), "/email");
        assert_eq!(of_dotted(""), "");
    }
}
