use super::*;

/// How the list is written out: each word with each of these behind it.
const ENDINGS: [&str; 24] = [
    "", "!", "!!", "1", "01", "007", "11", "12", "12!", "69", "99", "123", "123!", "321", "1234", "1234!",
    "12345", "123456", "12345678", "1987", "2000", "2024", "2025!", "@2026",
];

#[test]
fn the_list_has_thousands_of_entries_and_each_is_refused() {
    let list: HashSet<String> = words()
        .flat_map(|word| ENDINGS.map(|ending| format!("{word}{ending}")))
        .chain(words().map(|word| format!("{word}{word}")))
        .filter(|entry| entry.chars().count() >= 8)
        .collect();
    assert!(list.len() > 20_000, "{}", list.len());
    let missed: Vec<_> = list
        .iter()
        .filter(|entry| !is_common(entry) && !is_trivial(entry))
        .collect();
    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn words_are_written_in_the_form_they_are_compared_in() {
    for word in words() {
        assert_eq!(word, crate::domain::email::canonical(word));
        assert!(!word.contains(['-', '_', '.', ',']), "{word}");
    }
}

#[test]
fn disguise_does_not_help() {
    for text in [
        "p@ssw0rd1234",
        "p@$$w0rd2024",
        "pa55word!!!!",
        "we1come12345",
        "l3tm31n12345",
        "123password123",
        "!!password!!",
        "pass-word-2024",
        "p a s s w o r d 1",
        "trustno1trustno1",
        "adminpassword",
        "ilovesummer!!",
        "dragon-dragon",
        "administrator",
        "liverpool1234567890",
    ] {
        assert!(is_common(text), "{text}");
    }
}

#[test]
fn a_word_among_others_is_not_the_password() {
    for text in [
        "correct horse battery",
        "another horse battery",
        "my dragon eats seven apples",
        "an oak, a birch, a yew",
        "dragon 8364 51947",
        "k3#fp9wz!qx2",
        "zqx-dragon-vut",
    ] {
        assert!(!is_common(text), "{text}");
    }
}
