//! The notification service's process.

fn main() -> std::process::ExitCode {
    chassis::main::<notification::NotificationService>()
}
