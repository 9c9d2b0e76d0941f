use super::*;

const GRACE: TimeDelta = TimeDelta::seconds(60);

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn session(generation: i32) -> Session {
    let ttl = TimeDelta::days(30);
    Session {
        generation,
        ..Session::begin(Uuid::from_u128(1), UserId::new(Uuid::from_u128(2)), at(0), ttl)
    }
}

fn token(generation: i32, state: TokenState) -> PresentedToken {
    PresentedToken { generation, state }
}

fn used(seconds: i64) -> TokenState {
    TokenState::Used { at: at(seconds) }
}

#[test]
fn the_live_token_makes_the_next() {
    let refresh = session(3).refresh(token(3, TokenState::Live), at(60), GRACE);
    assert_eq!(refresh, Refresh::Rotate { generation: 4 });
}

#[test]
fn a_repetition_whose_successor_is_unused_gets_the_same_answer() {
    let refresh = session(4).refresh(token(3, used(60)), at(120), GRACE);
    assert_eq!(refresh, Refresh::Repeat);
}

#[test]
fn a_spent_token_is_reuse_when_late_or_when_its_successor_was_used() {
    assert_eq!(
        session(4).refresh(token(3, used(60)), at(121), GRACE),
        Refresh::Reuse
    );
    assert_eq!(
        session(5).refresh(token(3, used(60)), at(61), GRACE),
        Refresh::Reuse
    );
}

#[test]
fn a_login_that_is_over_stays_over() {
    let ended = Session {
        ended: true,
        ..session(1)
    };
    let live = token(1, TokenState::Live);
    assert_eq!(ended.refresh(live, at(1), GRACE), Refresh::Over);
    assert_eq!(session(1).refresh(live, at(30 * 86_400), GRACE), Refresh::Over);
}

mod hands;
