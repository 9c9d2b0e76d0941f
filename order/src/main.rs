//! The order service's process.

fn main() -> std::process::ExitCode {
    chassis::main::<order::OrderService>()
}
