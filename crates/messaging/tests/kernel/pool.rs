//! The pool keeps no connection that is of no use any more, and takes none from a pooler.

use std::time::Duration;

use chassis::database::{self, MigrateError, Pool, is_passing, sqlstate};
use chassis::settings::DatabaseSettings;
use diesel::sql_types::Integer;
use diesel::{QueryDsl, QueryableByName};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use stack::postgres::Pooler;

use crate::world::{Database, database_settings, until};

fn pool(database: &Database, size: usize) -> Pool {
    database::pool(&DatabaseSettings {
        pool_size: size,
        statement_timeout_ms: 60_000,
        ..database_settings(&database.url)
    })
    .unwrap()
}

#[derive(QueryableByName)]
struct Process {
    #[diesel(sql_type = Integer)]
    pid: i32,
}

async fn pid(conn: &mut AsyncPgConnection) -> i32 {
    let process: Process = diesel::sql_query("select pg_backend_pid() as pid")
        .get_result(conn)
        .await
        .unwrap();
    process.pid
}

/// Until the server has ended that session.
async fn until_ended(database: &mut Database, pid: i32) {
    let of = format!("select count(*) from pg_stat_activity where pid = {pid}");
    database.until_zero(&of).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_was_given_up_takes_its_connection_along_and_stops() {
    let mut database = Database::create().await;
    let pool = pool(&database, 1);
    let mut conn = pool.get().await.unwrap();
    let before = pid(&mut conn).await;
    let asleep = diesel::sql_query("select pg_sleep(50)").execute(&mut conn);
    assert!(
        tokio::time::timeout(Duration::from_millis(200), asleep)
            .await
            .is_err()
    );
    drop(conn);
    let mut conn = pool.get().await.unwrap();
    assert_ne!(pid(&mut conn).await, before);
    until_ended(&mut database, before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_was_dropped_gives_its_locks_back_although_nobody_asks_for_its_connection() {
    let mut database = Database::create().await;
    let pool = pool(&database, 2);
    let mut conn = pool.get().await.unwrap();
    let before = pid(&mut conn).await;
    let work = conn.transaction::<(), diesel::result::Error, _>(async |conn| {
        conn.batch_execute("lock table tally in access exclusive mode")
            .await?;
        std::future::pending().await
    });
    assert!(
        tokio::time::timeout(Duration::from_millis(500), work)
            .await
            .is_err()
    );
    drop(conn);
    until_ended(&mut database, before).await;
    assert_eq!(database.number("select count(*) from tally").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_whose_server_takes_no_writes_is_replaced_with_all_that_are_as_old() {
    let mut database = Database::create().await;
    let pool = pool(&database, 2);
    let (mut one, mut two) = (pool.get().await.unwrap(), pool.get().await.unwrap());
    let old = [pid(&mut one).await, pid(&mut two).await];
    drop((one, two));
    let mut conn = pool.get().await.unwrap();
    // as a primary is relieved: the server says so by itself
    conn.batch_execute("set default_transaction_read_only = on")
        .await
        .unwrap();
    let refused = diesel::sql_query("delete from tally")
        .execute(&mut conn)
        .await
        .unwrap_err();
    assert_eq!(sqlstate(&refused), Some("25006"), "{refused}");
    assert!(is_passing(&refused));
    drop(conn);
    let (mut one, mut two) = (pool.get().await.unwrap(), pool.get().await.unwrap());
    for conn in [&mut one, &mut two] {
        assert!(!old.contains(&pid(conn).await));
        diesel::sql_query("delete from tally")
            .execute(conn)
            .await
            .unwrap();
    }

    // and where the database as a whole takes none, there is no connection
    let name = "do $$ begin execute format('alter database %I set default_transaction_read_only = on', current_database()); end $$";
    database.conn().batch_execute(name).await.unwrap();
    let fresh = self::pool(&database, 1);
    let refused = fresh.get().await.unwrap_err().to_string();
    assert!(refused.contains("does not allow writes"), "{refused}");
}

diesel::table! {
    labelled (label) {
        label -> Text,
    }
}

/// By a statement that the connection keeps prepared; one of raw SQL is prepared each time.
async fn ask(conn: &mut AsyncPgConnection) -> diesel::QueryResult<String> {
    labelled::table.select(labelled::label).get_result(conn).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_is_stale_is_told_once_and_not_for_ever() {
    let mut database = Database::create().await;
    database
        .conn()
        .batch_execute("create table labelled (label varchar(5) not null)")
        .await
        .unwrap();
    database
        .conn()
        .batch_execute("insert into labelled values ('a')")
        .await
        .unwrap();
    let pool = pool(&database, 2);
    let (mut one, mut two) = (pool.get().await.unwrap(), pool.get().await.unwrap());
    for conn in [&mut one, &mut two] {
        assert_eq!(ask(conn).await.unwrap(), "a");
    }
    drop((one, two));
    database
        .conn()
        .batch_execute("alter table labelled alter column label type varchar(50)")
        .await
        .unwrap();
    let mut conn = pool.get().await.unwrap();
    let refused = ask(&mut conn).await.unwrap_err();
    assert_eq!(sqlstate(&refused), Some("0A000"), "{refused}");
    assert!(is_passing(&refused));
    drop(conn);
    let (mut one, mut two) = (pool.get().await.unwrap(), pool.get().await.unwrap());
    for conn in [&mut one, &mut two] {
        assert_eq!(ask(conn).await.unwrap(), "a");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_is_refused_at_once_and_by_name() {
    let database = Database::create().await;
    for mode in ["transaction", "session"] {
        let pooler = Pooler::start(&database.url, mode).await.unwrap();
        let refused = database::migrate(
            &pooler.url().into(),
            diesel_migrations::EmbeddedMigrations::new(&[]),
        )
        .await;
        let Err(MigrateError::Connect(error)) = refused else {
            panic!("a pooler in {mode} mode is let through");
        };
        assert!(error.is_final(), "{error}");
        assert!(error.to_string().contains("leads to a pooler"), "{error}");
        let pool = database::pool(&database_settings(pooler.url())).unwrap();
        let refused = pool.get().await.unwrap_err().to_string();
        assert!(refused.contains("leads to a pooler"), "{refused}");
    }
    // as it is asked by whoever passes bytes on only
    let proxy = stack::chaos::Proxy::open(stack::chaos::Proxy::lease().unwrap(), port(&database.url))
        .await
        .unwrap();
    let through = database.url.replace(
        &format!(":{}/", port(&database.url)),
        &format!(":{}/", proxy.port()),
    );
    let pool = database::pool(&database_settings(&through)).unwrap();
    until("a proxy is no pooler", async || pool.get().await.is_ok()).await;
}

fn port(url: &str) -> u16 {
    let (host, _) = url.rsplit_once('/').unwrap();
    host.rsplit_once(':').unwrap().1.parse().unwrap()
}
