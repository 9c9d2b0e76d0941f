//! Finding the one item that spoils a batch: a batch whose transaction fails for a reason that is not the
//! infrastructure's is halved until the item stands alone.

use std::ops::Range;

use async_trait::async_trait;
use tracing::warn;

use crate::failure::{Blame, blame};
use crate::{Failure, Outage};

/// Times that one item alone must fail with an unclear error before it is blamed.
const UNCLEAR_TRIES: u32 = 3;

/// A batch that can be tried in parts, each in a transaction of its own.
#[async_trait]
pub(crate) trait Transactional<T: Sync>: Sync {
    /// Takes `items` through one transaction. With `condemned` (one item only), the item is not tried but
    /// recorded as failed.
    async fn attempt(&self, items: &[T], condemned: Option<&Failure>) -> Result<(), Outage>;

    /// Whether the database accepts writes right now.
    async fn accepts_writes(&self) -> bool;
}

/// Takes all of `items` through, in order; returns how many are done when an outage stops it.
pub(crate) async fn run<T: Sync>(batch: &impl Transactional<T>, items: &[T]) -> Result<(), (usize, Outage)> {
    let mut parts: Vec<Range<usize>> = Vec::from([Range {
        start: 0,
        end: items.len(),
    }]);
    let mut unclear = 0;
    while let Some(part) = parts.pop() {
        let Some(slice) = items.get(part.clone()).filter(|slice| !slice.is_empty()) else {
            continue;
        };
        let error = match batch.attempt(slice, None).await {
            Ok(()) => {
                unclear = 0;
                continue;
            }
            Err(error) => error,
        };
        let blame = blamed(&error);
        if blame == Blame::Infrastructure {
            return Err((part.start, error));
        }
        if slice.len() > 1 {
            let middle = part.start.midpoint(part.end);
            parts.extend([middle..part.end, part.start..middle]);
            continue;
        }
        unclear += 1;
        if blame == Blame::Unclear && unclear < UNCLEAR_TRIES {
            parts.push(part);
            continue;
        }
        if !batch.accepts_writes().await {
            return Err((part.start, error));
        }
        warn!(error = %error, "one item cannot be stored and is set aside");
        let failure = Failure::of_spoiled(&error);
        batch
            .attempt(slice, Some(&failure))
            .await
            .map_err(|error| (part.start, error))?;
        unclear = 0;
    }
    Ok(())
}

fn blamed(error: &Outage) -> Blame {
    match error {
        Outage::Database(error) => blame(error),
        Outage::Pool(_) | Outage::NoWriter | Outage::Kafka(_) | Outage::Stalled(_) | Outage::Halted(_) => {
            Blame::Infrastructure
        }
        // somebody else was faster, and the next try sees it; or a repository that never saves
        Outage::Conflict { .. } => Blame::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diesel::result::{DatabaseErrorKind, Error};
    use std::sync::Mutex;

    /// Fails any transaction that holds a poisoned item.
    struct Poisoned {
        kind: fn() -> Error,
        poison: Vec<u32>,
        log: Mutex<Vec<(u32, bool)>>,
    }

    #[async_trait]
    impl Transactional<u32> for Poisoned {
        async fn attempt(&self, items: &[u32], condemned: Option<&Failure>) -> Result<(), Outage> {
            if condemned.is_none() && items.iter().any(|item| self.poison.contains(item)) {
                return Err((self.kind)().into());
            }
            self.log
                .lock()
                .unwrap()
                .extend(items.iter().map(|item| (*item, condemned.is_none())));
            Ok(())
        }

        async fn accepts_writes(&self) -> bool {
            true
        }
    }

    fn check_violation() -> Error {
        Error::DatabaseError(DatabaseErrorKind::CheckViolation, Box::new("check".to_owned()))
    }

    fn unclear() -> Error {
        Error::DatabaseError(
            DatabaseErrorKind::Unknown,
            Box::new("number out of range".to_owned()),
        )
    }

    fn closed() -> Error {
        Error::DatabaseError(DatabaseErrorKind::ClosedConnection, Box::new("closed".to_owned()))
    }

    #[tokio::test]
    async fn only_the_poisoned_are_set_aside_and_the_order_is_kept() {
        for kind in [check_violation, unclear] {
            let batch = Poisoned {
                kind,
                poison: vec![3, 8],
                log: Mutex::default(),
            };
            let items: Vec<u32> = (0..10).collect();
            run(&batch, &items).await.unwrap();
            let expected: Vec<_> = items.iter().map(|item| (*item, ![3, 8].contains(item))).collect();
            assert_eq!(*batch.log.lock().unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn an_outage_condemns_nobody() {
        let batch = Poisoned {
            kind: closed,
            poison: vec![3],
            log: Mutex::default(),
        };
        let (done, _) = run(&batch, &[1, 2, 3]).await.unwrap_err();
        assert_eq!(done, 0);
        assert!(batch.log.lock().unwrap().is_empty());
    }
}
