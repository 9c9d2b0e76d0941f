//! An order's timeline as a person reads it.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;

use super::api::{Api, text};
use super::narrator::Narrator;

/// Waits until the timeline of an order holds all `expected` types, prints it, and checks that each event comes
/// after the one that caused it.
pub(super) async fn tell(
    narrator: &mut Narrator,
    customer: &Api,
    order_id: &str,
    expected: &[&str],
) -> anyhow::Result<()> {
    let path = format!("/orders/{order_id}/timeline");
    let complete = |body: &Value| {
        expected
            .iter()
            .all(|wanted| types(body).any(|found| found == *wanted))
    };
    let answer = customer.wait(&path, Duration::from_secs(20), complete).await?;
    narrator.say(format!("its timeline, GET {path}:"));
    let items = answer
        .body
        .pointer("/items")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let mut seen: HashMap<String, String> = HashMap::new();
    let mut causal = true;
    let ids: Vec<&str> = items.iter().map(|item| text(item, "/event_id")).collect();
    for item in &items {
        let cause = text(item, "/causation_id");
        causal &= seen.contains_key(cause) || !ids.contains(&cause);
        let because = seen
            .get(cause)
            .map_or_else(String::new, |name| format!("because of {name}"));
        let (name, source) = (text(item, "/type"), text(item, "/source"));
        let at = text(item, "/occurred_at").get(11..23).unwrap_or_default();
        narrator.show(format!("{at}  {name:<22} {source:<15} {because}"));
        seen.insert(text(item, "/event_id").to_owned(), name.to_owned());
    }
    narrator.check(
        format!("the timeline holds {} in causal order", expected.join(", ")),
        causal && complete(&answer.body),
        &answer,
    )
}

fn types(body: &Value) -> impl Iterator<Item = &str> {
    body.pointer("/items")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|item| text(item, "/type"))
}
