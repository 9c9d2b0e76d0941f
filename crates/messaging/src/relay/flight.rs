//! Records that are under way: given to the producer, not answered yet. Of a key there is one at most, so that whatever
//! becomes of it, nothing of its key has passed it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::producer::future_producer::DeliveryFuture;

use super::session::Row;

/// A record and what became of it.
pub(super) type Answered = (Row, KafkaResult<()>);

#[derive(Debug)]
struct Sent {
    topic: String,
    at: Instant,
}

/// What is under way.
#[derive(Default)]
pub(super) struct Flight {
    answers: FuturesUnordered<BoxFuture<'static, Answered>>,
    sent: HashMap<i64, Sent>,
    /// When a record was last answered, or the first one set out.
    moved: Option<Instant>,
}

impl Flight {
    pub(super) fn add(&mut self, row: Row, delivery: DeliveryFuture) {
        let now = Instant::now();
        if self.is_empty() {
            self.moved = Some(now);
        }
        let topic = row.topic.clone();
        self.sent.insert(row.id, Sent { topic, at: now });
        self.answers
            .push(delivery.map(|answer| (row, flat(answer))).boxed());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    pub(super) fn contains(&self, id: i64) -> bool {
        self.sent.contains_key(&id)
    }

    /// The next answer; none when nothing is under way.
    pub(super) async fn answer(&mut self) -> Option<Answered> {
        let answered = self.answers.next().await;
        if let Some((row, _)) = &answered {
            self.sent.remove(&row.id);
            self.moved = Some(Instant::now());
        }
        answered
    }

    /// Topics of what is under way.
    pub(super) fn topics(&self) -> HashSet<&str> {
        self.sent.values().map(|sent| sent.topic.as_str()).collect()
    }

    /// Whether nothing at all was answered for `any`, or one record not for `one`.
    pub(super) fn is_stuck(&self, any: Duration, one: Duration) -> bool {
        let silent = |at: Instant, patience| at.elapsed() > patience;
        !self.is_empty()
            && (self.moved.is_some_and(|at| silent(at, any))
                || self.sent.values().any(|sent| silent(sent.at, one)))
    }
}

fn flat<T, M, E>(answer: Result<Result<T, (KafkaError, M)>, E>) -> KafkaResult<()> {
    match answer {
        Ok(Ok(_)) => Ok(()),
        Ok(Err((error, _))) => Err(error),
        Err(_cancelled) => Err(KafkaError::Canceled),
    }
}

/// Rows that follow others of their key.
#[derive(Debug, Default)]
pub(super) struct Lanes(HashMap<Vec<u8>, VecDeque<Row>>);

impl Lanes {
    /// The first row of each key, all rows without a key, and the rest.
    pub(super) fn of(rows: Vec<Row>) -> (Vec<Row>, Self) {
        let mut lanes: HashMap<Vec<u8>, VecDeque<Row>> = HashMap::new();
        let mut heads = Vec::with_capacity(rows.len());
        for row in rows {
            match row.key.as_ref().and_then(|key| lanes.get_mut(key)) {
                Some(lane) => lane.push_back(row),
                None => {
                    if let Some(key) = &row.key {
                        lanes.insert(key.clone(), VecDeque::new());
                    }
                    heads.push(row);
                }
            }
        }
        (heads, Self(lanes))
    }

    /// The row that may follow the one of `key` that was acknowledged.
    pub(super) fn next(&mut self, key: &[u8]) -> Option<Row> {
        self.0.get_mut(key)?.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: i64, key: Option<&str>) -> Row {
        Row {
            id,
            event_id: chassis::clock::new_id(),
            topic: "t".to_owned(),
            key: key.map(|key| key.as_bytes().to_vec()),
            headers: serde_json::Value::Null,
            payload: None,
            work_id: None,
        }
    }

    #[test]
    fn of_a_key_one_row_sets_out_and_the_others_follow_in_order() {
        let rows = [
            (1, Some("a")),
            (2, None),
            (3, Some("a")),
            (4, Some("b")),
            (5, None),
            (6, Some("a")),
        ];
        let rows = rows.map(|(id, key)| row(id, key)).to_vec();
        let (heads, mut lanes) = Lanes::of(rows);
        let heads: Vec<i64> = heads.iter().map(|row| row.id).collect();
        assert_eq!(heads, [1, 2, 4, 5]);
        assert_eq!(lanes.next(b"a").map(|row| row.id), Some(3));
        assert_eq!(lanes.next(b"a").map(|row| row.id), Some(6));
        assert!(lanes.next(b"a").is_none() && lanes.next(b"b").is_none());
    }
}
