use super::*;

fn settings(queue_max: usize, wait_ms: u64) -> PasswordSettings {
    PasswordSettings {
        memory_kib: 19_456,
        iterations: 2,
        parallelism: 1,
        threads: 1,
        queue_max,
        wait_ms,
    }
}

fn hasher(settings: &PasswordSettings) -> Hasher {
    Hasher::new(settings, Handle::current()).unwrap()
}

fn password() -> SecretString {
    "correct horse battery".into()
}

#[tokio::test]
async fn a_password_fits_its_hash_alone() {
    let hasher = hasher(&settings(4, 5_000));
    let hash = hasher.hash(password()).await.unwrap();
    assert!(
        hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{}",
        hash.as_str()
    );
    assert!(hasher.verify(password(), Some(hash.clone())).await.unwrap());
    assert!(
        !hasher
            .verify("another password".into(), Some(hash))
            .await
            .unwrap()
    );
    assert!(!hasher.verify(password(), None).await.unwrap());
}

#[tokio::test]
async fn no_account_has_the_dummys_password() {
    let hasher = hasher(&settings(4, 5_000));
    assert!(
        !hasher
            .verify("no account has this password".into(), None)
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let hasher = hasher(&settings(1, 60_000));
    let running = hasher.permits().await.unwrap();
    let (waits, refused) = tokio::join!(
        tokio::time::timeout(Duration::from_millis(50), hasher.hash(password())),
        // The first of the two has taken the only place in the queue by the time this one is polled.
        hasher.hash(password())
    );
    assert!(waits.is_err(), "it had a place and waited");
    assert!(matches!(refused, Err(HasherError::Overloaded)));
    drop(running);
    assert!(hasher.hash(password()).await.is_ok());
}

#[tokio::test]
async fn a_hash_does_not_wait_for_ever() {
    let hasher = hasher(&settings(4, 20));
    let _running = hasher.permits().await.unwrap();
    assert!(matches!(
        hasher.hash(password()).await,
        Err(HasherError::Overloaded)
    ));
}
