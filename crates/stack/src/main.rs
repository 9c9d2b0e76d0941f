//! `stack`: starts, stops and shows the platform on one machine.

mod bench;
mod cli;
mod demo;

use std::process::ExitCode;

use clap::Parser;
use terminal::errln;

#[tokio::main]
async fn main() -> ExitCode {
    match Box::pin(cli::run(cli::Arguments::parse())).await {
        Ok(code) => code,
        Err(error) => {
            errln!("\n{} {error:#}", cli::paint::error("error:"));
            ExitCode::FAILURE
        }
    }
}
