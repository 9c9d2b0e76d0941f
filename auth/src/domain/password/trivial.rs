//! Repetitions, sequences and keyboard walks: long, and yet only a few decisions.

/// Sequences and the rows, columns and zigzags of keyboards; each also counts backwards.
const WALKS: [&str; 22] = [
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890123456789",
    "1234567890-=",
    "!@#$%^&*()_+",
    "qwertyuiop[]",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl;'",
    "qsdfghjklm",
    "zxcvbnm,./",
    "yxcvbnm,.-",
    "wxcvbn",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/",
    "zaq12wsxcde34rfvbgt56yhnmju78ik,lo90p;/",
    "zaq1xsw2cde3vfr4bgt5nhy6mju7,ki8.lo9/;p0",
    "qazwsxedcrfvtgbyhnujmikolp",
    "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0",
    "qawsedrftgyhujikolp",
    "azsxdcfvgbhnjmk,l.",
    "1a2b3c4d5e6f7g8h9i",
    "a1b2c3d4e5f6g7h8i9",
];

/// A password whose steps are this long on average, or longer, is made of too few.
const STEP_LENGTH: usize = 4;
/// Fewer different characters than this are a repetition, whatever their order.
const DIFFERENT_MIN: usize = 5;
/// A unit this short may not make up the whole password; a longer one may not three times.
const UNIT_LENGTH: usize = 4;

/// Whether a text in canonical form is one.
pub(super) fn is_trivial(text: &str) -> bool {
    let characters: Vec<char> = text.chars().collect();
    is_repetition(&characters) || is_walk(&characters)
}

/// The unit that a text repeats at least twice, if it does: the shortest.
pub(super) fn repeated_unit(characters: &[char]) -> Option<&[char]> {
    let length = characters.len();
    (1..=length / 2)
        .filter(|unit| length.is_multiple_of(*unit))
        .filter_map(|unit| characters.split_at_checked(unit))
        .find(|(unit, rest)| rest.chunks(unit.len()).all(|chunk| chunk == *unit))
        .map(|(unit, _rest)| unit)
}

fn is_repetition(characters: &[char]) -> bool {
    let mut different = characters.to_vec();
    different.sort_unstable();
    different.dedup();
    let repeats = |unit: &[char]| unit.len() <= UNIT_LENGTH || characters.len() >= 3 * unit.len();
    different.len() < DIFFERENT_MIN || repeated_unit(characters).is_some_and(repeats)
}

/// Whether the text is made of steps that are long on average: walks, or one character many times.
fn is_walk(characters: &[char]) -> bool {
    let (mut rest, mut steps) = (characters, 0_usize);
    while !rest.is_empty() {
        let length = step(rest);
        rest = rest.get(length..).unwrap_or_default();
        steps = steps.saturating_add(1);
    }
    steps.saturating_mul(STEP_LENGTH) <= characters.len()
}

/// Length of the longest step that the text begins with: at least 1.
fn step(text: &[char]) -> usize {
    let same = text
        .iter()
        .take_while(|character| text.first() == Some(*character))
        .count();
    WALKS
        .iter()
        .map(|walk| {
            let forwards: Vec<char> = walk.chars().collect();
            let backwards: Vec<char> = walk.chars().rev().collect();
            shared(text, &forwards).max(shared(text, &backwards))
        })
        .fold(same.max(1), usize::max)
}

/// How many characters the text has in common with the walk, from wherever on the walk.
fn shared(text: &[char], walk: &[char]) -> usize {
    (0..walk.len())
        .filter_map(|from| walk.get(from..))
        .map(|walk| text.iter().zip(walk).take_while(|(a, b)| a == b).count())
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_of_few_steps_is_trivial() {
        for text in [
            "aaaaaaaaaaaa",
            "abababababab",
            "abcabcabcabc",
            "121212121212",
            "112233445511223344551122334455",
            "123456789012",
            "987654321098",
            "abcdefghijkl",
            "qwertyuiop12",
            "poiuytrewq21",
            "qwertyuiop[]",
            "1qaz2wsx3edc",
            "zaq12wsxcde3",
            "1q2w3e4r5t6y",
            "asdfghjklqwerty",
            "aaaabbbbcccc",
            "!@#$%^&*()_+",
            "abcd1234abcd1234",
            "a1b2c3d4e5f6",
        ] {
            assert!(is_trivial(text), "{text}");
        }
    }

    #[test]
    fn words_are_not() {
        for text in [
            "correct horse battery",
            "an oak, a birch, a yew",
            "k3#fp9wz!qx2",
            "x7d1c0b3a8e5",
            "horse-horse-battery",
        ] {
            assert!(!is_trivial(text), "{text}");
        }
    }

    #[test]
    fn a_unit_is_the_shortest() {
        let unit = |text: &str| {
            let characters: Vec<char> = text.chars().collect();
            repeated_unit(&characters).map(|unit| unit.iter().collect::<String>())
        };
        assert_eq!(unit("trustno1trustno1").as_deref(), Some("trustno1"));
        assert_eq!(unit("abababab").as_deref(), Some("ab"));
        assert_eq!(unit("abcab"), None);
        assert_eq!(unit(""), None);
    }
}
