//! How an error's SQLSTATE comes to where errors are told apart: diesel keeps it for a few kinds only and the text besides,
//! and the text is in the server's language. So the code is written in front of the text while the error is on its way
//! from the server, `[57014] storniere Anfrage wegen Zeitüberschreitung der Anfrage`, and read there again.

/// The fields of an error that matter here.
const CODE: u8 = b'C';
const MESSAGE: u8 = b'M';
const ROUTINE: u8 = b'R';
/// Where PostgreSQL finds that a prepared statement no longer gives the rows that it was prepared for. It has the code of
/// whatever else it does not do.
const REVALIDATE: &str = "RevalidateCachedQuery";
const UNSUPPORTED: &str = "0A000";
/// Behind the code, in an error of that kind.
const STALE_PLAN: &str = "stale plan";

/// Whether an error is of a kind that its connection will never get over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoils {
    /// The connection is as good as before.
    Nothing,
    /// This connection is of no use any more.
    Connection,
    /// And neither are those that are as old.
    Generation,
}

/// What a server's error says, with its code written in front of it. None when it is none.
pub(super) fn annotate(error: &[u8]) -> Option<(Vec<u8>, Spoils)> {
    let (tag, rest) = error.split_first()?;
    let body = rest.get(4..)?;
    let fields: Vec<(u8, &[u8])> = body
        .split(|byte| *byte == 0)
        .map_while(|field| field.split_first().map(|(kind, text)| (*kind, text)))
        .collect();
    let text_of = |kind| {
        let of_kind = fields.iter().find(|(field, _)| *field == kind)?;
        std::str::from_utf8(of_kind.1).ok()
    };
    let code = text_of(CODE).filter(|code| is_code(code))?;
    let stale_plan = code == UNSUPPORTED && text_of(ROUTINE) == Some(REVALIDATE);
    let mut annotated = Vec::with_capacity(error.len() + 20);
    for (kind, text) in &fields {
        annotated.push(*kind);
        if *kind == MESSAGE {
            let mark = match stale_plan {
                true => format!("[{code} {STALE_PLAN}] "),
                false => format!("[{code}] "),
            };
            annotated.extend_from_slice(mark.as_bytes());
        }
        annotated.extend_from_slice(text);
        annotated.push(0);
    }
    annotated.push(0);
    let length = u32::try_from(annotated.len()).ok()?.checked_add(4)?;
    let whole = [&[*tag], length.to_be_bytes().as_slice(), &annotated].concat();
    Some((whole, spoils(code, stale_plan)))
}

fn spoils(code: &str, stale_plan: bool) -> Spoils {
    match code {
        // the server no longer takes writes: who connects anew is led to the one that does
        "25006" => Spoils::Generation,
        _ if stale_plan => Spoils::Generation,
        // a prepared statement is gone: somebody gave the session to another client in between
        "26000" => Spoils::Connection,
        _ if code.starts_with("57P") || code.starts_with("08") => Spoils::Connection,
        _ => Spoils::Nothing,
    }
}

fn is_code(code: &str) -> bool {
    code.len() == 5
        && code
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
}

/// What was written in front of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SqlState<'a> {
    /// Five characters; the first two are the class.
    pub(super) code: &'a str,
    /// A prepared statement no longer gives the rows that it was prepared for.
    pub(super) stale_plan: bool,
}

impl<'a> SqlState<'a> {
    /// Reads it out of a text.
    pub(super) fn of(message: &'a str) -> Option<Self> {
        let (code, more) = message
            .strip_prefix('[')?
            .split_once("] ")?
            .0
            .split_at_checked(5)?;
        let stale_plan = more.trim_start() == STALE_PLAN;
        let known = is_code(code) && (stale_plan || more.is_empty());
        known.then_some(Self { code, stale_plan })
    }

    /// The first two characters.
    pub(super) fn class(&self) -> &'a str {
        self.code.get(..2).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(fields: &[&str]) -> Vec<u8> {
        let mut body: Vec<u8> = fields
            .iter()
            .flat_map(|field| [field.as_bytes(), &[0]].concat())
            .collect();
        body.push(0);
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [b"E", length.as_slice(), &body].concat()
    }

    #[test]
    fn the_code_stands_in_front_of_the_text() {
        let german = [
            "SFEHLER",
            "VERROR",
            "C57014",
            "Mstorniere Anfrage",
            "RProcessInterrupts",
        ];
        let (annotated, spoils) = annotate(&error(&german)).unwrap();
        let expected = [
            "SFEHLER",
            "VERROR",
            "C57014",
            "M[57014] storniere Anfrage",
            "RProcessInterrupts",
        ];
        assert_eq!(annotated, error(&expected));
        assert_eq!(spoils, Spoils::Nothing);
        let read = SqlState::of("[57014] storniere Anfrage").unwrap();
        assert_eq!((read.code, read.class(), read.stale_plan), ("57014", "57", false));
    }

    #[test]
    fn a_stale_plan_is_not_just_anything_unsupported() {
        let stale = error(&["C0A000", "Mim gecachten Plan", "RRevalidateCachedQuery"]);
        let (annotated, spoils) = annotate(&stale).unwrap();
        assert_eq!(spoils, Spoils::Generation);
        let expected = [
            "C0A000",
            "M[0A000 stale plan] im gecachten Plan",
            "RRevalidateCachedQuery",
        ];
        assert_eq!(annotated, error(&expected));
        assert!(
            SqlState::of("[0A000 stale plan] im gecachten Plan")
                .unwrap()
                .stale_plan
        );
        let other = error(&["C0A000", "Mnot supported", "RtransformStmt"]);
        assert_eq!(annotate(&other).unwrap().1, Spoils::Nothing);
        assert!(!SqlState::of("[0A000] not supported").unwrap().stale_plan);
    }

    #[test]
    fn what_is_no_code_is_none() {
        assert_eq!(annotate(&error(&["Mno code"])), None);
        assert_eq!(annotate(b"E"), None);
        for text in ["deadlock detected", "[x] y", "[57014 more] text", "[57014]"] {
            assert_eq!(SqlState::of(text), None, "{text}");
        }
    }
}
