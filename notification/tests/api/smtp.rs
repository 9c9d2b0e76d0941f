//! A mail server: a real dialogue over TCP that insists on its order, and keeps what it was given.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::harness::eventually;

/// Who may send: `\0user\0password`.
pub(crate) const LOGIN: (&str, &str) = ("quadrille", "s3cret");

/// A mail as it came.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) data: String,
}

#[derive(Default)]
struct Inner {
    mails: Vec<Mail>,
    /// Answers to the next `RCPT TO`, instead of 250.
    recipients: VecDeque<String>,
    /// Answers to the next `DATA`'s end, instead of 250.
    data: VecDeque<String>,
    broken: Vec<String>,
}

/// Listens on a free port of 127.0.0.1 until the test's runtime ends.
#[derive(Clone)]
pub(crate) struct MailServer {
    inner: Arc<Mutex<Inner>>,
    port: u16,
    tls: Option<Secured>,
}

/// How connections are secured.
#[derive(Clone)]
struct Secured {
    acceptor: TlsAcceptor,
    /// TLS from the first byte.
    at_once: bool,
}

impl MailServer {
    /// Whether senders must log in.
    pub(crate) async fn start(login: bool) -> Self {
        Self::listening(TcpListener::bind(("127.0.0.1", 0)).await.unwrap(), login)
    }

    /// A server that says nothing to anybody before TLS, by STARTTLS or `at_once`, and asks for a login; and the PEM of
    /// who vouches for it.
    pub(crate) async fn secured(at_once: bool) -> (Self, String) {
        let (acceptor, authority) = certified();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let tls = Some(Secured { acceptor, at_once });
        (Self::running(listener, true, tls), authority)
    }

    pub(crate) fn listening(listener: TcpListener, login: bool) -> Self {
        Self::running(listener, login, None)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the server ends with the test's runtime"
    )]
    fn running(listener: TcpListener, login: bool, tls: Option<Secured>) -> Self {
        let port = listener.local_addr().unwrap().port();
        let inner = Arc::new(Mutex::new(Inner::default()));
        let server = Self { inner, port, tls };
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = accepting.clone();
                tokio::spawn(async move { drop(server.serve(stream, login).await) });
            }
        });
        server
    }

    pub(crate) fn port(&self) -> String {
        self.port.to_string()
    }

    pub(crate) fn says_of_recipients(&self, answers: &[&str]) {
        let answers = answers.iter().map(|answer| (*answer).to_owned());
        self.inner.lock().unwrap().recipients.extend(answers);
    }

    pub(crate) fn says_of_data(&self, answers: &[&str]) {
        let answers = answers.iter().map(|answer| (*answer).to_owned());
        self.inner.lock().unwrap().data.extend(answers);
    }

    /// What was taken. Every dialogue so far was one.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        let inner = self.inner.lock().unwrap();
        assert!(inner.broken.is_empty(), "out of order: {:?}", inner.broken);
        inner.mails.clone()
    }

    pub(crate) async fn gets(&self, count: usize) -> Vec<Mail> {
        eventually("a mail", async || {
            let mails = self.mails();
            (mails.len() >= count).then_some(mails)
        })
        .await
    }

    async fn serve(&self, mut stream: TcpStream, login: bool) -> std::io::Result<()> {
        match &self.tls {
            None => self.dialogue(stream, login, true).await,
            Some(tls) if tls.at_once => {
                let stream = tls.acceptor.accept(stream).await?;
                self.dialogue(stream, login, true).await
            }
            Some(tls) => {
                stream.write_all(b"220 mail.test ESMTP\r\n").await?;
                let mut stream = BufReader::new(stream);
                self.until_starttls(&mut stream).await?;
                let stream = tls.acceptor.accept(stream.into_inner()).await?;
                self.dialogue(stream, login, false).await
            }
        }
    }

    /// In the clear, nothing but the wish for TLS is heard.
    async fn until_starttls(&self, stream: &mut BufReader<TcpStream>) -> std::io::Result<()> {
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            match line.trim_end() {
                "STARTTLS" => return stream.write_all(b"220 2.0.0 go on\r\n").await,
                hello if hello.starts_with("EHLO") => {
                    stream.write_all(b"250-mail.test\r\n250 STARTTLS\r\n").await?;
                }
                other => {
                    self.inner.lock().unwrap().broken.push(other.to_owned());
                    stream.write_all(b"530 5.7.0 not in the clear\r\n").await?;
                }
            }
        }
    }

    async fn dialogue(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        login: bool,
        greet: bool,
    ) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let mut allowed = !login;
        let (mut from, mut to) = (None, None);
        if greet {
            stream.write_all(b"220 mail.test ESMTP\r\n").await?;
        }
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_owned();
            let verb = line
                .split([' ', ':'])
                .next()
                .unwrap_or_default()
                .to_ascii_uppercase();
            let answer = match verb.as_str() {
                "EHLO" => "250-mail.test\r\n250-8BITMIME\r\n250 AUTH PLAIN".to_owned(),
                "AUTH" => {
                    let (user, password) = LOGIN;
                    let expected = STANDARD.encode(format!("\0{user}\0{password}"));
                    allowed = line == format!("AUTH PLAIN {expected}");
                    if allowed {
                        "235 2.7.0 welcome"
                    } else {
                        "535 5.7.8 who are you"
                    }
                    .to_owned()
                }
                "MAIL" if allowed && from.is_none() => {
                    from = Some(between(&line));
                    "250 2.1.0 ok".to_owned()
                }
                "RCPT" if from.is_some() && to.is_none() => {
                    let answer = self.inner.lock().unwrap().recipients.pop_front();
                    match answer {
                        Some(answer) => answer,
                        None => {
                            to = Some(between(&line));
                            "250 2.1.5 ok".to_owned()
                        }
                    }
                }
                "DATA" if to.is_some() => {
                    stream.write_all(b"354 go on\r\n").await?;
                    let data = body(&mut stream).await?;
                    let (from, to) = (from.take().unwrap(), to.take().unwrap());
                    let mut inner = self.inner.lock().unwrap();
                    match inner.data.pop_front() {
                        Some(answer) => answer,
                        None => {
                            inner.mails.push(Mail { from, to, data });
                            "250 2.0.0 taken".to_owned()
                        }
                    }
                }
                "RSET" => {
                    (from, to) = (None, None);
                    "250 2.0.0 ok".to_owned()
                }
                "NOOP" => "250 2.0.0 ok".to_owned(),
                "QUIT" => {
                    stream.write_all(b"221 2.0.0 bye\r\n").await?;
                    return Ok(());
                }
                _ => {
                    self.inner.lock().unwrap().broken.push(line);
                    "503 5.5.1 out of order".to_owned()
                }
            };
            stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
        }
    }
}

/// TLS for `localhost`, and the PEM of who vouches for it.
pub(crate) fn certified() -> (TlsAcceptor, String) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), cert.pem())
}

fn between(line: &str) -> String {
    let (_, rest) = line.split_once('<').unwrap();
    rest.split_once('>').unwrap().0.to_owned()
}

/// Everything up to the line with nothing but a dot.
async fn body(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<String> {
    let mut data = Vec::new();
    while !data.ends_with(b"\r\n.\r\n") {
        data.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8(data).unwrap())
}

impl Mail {
    /// What a header says, on one line.
    pub(crate) fn header(&self, name: &str) -> String {
        let (head, _) = self.data.split_once("\r\n\r\n").unwrap();
        let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let prefix = format!("{name}: ");
        let line = head.lines().find_map(|line| line.strip_prefix(&prefix));
        line.unwrap_or_default().to_owned()
    }

    /// The whole text with soft line ends of quoted-printable undone.
    pub(crate) fn text(&self) -> String {
        self.data.replace("=\r\n", "").replace("=3D", "=")
    }
}
