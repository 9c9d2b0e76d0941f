//! One password, however a keyboard or a system writes it.
//!
//! `é` may come as one code point or as a letter and an accent: who registers on one system could not log in from another.
//! NIST SP 800-63B-4 (section 3.1.1.2) has Unicode passwords brought into Normalization Form C before they are hashed, and
//! counts code points; its revision 3 had asked for Form KC or KD. RFC 8265 asks for the same with its profile OpaqueString
//! (section 4.2): spaces other than U+0020 become that, and then Form C. Neither case nor width is mapped, and compatibility
//! characters (`²`, `ﬁ`) stay what they are: Form KC would make different passwords one, and a password weaker than its
//! owner thinks.

use unicode_normalization::UnicodeNormalization;

/// The form in which a password is judged and hashed.
#[must_use]
pub fn prepared(password: &str) -> String {
    password
        .chars()
        .map(|letter| if is_other_space(letter) { ' ' } else { letter })
        .nfc()
        .collect()
}

/// General category Zs, but for U+0020.
const fn is_other_space(letter: char) -> bool {
    matches!(
        letter,
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn composed_and_decomposed_are_one_and_nothing_else_is() {
        assert_eq!(
            prepared("cafe\u{301} au lait"),
            prepared("ca\u{66}\u{e9} au lait")
        );
        assert_eq!(prepared("\u{1112}\u{1161}\u{11ab}"), "\u{d55c}");
        assert_eq!(prepared("a\u{a0}b\u{3000}c"), "a b c");
        for (one, other) in [
            ("x\u{b2}", "x2"),
            ("\u{fb01}x", "fix"),
            ("\u{ff21}", "A"),
            ("Ada", "ada"),
            (" a", "a"),
        ] {
            assert_ne!(prepared(one), prepared(other), "{one} {other}");
        }
    }

    proptest! {
        #[test]
        fn preparing_twice_changes_nothing_and_ascii_stays(any in r"\PC{0,40}", ascii in "[ -~]{0,40}") {
            let once = prepared(&any);
            prop_assert_eq!(prepared(&once), once.clone());
            prop_assert_eq!(prepared(&any.nfd().collect::<String>()), once);
            prop_assert_eq!(prepared(&ascii), ascii);
        }
    }
}
