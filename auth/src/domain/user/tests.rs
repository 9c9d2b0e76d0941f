use contracts::Event;

use super::*;

fn context() -> Context {
    Context {
        now: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
        fresh_id: Uuid::from_u128(1),
        cause_id: Uuid::from_u128(2),
        correlation_id: Uuid::from_u128(3),
    }
}

fn user(role: Role) -> User {
    User::register(
        EmailAddress::parse("ada@example.org").unwrap(),
        None,
        role,
        &context(),
    )
    .state
}

const ADMIN: UserId = UserId::new(Uuid::from_u128(9));

fn change(role: Option<Role>, disabled: Option<bool>) -> Change {
    Change { role, disabled }
}

fn announced(step: Step<User>) -> Vec<Event> {
    match step {
        Step::Unchanged => panic!("nothing changed"),
        Step::Next(transition) => transition
            .events
            .into_iter()
            .map(|outgoing| outgoing.event)
            .collect(),
    }
}

#[test]
fn a_registration_is_announced_once() {
    let transition = User::register(
        EmailAddress::parse("Ada@example.org").unwrap(),
        Some("Ada".into()),
        Role::Customer,
        &context(),
    );
    assert_eq!(transition.state.event_sequence, 1);
    assert_eq!(transition.events.len(), 1);
    assert_eq!(
        transition.events[0].event,
        Event::from(UserRegistered {
            user_id: UserId::new(Uuid::from_u128(1)),
            email: "ada@example.org".into(),
            display_name: Some("Ada".into()),
        })
    );
}

#[test]
fn disabling_or_another_role_takes_the_access_tokens_away() {
    for wanted in [change(None, Some(true)), change(Some(Role::Admin), None)] {
        let events = announced(user(Role::Customer).change(wanted, ADMIN, &context()).unwrap());
        let Event::SessionRevoked(revoked) = &events[0] else {
            panic!("{events:?}")
        };
        assert_eq!(
            (revoked.session_id, revoked.reason),
            (None, RevocationReason::AccountChanged)
        );
    }
}

#[test]
fn enabling_takes_nothing_away() {
    let disabled = User {
        disabled: true,
        ..user(Role::Customer)
    };
    assert!(
        announced(
            disabled
                .change(change(None, Some(false)), ADMIN, &context())
                .unwrap()
        )
        .is_empty()
    );
}

#[test]
fn the_same_again_changes_nothing() {
    let wanted = change(Some(Role::Customer), Some(false));
    assert_eq!(
        user(Role::Customer).change(wanted, ADMIN, &context()),
        Ok(Step::Unchanged)
    );
}

#[test]
fn an_admin_cannot_lock_themselves_out() {
    let admin = user(Role::Admin);
    for wanted in [change(None, Some(true)), change(Some(Role::Customer), None)] {
        assert_eq!(
            admin.change(wanted, admin.id, &context()),
            Err(ChangeError::OwnAccount)
        );
    }
}

#[test]
fn logins_that_end_are_announced_one_by_one_and_many_as_all() {
    let sessions: Vec<Uuid> = (1..=101).map(Uuid::from_u128).collect();
    let reason = RevocationReason::PasswordChanged;
    let few = user(Role::Customer).revoking_some(&sessions[..2], reason, &context());
    let ended: Vec<Option<Uuid>> = few
        .events
        .iter()
        .filter_map(|outgoing| {
            let Event::SessionRevoked(revoked) = &outgoing.event else {
                return None;
            };
            Some(revoked.session_id)
        })
        .collect();
    assert_eq!(ended, [Some(sessions[0]), Some(sessions[1])]);
    assert_eq!(few.events[1].sequence, few.events[0].sequence + 1);
    let many = user(Role::Customer).revoking_some(&sessions, reason, &context());
    assert_eq!(many.events.len(), 1);
    let none = user(Role::Customer).revoking_some(&[], reason, &context());
    assert!(none.events.is_empty());
}
