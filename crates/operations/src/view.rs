//! Letters as operators see them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use messaging::operations::Letter;
use serde_json::{Value, json};

/// A letter in a list.
pub(crate) fn summary(letter: &Letter) -> Value {
    json!({
        "id": letter.id,
        "state": letter.state,
        "kind": letter.kind,
        "name": letter.name,
        "key": letter.key.as_deref().map(String::from_utf8_lossy),
        "event_id": letter.event_id,
        "attempts": letter.attempts,
        "deaths": letter.deaths,
        "error": {
            "class": letter.error_class,
            "message": letter.error_message,
            "fingerprint": letter.error_fingerprint,
        },
        "first_failed_at": letter.first_failed_at,
        "last_failed_at": letter.last_failed_at,
        "superseded_by": letter.superseded_by,
        "job_id": letter.job_id,
        "created_at": letter.created_at,
        "updated_at": letter.updated_at,
    })
}

/// A letter with all that is known of it.
pub(crate) fn whole(letter: &Letter, history: Vec<Value>) -> Value {
    let mut view = summary(letter);
    let payload = letter.payload.as_deref();
    let more = json!({
        "headers": letter.headers,
        "payload": payload.and_then(|payload| serde_json::from_slice::<Value>(payload).ok()),
        "payload_base64": payload.map(|payload| STANDARD.encode(payload)),
        "origin": {
            "topic": letter.origin_topic,
            "partition": letter.origin_partition,
            "offset": letter.origin_offset,
            "timestamp": letter.origin_timestamp,
        },
        "history": history,
    });
    if let (Value::Object(view), Value::Object(more)) = (&mut view, more) {
        view.extend(more);
    }
    view
}
