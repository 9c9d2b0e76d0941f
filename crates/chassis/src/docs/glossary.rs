//! Members and parameters that mean the same wherever they are. One that means something of its own is described where it is.

/// Name and meaning.
const MEANINGS: &[(&str, &str)] = &[
    ("actor", "The user id of the admin who did it."),
    ("at", "When it happened, in UTC."),
    ("attempts", "How often it was tried."),
    ("class", "The class of the error, such as `malformed-body`."),
    ("count", "How many there are."),
    ("created_at", "When it was made, in UTC."),
    (
        "cursor",
        "`next_cursor` of the page before; the first page without it.",
    ),
    ("customer_id", "The user id of the customer whose it is."),
    ("description", "What its owner says of it."),
    (
        "disabled_reason",
        "Why it was disabled; null while it is enabled.",
    ),
    ("dry_run", "Only counts what would be done."),
    ("duration_ms", "How long it took, in milliseconds."),
    ("event_id", "The id of the event, a UUID of version 7."),
    ("fingerprint", "Equal for errors of the same kind."),
    ("finished_at", "When it ended, in UTC; null until then."),
    ("first_failed_at", "When it failed for the first time, in UTC."),
    ("id", "Its id, a UUID of version 7."),
    ("items", "The items, in the order that the list promises."),
    ("key", "The Kafka key: the id of the aggregate."),
    ("kind", "What kind it is of."),
    ("last_failed_at", "When it failed last, in UTC."),
    ("limit", "How many items at most; 20 unless said."),
    ("message", "The text of the error."),
    ("name", "What it is called."),
    ("number", "Which one it is, counted from 1."),
    ("occurred_at", "When it happened, in UTC."),
    ("offset", "The offset on the partition."),
    ("order_id", "The id of the order."),
    ("partition", "The partition of the topic."),
    (
        "payment_method",
        "The payment provider's token for how the order is paid.",
    ),
    (
        "provider",
        "Which payment provider it goes through: `simulated` or `stripe`.",
    ),
    ("quantity", "How many of it."),
    ("rate_per_second", "How many a second at most."),
    ("reason", "Why, for the audit."),
    ("role", "What the user may do: `customer` or `admin`."),
    ("sku", "Stock keeping unit, out of the catalogue."),
    ("state", "Its state."),
    ("timestamp", "The timestamp of the record on Kafka, in UTC."),
    ("topic", "The topic on Kafka."),
    ("updated_at", "When it last changed, in UTC."),
    ("url", "Its address."),
];

/// What a name means everywhere.
pub(super) fn meaning(name: &str) -> Option<&'static str> {
    MEANINGS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::MEANINGS;

    #[test]
    fn each_name_has_one_meaning_and_stands_at_its_place() {
        assert!(MEANINGS.is_sorted_by(|one, other| one.0 < other.0));
        assert!(MEANINGS.iter().all(|(_, meaning)| meaning.ends_with('.')));
    }
}
