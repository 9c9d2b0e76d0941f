//! Prints the story and holds each sentence against what was seen.

use std::fmt::Display;

use anyhow::bail;
use terminal::outln;

use crate::cli::paint;

/// Counts what it claimed.
#[derive(Debug, Default)]
pub(super) struct Narrator {
    scenes: u32,
    checks: u32,
}

impl Narrator {
    /// Begins a scene.
    pub(super) fn scene(&mut self, title: &str) {
        self.scenes += 1;
        outln!("\n{}", paint::bold(format!("{}. {title}", self.scenes)));
    }

    /// Tells what is done.
    pub(super) fn say(&self, text: impl Display) {
        outln!("   {text}");
    }

    /// Shows something in passing.
    pub(super) fn show(&self, text: impl Display) {
        outln!("     {}", paint::dim(text));
    }

    /// Claims something; an error when it does not hold, with what was seen instead.
    pub(super) fn check(
        &mut self,
        claim: impl Display,
        holds: bool,
        seen: impl Display,
    ) -> anyhow::Result<()> {
        if !holds {
            outln!("   {} {claim}", paint::error("✗"));
            bail!("the story says \"{claim}\", but what was seen is {seen}");
        }
        self.checks += 1;
        outln!("   {} {claim}", paint::good("✓"));
        Ok(())
    }

    /// Number of claims that held.
    pub(super) fn checks(&self) -> u32 {
        self.checks
    }
}
