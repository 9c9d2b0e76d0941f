//! The list of fail points, the code, and the tests that cross them say the same.

use std::collections::BTreeSet;
use std::path::Path;

use chassis::crossing::POINTS;

use crate::plan::{LANES, MIGRATIONS, STOPS};

#[test]
fn every_fail_point_is_listed_and_every_listed_one_is_in_the_code() {
    let listed: BTreeSet<String> = POINTS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(listed.len(), POINTS.len(), "a name is listed twice");
    let mut found = Vec::new();
    let root = stack::repository();
    for directory in [
        "crates/chassis/src",
        "crates/messaging/src",
        "order/src",
        "payment/src",
        "notification/src",
        "gateway/src",
        "auth/src",
    ] {
        read(&root.join(directory), &mut found);
    }
    let written: BTreeSet<String> = found.iter().cloned().collect();
    assert_eq!(written.len(), found.len(), "a point is in two places: {found:?}");
    assert_eq!(written, listed);
}

#[test]
fn every_fail_point_is_crossed_by_a_test() {
    let listed: BTreeSet<&str> = POINTS.iter().map(|(name, _)| *name).collect();
    let lanes = LANES.iter().flat_map(|(_, points)| points.iter().copied());
    let crossed: BTreeSet<&str> = lanes.chain(STOPS).chain(MIGRATIONS).collect();
    assert_eq!(crossed, listed);
}

/// The points of the code, but not those in comments.
fn read(directory: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, found);
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            let Some((_, rest)) = line.split_once("crossing!(\"") else {
                continue;
            };
            found.push(rest.split_once('"').unwrap().0.to_owned());
        }
    }
}
