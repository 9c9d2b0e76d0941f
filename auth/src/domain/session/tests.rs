use proptest::prelude::*;

use super::*;

const GRACE: TimeDelta = TimeDelta::seconds(10);

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
fn a_retry_whose_successor_is_unused_gets_another() {
    let refresh = session(4).refresh(token(3, used(60)), at(70), GRACE);
    assert_eq!(refresh, Refresh::Retry { generation: 4 });
}

#[test]
fn a_spent_token_is_reuse_when_late_or_when_its_successor_was_used() {
    assert_eq!(
        session(4).refresh(token(3, used(60)), at(71), GRACE),
        Refresh::Reuse
    );
    assert_eq!(
        session(5).refresh(token(3, used(60)), at(61), GRACE),
        Refresh::Reuse
    );
}

#[test]
fn an_overtaken_token_is_reuse_before_and_after_its_sibling_was_used() {
    for generation in [3, 4] {
        let refresh = session(generation).refresh(token(3, TokenState::Overtaken), at(61), GRACE);
        assert_eq!(refresh, Refresh::Reuse, "{generation}");
    }
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

/// A login and all the tokens it ever had, as the store keeps them.
struct Family {
    session: Session,
    tokens: Vec<PresentedToken>,
}

impl Family {
    fn begin() -> Self {
        Self {
            session: session(1),
            tokens: vec![token(1, TokenState::Live)],
        }
    }

    /// Somebody sends one of the tokens.
    fn send(&mut self, number: usize, now: DateTime<Utc>) -> Refresh {
        let refresh = self.session.refresh(self.tokens[number], now, GRACE);
        match refresh {
            Refresh::Rotate { generation } => self.replace(generation, TokenState::Used { at: now }),
            Refresh::Retry { generation } => self.replace(generation, TokenState::Overtaken),
            Refresh::Reuse => self.session.ended = true,
            Refresh::Over => {}
        }
        refresh
    }

    fn replace(&mut self, generation: i32, left: TokenState) {
        let live = self.live();
        for number in live {
            self.tokens[number].state = left;
        }
        self.session.generation = generation;
        self.tokens.push(token(generation, TokenState::Live));
    }

    fn live(&self) -> Vec<usize> {
        let tokens = self.tokens.iter().enumerate();
        tokens
            .filter(|(_, token)| token.state == TokenState::Live)
            .map(|(number, _)| number)
            .collect()
    }
}

proptest! {
    /// Whoever sends whichever token whenever: one branch lives, and a token that comes again is forgiven only as a
    /// retry of the last use.
    #[test]
    fn one_branch_lives_at_most_and_what_is_no_retry_ends_it(
        sends in prop::collection::vec((any::<prop::sample::Index>(), 0_i64..15), 1..40),
    ) {
        let (mut family, mut seconds, mut last_used) = (Family::begin(), 0, None);
        for (which, pause) in sends {
            seconds += pause;
            let number = which.index(family.tokens.len());
            let (before, over) = (family.tokens[number], family.session.ended);
            let refresh = family.send(number, at(seconds));
            prop_assert_eq!(family.live().len(), 1);
            let expected_retry = last_used
                .is_some_and(|(used, moment)| used == number && seconds - moment <= GRACE.num_seconds());
            match refresh {
                Refresh::Over => prop_assert!(over),
                Refresh::Rotate { .. } => {
                    prop_assert_eq!(before.state, TokenState::Live);
                    last_used = Some((number, seconds));
                }
                Refresh::Retry { .. } => prop_assert!(expected_retry),
                Refresh::Reuse => prop_assert!(before.state != TokenState::Live && !expected_retry),
            }
        }
        // once no retry is forgiven any more, the live one goes on, and any other ends it
        let late = at(seconds + 60);
        let (live, over) = (family.live()[0], family.session.ended);
        let goes_on = matches!(family.send(live, late), Refresh::Rotate { .. });
        prop_assert_eq!(goes_on, !over);
        for number in 0..live {
            prop_assert!(matches!(family.send(number, late), Refresh::Reuse | Refresh::Over));
        }
        prop_assert!(over || live == 0 || family.session.ended);
    }
}
