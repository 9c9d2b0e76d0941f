//! Who follows which order, and how far each has come.

use std::collections::HashMap;

use contracts::UserId;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::NoSeat;
use crate::store::facts::StoredFact;

/// The streams of one process.
#[derive(Default)]
pub(super) struct Registry {
    last_id: u64,
    readers: HashMap<u64, Reader>,
    seats: HashMap<UserId, usize>,
    taken: usize,
}

struct Reader {
    order_id: Uuid,
    /// The number of the last fact that was handed to it.
    after: i64,
    facts: mpsc::Sender<Vec<StoredFact>>,
}

impl Registry {
    pub(super) fn take_seat(
        &mut self,
        user: UserId,
        per_user: usize,
        per_process: usize,
    ) -> Result<(), NoSeat> {
        let has = self.seats.get(&user).copied().unwrap_or_default();
        if has >= per_user {
            return Err(NoSeat::User);
        }
        if self.taken >= per_process {
            return Err(NoSeat::Process);
        }
        self.seats.insert(user, has + 1);
        self.taken += 1;
        Ok(())
    }

    pub(super) fn give_back_seat(&mut self, user: UserId) {
        self.taken = self.taken.saturating_sub(1);
        let left = self.seats.get(&user).map_or(0, |has| has.saturating_sub(1));
        if left == 0 {
            self.seats.remove(&user);
        } else {
            self.seats.insert(user, left);
        }
    }

    pub(super) fn follow(&mut self, order_id: Uuid, after: i64, facts: mpsc::Sender<Vec<StoredFact>>) -> u64 {
        self.last_id += 1;
        let reader = Reader {
            order_id,
            after,
            facts,
        };
        self.readers.insert(self.last_id, reader);
        self.last_id
    }

    pub(super) fn leave(&mut self, id: u64) {
        self.readers.remove(&id);
    }

    /// Each followed order once, with the fact that the reader furthest behind has come to.
    pub(super) fn followed(&self) -> Vec<(Uuid, i64)> {
        let mut orders: HashMap<Uuid, i64> = HashMap::new();
        for reader in self.readers.values() {
            let after = orders.entry(reader.order_id).or_insert(reader.after);
            *after = reader.after.min(*after);
        }
        orders.into_iter().collect()
    }

    /// Gives each reader what it does not have yet. One that has not taken the last batch gets this one another time.
    pub(super) fn hand_out(&mut self, found: &HashMap<Uuid, Vec<StoredFact>>) {
        for reader in self.readers.values_mut() {
            let Some(facts) = found.get(&reader.order_id) else {
                continue;
            };
            let after = reader.after;
            let news: Vec<_> = facts
                .iter()
                .filter(|fact| fact.sequence > after)
                .cloned()
                .collect();
            let Some(last) = news.last().map(|fact| fact.sequence) else {
                continue;
            };
            if reader.facts.try_send(news).is_ok() {
                reader.after = last;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(order_id: Uuid, sequence: i64) -> StoredFact {
        StoredFact {
            order_id,
            sequence,
            topic: "order.created".to_owned(),
            data: serde_json::Value::Null,
        }
    }

    fn sequences(batch: Result<Vec<StoredFact>, mpsc::error::TryRecvError>) -> Vec<i64> {
        batch.unwrap().iter().map(|fact| fact.sequence).collect()
    }

    #[test]
    fn a_reader_that_takes_nothing_holds_one_batch_and_misses_nothing() {
        let order = Uuid::from_u128(1);
        let mut registry = Registry::default();
        let (sender, mut slow) = mpsc::channel(1);
        registry.follow(order, 0, sender);
        for last in 1..=3 {
            let found = (1..=last).map(|sequence| fact(order, sequence)).collect();
            registry.hand_out(&HashMap::from([(order, found)]));
        }
        assert_eq!(registry.followed(), [(order, 1)]);
        assert_eq!(sequences(slow.try_recv()), [1]);
        let found = (2..=3).map(|sequence| fact(order, sequence)).collect();
        registry.hand_out(&HashMap::from([(order, found)]));
        assert_eq!(sequences(slow.try_recv()), [2, 3]);
        assert!(slow.try_recv().is_err());
    }

    #[test]
    fn readers_of_one_order_are_asked_for_once_from_the_one_furthest_behind() {
        let order = Uuid::from_u128(1);
        let mut registry = Registry::default();
        let (sender, mut ahead) = mpsc::channel(1);
        registry.follow(order, 1, sender);
        let (sender, mut behind) = mpsc::channel(1);
        let left = registry.follow(order, 0, sender);
        assert_eq!(registry.followed(), [(order, 0)]);
        registry.hand_out(&HashMap::from([(order, vec![fact(order, 1), fact(order, 2)])]));
        assert_eq!(sequences(ahead.try_recv()), [2]);
        assert_eq!(sequences(behind.try_recv()), [1, 2]);
        registry.leave(left);
        assert_eq!(registry.followed(), [(order, 2)]);
    }

    #[test]
    fn seats_are_counted_by_user_and_in_all() {
        let (ada, eve) = (UserId::new(Uuid::from_u128(1)), UserId::new(Uuid::from_u128(2)));
        let mut registry = Registry::default();
        registry.take_seat(ada, 2, 3).unwrap();
        registry.take_seat(ada, 2, 3).unwrap();
        assert_eq!(registry.take_seat(ada, 2, 3), Err(NoSeat::User));
        registry.take_seat(eve, 2, 3).unwrap();
        assert_eq!(registry.take_seat(eve, 2, 3), Err(NoSeat::Process));
        registry.give_back_seat(ada);
        registry.take_seat(eve, 2, 3).unwrap();
        for user in [ada, eve, eve] {
            registry.give_back_seat(user);
        }
        assert!(registry.seats.is_empty() && registry.taken == 0);
    }
}
