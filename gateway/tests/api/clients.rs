//! Real clients, each with connections that it keeps: of the POSTs that they send, one after the other, none is lost, none
//! arrives twice, and no connection ends under them.
//!
//! `make clients` sends 1,000 with each; `QUADRILLE_POSTS` says another number. What is not installed here is left out, aloud; scripts/setup installs it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use crate::harness::Gateway;
use crate::harness::token;
use crate::harness::upstream::echo;

/// How many POSTs each client sends.
const POSTS: usize = 100;
/// How long a client may take for them on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The programs, by the name of their library.
const CLIENTS: [(&str, Program); 7] = [
    ("Java's HttpClient, by default", Program::Java("HTTP_2")),
    ("Java's HttpClient, HTTP/1.1", Program::Java("HTTP_1_1")),
    ("Go's net/http", Program::Go),
    ("Node's fetch", Program::Node),
    ("Python's httpx", Program::Python("post_httpx.py")),
    ("Python's aiohttp", Program::Python("post_aiohttp.py")),
    ("curl --http2", Program::Curl),
];

enum Program {
    Java(&'static str),
    Go,
    Node,
    Python(&'static str),
    Curl,
}

#[tokio::test]
async fn real_clients_lose_no_post_and_no_connection() {
    let settings = [
        ("rate_limit.per_user_per_minute", "10000000"),
        ("rate_limit.per_address_per_minute", "10000000"),
    ];
    let gateway = Gateway::configured(echo(), &settings).await;
    let token = gateway.issuer.customer(token::user(token::CUSTOMER)).unwrap();
    let posts = how_many();
    let mut missing = Vec::new();
    let mut arrived = 0;
    for (name, program) in &CLIENTS {
        let entrance = Entrance::before(gateway.address()).await;
        let Some(mut command) = program.command(&entrance.url("/orders"), &token, posts) else {
            missing.push(*name);
            continue;
        };
        let begun = Instant::now();
        let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
        let output = tokio::time::timeout(PATIENCE, running).await;
        let output = output
            .unwrap_or_else(|_| panic!("{name} did not end in time"))
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {said}");
        let before = std::mem::replace(&mut arrived, gateway.upstream.seen().len());
        assert_eq!(arrived - before, posts, "{name}: as many arrive as were sent");
        // one that is not yet back in the client's pool when the next request begins is joined by a second
        let connections = entrance.connections();
        assert!(connections <= 2, "{name}: {connections} connections were made");
        println!(
            "{name}: {posts} in {:?}, {connections} connections",
            begun.elapsed()
        );
    }
    if !missing.is_empty() {
        println!("left out, because they are not here: {missing:?}");
    }
    assert!(missing.len() < CLIENTS.len(), "there is no client at all");
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test's own size, which no service reads"
)]
fn how_many() -> usize {
    std::env::var("QUADRILLE_POSTS").map_or(POSTS, |posts| posts.parse().unwrap())
}

impl Program {
    /// What sends that many POSTs, numbered in their bodies; nothing when it is not here.
    fn command(&self, url: &str, token: &str, posts: usize) -> Option<Command> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.stack/clients");
        let mut command = match self {
            Self::Java(version) => {
                // it compiles what it runs
                let mut command = installed("javac").map(|_| Command::new("java"))?;
                command.arg(folder.join("Post.java")).arg(version);
                command
            }
            Self::Go => Command::new(there(tools.join("post-go"))?),
            Self::Node => {
                let mut command = Command::new(installed("node")?);
                command.arg(folder.join("post.mjs"));
                command
            }
            Self::Python(script) => {
                let mut command = Command::new(installed("python3")?);
                command.env("PYTHONPATH", there(tools.join("python"))?);
                command.arg(folder.join(script));
                command
            }
            Self::Curl => return installed("curl").map(|curl| curl_posts(curl, url, token, posts)),
        };
        command.args([url, token, &posts.to_string()]);
        Some(command)
    }
}

/// One process, which keeps its connection from one transfer to the next.
fn curl_posts(curl: &str, url: &str, token: &str, posts: usize) -> Command {
    let transfer = |number: usize| {
        format!(
            "http2\nnoproxy = \"*\"\nsilent\nshow-error\nfail\nfail-early\nurl = \"{url}\"\n\
             header = \"authorization: Bearer {token}\"\ndata = \"{number}\"\n"
        )
    };
    let transfers: Vec<_> = (0..posts).map(transfer).collect();
    let config = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    std::fs::write(&config, transfers.join("next\n")).unwrap();
    // the shell removes it, whatever becomes of the transfers
    let mut command = Command::new("sh");
    command.args(["-c", "trap 'rm -f \"$2\"' EXIT; \"$1\" --config \"$2\"", "sh"]);
    command.arg(curl).arg(config.keep().unwrap());
    command
}

fn there(path: PathBuf) -> Option<PathBuf> {
    path.exists().then_some(path)
}

/// The program, where it is installed.
fn installed(program: &'static str) -> Option<&'static str> {
    let asked = std::process::Command::new(program).arg("--version").output();
    asked.is_ok().then_some(program)
}

/// Stands before the gateway and counts the connections that are made to it.
struct Entrance {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Entrance {
    #[expect(
        clippy::disallowed_methods,
        reason = "what it spawns ends with the test's runtime"
    )]
    async fn before(gateway: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(gateway).await?;
                    client.set_nodelay(true)?;
                    server.set_nodelay(true)?;
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        Self { address, connections }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}
