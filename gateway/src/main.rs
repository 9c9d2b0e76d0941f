//! The gateway's process.

use std::process::ExitCode;

fn main() -> ExitCode {
    chassis::main::<gateway::GatewayService>()
}
