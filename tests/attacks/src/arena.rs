//! Who takes part: a victim, somebody hostile with an account of their own, and, when they are known, an admin, the
//! services behind the gateway and the platform's signing key.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::exchange::{Exchange, exchange};
use crate::request::Request;
use crate::{Stop, Trust};

/// How long an ordinary answer may take.
const PATIENCE: Duration = Duration::from_secs(35);
/// How often a request that is told to come back later is sent.
const TRIES: usize = 20;
const PASSWORD: &str = "an oak, a birch, a yew";

/// Where the platform is, and what is known of it.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// The gateway: `host:port`.
    pub gateway: String,
    /// Who vouches for the gateway, where it speaks TLS.
    pub tls: Option<Trust>,
    /// An admin's e-mail address and password.
    pub admin: Option<(String, String)>,
    /// The services' own addresses, by name; their management ports too.
    pub services: Vec<(String, String)>,
    /// The key that signs access tokens.
    pub insider: Option<Insider>,
}

/// What somebody could sign who had the platform's key: right signatures around wrong claims.
#[derive(Debug, Clone)]
pub struct Insider {
    /// The key's id.
    pub kid: String,
    /// The private key, PKCS #8 in DER.
    pub key: Vec<u8>,
}

/// Somebody with an account, logged in.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) password: String,
    pub(crate) token: String,
    pub(crate) refresh_token: String,
}

/// The place of a run.
pub struct Arena {
    pub(crate) target: Target,
    /// Has an order.
    pub(crate) victim: Person,
    pub(crate) order: String,
    /// Has an account, and bad intentions.
    pub(crate) mallory: Person,
    admin: Option<Person>,
}

impl Arena {
    /// Makes the accounts and the order that are fought over.
    ///
    /// # Errors
    /// When the platform does not even do that.
    pub async fn prepare(target: Target) -> Result<Self, Stop> {
        let nobody = Person::unknown("", "");
        let mut arena = Self {
            target,
            victim: nobody.clone(),
            order: String::new(),
            mallory: nobody,
            admin: None,
        };
        arena.victim = arena.somebody().await?;
        arena.mallory = arena.somebody().await?;
        arena.order = arena.place(&arena.victim).await?;
        if let Some((email, password)) = arena.target.admin.clone() {
            let admin = arena.log_in(Person::unknown(&email, &password)).await?;
            arena.admin = Some(admin);
        }
        Ok(arena)
    }

    /// The admin.
    pub(crate) fn admin(&self) -> Result<&Person, Stop> {
        self.admin
            .as_ref()
            .ok_or(Stop::Skipped("needs an admin's login (--admin)"))
    }

    /// The platform's key.
    pub(crate) fn insider(&self) -> Result<&Insider, Stop> {
        let insider = self.target.insider.as_ref();
        insider.ok_or(Stop::Skipped("needs the platform's signing key (--stack)"))
    }

    /// Sends a request to the gateway. One that is told to come back later is.
    pub(crate) async fn send(&self, request: Request) -> Result<Exchange, Stop> {
        self.send_to(&self.target.gateway, request).await
    }

    pub(crate) async fn send_to(&self, address: &str, request: Request) -> Result<Exchange, Stop> {
        let bytes = request.bytes(address);
        let mut answer = self.raw_to(address, &bytes, PATIENCE).await?;
        for _again in 1..TRIES {
            let wait = match answer.responses().first() {
                Some(response) if response.status == 429 && !request.counts => response
                    .header("retry-after")
                    .and_then(|seconds| seconds.parse().ok())
                    .unwrap_or(1),
                Some(_) | None => break,
            };
            tokio::time::sleep(Duration::from_secs(wait)).await;
            answer = self.raw_to(address, &bytes, PATIENCE).await?;
        }
        Ok(answer)
    }

    /// Sends bytes to the gateway as they are.
    pub(crate) async fn raw(&self, bytes: &[u8], patience: Duration) -> Result<Exchange, Stop> {
        self.raw_to(&self.target.gateway, bytes, patience).await
    }

    async fn raw_to(&self, address: &str, bytes: &[u8], patience: Duration) -> Result<Exchange, Stop> {
        self.pieces(address, &[bytes], Duration::ZERO, patience).await
    }

    /// Sends bytes in pieces, with a pause before each but the first.
    pub(crate) async fn pieces(
        &self,
        address: &str,
        pieces: &[&[u8]],
        pause: Duration,
        patience: Duration,
    ) -> Result<Exchange, Stop> {
        let trust = self.target.tls.as_ref();
        let trust = trust.filter(|_| address == self.target.gateway);
        exchange((address, trust), pieces, pause, patience)
            .await
            .map_err(|error| Stop::Failed(format!("        {address}: {error}")))
    }

    /// Somebody new, logged in.
    pub(crate) async fn somebody(&self) -> Result<Person, Stop> {
        let person = self.register(&email()).await?;
        self.log_in(person).await
    }

    pub(crate) async fn register(&self, email: &str) -> Result<Person, Stop> {
        let account = json!({"email": email, "password": PASSWORD});
        let answer = self.send(Request::post("/auth/register", &account)).await?;
        let body = answer.status(&[201])?.json();
        Ok(Person {
            id: text(&body, "user_id"),
            ..Person::unknown(email, PASSWORD)
        })
    }

    /// The same person with new tokens.
    pub(crate) async fn log_in(&self, person: Person) -> Result<Person, Stop> {
        let answer = self.send(Request::post("/auth/login", &person.login())).await?;
        let body = answer.status(&[200])?.json();
        Ok(Person {
            token: text(&body, "access_token"),
            refresh_token: text(&body, "refresh_token"),
            ..person
        })
    }

    /// Places an order; its id.
    pub(crate) async fn place(&self, person: &Person) -> Result<String, Stop> {
        let request = Request::post("/orders", &an_order()).bearer(&person.token);
        Ok(text(&self.send(request).await?.status(&[202])?.json(), "id"))
    }
}

impl Person {
    fn unknown(email: &str, password: &str) -> Self {
        Self {
            id: String::new(),
            email: email.to_owned(),
            password: password.to_owned(),
            token: String::new(),
            refresh_token: String::new(),
        }
    }

    pub(crate) fn login(&self) -> Value {
        json!({"email": self.email, "password": self.password})
    }
}

/// An address that nobody has.
pub(crate) fn email() -> String {
    format!("{}@attacks.example", Uuid::new_v4().simple())
}

/// Two of a cheap thing.
pub(crate) fn an_order() -> Value {
    json!({"items": [{"sku": "CABLE-USBC", "quantity": 2}], "payment_method": "pm_card_visa"})
}

/// A member that is text; empty when there is none.
pub(crate) fn text(value: &Value, member: &str) -> String {
    value
        .get(member)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}
