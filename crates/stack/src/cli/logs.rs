//! `stack logs`

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use terminal::outln;

use super::paint;

#[derive(Debug, Args)]
#[group(id = "logs")]
pub(crate) struct Options {
    /// Processes to show, e.g. order; all of them when none is named
    names: Vec<String>,
    /// Go on with what is written from now on
    #[arg(short, long)]
    follow: bool,
    /// Lines of each log to begin with
    #[arg(short = 'n', long, default_value_t = 20)]
    lines: usize,
}

/// Prints the ends of the logs, and follows them when asked.
pub(crate) async fn run(directory: &Path, options: &Options) -> anyhow::Result<()> {
    let mut logs = find(&directory.join("logs"), &options.names)?;
    for (name, log) in &mut logs {
        log.offset = std::fs::metadata(&log.path)?.len();
        for line in stack::process::tail(&log.path, options.lines).lines() {
            print_line(name, line);
        }
    }
    if !options.follow {
        return Ok(());
    }
    // until nobody reads it any more
    while !terminal::is_closed() {
        for (name, log) in &mut logs {
            for line in log.new_lines()? {
                print_line(name, &line);
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

#[derive(Debug)]
struct Log {
    path: PathBuf,
    offset: u64,
}

impl Log {
    /// Whole lines that were written since the last look.
    fn new_lines(&mut self) -> anyhow::Result<Vec<String>> {
        let mut file = std::fs::File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        bytes.truncate(whole);
        self.offset += u64::try_from(whole)?;
        Ok(String::from_utf8_lossy(&bytes)
            .lines()
            .map(str::to_owned)
            .collect())
    }
}

fn find(directory: &Path, names: &[String]) -> anyhow::Result<BTreeMap<String, Log>> {
    let entries = std::fs::read_dir(directory).with_context(|| {
        format!(
            "there are no logs in {}; start the stack with make up",
            directory.display()
        )
    })?;
    let mut logs = BTreeMap::new();
    for entry in entries {
        let path = entry?.path();
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if names.is_empty() || names.contains(&name) {
            logs.insert(name, Log { path, offset: 0 });
        }
    }
    if let Some(unknown) = names.iter().find(|name| !logs.contains_key(*name)) {
        bail!("there is no log called {unknown} in {}", directory.display());
    }
    Ok(logs)
}

fn print_line(name: &str, line: &str) {
    outln!("{} {line}", paint::dim(format!("{name:<13}|")));
}
