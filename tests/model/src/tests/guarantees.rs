//! docs/GUARANTEES.md names tests that exist, and tells the numbers of states that were explored.

use std::path::{Path, PathBuf};

use super::{
    A_FACT_FAILS, ONE_ORDER, ONE_ORDER_AND_A_CORRECTION, ONE_ORDER_AND_NOTIFICATIONS, SOMETHING_DIES,
    TWO_ORDERS,
};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn guarantees() -> String {
    std::fs::read_to_string(repository().join("docs/GUARANTEES.md")).expect("the page is there")
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The promises: each row of the table, but its head.
fn promises(page: &str) -> Vec<&str> {
    page.lines()
        .filter(|line| line.starts_with("| "))
        .skip(1)
        .collect()
}

#[test]
fn each_promise_names_tests_and_each_of_them_exists() {
    let page = guarantees();
    let promises = promises(&page);
    assert!(promises.len() > 20, "{} promises", promises.len());
    for promise in promises {
        let shown_by = promise
            .trim_end_matches([' ', '|'])
            .rsplit('|')
            .next()
            .unwrap_or_default();
        let mut file = "";
        let mut tests = 0;
        for name in quoted(shown_by).filter(|name| name.contains("::")) {
            let Some((path, test)) = name.split_once("::") else {
                continue;
            };
            // a name that begins with :: is in the file that was named before it
            file = if path.is_empty() { file } else { path };
            let code = std::fs::read_to_string(repository().join(file));
            let code = code.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(code.contains(&format!("fn {test}(")), "{file} has no {test}");
            tests += 1;
        }
        assert!(tests > 0, "no test is named: {promise}");
    }
}

#[test]
fn the_numbers_of_states_are_those_that_were_explored() {
    let page = guarantees().replace('\n', " ");
    for states in [
        ONE_ORDER,
        ONE_ORDER_AND_A_CORRECTION,
        ONE_ORDER_AND_NOTIFICATIONS,
        TWO_ORDERS,
        SOMETHING_DIES,
        A_FACT_FAILS,
    ] {
        let told = grouped(states);
        assert!(page.contains(&told), "the page does not tell of {told} states");
    }
}

/// With a comma before each three digits.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
