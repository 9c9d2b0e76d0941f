//! What programs print for people.
//!
//! `println!` panics where nobody reads any more, as in `stack status | head -1`; these macros do not. A program that has
//! something to finish goes on without a reader; one that only prints asks [`is_closed`] and ends. The default action of
//! SIGPIPE, which would end any of them at once, is no way out: it would leave behind what they have started, and a peer that
//! resets a connection would end them as well.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

static CLOSED: AtomicBool = AtomicBool::new(false);

/// Prints a line to the standard output, as `println!` does.
#[macro_export]
macro_rules! outln {
    () => { $crate::line_out(::core::format_args!("")) };
    ($($text:tt)*) => { $crate::line_out(::core::format_args!($($text)*)) };
}

/// Prints a line to the standard error, as `eprintln!` does.
#[macro_export]
macro_rules! errln {
    ($($text:tt)*) => { $crate::line_err(::core::format_args!($($text)*)) };
}

/// Whether the standard output has been closed by its reader, as far as has been noticed.
#[must_use]
pub fn is_closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

#[doc(hidden)]
pub fn line_out(text: Arguments<'_>) {
    if is_closed() {
        return;
    }
    if let Err(error) = writeln!(io::stdout(), "{text}") {
        CLOSED.store(true, Ordering::Relaxed);
        if error.kind() != ErrorKind::BrokenPipe {
            line_err(format_args!("nothing more can be printed: {error}"));
        }
    }
}

#[doc(hidden)]
pub fn line_err(text: Arguments<'_>) {
    // there is nowhere left to complain
    let _unread = writeln!(io::stderr(), "{text}");
}
