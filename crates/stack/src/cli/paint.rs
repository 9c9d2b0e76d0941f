//! Colour, where the output is a terminal.

use std::fmt::Display;
use std::io::IsTerminal;

fn paint(code: &str, text: impl Display) -> String {
    if std::io::stdout().is_terminal() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_string()
    }
}

/// A heading.
pub(crate) fn bold(text: impl Display) -> String {
    paint("1", text)
}

/// What matters less.
pub(crate) fn dim(text: impl Display) -> String {
    paint("2", text)
}

/// What is as it should be.
pub(crate) fn good(text: impl Display) -> String {
    paint("32", text)
}

/// What wants attention.
pub(crate) fn warning(text: impl Display) -> String {
    paint("33", text)
}

/// What failed.
pub(crate) fn error(text: impl Display) -> String {
    paint("1;31", text)
}
