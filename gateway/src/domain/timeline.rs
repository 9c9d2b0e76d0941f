//! The life of a saga as it is told to its owner: every event once, an effect never before its cause.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use contracts::EventId;
use uuid::Uuid;

/// What the order of two events depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The event.
    pub event_id: EventId,
    /// The event or request that led to it.
    pub causation_id: Uuid,
    /// When its service announced it, by that service's clock.
    pub occurred_at: DateTime<Utc>,
    /// Its number among the events of its aggregate.
    pub sequence: i64,
}

/// When causes leave open which of two events comes first: the earlier one, then the lower number.
type Tie = (DateTime<Utc>, i64, EventId);

impl Position {
    fn tie(&self) -> Tie {
        (self.occurred_at, self.sequence, self.event_id)
    }
}

/// Sorts the events of one saga into causal order: after its cause, where that is among them, whatever the
/// clocks of the services say; otherwise by time, then by number. Equal input in any order gives equal
/// output. Causes that form a circle, which no service announces, are told by time.
///
/// Takes O(n log n).
pub fn causal_order<T>(events: Vec<T>, position: impl Fn(&T) -> Position) -> Vec<T> {
    let mut waiting: HashMap<EventId, (Tie, T)> = HashMap::with_capacity(events.len());
    let mut effects: HashMap<EventId, Vec<EventId>> = HashMap::new();
    let mut positions = Vec::with_capacity(events.len());
    for event in events {
        let position = position(&event);
        positions.push(position);
        waiting.insert(position.event_id, (position.tie(), event));
    }
    let mut ready = BTreeSet::new();
    for position in &positions {
        let cause = EventId::new(position.causation_id);
        if cause != position.event_id && waiting.contains_key(&cause) {
            effects.entry(cause).or_default().push(position.event_id);
        } else {
            ready.insert(position.tie());
        }
    }
    // popped from the end only when a circle leaves nothing ready
    positions.sort_by_key(|position| Reverse(position.tie()));

    let mut ordered = Vec::with_capacity(positions.len());
    while let Some(id) = next(&mut ready, &mut positions) {
        let Some((_, event)) = waiting.remove(&id) else {
            continue;
        };
        ordered.push(event);
        for effect in effects.remove(&id).into_iter().flatten() {
            ready.extend(waiting.get(&effect).map(|(tie, _)| *tie));
        }
    }
    ordered
}

fn next(ready: &mut BTreeSet<Tie>, by_time: &mut Vec<Position>) -> Option<EventId> {
    ready
        .pop_first()
        .map(|(_, _, id)| id)
        .or_else(|| by_time.pop().map(|position| position.event_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use proptest::prelude::*;
    use proptest::sample::Index;

    fn id(number: usize) -> Uuid {
        Uuid::from_u128(0x0193_6d9a_7c00_7000_8000_0000_0000_0000 + u128::try_from(number).unwrap())
    }

    fn position(number: usize, cause: usize, second: i64) -> Position {
        Position {
            event_id: EventId::new(id(number)),
            causation_id: id(cause),
            occurred_at: DateTime::UNIX_EPOCH + TimeDelta::seconds(second),
            sequence: 1,
        }
    }

    fn order(events: Vec<Position>) -> Vec<Position> {
        causal_order(events, |event| *event)
    }

    fn numbers(events: &[Position]) -> Vec<u128> {
        events
            .iter()
            .map(|event| event.event_id.uuid().as_u128() - id(0).as_u128())
            .collect()
    }

    #[test]
    fn a_cause_comes_first_whatever_the_clocks_say() {
        // given a payment service whose clock is a minute behind
        let created = position(1, 0, 100);
        let completed = position(2, 1, 40);
        let confirmed = position(3, 2, 101);
        assert_eq!(numbers(&order(vec![confirmed, completed, created])), [1, 2, 3]);
    }

    #[test]
    fn independent_events_come_by_time_then_number() {
        let late = position(1, 0, 2);
        let early = position(2, 0, 1);
        let second = Position {
            sequence: 2,
            ..position(3, 0, 1)
        };
        assert_eq!(numbers(&order(vec![late, second, early])), [2, 3, 1]);
    }

    #[test]
    fn a_circle_is_told_by_time() {
        let first = position(1, 2, 1);
        let second = position(2, 1, 2);
        let own_cause = position(3, 3, 0);
        assert_eq!(numbers(&order(vec![second, first, own_cause])), [3, 1, 2]);
    }

    fn events(max: usize) -> impl Strategy<Value = Vec<Position>> {
        prop::collection::vec((any::<Index>(), -50_i64..50, 0_i64..4), 0..max).prop_map(|specs| {
            let count = specs.len();
            let event = |(number, (cause, second, sequence)): (usize, (Index, i64, i64))| Position {
                sequence,
                ..position(number + 1, cause.index(count + 1), second)
            };
            specs.into_iter().enumerate().map(event).collect()
        })
    }

    /// As a real saga has it: each event's cause was announced before it.
    fn without_circles(mut events: Vec<Position>) -> Vec<Position> {
        for (number, event) in events.iter_mut().enumerate() {
            let cause = event.causation_id.as_u128() - id(0).as_u128();
            event.causation_id = id(usize::try_from(cause).unwrap() % (number + 1));
        }
        events
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_told_twice(events in events(20)) {
            let mut told = numbers(&order(events.clone()));
            told.sort_unstable();
            prop_assert_eq!(told, numbers(&events));
        }

        #[test]
        fn no_effect_comes_before_its_cause(events in events(20)) {
            let ordered = order(without_circles(events));
            for (place, event) in ordered.iter().enumerate() {
                let cause = ordered.iter().position(|other| other.event_id.uuid() == event.causation_id);
                prop_assert!(cause.is_none_or(|cause| cause < place));
            }
        }

        #[test]
        fn the_order_of_arrival_does_not_matter(
            (events, shuffled) in events(12).prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle()))
        ) {
            prop_assert_eq!(order(events), order(shuffled));
        }

        #[test]
        fn where_causes_allow_time_decides(events in events(20)) {
            let ordered = order(without_circles(events));
            for pair in ordered.windows(2) {
                let caused = pair[1].causation_id == pair[0].event_id.uuid();
                prop_assert!(caused || pair[0].tie() < pair[1].tie());
            }
        }
    }
}
