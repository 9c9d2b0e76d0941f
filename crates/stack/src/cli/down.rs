//! `stack down`

use std::path::Path;

use anyhow::Context;
use clap::Args;
use stack::platform::{Ended, take_down};
use terminal::outln;

use super::paint;

#[derive(Debug, Args)]
#[group(id = "down")]
pub(crate) struct Options {
    /// Delete the databases, Kafka's data, the logs and the admin too
    #[arg(long)]
    wipe: bool,
}

/// Stops everything of the stack.
pub(crate) async fn run(directory: &Path, options: &Options) -> anyhow::Result<()> {
    if !directory.is_dir() {
        outln!("nothing ran");
        return Ok(());
    }
    let _lock = super::lock(directory)?;
    let told = |ended: &Ended| {
        let how = if ended.obeyed {
            paint::dim("stopped")
        } else {
            paint::warning("killed: it did not stop in time")
        };
        outln!("  {:<13} {how}", ended.name);
    };
    let ended = take_down(directory, &told).await?;
    if ended == 0 {
        outln!("nothing ran");
    }
    if options.wipe {
        for name in ["data", "logs", "admin.json", "roles.json", "keys.json"] {
            let path = directory.join(name);
            if path.is_dir() {
                std::fs::remove_dir_all(&path)
                    .with_context(|| format!("cannot remove {}", path.display()))?;
            } else if path.exists() {
                std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
            }
        }
        outln!("data wiped");
    }
    Ok(())
}
