use super::*;
use proptest::prelude::*;

const REVOKED_MS: i64 = 1_700_000_000_500;

fn at(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap()
}

fn user(number: u128) -> UserId {
    UserId::new(Uuid::from_u128(number))
}

/// A version 7 id of that time.
fn id_of(ms: i64) -> Uuid {
    Uuid::from_u128((u128::try_from(ms).unwrap() << 80) | (7 << 76) | (2 << 62) | 1)
}

fn token(issued_ms: i64, begun_ms: i64) -> Issued {
    Issued {
        user_id: user(1),
        session_id: id_of(begun_ms),
        token_id: id_of(issued_ms),
        issued_at: at(issued_ms / 1_000 * 1_000),
    }
}

fn all_of_user_one() -> RevocationList {
    let mut list = RevocationList::new(10);
    list.add(&Revocation {
        user_id: user(1),
        session_id: None,
        revoked_at: at(REVOKED_MS),
    });
    list
}

#[test]
fn what_is_issued_right_after_everybody_was_logged_out_counts() {
    let list = all_of_user_one();
    // the same second, before and after
    assert!(list.ends(&token(REVOKED_MS - 1, REVOKED_MS - 1)));
    assert!(!list.ends(&token(REVOKED_MS + 1, REVOKED_MS + 1)));
    // an old login that lives on, and is refreshed
    assert!(!list.ends(&token(REVOKED_MS + 100, REVOKED_MS - 60_000)));
    // a login of the same second whose token is from before
    assert!(list.ends(&token(REVOKED_MS, REVOKED_MS - 1)));
    // other users are not touched
    let other = Issued {
        user_id: user(2),
        ..token(REVOKED_MS - 1, REVOKED_MS - 1)
    };
    assert!(!list.ends(&other));
}

#[test]
fn a_token_whose_id_tells_no_time_is_refused_for_the_whole_second() {
    let unknown = Issued {
        token_id: Uuid::nil(),
        ..token(REVOKED_MS + 1, 0)
    };
    assert!(all_of_user_one().ends(&unknown));
}

#[test]
fn one_login_ends_alone() {
    let mut list = RevocationList::new(10);
    list.add(&Revocation {
        user_id: user(1),
        session_id: Some(id_of(1_000)),
        revoked_at: at(REVOKED_MS),
    });
    assert!(list.ends(&token(REVOKED_MS - 1, 1_000)));
    // a process whose clock is ahead has issued one that seems younger
    assert!(list.ends(&token(REVOKED_MS + 90_000, 1_000)), "for good");
    assert!(!list.ends(&token(REVOKED_MS - 1, 2_000)));
}

#[test]
fn what_no_token_can_survive_is_forgotten() {
    let mut list = all_of_user_one();
    list.forget_until(at(REVOKED_MS - 1));
    assert_eq!(list.len(), 1);
    list.forget_until(at(REVOKED_MS));
    assert!(list.is_empty());
}

#[test]
fn a_full_list_refuses_more_rather_than_less() {
    let mut list = RevocationList::new(2);
    for number in 1..=3_u8 {
        list.add(&Revocation {
            user_id: user(number.into()),
            session_id: None,
            revoked_at: at(i64::from(number) * 10_000),
        });
    }
    assert_eq!(list.len(), 2);
    assert!(list.ends(&token(10_000, 9_000)), "the forgotten one");
    let stranger = Issued {
        user_id: user(9),
        ..token(10_000, 9_000)
    };
    assert!(list.ends(&stranger), "and everybody of that time");
    let later = Issued {
        user_id: user(9),
        ..token(11_000, 9_000)
    };
    assert!(!list.ends(&later));
    list.forget_until(at(10_000));
    assert!(!list.ends(&stranger));
}

proptest! {
    #[test]
    fn a_token_issued_up_to_the_revocation_never_counts_and_one_of_a_later_login_always_does(
        before in 0..5_000_i64, age in 0..5_000_i64, after in 1..5_000_i64,
    ) {
        let list = all_of_user_one();
        prop_assert!(list.ends(&token(REVOKED_MS - before, REVOKED_MS - before - age)));
        prop_assert!(!list.ends(&token(REVOKED_MS + after, REVOKED_MS + after)));
    }

    #[test]
    fn whatever_comes_in_whatever_order_memory_is_bounded_and_nobody_revoked_gets_in(
        times in proptest::collection::vec((0..20_u128, 0..100_000_i64), 1..60),
    ) {
        let mut list = RevocationList::new(5);
        for (number, ms) in &times {
            list.add(&Revocation { user_id: user(*number), session_id: None, revoked_at: at(*ms) });
            prop_assert!(list.len() <= 5);
        }
        for (number, ms) in times {
            let token = Issued { user_id: user(number), ..token(ms, 0) };
            prop_assert!(list.ends(&token));
        }
    }
}
