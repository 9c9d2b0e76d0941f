//! Blacks out what must not be printed.

use serde_json::Value;

const REDACTED: &str = "[redacted]";
/// A key that contains one of these is secret.
const SECRET_WORDS: [&str; 4] = ["password", "secret", "private", "credential"];

/// Replaces secret values, and the password inside any URL that carries one.
pub(super) fn redact(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (key, member) in members.iter_mut() {
                if SECRET_WORDS.iter().any(|word| key.contains(word)) && !member.is_object() {
                    *member = Value::from(REDACTED);
                } else {
                    redact(member);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::String(text) => {
            if let Some(hidden) = without_password(text) {
                *text = hidden;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// `postgres://user:secret@host/db` with the secret blacked out; `None` when there is none.
fn without_password(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(authority_end)?;
    let (userinfo, host) = authority.rsplit_once('@')?;
    let (user, _password) = userinfo.split_once(':')?;
    Some(format!("{scheme}://{user}:{REDACTED}@{host}{path}"))
}
