//! The state of a keyed rate limiter in bounded memory.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;

/// Enough for the workers not to queue for each other's keys.
const SHARDS: usize = 16;

/// Keeps at most a fixed number of keys. Who comes when a shard is full shares one bucket with all others who do, until
/// cleaning has made room: a flood of new keys costs no memory, frees nobody who is held back, and passes no more than
/// a few clients could.
#[derive(Debug)]
pub(super) struct BoundedStore<K> {
    shards: Vec<Mutex<Shard<K>>>,
    hasher: RandomState,
}

/// Values are theoretical arrival times of the generic cell rate algorithm: the lower, the fresher.
#[derive(Debug)]
struct Shard<K> {
    entries: HashMap<K, Nanos>,
    overflow: Option<Nanos>,
    keys_max: usize,
}

impl<K: Hash + Eq> BoundedStore<K> {
    /// A store for at most `keys_max` keys, rounded up to a multiple of the number of shards.
    pub(super) fn new(keys_max: usize) -> Self {
        let keys_max = keys_max.div_ceil(SHARDS).max(1);
        let shard = || {
            Mutex::new(Shard {
                entries: HashMap::new(),
                overflow: None,
                keys_max,
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

impl<K: Hash + Eq> Shard<K> {
    fn retain_recent(&mut self, drop_below: Nanos) {
        self.entries.retain(|_, arrival| *arrival > drop_below);
        self.entries.shrink_to(self.entries.len() * 2);
        self.overflow = self.overflow.filter(|arrival| *arrival > drop_below);
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
        if let Some(arrival) = shard.entries.get_mut(key) {
            let (outcome, next) = f(Some(*arrival))?;
            *arrival = next;
            return Ok(outcome);
        }
        if shard.entries.len() < shard.keys_max {
            let (outcome, next) = f(None)?;
            shard.entries.insert(key.clone(), next);
            return Ok(outcome);
        }
        let (outcome, next) = f(shard.overflow)?;
        shard.overflow = Some(next);
        Ok(outcome)
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
    fn a_flood_of_new_keys_shares_one_bucket_and_frees_nobody_who_is_held_back() {
        // given a key that has spent its quota
        let (limiter, _) = limiter(60, 1600);
        while limiter.check_key(&0).is_ok() {}
        // when a hundred times more keys arrive than there is room for
        let passed = (1..160_000).filter(|key| limiter.check_key(key).is_ok()).count();
        // then memory is bounded, those who found no room had one quota a shard, and the first key is where it was
        assert!(limiter.len() <= 1600);
        assert!(passed <= 1600 + 60 * SHARDS, "{passed}");
        assert!(limiter.check_key(&0).is_err());
    }

    #[test]
    fn cleaning_makes_room_again() {
        let (limiter, clock) = limiter(60, 16);
        for key in 0..10_000 {
            let _ = limiter.check_key(&key);
        }
        assert!(limiter.check_key(&10_001).is_err());
        clock.advance(Duration::from_secs(61));
        limiter.retain_recent();
        assert!(limiter.is_empty());
        assert!(limiter.check_key(&10_001).is_ok());
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
