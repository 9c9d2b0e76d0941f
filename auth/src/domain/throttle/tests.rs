use proptest::prelude::*;

use super::*;

const POLICY: Policy = Policy {
    name: "test",
    free: 3,
    delay: TimeDelta::seconds(1),
    delay_max: TimeDelta::seconds(60),
    memory: TimeDelta::seconds(600),
};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

/// The failures with an attempt at that moment, which must be let in.
fn admitted(past: Option<Failures>, now: DateTime<Utc>) -> Failures {
    match POLICY.judge(past, now) {
        Judgement::Admitted(failures) => failures,
        Judgement::Blocked { until } => panic!("blocked until {until}"),
    }
}

/// So many free failures in a row at one moment.
fn failures(count: u32, now: DateTime<Utc>) -> Option<Failures> {
    (0..count).fold(None, |past, _| Some(admitted(past, now)))
}

#[test]
fn of_attempts_side_by_side_as_many_are_made_as_are_free() {
    let past = failures(3, at(0));
    assert_eq!(POLICY.judge(past, at(0)), Judgement::Blocked { until: at(1) });
}

#[test]
fn then_each_doubles_the_wait_up_to_the_longest() {
    let waits: Vec<i64> = (2..12)
        .map(|count| POLICY.wait_after(count).num_seconds())
        .collect();
    assert_eq!(waits, [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
    assert_eq!(POLICY.wait_after(u32::MAX).num_seconds(), 60);
}

#[test]
fn nobody_gets_in_during_the_wait_and_one_does_after_it() {
    let fourth = admitted(failures(3, at(0)), at(1));
    assert_eq!((fourth.count, fourth.blocked_until), (4, at(3)));
    // The second of two at the same moment.
    assert_eq!(
        POLICY.judge(Some(fourth), at(1)),
        Judgement::Blocked { until: at(3) }
    );
}

#[test]
fn while_failures_are_free_a_clock_that_is_behind_makes_nobody_wait() {
    assert_eq!(admitted(failures(1, at(1)), at(0)).count, 2);
}

#[test]
fn what_is_long_ago_is_forgotten() {
    let past = admitted(failures(3, at(0)), at(1));
    assert_eq!(admitted(Some(past), at(602)).count, 5);
    assert_eq!(admitted(Some(past), at(603)).count, 1);
}

#[test]
fn an_attempt_that_did_not_fail_gets_its_count_back_and_ends_its_wait() {
    let own = admitted(failures(3, at(0)), at(5));
    let left = POLICY.given_back(own, own, at(6)).unwrap();
    assert_eq!((left.count, left.blocked_until), (3, at(6)));
    let only = admitted(None, at(0));
    assert_eq!(POLICY.given_back(only, only, at(1)), None);
}

#[test]
fn a_right_password_does_not_end_the_wait_of_a_wrong_one_beside_it() {
    let right = admitted(failures(1, at(0)), at(0));
    let wrong = admitted(Some(right), at(0));
    let left = POLICY
        .given_back(admitted(Some(wrong), at(1)), right, at(1))
        .unwrap();
    assert_eq!((left.count, left.blocked_until), (3, at(3)));
}

proptest! {
    #[test]
    fn no_wait_is_for_ever_and_none_is_shortened(moments in prop::collection::vec(0_i64..10_000, 1..60)) {
        let mut moments = moments;
        moments.sort_unstable();
        let mut past: Option<Failures> = None;
        for moment in moments {
            match POLICY.judge(past, at(moment)) {
                Judgement::Blocked { until } => {
                    prop_assert!(until > at(moment) && until - at(moment) <= POLICY.delay_max);
                }
                Judgement::Admitted(next) => {
                    let before = past.filter(|before| before.expires_at > at(moment));
                    prop_assert_eq!(next.count, before.map_or(0, |before| before.count) + 1);
                    prop_assert!(before.is_none_or(|before| next.blocked_until >= before.blocked_until));
                    prop_assert!(next.blocked_until - at(moment) <= POLICY.delay_max);
                    prop_assert!(next.expires_at > next.blocked_until);
                    past = Some(next);
                }
            }
        }
    }

    /// However many are sent at one moment, and however many of those turn out right.
    #[test]
    fn no_more_are_in_flight_than_are_free_and_right_ones_leave_no_trace(right in prop::collection::vec(any::<bool>(), 1..30)) {
        let (mut past, mut made) = (None, Vec::new());
        for _ in &right {
            if let Judgement::Admitted(with) = POLICY.judge(past, at(0)) {
                made.push(with);
                past = Some(with);
            }
        }
        prop_assert!(made.len() <= 3);
        let wrong = made.iter().zip(&right).filter(|(_, right)| !**right).count();
        for (own, _) in made.iter().zip(&right).filter(|(_, right)| **right) {
            past = past.and_then(|past| POLICY.given_back(past, *own, at(0)));
        }
        prop_assert_eq!(past.map_or(0, |past| past.count), u32::try_from(wrong).unwrap());
    }
}
