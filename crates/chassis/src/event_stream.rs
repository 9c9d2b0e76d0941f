//! What all streams of server-sent events have in common.

/// Shortest wait of a client before it connects again after its connection broke, in milliseconds.
const RETRY_MIN_MS: u32 = 1_000;
/// The longest.
const RETRY_MAX_MS: u32 = 5_000;

/// A stream's first line: how long its client waits before it connects again. Another one for each, so that all those whose
/// process stopped do not come back in the same moment.
#[must_use]
pub fn retry() -> String {
    let wait = rand::random_range(RETRY_MIN_MS..=RETRY_MAX_MS);
    format!("retry: {wait}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_spread_over_their_range() {
        let waits: Vec<u32> = (0..1_000)
            .map(|_| {
                let line = retry();
                let wait = line
                    .strip_prefix("retry: ")
                    .and_then(|rest| rest.strip_suffix("\n\n"));
                wait.unwrap().parse().unwrap()
            })
            .collect();
        assert!(
            waits
                .iter()
                .all(|wait| (RETRY_MIN_MS..=RETRY_MAX_MS).contains(wait))
        );
        let in_quarter = |quarter: u32| {
            let from = RETRY_MIN_MS + quarter * 1_000;
            waits
                .iter()
                .filter(|wait| (from..from + 1_000).contains(*wait))
                .count()
        };
        assert!((0..4).all(|quarter| in_quarter(quarter) > 100), "{waits:?}");
    }
}
