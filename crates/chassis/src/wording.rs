//! What is wrong with an input, in plain words: those of the libraries that read it speak of Rust.

use serde_json::Value;

/// Whole numbers, by the names of their types.
const WHOLE: [&str; 12] = [
    "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64", "u128", "usize",
];

/// What serde says is wrong with a value.
pub(crate) fn of_type(message: &str) -> String {
    let message = without_position(message);
    if message.starts_with("missing field") {
        return "is missing".to_owned();
    }
    if message.starts_with("duplicate field") {
        return "is there more than once".to_owned();
    }
    if message.starts_with("unknown field") {
        return match names_of(message) {
            known if known.is_empty() => "is not known; there are no members here".to_owned(),
            known => format!("is not known; known are {}", known.join(", ")),
        };
    }
    if message.starts_with("unknown variant") {
        return format!("must be one of {}", names_of(message).join(", "));
    }
    let expected = ["invalid type: ", "invalid value: ", "invalid length "]
        .iter()
        .any(|kind| message.starts_with(kind))
        .then(|| message.rsplit_once(", expected "))
        .flatten();
    match expected {
        Some((_, expected)) => format!("must be {}", thing(expected)),
        None => message.to_owned(),
    }
}

/// The name in a message such as "unknown field `price`, expected …".
pub(crate) fn named(message: &str) -> Option<&str> {
    message.split('`').nth(1)
}

/// What a text that is to become something else must be: what serde says of a query's parameter, or what a parser does.
pub(crate) fn of_text(message: &str) -> String {
    match message {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            "must be a whole number".to_owned()
        }
        "number too large to fit in target type" | "number too small to fit in target type" => {
            "is out of range".to_owned()
        }
        "provided string was not `true` or `false`" => "must be true or false".to_owned(),
        text if text.starts_with("UUID parsing failed") || is_about_uuid(text) => "must be a UUID".to_owned(),
        text if text.starts_with("premature end of input")
            || text.starts_with("input contains invalid characters")
            || text.starts_with("input is out of range") =>
        {
            "must be a time as in 2026-11-30T12:00:00Z".to_owned()
        }
        other => of_type(other),
    }
}

fn is_about_uuid(text: &str) -> bool {
    text.starts_with("invalid character: ")
        || text.starts_with("invalid length: ")
        || text.starts_with("invalid group")
}

/// What garde says of a value that breaks a rule.
pub(crate) fn of_rule(message: &str, value: Option<&Value>) -> String {
    let bound = |prefix: &str| message.strip_prefix(prefix);
    let is_list = value.is_some_and(Value::is_array);
    if let Some(min) = bound("length is lower than ") {
        return match (is_list, min) {
            (true, "1") => "must contain at least one item".to_owned(),
            (true, min) => format!("must contain at least {min} items"),
            (false, "1") => "must not be empty".to_owned(),
            (false, min) => format!("must have at least {min} characters"),
        };
    }
    if let Some(max) = bound("length is greater than ") {
        let things = if is_list { "items" } else { "characters" };
        return format!("must have at most {max} {things}");
    }
    if let Some(min) = bound("lower than ") {
        return format!("must be at least {min}");
    }
    if let Some(max) = bound("greater than ") {
        return format!("must be at most {max}");
    }
    message.to_owned()
}

/// serde_json ends its messages with a position, which the pointer says better.
fn without_position(message: &str) -> &str {
    message.rsplit_once(" at line ").map_or(message, |(text, _)| text)
}

/// Names in a message's list of what was expected.
fn names_of(message: &str) -> Vec<&str> {
    let expected = message
        .split_once(", expected ")
        .map_or("", |(_, expected)| expected);
    expected.split('`').skip(1).step_by(2).collect()
}

fn thing(expected: &str) -> String {
    if WHOLE.contains(&expected) {
        return "a whole number".to_owned();
    }
    match expected {
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "an array".to_owned(),
        "a map" => "a JSON object".to_owned(),
        text if text.starts_with("struct ") || text.starts_with("tuple struct ") => {
            "a JSON object".to_owned()
        }
        text if text.starts_with("UUID")
            || text.starts_with("a UUID")
            || text.starts_with("a formatted UUID") =>
        {
            "a UUID".to_owned()
        }
        text if text.starts_with("an RFC 3339") || text.contains("formatted date and time") => {
            "a time as in 2026-11-30T12:00:00Z".to_owned()
        }
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn types_and_names_are_told_without_rust() {
        for (message, words) in [
            (
                "invalid type: string \"2\", expected i32",
                "must be a whole number",
            ),
            (
                "invalid type: floating point `1.5`, expected u64 at line 1 column 2",
                "must be a whole number",
            ),
            (
                "invalid value: integer `-1`, expected u32",
                "must be a whole number",
            ),
            (
                "invalid type: sequence, expected struct RegisterRequest",
                "must be a JSON object",
            ),
            ("invalid type: map, expected a string", "must be a string"),
            (
                "invalid type: integer `1`, expected a boolean",
                "must be true or false",
            ),
            ("invalid type: null, expected a sequence", "must be an array"),
            ("missing field `sku` at line 1 column 2", "is missing"),
            (
                "unknown variant `x`, expected `approve` or `decline`",
                "must be one of approve, decline",
            ),
            (
                "unknown variant `x`, expected one of `a`, `b`, `c`",
                "must be one of a, b, c",
            ),
            (
                "unknown field `x`, expected `sku` or `quantity`",
                "is not known; known are sku, quantity",
            ),
            (
                "must not contain the character U+0000",
                "must not contain the character U+0000",
            ),
        ] {
            assert_eq!(of_type(message), words);
        }
        assert_eq!(of_text("invalid digit found in string"), "must be a whole number");
        let no_uuid = uuid::Uuid::parse_str("abc").unwrap_err().to_string();
        assert_eq!(of_text(&no_uuid), "must be a UUID", "{no_uuid}");
    }

    #[test]
    fn rules_speak_of_items_and_characters() {
        let (list, text) = (json!([]), json!(""));
        assert_eq!(
            of_rule("length is lower than 1", Some(&list)),
            "must contain at least one item"
        );
        assert_eq!(
            of_rule("length is lower than 1", Some(&text)),
            "must not be empty"
        );
        assert_eq!(
            of_rule("length is greater than 100", Some(&list)),
            "must have at most 100 items"
        );
        assert_eq!(of_rule("lower than 1", Some(&json!(0))), "must be at least 1");
        assert_eq!(of_rule("greater than 10000", None), "must be at most 10000");
        assert_eq!(of_rule("is blank", None), "is blank");
    }
}
