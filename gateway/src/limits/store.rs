//! The state of a keyed rate limiter in bounded memory.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;

/// Enough for the workers not to queue for each other's keys.
const SHARDS: usize = 16;

/// How many keys are compared when one must go.
const CANDIDATES: usize = 8;

/// Keeps at most a fixed number of keys. When a shard is full, the new key replaces the one among a few
/// candidates that is nearest to a fresh start. So whoever floods the gateway with new keys pushes out keys of
/// their own kind, seen once, and not those that are being held back.
#[derive(Debug)]
pub(super) struct BoundedStore<K> {
    shards: Vec<Mutex<Shard<K>>>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Shard<K> {
    places: HashMap<K, usize>,
    entries: Vec<Entry<K>>,
    keys_max: usize,
    hand: usize,
}

#[derive(Debug)]
struct Entry<K> {
    key: K,
    /// The theoretical arrival time of the generic cell rate algorithm: the lower, the fresher.
    arrival: Nanos,
}

impl<K: Hash + Eq + Clone> BoundedStore<K> {
    /// A store for at most `keys_max` keys, rounded up to a multiple of the number of shards.
    pub(super) fn new(keys_max: usize) -> Self {
        let keys_max = keys_max.div_ceil(SHARDS).max(1);
        let shard = || {
            Mutex::new(Shard {
                places: HashMap::new(),
                entries: Vec::new(),
                keys_max,
                hand: 0,
            })
        };
        Self {
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
            hasher: RandomState::new(),
        }
    }

    fn shard(&self, key: &K) -> Option<MutexGuard<'_, Shard<K>>> {
        let shards = u64::try_from(self.shards.len()).ok()?;
        let number = usize::try_from(self.hasher.hash_one(key).checked_rem(shards)?).ok()?;
        self.shards.get(number).map(lock)
    }
}

/// A panic cannot leave a shard half changed: no code of others runs while it is.
fn lock<K>(shard: &Mutex<Shard<K>>) -> MutexGuard<'_, Shard<K>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K: Hash + Eq + Clone> Shard<K> {
    fn get_mut(&mut self, key: &K) -> Option<&mut Nanos> {
        let place = *self.places.get(key)?;
        self.entries.get_mut(place).map(|entry| &mut entry.arrival)
    }

    fn insert(&mut self, key: &K, arrival: Nanos) {
        if self.entries.len() >= self.keys_max {
            self.evict_one();
        }
        self.places.insert(key.clone(), self.entries.len());
        self.entries.push(Entry {
            key: key.clone(),
            arrival,
        });
    }

    fn evict_one(&mut self) {
        let count = self.entries.len();
        let candidates = (self.hand..self.hand + CANDIDATES).filter_map(|place| place.checked_rem(count));
        let freshest = candidates.min_by_key(|place| self.entries.get(*place).map(|entry| entry.arrival));
        self.hand = (self.hand + CANDIDATES).checked_rem(count).unwrap_or(0);
        if let Some(place) = freshest {
            self.remove(place);
        }
    }

    fn remove(&mut self, place: usize) {
        let removed = self.entries.swap_remove(place);
        self.places.remove(&removed.key);
        if let Some(moved) = self.entries.get(place) {
            self.places.insert(moved.key.clone(), place);
        }
    }

    fn retain_recent(&mut self, drop_below: Nanos) {
        self.entries.retain(|entry| entry.arrival > drop_below);
        self.places.clear();
        self.places.extend(
            self.entries
                .iter()
                .enumerate()
                .map(|(place, entry)| (entry.key.clone(), place)),
        );
        self.places.shrink_to(self.entries.len() * 2);
        self.entries.shrink_to(self.entries.len() * 2);
    }
}

impl<K: Hash + Eq + Clone> StateStore for BoundedStore<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        // there is always a shard; without one, nobody is held back
        let Some(mut shard) = self.shard(key) else {
            return f(None).map(|(outcome, _)| outcome);
        };
        if let Some(arrival) = shard.get_mut(key) {
            let (outcome, next) = f(Some(*arrival))?;
            *arrival = next;
            Ok(outcome)
        } else {
            let (outcome, next) = f(None)?;
            shard.insert(key, next);
            Ok(outcome)
        }
    }
}

impl<K: Hash + Eq + Clone> ShrinkableKeyedStateStore<K> for BoundedStore<K> {
    fn retain_recent(&self, drop_below: Nanos) {
        for shard in &self.shards {
            lock(shard).retain_recent(drop_below);
        }
    }

    fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).entries.len()).sum()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;
    use governor::middleware::NoOpMiddleware;
    use governor::{Quota, RateLimiter};
    use proptest::prelude::*;
    use std::num::NonZeroU32;
    use std::time::Duration;

    type Limiter =
        RateLimiter<u64, BoundedStore<u64>, FakeRelativeClock, NoOpMiddleware<governor::nanos::Nanos>>;

    fn limiter(per_minute: u32, keys_max: usize) -> (Limiter, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let quota = Quota::per_minute(NonZeroU32::new(per_minute).unwrap());
        (
            RateLimiter::new(quota, BoundedStore::new(keys_max), clock.clone()),
            clock,
        )
    }

    #[test]
    fn each_key_has_its_own_quota_and_gets_it_back() {
        let (limiter, clock) = limiter(2, 100);
        for key in [1, 2] {
            assert!(limiter.check_key(&key).is_ok());
            assert!(limiter.check_key(&key).is_ok());
            assert!(limiter.check_key(&key).is_err());
        }
        clock.advance(Duration::from_secs(30));
        assert!(limiter.check_key(&1).is_ok());
        assert!(limiter.check_key(&1).is_err());
    }

    #[test]
    fn a_flood_of_new_keys_frees_nobody_who_is_held_back() {
        // given a key that has spent its quota
        let (limiter, clock) = limiter(60, 1600);
        while limiter.check_key(&0).is_ok() {}
        // when a hundred times more keys arrive than there is room for
        for key in 1..160_000 {
            clock.advance(Duration::from_micros(100));
            assert!(limiter.check_key(&key).is_ok());
        }
        // then only the 16 seconds that passed have been given back
        assert!(limiter.len() <= 1600);
        let allowed = std::iter::repeat_with(|| limiter.check_key(&0))
            .take_while(Result::is_ok)
            .count();
        assert!((15..=16).contains(&allowed), "{allowed}");
    }

    #[test]
    fn keys_that_have_their_quota_back_are_forgotten() {
        let (limiter, clock) = limiter(60, 100);
        for key in 0..50 {
            assert!(limiter.check_key(&key).is_ok());
        }
        clock.advance(Duration::from_secs(10));
        assert!(limiter.check_key(&7).is_ok());
        limiter.retain_recent();
        assert_eq!(limiter.len(), 1);
        assert!(!limiter.is_empty());
    }

    proptest! {
        #[test]
        fn it_agrees_with_governors_own_store_while_there_is_room(
            calls in prop::collection::vec((0_u64..8, 0_u64..2_000, any::<bool>()), 1..200)
        ) {
            let (limiter, clock) = limiter(30, 1_000);
            let quota = Quota::per_minute(NonZeroU32::new(30).unwrap());
            let reference = RateLimiter::hashmap_with_clock(quota, clock.clone());
            for (key, pause_ms, sweep) in calls {
                clock.advance(Duration::from_millis(pause_ms));
                prop_assert_eq!(limiter.check_key(&key).is_ok(), reference.check_key(&key).is_ok());
                if sweep {
                    limiter.retain_recent();
                }
            }
        }

        #[test]
        fn there_are_never_more_keys_than_allowed(keys in prop::collection::vec(any::<u64>(), 0..500)) {
            let (limiter, _) = limiter(10, 32);
            for key in keys {
                let _ = limiter.check_key(&key);
                prop_assert!(limiter.len() <= 32);
            }
        }
    }
}
