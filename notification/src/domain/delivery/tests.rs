use chrono::TimeDelta;

use super::*;

const ID: Uuid = Uuid::from_u128(0x01936d9a_7c00_7000_8000_000000000001);
const USER: UserId = UserId::new(Uuid::from_u128(2));
const HOOK: Target = Target::Webhook(Uuid::from_u128(3));

fn context(seconds: i64) -> Context {
    let begin: DateTime<Utc> = "2026-11-21T10:00:00Z".parse().unwrap();
    Context {
        now: begin + TimeDelta::seconds(seconds),
        fresh_id: ID,
        cause_id: ID,
        correlation_id: ID,
    }
}

fn attempted(number: u32) -> Attempted {
    Attempted {
        number,
        at: context(0).now,
        duration_ms: 1,
        status: None,
        error: None,
        excerpt: None,
    }
}

fn started() -> (Delivery, DeliveryAction) {
    let started = start(USER, None, HOOK, &context(0));
    assert_eq!(started.actions.len(), 1);
    (started.state, started.actions[0])
}

fn next(step: Step<Delivery, DeliveryAction>) -> (Delivery, Vec<DeliveryAction>) {
    match step {
        Step::Next(next) => (next.state, next.actions),
        Step::Unchanged => panic!("nothing moved"),
    }
}

fn after(delivery: &Delivery, outcome: &Outcome) -> Delivery {
    next(on_outcome(Some(delivery.clone()), outcome, &context(1)).unwrap()).0
}

#[test]
fn it_begins_with_one_attempt_that_is_wanted_until_it_has_an_outcome() {
    let (delivery, action) = started();
    assert_eq!((action.attempt, action.tries, action.way), (1, 0, Way::Webhook));
    assert_eq!(precondition(&delivery, &action), Ok(()));
    let delivered = after(&delivery, &Outcome::Delivered(attempted(1)));
    assert_eq!((delivered.status, delivered.attempts), (Status::Delivered, 1));
    assert!(precondition(&delivered, &action).is_err());
}

#[test]
fn an_outcome_that_comes_twice_counts_once() {
    let (delivery, _) = started();
    let outcome = Outcome::Delivered(attempted(1));
    let delivered = after(&delivery, &outcome);
    assert_eq!(
        on_outcome(Some(delivered), &outcome, &context(2)),
        Ok(Step::Unchanged)
    );
    assert_eq!(on_outcome(None, &outcome, &context(2)), Ok(Step::Unchanged));
    let other = Outcome::Delivered(attempted(2));
    assert_eq!(
        on_outcome(Some(delivery), &other, &context(2)),
        Ok(Step::Unchanged)
    );
}

#[test]
fn a_failed_attempt_waits_and_is_followed_by_one_more() {
    let (delivery, _) = started();
    let until = context(60).now;
    let waiting = after(&delivery, &Outcome::Failed(attempted(1), Some(until)));
    assert_eq!(waiting.status, Status::Waiting { until });
    assert_eq!(resume(Some(waiting.clone()), &context(59)), Step::Unchanged);
    let (sending, actions) = next(resume(Some(waiting), &context(60)));
    assert_eq!(actions.len(), 1);
    assert_eq!((actions[0].attempt, actions[0].tries), (2, 1));
    assert_eq!(resume(Some(sending), &context(61)), Step::Unchanged);
}

#[test]
fn what_is_put_off_counts_as_no_attempt() {
    let (delivery, action) = started();
    let until = context(5).now;
    let waiting = after(&delivery, &Outcome::PutOff(until));
    assert_eq!((waiting.attempts, waiting.last.clone()), (0, None));
    let (_, actions) = next(resume(Some(waiting), &context(5)));
    assert_eq!(actions, [action]);
}

#[test]
fn what_was_given_up_is_sent_again_when_its_user_asks_and_pressed_twice_it_is_one_attempt() {
    let (delivery, _) = started();
    let failed = after(&delivery, &Outcome::Failed(attempted(1), None));
    assert_eq!(failed.status, Status::Failed);
    let (sending, actions) = next(resend(Some(failed), &context(9)).unwrap());
    assert_eq!((actions[0].attempt, actions[0].tries), (2, 0));
    assert_eq!(resend(Some(sending), &context(9)), Ok(Step::Unchanged));
    assert_eq!(resend(None, &context(9)), Err(ResendError::NotFound));
}

#[test]
fn attempts_are_bounded() {
    let (mut delivery, _) = started();
    delivery.attempts = ATTEMPTS_MAX - 1;
    let until = Some(context(5).now);
    let failed = after(&delivery, &Outcome::Failed(attempted(ATTEMPTS_MAX), until));
    assert_eq!(failed.status, Status::Failed);
    assert_eq!(resend(Some(failed), &context(9)), Err(ResendError::TooOften));
}
