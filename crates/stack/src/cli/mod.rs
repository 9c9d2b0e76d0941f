//! The command line.

mod books;
mod chaos;
mod down;
mod logs;
pub(crate) mod paint;
mod ready;
mod starve;
mod status;
mod topics;
pub(crate) mod up;

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use stack::kafka::{Distribution, embedded};
use terminal::outln;

/// Runs Quadrille on this machine: PostgreSQL, Kafka and the five services
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// State directory: data, logs, stack.json and admin.json
    #[arg(long, global = true, value_name = "DIRECTORY", default_value_os_t = default_directory())]
    dir: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start what does not run yet, and print where it is
    Up(up::Options),
    /// Stop everything; no process is left behind
    Down(down::Options),
    /// Show what runs and how it is
    Status,
    /// Wait until a platform is well and all its consumers have their assignment
    Ready(ready::Options),
    /// Show the logs
    Logs(logs::Options),
    /// Compare orders, payments, notifications and facts of the whole platform, and propose repairs
    Books(books::Options),
    /// Create the topics on a broker
    Topics(topics::Options),
    /// Tell a saga's story with real requests, and check every sentence of it
    Demo(crate::demo::Options),
    /// Saturate a stack of its own through the gateway, and print its figures
    Bench(crate::bench::Options),
    /// Take a stack of its own through chaos under load, and compare the books afterwards
    Chaos(chaos::Options),
    /// Starve a part of a stack of its own under load, round after round, and watch it recover by itself
    Starve(starve::Options),
    /// Fetch Apache Kafka and prepare it for quick starts
    Fetch,
    /// Run librdkafka's mock cluster (used by `up` where Java is missing)
    #[command(hide = true)]
    EmbeddedBroker {
        /// File that gets the broker's address when it is ready
        #[arg(long)]
        address_file: PathBuf,
    },
}

/// Runs the chosen command.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let directory = std::path::absolute(&arguments.dir).context("the state directory")?;
    match arguments.command {
        Command::Up(options) => Box::pin(up::run(&directory, &options)).await?,
        Command::Down(options) => down::run(&directory, &options).await?,
        Command::Status => return status::run(&directory).await,
        Command::Books(options) => return Ok(Box::pin(books::run(&directory, &options)).await),
        Command::Ready(options) => ready::run(&options).await?,
        Command::Logs(options) => logs::run(&directory, &options).await?,
        Command::Topics(options) => topics::run(&options).await?,
        Command::Demo(options) => Box::pin(crate::demo::run(&directory, &options)).await?,
        Command::Bench(options) => Box::pin(crate::bench::run(&options)).await?,
        Command::Chaos(options) => return Box::pin(chaos::run(&options)).await,
        Command::Starve(options) => return Box::pin(starve::run(&options)).await,
        Command::Fetch => drop(Distribution::find(&cache(&directory)).await?),
        Command::EmbeddedBroker { address_file } => {
            embedded::serve(&address_file, &stack::kafka::topics::Plan::default()).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn default_directory() -> PathBuf {
    stack::repository().join(".stack")
}

/// Where a fetched Kafka is kept; `down --wipe` leaves it.
fn cache(directory: &Path) -> PathBuf {
    directory.join("kafka")
}

/// Keeps two commands from changing one stack at the same time.
pub(crate) fn lock(directory: &Path) -> anyhow::Result<File> {
    std::fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(directory.join("lock"))?;
    if file.try_lock().is_err() {
        outln!("waiting for another command on {} to end", directory.display());
        file.lock()?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        super::Arguments::command().debug_assert();
    }
}
