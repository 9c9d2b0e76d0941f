//! The passwords that are tried first.
//!
//! The list is written for this project, from the habits that every published analysis of leaked passwords finds again:
//! a word out of a few hundred (`words.txt`: what passwords are called, keyboard walks, names, teams, months, places,
//! seasons, pets, heroes, brands), written once or twice, with letters exchanged for digits that look like them, a year,
//! a few digits or a mark at an end. The words alone with the endings below are some tens of thousands of entries; the
//! rule that reads a password back into word and ending refuses all of them, and those with other digits too.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::trivial::{is_trivial, repeated_unit};

/// Words, names and phrases, separated by white space; `#` begins a comment.
const WORDS: &str = include_str!("words.txt");
/// Characters that may stand around a word without making it another: digits and marks, so many in all.
const DECORATION_MAX: usize = 6;
/// Shorter words say nothing about what they are in.
const WORD_LENGTH_MIN: usize = 4;

static LIST: LazyLock<HashSet<&'static str>> = LazyLock::new(|| words().collect());

/// The words of the list.
pub(super) fn words() -> impl Iterator<Item = &'static str> {
    WORDS
        .lines()
        .filter_map(|line| line.split('#').next())
        .flat_map(str::split_whitespace)
}

/// Whether a text in canonical form is on the list.
pub(super) fn is_common(text: &str) -> bool {
    readings(text).iter().any(|reading| is_word(reading))
}

/// Whether a text in canonical form is one of these names, with digits and marks around it or twice.
pub(super) fn is_built_on(text: &str, names: &[&str]) -> bool {
    let is_name =
        |reading: &String| reading.chars().count() >= WORD_LENGTH_MIN && names.contains(&reading.as_str());
    readings(text).iter().any(is_name)
}

/// A word of the list, or two side by side (`adminpassword`), or one that has digits itself and more around it.
fn is_word(text: &str) -> bool {
    let known = |text: &str| LIST.contains(text);
    let is_pair = |(first, second): (&str, &str)| {
        (known(first) && (known(second) || is_decoration(second))) || (is_decoration(first) && known(second))
    };
    let splits = text
        .char_indices()
        .filter_map(|(at, _)| text.split_at_checked(at));
    known(text) || splits.into_iter().any(is_pair)
}

/// Digits and marks, if they are few or themselves nothing (`12345678`).
fn is_decoration(text: &str) -> bool {
    !text.chars().any(char::is_alphabetic) && (text.chars().count() <= DECORATION_MAX || is_trivial(text))
}

/// What a text may have been made from: itself, without what stands around it, with each character that stands for a
/// letter turned back into it, and the half of a double.
fn readings(text: &str) -> Vec<String> {
    let mut readings = Vec::new();
    for text in [text.to_owned(), joined(text)] {
        for text in [unlike(&text, 'i'), unlike(&text, 'l'), text] {
            let bare = bare(&text);
            for text in [text, bare] {
                let characters: Vec<char> = text.chars().collect();
                if let Some(unit) = repeated_unit(&characters) {
                    let unit: String = unit.iter().collect();
                    readings.push(self::bare(&unit));
                    readings.push(unit);
                }
                readings.push(text);
            }
        }
    }
    readings
}

/// Without white space and what people put in its place.
fn joined(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_whitespace() && !matches!(character, '-' | '_' | '.' | ','))
        .collect()
}

/// Without digits and marks at the ends.
fn bare(text: &str) -> String {
    let word = text.trim_matches(|character: char| !character.is_alphabetic());
    match text.split_once(word) {
        Some((before, behind)) if !word.is_empty() && is_decoration(&[before, behind].concat()) => {
            word.to_owned()
        }
        Some(_) | None => text.to_owned(),
    }
}

/// Digits and marks between or beside letters turned into the letters they look like; 1 looks like two.
fn unlike(text: &str, one: char) -> String {
    // The last digits are rather a year than letters.
    let stem = text.trim_end_matches(|character: char| !character.is_alphabetic());
    let (stem, ending) = text.split_at(stem.len());
    let letter = |character: char| match character {
        '0' => 'o',
        '1' | '!' | '|' => one,
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        '8' => 'b',
        other => other,
    };
    stem.chars().map(letter).chain(ending.chars()).collect()
}

#[cfg(test)]
mod tests;
