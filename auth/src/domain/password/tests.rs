use proptest::prelude::*;

use super::*;

const RULES: Rules = Rules {
    length_min: 12,
    length_max: 128,
};

fn ada() -> EmailAddress {
    EmailAddress::parse("ada.lovelace@engines.example").unwrap()
}

fn judged(password: &str) -> Result<(), PasswordError> {
    RULES.check(password, &ada())
}

#[test]
fn characters_count_not_bytes() {
    assert_eq!(judged("elevenchars"), Err(PasswordError::TooShort(12)));
    assert_eq!(judged("twelve chars"), Ok(()));
    assert_eq!(judged(&"äöüß€ ".repeat(2)), Ok(()));
    let long: String = ('\u{4e00}'..).take(129).collect();
    assert_eq!(judged(&long), Err(PasswordError::TooLong(128)));
    assert_eq!(
        judged(&"k3#fP9wZ!qX2".repeat(11)),
        Err(PasswordError::TooLong(128))
    );
}

#[test]
fn nothing_is_trimmed() {
    assert_eq!(judged(" elevenchar "), Ok(()), "spaces count");
    assert_eq!(judged("            "), Err(PasswordError::Trivial));
}

#[test]
fn no_rule_of_composition() {
    for password in [
        "only lower case words",
        "ONLY UPPER CASE WORDS",
        "4815162342108",
        "§%&/=?*+~#;:",
    ] {
        assert_eq!(judged(password), Ok(()), "{password}");
    }
}

#[test]
fn what_is_guessed_first_is_refused() {
    for (password, why) in [
        ("aaaaaaaaaaaa", PasswordError::Trivial),
        ("123456789012", PasswordError::Trivial),
        ("Qwertyuiop12", PasswordError::Trivial),
        ("Password1234", PasswordError::Common),
        ("P@ssw0rd2024!", PasswordError::Common),
        ("Administrator", PasswordError::Common),
        ("correctHorseBatteryStaple", PasswordError::Common),
        ("ada.lovelace@engines.example", PasswordError::OwnName),
        ("Ada.Lovelace", PasswordError::OwnName),
        ("ADA.LOVELACE2024", PasswordError::OwnName),
        ("engines.example", PasswordError::OwnName),
        ("Engines12345", PasswordError::OwnName),
        ("\u{ff21}da.lovelace", PasswordError::OwnName),
    ] {
        assert_eq!(judged(password), Err(why), "{password}");
    }
}

#[test]
fn a_lower_floor_still_has_the_list() {
    let rules = Rules {
        length_min: 8,
        ..RULES
    };
    assert_eq!(rules.check("password", &ada()), Err(PasswordError::Common));
    assert_eq!(rules.check("iloveyou", &ada()), Err(PasswordError::Common));
    assert_eq!(rules.check("k3#fP9wZ", &ada()), Ok(()));
}

proptest! {
    #[test]
    fn any_text_is_judged_without_a_panic(password in any::<String>()) {
        let _judged = judged(&password);
    }

    #[test]
    fn length_is_in_characters(password in "\\PC{0,140}") {
        let length = prepared(&password).chars().count();
        let refused_for_length = matches!(
            judged(&password),
            Err(PasswordError::TooShort(_) | PasswordError::TooLong(_))
        );
        prop_assert_eq!(refused_for_length, !(12..=128).contains(&length));
    }

    #[test]
    fn random_passwords_are_taken(password in "[a-zA-Z0-9+/]{22}") {
        prop_assert_eq!(judged(&password), Ok(()));
    }

    #[test]
    fn the_own_address_is_refused_in_any_case(local in "[a-z]{6,20}", upper in any::<u64>()) {
        let email = EmailAddress::parse(&format!("{local}@engines.example")).unwrap();
        let password: String = email
            .as_str()
            .chars()
            .enumerate()
            .map(|(i, c)| if upper >> (i % 64) & 1 == 1 { c.to_ascii_uppercase() } else { c })
            .collect();
        prop_assert_eq!(RULES.check(&password, &email), Err(PasswordError::OwnName));
    }

    #[test]
    fn one_character_many_times_is_refused(character in any::<char>(), times in 12_usize..=40) {
        // Some characters become several in the canonical form.
        let password: String = std::iter::repeat_n(character, times).collect();
        prop_assert!(judged(&password).is_err());
    }
}
