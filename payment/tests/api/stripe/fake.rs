//! A strict stand-in for Stripe over real HTTP. It keeps intents, refunds and idempotent answers as Stripe documents them,
//! refuses what Stripe would refuse, notes every request that this service should not have made, and can be told to
//! misbehave. What it cannot show, such as parameters that Stripe does not know, `stripe_mock` shows.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::request::{Request, asked_of, call_of, read};
use super::world::World;

pub(crate) const SECRET_KEY: &str = "sk_test_fake";
pub(crate) const API_VERSION: &str = "2026-08-26.dahlia";

/// How one request is to go wrong.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// This answer, and nothing is done. A 5xx is kept under the key, as Stripe keeps it.
    Answer(u16, Value),
    /// The same, with `Retry-After`.
    Limited(u64),
    /// It is done, and the connection breaks.
    BreakAfter,
    /// It is done, and no answer comes.
    SilentAfter,
    /// It is done, and the answer is a 500, which is kept under the key.
    FailAfter,
    /// It is done, and the answer waits for [`FakeStripe::release`].
    Hold,
}

/// One request, as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) call: &'static str,
    pub(crate) key: String,
    pub(crate) form: BTreeMap<String, String>,
}

#[derive(Default)]
struct State {
    world: World,
    faults: Vec<(&'static str, VecDeque<Fault>)>,
    asked: Vec<Asked>,
    wrong: Vec<String>,
    /// What was answered under each key, and what was asked.
    kept: HashMap<String, (String, u16, Value)>,
}

/// The stand-in; it ends with its value.
pub(crate) struct FakeStripe {
    address: std::net::SocketAddr,
    state: Arc<Mutex<State>>,
    held: Arc<Semaphore>,
    _tasks: JoinSet<()>,
}

/// What goes back over the connection.
enum Reply {
    Answer(u16, Value, Option<u64>),
    Break,
    Silence,
    Held(u16, Value),
}

impl FakeStripe {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (state, held) = (
            Arc::new(Mutex::new(State::default())),
            Arc::new(Semaphore::new(0)),
        );
        let (shared, holding) = (state.clone(), held.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, shared.clone(), holding.clone()));
            }
        });
        Self {
            address,
            state,
            held,
            _tasks: tasks,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The next calls of this name go wrong so, one after the other.
    pub(crate) fn fail(&self, call: &'static str, faults: impl IntoIterator<Item = Fault>) {
        self.state().faults.push((call, faults.into_iter().collect()));
    }

    /// Lets an answer that is held go.
    pub(crate) fn release(&self) {
        self.held.add_permits(1);
    }

    /// A day has passed: no idempotency key is known any more.
    pub(crate) fn forget_keys(&self) {
        self.state().kept.clear();
    }

    /// The requests of this name.
    pub(crate) fn asked(&self, call: &str) -> Vec<Asked> {
        let state = self.state();
        let asked = state.asked.iter().filter(|asked| asked.call == call);
        asked.cloned().collect()
    }

    pub(crate) fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.state().world)
    }

    /// Nothing was asked that should not have been.
    #[track_caller]
    pub(crate) fn is_content(&self) {
        assert_eq!(self.state().wrong, Vec::<String>::new());
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>, held: Arc<Semaphore>) {
    while let Some(request) = read(&mut stream).await {
        let reply = state.lock().unwrap().reply(&request);
        let (status, body, retry_after) = match reply {
            Reply::Answer(status, body, retry_after) => (status, body, retry_after),
            Reply::Break => return,
            Reply::Silence => std::future::pending().await,
            Reply::Held(status, body) => {
                held.acquire().await.unwrap().forget();
                (status, body, None)
            }
        };
        let body = body.to_string();
        let retry_after = retry_after.map_or(String::new(), |seconds| format!("retry-after: {seconds}\r\n"));
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nrequest-id: req_fake\r\n{retry_after}content-length: {}\r\n\r\n",
            body.len()
        );
        if stream
            .write_all(format!("{head}{body}").as_bytes())
            .await
            .is_err()
        {
            return;
        }
    }
}

impl State {
    fn reply(&mut self, request: &Request) -> Reply {
        let header = |name: &str| request.headers.get(name).map_or("", String::as_str);
        if header("authorization") != format!("Bearer {SECRET_KEY}") {
            let error = json!({"error": {"type": "invalid_request_error", "message": "Invalid API Key provided: sk_t***"}});
            return Reply::Answer(401, error, None);
        }
        let Some((call, id)) = call_of(request) else {
            self.wrong.push(format!("{} {}", request.method, request.path));
            let error =
                json!({"error": {"type": "invalid_request_error", "message": "Unrecognized request URL"}});
            return Reply::Answer(404, error, None);
        };
        let form: BTreeMap<String, String> = serde_urlencoded::from_str(&request.body).unwrap();
        let key = header("idempotency-key").to_owned();
        self.check(call, request, &key, &form);
        self.asked.push(Asked {
            call,
            key: key.clone(),
            form: form.clone(),
        });
        let fault = self
            .faults
            .iter_mut()
            .find(|(of, faults)| *of == call && !faults.is_empty())
            .and_then(|(_, faults)| faults.pop_front());
        match fault {
            Some(Fault::Limited(seconds)) => {
                let error = json!({"error": {"type": "invalid_request_error", "code": "rate_limit"}});
                return Reply::Answer(429, error, Some(seconds));
            }
            Some(Fault::Answer(status, error)) => {
                let body = json!({ "error": error });
                if status >= 500 && request.method == "POST" {
                    self.keep(&key, request, status, &body);
                }
                return Reply::Answer(status, body, None);
            }
            Some(Fault::BreakAfter | Fault::SilentAfter | Fault::FailAfter | Fault::Hold) | None => {}
        }
        let (status, body) = self.act(call, &id, &key, request, &form);
        match fault {
            Some(Fault::BreakAfter) => Reply::Break,
            Some(Fault::SilentAfter) => Reply::Silence,
            Some(Fault::Hold) => Reply::Held(status, body),
            Some(Fault::FailAfter) => {
                let body = json!({"error": {"type": "api_error"}});
                self.kept.remove(&key);
                self.keep(&key, request, 500, &body);
                Reply::Answer(500, body, None)
            }
            Some(Fault::Limited(_) | Fault::Answer(..)) | None => Reply::Answer(status, body, None),
        }
    }

    /// As Stripe: the same key, the same answer; the same key for something else is an error.
    fn act(
        &mut self,
        call: &str,
        id: &str,
        key: &str,
        request: &Request,
        form: &BTreeMap<String, String>,
    ) -> (u16, Value) {
        if request.method == "GET" {
            return self.world.act(call, id, form);
        }
        if let Some((asked, status, body)) = self.kept.get(key) {
            if *asked == asked_of(request) {
                return (*status, body.clone());
            }
            self.wrong.push(format!("{key} is used for something else"));
            return (400, json!({"error": {"type": "idempotency_error"}}));
        }
        let (status, body) = self.world.act(call, id, form);
        self.keep(key, request, status, &body);
        (status, body)
    }

    fn keep(&mut self, key: &str, request: &Request, status: u16, body: &Value) {
        let answer = (asked_of(request), status, body.clone());
        self.kept.entry(key.to_owned()).or_insert(answer);
    }

    fn check(&mut self, call: &str, request: &Request, key: &str, form: &BTreeMap<String, String>) {
        let header = |name: &str| request.headers.get(name).map_or("", String::as_str);
        let mut wrong = |what: String| self.wrong.push(format!("{call}: {what}"));
        if header("stripe-version") != API_VERSION {
            wrong(format!("Stripe-Version is {:?}", header("stripe-version")));
        }
        let is_post = request.method == "POST";
        if is_post && header("content-type") != "application/x-www-form-urlencoded" {
            wrong(format!("Content-Type is {:?}", header("content-type")));
        }
        if is_post != (1..=255).contains(&key.len()) {
            wrong(format!("Idempotency-Key is {key:?}"));
        }
        let fields: &[&str] = match call {
            "create" => &[
                "amount",
                "automatic_payment_methods[allow_redirects]",
                "automatic_payment_methods[enabled]",
                "capture_method",
                "currency",
                "metadata[order_id]",
                "payment_method",
            ],
            "confirm" => &["error_on_requires_action"],
            "cancel" => &["cancellation_reason"],
            "refund" => &["metadata[order_id]", "payment_intent", "reason"],
            _ => &[],
        };
        if !form.keys().map(String::as_str).eq(fields.iter().copied()) {
            wrong(format!("the form has {:?}", form.keys()));
        }
    }
}
