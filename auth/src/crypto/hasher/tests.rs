use super::*;

fn settings(queue_max: usize, wait_ms: u64) -> PasswordSettings {
    PasswordSettings {
        length_min: 12,
        length_max: 128,
        memory_kib: 19_456,
        iterations: 2,
        parallelism: 1,
        threads: 1,
        niceness: 10,
        queue_max,
        wait_ms,
        connections: 8.try_into().unwrap(),
        answer_ms: 60_000,
    }
}

fn hasher(settings: &PasswordSettings) -> Hasher {
    Hasher::new(settings, Counter::default()).unwrap()
}

fn password() -> SecretString {
    "correct horse battery".into()
}

async fn hash(hasher: &Hasher) -> Result<PasswordHash, HasherError> {
    hasher.hash(hasher.place()?, password()).await
}

#[tokio::test]
async fn a_password_fits_its_hash_alone() {
    let hasher = hasher(&settings(4, 5_000));
    let hash = hash(&hasher).await.unwrap();
    assert!(
        hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{}",
        hash.as_str()
    );
    assert!(is_right(&hasher, password(), Some(hash.clone())).await);
    assert!(!is_right(&hasher, "another password".into(), Some(hash)).await);
    assert!(!is_right(&hasher, password(), None).await);
}

async fn is_right(hasher: &Hasher, password: SecretString, stored: Option<PasswordHash>) -> bool {
    verify(hasher, password, stored).await != Verdict::Wrong
}

async fn verify(hasher: &Hasher, password: SecretString, stored: Option<PasswordHash>) -> Verdict {
    let place = hasher.place().unwrap();
    hasher.verify(place, password, stored).await.unwrap()
}

/// Work is counted, not timed: each of them is one hash of the same parameters.
#[tokio::test]
async fn a_wrong_password_an_empty_one_and_no_account_cost_the_same() {
    let hasher = hasher(&settings(4, 5_000));
    let stored = hash(&hasher).await.unwrap();
    let empty = || SecretString::from("");
    for (password, stored) in [
        ("another password".into(), Some(stored.clone())),
        (password(), Some(stored.clone())),
        (empty(), Some(stored)),
        (password(), None),
        (empty(), None),
    ] {
        let before = hasher.inner.operations.get();
        drop(verify(&hasher, password, stored).await);
        assert_eq!(hasher.inner.operations.get() - before, 1);
    }
    let dummy = hasher.inner.dummy.as_str();
    assert!(dummy.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{dummy}");
}

#[tokio::test]
async fn a_hash_of_other_parameters_is_made_anew_when_the_password_is_known() {
    let weak = hasher(&PasswordSettings {
        memory_kib: 8_192,
        iterations: 1,
        ..settings(4, 5_000)
    });
    let stored = hash(&weak).await.unwrap();
    let hasher = hasher(&settings(4, 5_000));
    let Verdict::Right {
        rehashed: Some(rehashed),
    } = verify(&hasher, password(), Some(stored.clone())).await
    else {
        panic!("the password is right and its hash outdated")
    };
    assert!(rehashed.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    let again = verify(&hasher, password(), Some(rehashed)).await;
    assert!(again == Verdict::Right { rehashed: None });
    assert!(!is_right(&hasher, "another password".into(), Some(stored)).await);
}

/// Whoever hangs up leaves a job behind that keeps its place until it is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_makes_no_room() {
    let hasher = hasher(&settings(0, 60_000));
    let (started, begins) = tokio::sync::oneshot::channel();
    let (finish, may_finish) = std::sync::mpsc::channel::<()>();
    let job = hasher.run(hasher.place().unwrap(), move |_, _| {
        let _sent = started.send(());
        let _told = may_finish.recv();
    });
    let mut job = Box::pin(job);
    tokio::select! {
        _ = &mut job => panic!("it waits for the test"),
        begun = begins => begun.unwrap(),
    }
    drop(job);
    assert_eq!(hasher.in_hand(), 1);
    assert!(matches!(hash(&hasher).await, Err(HasherError::Overloaded)));
    finish.send(()).unwrap();
    while hasher.in_hand() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(hash(&hasher).await.is_ok());
}

/// The thread, and no other one.
#[tokio::test]
async fn hashes_stand_back_behind_everything_else() {
    let hasher = hasher(&settings(0, 5_000));
    let niceness = || rustix::process::getpriority_process(None).unwrap();
    let before = niceness();
    let place = hasher.place().unwrap();
    let hashing = hasher.run(place, move |_, _| niceness()).await;
    assert!(matches!(hashing, Ok(10)), "{:?}", hashing.ok());
    assert_eq!(niceness(), before);
}

/// A thread that dies would be one less for good.
#[tokio::test]
async fn a_hash_that_panics_costs_nobody_elses_place_or_thread() {
    let hasher = hasher(&settings(0, 5_000));
    let place = hasher.place().unwrap();
    let panicked = hasher.run(place, |_, _| panic!("in the middle")).await;
    assert!(matches!(panicked, Err::<(), _>(HasherError::Panicked(_))));
    assert!(hash(&hasher).await.is_ok());
}

#[tokio::test]
async fn no_account_has_the_dummys_password() {
    let hasher = hasher(&settings(4, 5_000));
    assert!(!is_right(&hasher, "no account has this password".into(), None).await);
}

/// The only thread, until it is dropped.
async fn starved(hasher: &Hasher) -> (Place, OwnedSemaphorePermit) {
    let place = hasher.place().unwrap();
    let thread = hasher.thread(place.hashed_by).await.unwrap();
    (place, thread)
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let hasher = hasher(&settings(1, 60_000));
    let running = starved(&hasher).await;
    let (waits, refused) = tokio::join!(
        tokio::time::timeout(Duration::from_millis(50), hash(&hasher)),
        // The first of the two has taken the only place in the queue by the time this one is polled.
        hash(&hasher)
    );
    assert!(waits.is_err(), "it had a place and waited");
    assert!(matches!(refused, Err(HasherError::Overloaded)));
    drop(running);
    assert!(hash(&hasher).await.is_ok());
}

#[tokio::test]
async fn a_hash_does_not_wait_for_ever() {
    let hasher = hasher(&settings(4, 20));
    let _running = starved(&hasher).await;
    assert!(matches!(hash(&hasher).await, Err(HasherError::Overloaded)));
}

/// It gave up waiting, or hung up: its place is free at once, and nobody hashes for it afterwards.
#[tokio::test]
async fn whoever_waits_no_more_frees_the_place_and_costs_nothing() {
    let hasher = hasher(&settings(1, 60_000));
    let running = starved(&hasher).await;
    let waits = tokio::time::timeout(Duration::from_millis(20), hash(&hasher)).await;
    assert!(waits.is_err(), "there is no thread");
    assert_eq!(hasher.in_hand(), 1);
    drop(running);
    assert!(hash(&hasher).await.is_ok());
    assert_eq!(hasher.inner.operations.get(), 1);
}

/// A thread that gets no time from the machine: the answer does not wait for it, and what it was to do is not done later.
#[tokio::test]
async fn a_hash_that_is_not_done_in_time_is_given_up() {
    let hasher = hasher(&PasswordSettings {
        answer_ms: 40,
        ..settings(4, 60_000)
    });
    let (finish, may_finish) = std::sync::mpsc::channel::<()>();
    let stuck = hasher.run(hasher.place().unwrap(), move |_, _| may_finish.recv());
    assert!(matches!(stuck.await, Err(HasherError::Late)));
    assert_eq!(hasher.in_hand(), 1, "the thread is not free");
    let place = hasher.place().unwrap();
    let waits = place.within(std::future::pending::<()>()).await;
    assert!(matches!(waits, Err(HasherError::Late)));
    drop(place);
    finish.send(()).unwrap();
    while hasher.in_hand() > 0 {
        tokio::task::yield_now().await;
    }
}

/// Each hash in turn takes the one piece of memory that its thread has.
#[tokio::test]
async fn a_thread_keeps_its_memory_from_hash_to_hash() {
    let hasher = hasher(&settings(4, 60_000));
    let mut pieces = Vec::new();
    for _ in 0..3 {
        let place = hasher.place().unwrap();
        let piece = hasher.run(place, |inner, memory| {
            inner.hash(memory, &password()).map(|_| memory.address())
        });
        pieces.push(piece.await.unwrap().unwrap());
    }
    assert!(pieces.iter().all(|piece| *piece == pieces[0]), "{pieces:?}");
}
