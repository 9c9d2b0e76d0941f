//! A fresh database for each test, cloned from a template that is migrated once a process.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, mpsc};

use tokio::sync::{OnceCell, mpsc as queue, oneshot};

use super::connect;
use super::shared::{PATIENCE, Shared};
use crate::error::{Error, Result};

/// A database of one test, dropped with this value.
///
/// ```no_run
/// # async fn migrate(url: String) -> Result<(), std::io::Error> { Ok(()) }
/// # async fn test() -> stack::Result<()> {
/// let database = stack::postgres::TestDatabase::create("order", async |url| migrate(url).await).await?;
/// println!("{}", database.url());
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    url: String,
}

impl TestDatabase {
    /// Clones the template called `template`. The first call for that name in a process makes it: an empty
    /// database, whose URL `migrate` gets.
    pub async fn create<M, E>(template: &str, migrate: M) -> Result<Self>
    where
        M: AsyncFnOnce(String) -> Result<(), E>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let cell = template_cell(template);
        let source = cell
            .get_or_try_init(async || make_template(template, migrate).await)
            .await?;
        let name = unique(template);
        let url = ask(Statement::new(
            &name,
            format!("create database {name} template {source}"),
        ))
        .await?;
        Ok(Self { name, url })
    }

    /// An empty database.
    pub async fn empty() -> Result<Self> {
        let name = unique("empty");
        let url = ask(Statement::new(&name, format!("create database {name}"))).await?;
        Ok(Self { name, url })
    }

    /// URL of the database, as its owner.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Name of the database.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (answer, done) = mpsc::sync_channel(1);
        let drop = Statement::new(&self.name, format!("drop database {} with (force)", self.name));
        if keeper().send((drop, Answer::Blocking(answer))).is_ok() {
            // A database that stays is dropped when the cluster is next started.
            let _ = done.recv_timeout(PATIENCE);
        }
    }
}

async fn make_template<M, E>(template: &str, migrate: M) -> Result<String>
where
    M: AsyncFnOnce(String) -> Result<(), E>,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let name = unique(&format!("template_{template}"));
    let url = ask(Statement::new(&name, format!("create database {name}"))).await?;
    migrate(url).await.map_err(|error| Error::Migrate(error.into()))?;
    // A template with a session in it cannot be cloned.
    ask(Statement::new(
        &name,
        format!(
            "alter database {name} allow_connections false;
             select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
        ),
    ))
    .await?;
    Ok(name)
}

fn template_cell(template: &str) -> Arc<OnceCell<String>> {
    static TEMPLATES: LazyLock<Mutex<HashMap<String, Arc<OnceCell<String>>>>> = LazyLock::new(Mutex::default);
    let mut templates = TEMPLATES.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(templates.entry(template.to_owned()).or_default())
}

fn unique(stem: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let stem: String = stem
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .take(30)
        .collect();
    format!(
        "{stem}_{}_{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
    .to_ascii_lowercase()
}

/// Statements about one database, for the superuser.
#[derive(Debug)]
struct Statement {
    database: String,
    sql: String,
}

impl Statement {
    fn new(database: &str, sql: String) -> Self {
        Self {
            database: database.to_owned(),
            sql,
        }
    }
}

enum Answer {
    Async(oneshot::Sender<Result<String>>),
    Blocking(mpsc::SyncSender<Result<String>>),
}

type Requests = queue::UnboundedSender<(Statement, Answer)>;

async fn ask(statement: Statement) -> Result<String> {
    let (answer, url) = oneshot::channel();
    let gone = || Error::Invalid("the keeper of the test cluster has ended".to_owned());
    keeper()
        .send((statement, Answer::Async(answer)))
        .map_err(|_closed| gone())?;
    url.await.map_err(|_closed| gone())?
}

/// The thread that holds the shared cluster for this process. It has a runtime of its own, since those of the
/// tests end with them. A clone is checkpoint-free and takes milliseconds, so one at a time is enough.
fn keeper() -> Requests {
    static KEEPER: LazyLock<Requests> = LazyLock::new(|| {
        let (requests, queue) = queue::unbounded_channel();
        std::thread::spawn(move || {
            if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
                runtime.block_on(keep(queue));
            }
        });
        requests
    });
    KEEPER.clone()
}

async fn keep(mut requests: queue::UnboundedReceiver<(Statement, Answer)>) {
    let mut shared = None;
    while let Some((statement, answer)) = requests.recv().await {
        let result = serve(&mut shared, &statement).await;
        match answer {
            Answer::Async(channel) => drop(channel.send(result)),
            Answer::Blocking(channel) => drop(channel.send(result)),
        }
    }
}

async fn serve(
    shared: &mut Option<(Shared, tokio_postgres::Client)>,
    statement: &Statement,
) -> Result<String> {
    let (cluster, admin) = match shared {
        Some(joined) => joined,
        None => {
            let cluster = Shared::join().await?;
            let admin = connect(&cluster.url("postgres")).await?;
            shared.insert((cluster, admin))
        }
    };
    for sql in statement.sql.split(';') {
        admin.batch_execute(sql).await?;
    }
    Ok(cluster.url(&statement.database))
}
