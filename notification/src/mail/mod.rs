//! Writing and sending mails. Nothing here says an address in an error or a log line.

mod letters;
mod transport;

pub(crate) use transport::{MailError, Mailer};
