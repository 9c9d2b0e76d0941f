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

/// So many failures in a row at one moment.
fn failures(count: u32, now: DateTime<Utc>) -> Option<Failures> {
    (0..count).fold(None, |past, _| Some(POLICY.failed(past, now)))
}

#[test]
fn the_first_failures_are_free() {
    assert_eq!(POLICY.judge(None, at(0)), Judgement::Free);
    assert_eq!(POLICY.judge(failures(2, at(0)), at(0)), Judgement::Free);
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
    let past = failures(3, at(0));
    assert_eq!(POLICY.judge(past, at(0)), Judgement::Blocked { until: at(1) });
    let Judgement::Charged(charged) = POLICY.judge(past, at(1)) else {
        panic!("the wait is over")
    };
    assert_eq!((charged.count, charged.blocked_until), (4, at(3)));
    // The second of two at the same moment.
    assert_eq!(
        POLICY.judge(Some(charged), at(1)),
        Judgement::Blocked { until: at(3) }
    );
}

#[test]
fn what_is_long_ago_is_forgotten() {
    let past = failures(9, at(0));
    assert_eq!(POLICY.judge(past, at(660)), Judgement::Free);
    assert_eq!(POLICY.failed(past, at(660)).count, 1);
}

#[test]
fn an_attempt_that_did_not_fail_gets_its_count_back() {
    let Judgement::Charged(charged) = POLICY.judge(failures(3, at(0)), at(5)) else {
        panic!("the wait is over")
    };
    let left = POLICY.withdrawn(charged, at(6)).unwrap();
    assert_eq!((left.count, left.blocked_until), (3, at(6)));
    assert_eq!(POLICY.withdrawn(failures(1, at(0)).unwrap(), at(1)), None);
}

proptest! {
    #[test]
    fn no_wait_is_for_ever_and_none_is_shortened(moments in prop::collection::vec(0_i64..10_000, 1..60)) {
        let mut moments = moments;
        moments.sort_unstable();
        let mut past: Option<Failures> = None;
        for moment in moments {
            let next = POLICY.failed(past, at(moment));
            prop_assert!(next.blocked_until - at(moment) <= POLICY.delay_max);
            prop_assert!(next.expires_at > next.blocked_until);
            if let Some(before) = past.filter(|before| before.expires_at > at(moment)) {
                prop_assert!(next.blocked_until >= before.blocked_until);
                prop_assert_eq!(next.count, before.count + 1);
            }
            past = Some(next);
        }
    }
}
