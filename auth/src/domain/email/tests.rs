use proptest::prelude::*;

use super::*;

#[test]
fn case_makes_no_twin() {
    assert_eq!(
        EmailAddress::parse("Ada.L+x@Example.ORG").unwrap().as_str(),
        "ada.l+x@example.org"
    );
}

#[test]
fn characters_that_stand_for_others_make_no_twin() {
    for twin in [
        "\u{ff21}\u{ff44}\u{ff41}@example.org", // full width
        "ada@\u{ff45}xample\u{ff0e}org",
        "ada\u{ff20}example.org",
        "\u{1d41a}da@example.org", // mathematical bold
        "\u{24d0}da@example.org",  // circled
        "ada@example.\u{2134}rg",  // script small o
    ] {
        assert_eq!(
            EmailAddress::parse(twin).unwrap().as_str(),
            "ada@example.org",
            "{twin:?}"
        );
    }
    // The Kelvin sign is a k, and the long s an s.
    assert_eq!(
        EmailAddress::parse("\u{212a}a\u{17f}@example.org")
            .unwrap()
            .as_str(),
        "kas@example.org"
    );
}

#[test]
fn what_looks_like_another_letter_is_refused() {
    for text in [
        "\u{430}da@example.org", // Cyrillic a
        "ad\u{131}@example.org", // dotless i
        "\u{130}da@example.org", // I with a dot
        "ada@stra\u{df}e.org",
        "a\u{200b}da@example.org", // zero width space
        "ada@example.org\u{301}",
    ] {
        assert_eq!(EmailAddress::parse(text), Err(EmailError::Malformed), "{text:?}");
    }
}

#[test]
fn what_is_no_address_is_refused() {
    for text in [
        "",
        "@",
        "ada",
        "ada@",
        "@example.org",
        "ada@example",
        "ada@@example.org",
        "a b@example.org",
        " ada@example.org",
        "ada@example.org ",
        ".ada@example.org",
        "ada.@example.org",
        "a..b@example.org",
        "ada@-example.org",
        "ada@example-.org",
        "ada@example..org",
        "ada@example.org.",
        "àda@example.org",
        "ada@exämple.org",
        "\"a\"@example.org",
        "ada@example.org\n",
        "ada@[127.0.0.1]",
        "ada\0@example.org",
    ] {
        assert_eq!(EmailAddress::parse(text), Err(EmailError::Malformed), "{text:?}");
    }
}

#[test]
fn length_is_bounded() {
    let local = "a".repeat(64);
    assert!(EmailAddress::parse(&format!("{local}@example.org")).is_ok());
    assert_eq!(
        EmailAddress::parse(&format!("a{local}@example.org")),
        Err(EmailError::Malformed)
    );
    assert_eq!(EmailAddress::parse(&"a".repeat(255)), Err(EmailError::TooLong));
}

#[test]
fn a_text_longer_than_any_address_is_compared_as_it_came() {
    assert_eq!(compared("ADA@example.org"), "ada@example.org");
    let long = "\u{fdfa}".repeat(RECEIVED_LENGTH_MAX / 3 + 1);
    assert_eq!(compared(&long), long.as_str());
}

proptest! {
    #[test]
    fn the_canonical_form_is_its_own(text in "\\PC{0,40}") {
        let once = canonical(&text);
        prop_assert_eq!(canonical(&once), once);
    }

    #[test]
    fn an_address_is_ascii_and_reads_back_as_itself(text in "\\PC{1,12}@[a-zA-Z0-9\u{ff41}-\u{ff5a}]{1,12}\\.[a-z]{2,5}") {
        if let Ok(address) = EmailAddress::parse(&text) {
            prop_assert!(address.as_str().is_ascii());
            prop_assert_eq!(EmailAddress::parse(address.as_str()), Ok(address.clone()));
            prop_assert_eq!(format!("{}@{}", address.local(), address.domain()), address.as_str());
        }
    }

    #[test]
    fn case_never_makes_a_twin(local in "[a-z0-9]{1,20}", domain in "[a-z]{1,10}\\.[a-z]{2,4}", upper in any::<u64>()) {
        let plain = format!("{local}@{domain}");
        let shouted: String = plain
            .chars()
            .enumerate()
            .map(|(i, c)| if upper >> (i % 64) & 1 == 1 { c.to_ascii_uppercase() } else { c })
            .collect();
        prop_assert_eq!(EmailAddress::parse(&shouted), EmailAddress::parse(&plain));
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(text in any::<String>()) {
        let _address = EmailAddress::parse(&text);
    }
}
