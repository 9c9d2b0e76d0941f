//! The way to the SMTP server.

use std::time::Duration;

use anyhow::Context as _;
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::response::Severity;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use secrecy::ExposeSecret;
use thiserror::Error;
use tokio::time::timeout;
use uuid::Uuid;

use super::letters;
use crate::config::{EmailSettings, Security};
use crate::domain::{Address, Notification};

/// Why a mail was not taken. None of them says to whom it was.
#[derive(Debug, Error)]
pub(crate) enum MailError {
    /// No connection, no TLS, no login: no mail would get through.
    #[error("{0}")]
    Server(String),
    /// The server says "later".
    #[error("SMTP {0}")]
    Later(String),
    /// There is no such mailbox.
    #[error("SMTP {0}")]
    NoMailbox(String),
    /// The server says "no".
    #[error("SMTP {0}")]
    Refused(String),
    /// It cannot even be written.
    #[error("{0}")]
    Unwritable(String),
}

/// Sends mails over a bounded pool of connections.
pub(crate) struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    patience: Duration,
}

/// `Auto-Submitted: auto-generated` (RFC 3834): no answering machine answers.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

impl Mailer {
    /// A mailer as configured; none where no server is.
    ///
    /// # Errors
    /// When the settings make no sense; the text names the setting.
    pub(crate) fn new(settings: &EmailSettings) -> anyhow::Result<Option<Self>> {
        if !settings.is_on() {
            return Ok(None);
        }
        let from: Mailbox = settings.from.parse().context("email.from is not a mailbox")?;
        let step = Duration::from_millis(settings.timeout_ms.into());
        let pool = PoolConfig::new()
            .max_size(settings.connections_max.into())
            .idle_timeout(Duration::from_secs(30));
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.host)
            .port(settings.port())
            .tls(tls(settings)?)
            .timeout(Some(step))
            .pool_config(pool);
        if !settings.username.is_empty() {
            let password = settings.password.expose_secret().to_owned();
            builder = builder.credentials(Credentials::new(settings.username.clone(), password));
        }
        Ok(Some(Self {
            transport: builder.build(),
            from,
            patience: step.saturating_mul(2),
        }))
    }

    /// Hands a mail to the server. Sent twice (after a crash), it has the same `Message-ID`.
    pub(crate) async fn send(
        &self,
        id: Uuid,
        to: &Address,
        notification: &Notification,
    ) -> Result<(), MailError> {
        let message = self.written(id, to, notification)?;
        match timeout(self.patience, self.transport.send(message)).await {
            Ok(Ok(_accepted)) => Ok(()),
            Ok(Err(error)) => Err(refusal(&error)),
            Err(_elapsed) => Err(MailError::Server("the mail server takes too long".to_owned())),
        }
    }

    fn written(&self, id: Uuid, to: &Address, notification: &Notification) -> Result<Message, MailError> {
        let unwritable = |what: &str| MailError::Unwritable(what.to_owned());
        // the error would repeat the address
        let address = to
            .as_str()
            .parse()
            .map_err(|_no_address: lettre::address::AddressError| {
                MailError::NoMailbox("address that cannot be written to".to_owned())
            })?;
        let written = letters::write(notification).map_err(|error| unwritable(&error.to_string()))?;
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, address))
            .subject(notification.title.clone())
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .header(AutoSubmitted)
            .multipart(MultiPart::alternative_plain_html(written.text, written.html))
            .map_err(|_error| unwritable("the mail cannot be put together"))
    }
}

fn tls(settings: &EmailSettings) -> anyhow::Result<Tls> {
    if settings.security == Security::None {
        return Ok(Tls::None);
    }
    let mut parameters = TlsParameters::builder(settings.host.clone());
    if !settings.ca_file.is_empty() {
        let pem = std::fs::read(&settings.ca_file).context("email.ca_file cannot be read")?;
        let authority = Certificate::from_pem(&pem).context("email.ca_file is not a PEM certificate")?;
        parameters = parameters.add_root_certificate(authority);
    }
    let parameters = parameters.build_rustls().context("TLS for email.host")?;
    Ok(match settings.security {
        Security::Starttls => Tls::Required(parameters),
        Security::Tls => Tls::Wrapper(parameters),
        Security::None => Tls::None,
    })
}

/// What a failed dialogue says, without the server's words: they repeat the address.
fn refusal(error: &lettre::transport::smtp::Error) -> MailError {
    let Some(code) = error.status() else {
        return MailError::Server(without_answer(error).to_owned());
    };
    let number: String = code.to_string();
    let words = error.to_string();
    let enhanced = words
        .split(|c: char| !(c.is_ascii_digit() || c == '.'))
        .find(|word| is_enhanced(word));
    let said = match enhanced {
        Some(enhanced) => format!("{number} {enhanced}"),
        None => number.clone(),
    };
    match (code.severity, number.as_str(), enhanced) {
        (Severity::TransientNegativeCompletion, "421" | "454", _) => {
            MailError::Server(format!("SMTP {said}"))
        }
        (Severity::TransientNegativeCompletion, ..) => MailError::Later(said),
        // the login, not the mail
        (_, "530" | "534" | "535" | "538", _) => MailError::Server(format!("SMTP {said}")),
        (_, _, Some(status)) if status.starts_with("5.1.") || status.starts_with("5.2.") => {
            MailError::NoMailbox(said)
        }
        (_, "550" | "551" | "553", None) => MailError::NoMailbox(said),
        (_, _, _) => MailError::Refused(said),
    }
}

/// Three numbers, the first 4 or 5 (RFC 3463).
fn is_enhanced(word: &str) -> bool {
    let mut parts = word.split('.');
    let number = |part: Option<&str>| part.is_some_and(|part| (1..=3).contains(&part.len()));
    matches!(parts.next(), Some("4" | "5"))
        && number(parts.next())
        && number(parts.next())
        && parts.next().is_none()
}

fn without_answer(error: &lettre::transport::smtp::Error) -> &'static str {
    if error.is_timeout() {
        "the mail server takes too long"
    } else if error.is_tls() {
        "no secure connection to the mail server"
    } else if error.is_client() {
        "the mail server lacks something that is asked for"
    } else {
        "no connection to the mail server"
    }
}
