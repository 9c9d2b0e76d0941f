//! Which settings there are. A name that nobody reads is a mistake: what was meant by it would not hold.

use std::fmt;

use config::{Config, Value, ValueKind};
use strsim::jaro_winkler;

use super::SettingsError;

/// A setting that there is none of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// Where it was given: `environment`, or which file.
    pub place: String,
    /// As it was written there.
    pub name: String,
    /// The setting whose name is most like it.
    pub nearest: String,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, name, nearest } = self;
        write!(f, "{place}: there is no setting {name}; the nearest is {nearest}")
    }
}

/// All that is wrong, in one line.
pub(super) fn list(unknown: &[Unknown]) -> String {
    let each: Vec<String> = unknown.iter().map(ToString::to_string).collect();
    each.join("; ")
}

/// The dotted names of all settings.
pub(super) struct Names(Vec<String>);

impl Names {
    pub(super) fn new<'a>(names: impl Iterator<Item = &'a String>) -> Self {
        Self(names.cloned().collect())
    }

    /// None when there is such a setting, else the one whose name is most like it.
    pub(super) fn nearest_unless_known(&self, name: &str) -> Option<String> {
        if self.0.iter().any(|known| known == name) {
            return None;
        }
        let likeness = |known: &&String| jaro_winkler(known, name);
        let nearest = self.0.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        Some(nearest.cloned().unwrap_or_default())
    }
}

/// The dotted names of a tree's values; a section without any stands for itself.
pub(super) fn leaves(tree: &Config) -> Result<Vec<String>, SettingsError> {
    let root: Value = tree.clone().try_deserialize()?;
    let mut found = Vec::new();
    if let ValueKind::Table(sections) = &root.kind {
        for (name, value) in sections {
            descend(name.clone(), value, &mut found);
        }
    }
    Ok(found)
}

fn descend(name: String, value: &Value, found: &mut Vec<String>) {
    match &value.kind {
        ValueKind::Table(members) if !members.is_empty() => {
            for (member, value) in members {
                descend(format!("{name}.{member}"), value, found);
            }
        }
        ValueKind::Table(_)
        | ValueKind::Nil
        | ValueKind::Boolean(_)
        | ValueKind::I64(_)
        | ValueKind::I128(_)
        | ValueKind::U64(_)
        | ValueKind::U128(_)
        | ValueKind::Float(_)
        | ValueKind::String(_)
        | ValueKind::Array(_) => found.push(name),
    }
}
