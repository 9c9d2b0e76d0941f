//! The payment service's process.

fn main() -> std::process::ExitCode {
    chassis::main::<payment::PaymentService>()
}
