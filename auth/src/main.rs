//! The auth service's process.

fn main() -> std::process::ExitCode {
    chassis::main::<auth::AuthService>()
}
