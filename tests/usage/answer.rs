//! What was printed, held against what a document says: `…` stands for anything within a line, and alone on a line for
//! one line or more.

const ANYTHING: char = '…';

/// Where they part: the number of a line of the expected text, from 0.
pub(crate) fn parting(expected: &str, printed: &str) -> Option<usize> {
    let expected: Vec<&str> = expected.trim_end().lines().collect();
    let printed: Vec<&str> = printed.trim_end().lines().collect();
    parts(&expected, &printed).err()
}

/// How many lines of what is expected are met, where it is not all.
fn parts(expected: &[&str], printed: &[&str]) -> Result<(), usize> {
    match (expected.split_first(), printed.split_first()) {
        (None, None) => Ok(()),
        (Some((line, rest)), Some((_, left))) if line.trim().chars().eq([ANYTHING]) => parts(rest, left)
            .map_err(|met| met + 1)
            .or_else(|one| parts(expected, left).map_err(|more| more.max(one))),
        (Some((line, rest)), Some((found, left))) if is_met(line, found) => {
            parts(rest, left).map_err(|met| met + 1)
        }
        (Some(_) | None, Some(_) | None) => Err(0),
    }
}

fn is_met(line: &str, found: &str) -> bool {
    let Some((head, rest)) = line.split_once(ANYTHING) else {
        return line == found;
    };
    found.strip_prefix(head).is_some_and(|left| {
        let behind = left
            .char_indices()
            .map(|(at, letter)| &left[at + letter.len_utf8()..]);
        behind.into_iter().any(|left| is_met(rest, left))
    })
}

#[test]
fn what_varies_is_anything_but_nothing() {
    for (expected, printed, parts_at) in [
        ("a\nb", "a\nb\n", None),
        ("a\nb", "a\nc", Some(1)),
        ("a", "a\nb", Some(1)),
        ("a\nb", "a", Some(1)),
        ("", "", None),
        ("", "a", Some(0)),
        ("id: …, n: …", "id: 7, n: 8", None),
        ("id: …", "id: ", Some(0)),
        ("\"…\"", "\"ä\"", None),
        ("a\n…\nz", "a\nb\nc\nz", None),
        ("a\n…\nz", "a\nz", Some(2)),
        ("a\n…\ny\nz", "a\nb\ny\nx", Some(3)),
    ] {
        assert_eq!(parting(expected, printed), parts_at, "{expected:?} {printed:?}");
    }
}
