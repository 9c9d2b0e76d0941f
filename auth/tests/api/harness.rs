//! A service and a database for each test, and a client.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use auth::AuthService;
use chassis::test::TestService;
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Text};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use stack::postgres::TestDatabase;

/// A password that is long enough.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A key-encryption key.
pub(crate) const KEY_ENCRYPTION_KEY: &str = "rNNkdlYrvlOqRL8yq1cXpmBvYIKWkEYZ1t2NUZ2y6lk=";

/// The service under test. Nothing listens where it looks for Kafka: what it announces stays in the outbox.
pub(crate) struct Auth {
    pub(crate) service: TestService,
    database: TestDatabase,
    client: Client,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// Checks a problem's status, code and content type.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(
            self.body["type"],
            format!("https://quadrille.dev/problems/{code}")
        );
        assert_eq!(self.body["status"], status);
        assert_eq!(self.body["trace_id"].as_str().map(str::len), Some(32), "{self:?}");
    }

    /// Checks a 422 that points at one member.
    #[track_caller]
    pub(crate) fn points_at(&self, pointer: &str) {
        self.is_problem(422, "validation");
        assert_eq!(self.body["errors"][0]["pointer"], pointer, "{self:?}");
    }

    /// A member of the body that is text.
    #[track_caller]
    pub(crate) fn text(&self, member: &str) -> String {
        self.body[member]
            .as_str()
            .unwrap_or_else(|| panic!("{member} in {self:?}"))
            .to_owned()
    }
}

impl Auth {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(settings: &[(&str, &str)]) -> Self {
        let database = TestDatabase::create("auth", async |url| {
            use chassis::Service;
            chassis::database::migrate(&url.into(), AuthService::migrations())
                .await
                .map(drop)
        })
        .await
        .unwrap();
        let service = Self::serve(&database, settings).await;
        Self {
            service,
            database,
            client: Client::builder().no_proxy().build().unwrap(),
        }
    }

    async fn serve(database: &TestDatabase, settings: &[(&str, &str)]) -> TestService {
        let mut all = vec![
            ("database.url", database.url()),
            ("kafka.brokers", "127.0.0.1:1"),
            ("keys.encryption_secret", KEY_ENCRYPTION_KEY),
            // a busy machine hashes slowly
            ("password.wait_ms", "30000"),
            ("password.answer_ms", "60000"),
        ];
        all.extend_from_slice(settings);
        TestService::start::<AuthService>(&all).await.unwrap()
    }

    /// The same service started anew with other settings, on the same database.
    pub(crate) async fn with(self, settings: &[(&str, &str)]) -> Self {
        assert!(self.service.stop().await, "everything ended in time");
        let service = Self::serve(&self.database, settings).await;
        Self {
            service,
            database: self.database,
            client: self.client,
        }
    }

    /// Another replica on the same database.
    pub(crate) async fn replica(&self) -> TestService {
        self.replica_with(&[]).await
    }

    /// Another replica, with settings of its own.
    pub(crate) async fn replica_with(&self, settings: &[(&str, &str)]) -> TestService {
        Self::serve(&self.database, settings).await
    }

    /// Runs a subcommand of the service's program on the same database; answers with what it printed.
    pub(crate) fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_auth"));
        command.args(arguments).env_remove("QUADRILLE_ADMIN_PASSWORD");
        command.env("QUADRILLE__DATABASE__URL", self.database.url());
        command.env("QUADRILLE__KEYS__ENCRYPTION_SECRET", KEY_ENCRYPTION_KEY);
        command.envs(environment.iter().copied());
        command.output().unwrap()
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        let mut request = self.client.request(method, self.service.url(path));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        answer(request).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, None, Some(body)).await
    }

    pub(crate) async fn get(&self, path: &str, token: Option<&str>) -> Answer {
        self.send(Method::GET, path, token, None).await
    }

    pub(crate) async fn put(&self, path: &str, token: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, Some(token), Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str, token: &str) -> Answer {
        self.send(Method::DELETE, path, Some(token), None).await
    }

    /// A login as the gateway forwards it, from a client at `address`.
    pub(crate) async fn login_from(&self, address: &str, email: &str, password: &str) -> Answer {
        let request = self
            .client
            .post(self.service.url("/auth/login"))
            .header("x-forwarded-for", address)
            .json(&json!({"email": email, "password": password}));
        answer(request).await
    }

    /// Logs in with a password of the test's own.
    pub(crate) async fn login_with(&self, email: &str, password: &str) -> Answer {
        self.post("/auth/login", &json!({"email": email, "password": password}))
            .await
    }

    /// One of the service's metrics, without labels.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let url = format!("http://{}/metrics", self.service.management_address());
        let text = self.client.get(url).send().await.unwrap().text().await.unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{name} in {text}"))
            .parse()
            .unwrap()
    }

    pub(crate) async fn patch(&self, path: &str, token: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, Some(token), Some(body)).await
    }

    /// Sends a body as it is.
    pub(crate) async fn post_raw(&self, path: &str, content_type: &str, body: String) -> Answer {
        let request = self
            .client
            .post(self.service.url(path))
            .header("content-type", content_type)
            .body(body);
        answer(request).await
    }

    pub(crate) async fn register(&self, email: &str) -> Answer {
        self.post("/auth/register", &json!({"email": email, "password": PASSWORD}))
            .await
    }

    pub(crate) async fn login(&self, email: &str) -> Answer {
        self.post("/auth/login", &json!({"email": email, "password": PASSWORD}))
            .await
    }

    pub(crate) async fn refresh(&self, token: &str) -> Answer {
        self.post("/auth/refresh", &json!({"refresh_token": token})).await
    }

    /// Registers and logs in.
    pub(crate) async fn customer(&self, email: &str) -> Answer {
        assert_eq!(self.register(email).await.status, 201);
        self.login(email).await
    }

    /// Registers, promotes and logs in.
    pub(crate) async fn admin(&self, email: &str) -> Answer {
        assert_eq!(self.register(email).await.status, 201);
        self.execute(&format!(
            "update users set role = 'admin' where email = '{email}'"
        ))
        .await;
        self.login(email).await
    }

    pub(crate) async fn execute(&self, sql: &str) {
        diesel::sql_query(sql)
            .execute(&mut self.connection().await)
            .await
            .unwrap();
    }

    pub(crate) async fn count(&self, sql: &str) -> i64 {
        #[derive(QueryableByName)]
        struct Count {
            #[diesel(sql_type = BigInt)]
            count: i64,
        }
        let count: Count = diesel::sql_query(sql)
            .get_result(&mut self.connection().await)
            .await
            .unwrap();
        count.count
    }

    /// What was announced on a topic, oldest first.
    pub(crate) async fn announced(&self, topic: &str) -> Vec<Value> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Text)]
            body: String,
        }
        let sql = "select convert_from(payload, 'UTF8') as body from outbox where topic = $1 order by id";
        let rows: Vec<Row> = diesel::sql_query(sql)
            .bind::<Text, _>(topic)
            .load(&mut self.connection().await)
            .await
            .unwrap();
        rows.iter()
            .map(|row| serde_json::from_str(&row.body).unwrap())
            .collect()
    }

    pub(crate) async fn connection(&self) -> AsyncPgConnection {
        AsyncPgConnection::establish(self.database.url()).await.unwrap()
    }

    pub(crate) fn database_url(&self) -> &str {
        self.database.url()
    }
}

/// How long a condition may take to come about.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for a condition.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}: not in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let (client, request) = request.build_split();
    let request = request.unwrap();
    let (method, url) = (request.method().clone(), request.url().clone());
    let response = Client::execute(&client, request).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    chassis::test::check_documented(&method, &url, status, text.as_bytes());
    let body = if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    };
    Answer {
        status,
        headers,
        body,
    }
}
