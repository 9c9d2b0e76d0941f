//! A login in several hands: tabs that share their tokens' store, answers that get lost, and a thief.
//!
//! A token is named by its generation, because it has one successor; the model fails when that is not so.

use proptest::prelude::*;

use super::*;

/// A login with the tokens and answers that the store keeps of it.
struct Family {
    session: Session,
    /// What became of each generation's token, from the first.
    tokens: Vec<TokenState>,
    /// How often reuse was told.
    alarms: usize,
}

/// What a hand has of the login: the generation of its token.
type Token = usize;

impl Family {
    fn begin() -> Self {
        Self {
            session: session(1),
            tokens: vec![TokenState::Live],
            alarms: 0,
        }
    }

    /// Somebody sends a token: the next one, or that the login is over for them.
    fn send(&mut self, sent: Token, now: DateTime<Utc>) -> Option<Token> {
        let presented = token(i32::try_from(sent).unwrap(), self.tokens[sent - 1]);
        match self.session.refresh(presented, now, GRACE) {
            Refresh::Rotate { generation } => {
                self.tokens[sent - 1] = TokenState::Used { at: now };
                self.tokens.push(TokenState::Live);
                self.session.generation = generation;
                assert_eq!(
                    usize::try_from(generation).unwrap(),
                    sent + 1,
                    "the one successor"
                );
                Some(sent + 1)
            }
            Refresh::Repeat => {
                assert_eq!(self.tokens[sent], TokenState::Live, "its successor is unused");
                Some(sent + 1)
            }
            Refresh::Reuse => {
                self.session.ended = true;
                self.alarms += 1;
                None
            }
            Refresh::Over => None,
        }
    }

    fn live(&self) -> usize {
        self.tokens
            .iter()
            .filter(|state| **state == TokenState::Live)
            .count()
    }
}

/// What happens next.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A tab sends its token; its answer may get lost, and it then has the same token as before.
    Tab { tab: usize, lost: bool },
    /// The thief copies a tab's token.
    Steal { tab: usize },
    /// The thief sends what it has.
    Thief,
    /// Time passes.
    Wait { seconds: i64 },
}

const TABS: usize = 3;

fn step(thief: bool) -> impl Strategy<Value = Step> {
    let tab = (0..TABS, any::<bool>()).prop_map(|(tab, lost)| Step::Tab { tab, lost });
    let wait = (0_i64..40).prop_map(|seconds| Step::Wait { seconds });
    let steal = (0..TABS).prop_map(|tab| Step::Steal { tab });
    let weight = u32::from(thief);
    prop_oneof![4 => tab, 2 => wait, weight => steal, 2 * weight => Just(Step::Thief)]
}

proptest! {
    /// However tabs and lost answers interleave: as long as no tab is behind by more than the grace or by a token whose
    /// successor was used, nobody is logged out, and all of them come to hold the same token.
    #[test]
    fn tabs_and_lost_answers_log_nobody_out(steps in prop::collection::vec(step(false), 1..60)) {
        let (mut family, mut tabs, mut now) = (Family::begin(), [1; TABS], 0);
        for step in steps {
            match step {
                Step::Wait { seconds } => {
                    // those that are behind come within the grace
                    let newest = family.tokens.len();
                    if let Some(TokenState::Used { at: moment }) = newest.checked_sub(2).map(|before| family.tokens[before])
                        && at(now + seconds) - moment > GRACE
                    {
                        for held in tabs.iter_mut().filter(|held| **held < newest) {
                            *held = family.send(*held, at(now)).expect("still logged in");
                        }
                    }
                    now += seconds;
                }
                Step::Tab { tab, lost } => {
                    // a token whose successor is to be used is nobody's any more
                    let newest = family.tokens.len();
                    if tabs[tab] == newest {
                        for held in tabs.iter_mut().filter(|held| **held < newest) {
                            *held = family.send(*held, at(now)).expect("still logged in");
                        }
                    }
                    let next = family.send(tabs[tab], at(now)).expect("still logged in");
                    if !lost {
                        tabs[tab] = next;
                    }
                }
                Step::Steal { .. } | Step::Thief => unreachable!("there is none"),
            }
            prop_assert_eq!(family.live(), 1);
        }
        prop_assert_eq!(family.alarms, 0);
        let newest = family.tokens.len();
        prop_assert!(tabs.iter().all(|held| *held == newest || *held + 1 == newest));
    }

    /// Whatever else happens, one token lives, a token that comes again after the grace or after its successor was used
    /// ends the login, and that is told once.
    #[test]
    fn whoever_does_what_reuse_ends_the_login_once(steps in prop::collection::vec(step(true), 1..60)) {
        let (mut family, mut tabs, mut stolen, mut now) = (Family::begin(), [1; TABS], None, 0);
        for step in steps {
            let (sent, hand) = match step {
                Step::Wait { seconds } => {
                    now += seconds;
                    continue;
                }
                Step::Steal { tab } => {
                    stolen = Some(tabs[tab]);
                    continue;
                }
                Step::Tab { tab, lost } => (tabs[tab], (!lost).then_some(&mut tabs[tab])),
                Step::Thief => match stolen {
                    Some(token) => (token, stolen.as_mut()),
                    None => continue,
                },
            };
            let (ended, before) = (family.session.ended, family.tokens[sent - 1]);
            let is_reuse = match before {
                TokenState::Live => false,
                TokenState::Used { at: moment } => at(now) - moment > GRACE || sent + 1 < family.tokens.len(),
            };
            let answer = family.send(sent, at(now));
            prop_assert_eq!(answer, (!ended && !is_reuse).then_some(sent + 1));
            prop_assert_eq!(family.session.ended, ended || is_reuse);
            if let (Some(next), Some(hand)) = (answer, hand) {
                *hand = next;
            }
            prop_assert_eq!(family.live(), 1);
            prop_assert_eq!(family.alarms, usize::from(family.session.ended));
        }
    }

    /// A thief and an owner who both go on, each at the pace at which access tokens expire, do so for one lap at most.
    #[test]
    fn a_thief_and_an_owner_cannot_both_go_on(
        head_start in 0_usize..4, owner_is_first in any::<bool>(), pause in 61_i64..900,
    ) {
        let (mut family, mut owner, mut now) = (Family::begin(), 1, 0);
        for _ in 0..head_start {
            owner = family.send(owner, at(now)).unwrap();
            now += pause;
        }
        let mut thief = owner;
        for _lap in 0..2 {
            let mut order = [&mut owner, &mut thief];
            if !owner_is_first {
                order.reverse();
            }
            for hand in order {
                if let Some(next) = family.send(*hand, at(now)) {
                    *hand = next;
                }
                now += pause;
            }
        }
        prop_assert!(family.session.ended);
        prop_assert_eq!(family.alarms, 1);
    }
}
