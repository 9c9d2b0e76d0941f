//! `migrate` dies before and after each migration, and the next one goes on where it died. It gives way to those who use
//! the tables.

use std::cell::Cell;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Output};
use std::time::{Duration, Instant};

use chassis::database::migrate_within;
use chassis::settings::MigrationSettings;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use stack::Service;
use stack::postgres::{TestDatabase, connect};

const SIGABRT: i32 = 6;

#[tokio::test]
async fn migrations_that_are_broken_off_are_gone_on_with() {
    for service in Service::ALL {
        let (whole, broken) = (
            TestDatabase::empty().await.unwrap(),
            TestDatabase::empty().await.unwrap(),
        );
        assert!(migrate(service, whole.url(), None).await.success());

        for _again in 0..3 {
            dies_under_the_lock(service, broken.url()).await;
        }
        assert_eq!(tables(broken.url()).await.len(), 1, "only diesel's own table");
        let mut crashes = 0;
        loop {
            let exit = migrate(service, broken.url(), Some("migration.applied=return")).await;
            if exit.success() {
                break;
            }
            assert_eq!(exit.signal(), Some(SIGABRT));
            crashes += 1;
            dies_under_the_lock(service, broken.url()).await;
        }
        assert!(crashes >= 2, "{service}: a crash after each migration");
        assert_eq!(schema(broken.url()).await, schema(whole.url()).await);
    }
}

/// `migrate` aborts as soon as it holds the lock that keeps others from migrating.
pub(crate) async fn dies_under_the_lock(service: Service, url: &str) {
    let exit = migrate(service, url, Some("migration.locked=return")).await;
    assert_eq!(exit.signal(), Some(SIGABRT), "{service}");
}

async fn migrate(service: Service, url: &str, points: Option<&str>) -> ExitStatus {
    let points = ("FAILPOINTS", points.unwrap_or_default());
    run_migrate(service, url, &[points]).await.status
}

async fn run_migrate(service: Service, url: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = tokio::process::Command::new(stack::binaries().join(service.name()));
    command.arg("migrate").env("QUADRILLE__DATABASE__URL", url);
    command.envs(variables.iter().copied());
    command.output().await.unwrap()
}

/// How often and how long `migrate` waits for its locks here.
fn patience(wait_s: &str) -> [(&str, &str); 2] {
    [
        ("QUADRILLE__MIGRATION__LOCK_TIMEOUT_MS", "200"),
        ("QUADRILLE__MIGRATION__WAIT_S", wait_s),
    ]
}

/// A service in use while it is migrated: somebody reads `work` for long, others write into it, and the migration that
/// comes next changes it.
#[tokio::test]
async fn a_migration_gives_way_to_a_long_reader_and_nobody_waits_behind_it() {
    const WRITE: &str =
        "insert into work (id, kind, name, headers) values (gen_random_uuid(), 'action', 'x', '[]')";
    const MOST: Duration = Duration::from_secs(3);
    let database = TestDatabase::empty().await.unwrap();
    let url = database.url();
    for _before in 0..3 {
        let exit = migrate(Service::Order, url, Some("migration.applied=return")).await;
        assert_eq!(exit.signal(), Some(SIGABRT));
    }
    let before = schema(url).await;
    let reader = connect(url).await.unwrap();
    reader
        .batch_execute("begin; select count(*) from work")
        .await
        .unwrap();

    let given_up = run_migrate(Service::Order, url, &patience("1")).await;
    assert_eq!(given_up.status.code(), Some(1));
    let said = String::from_utf8(given_up.stderr).unwrap();
    assert!(
        said.contains("00000000000010_operations did not get its locks"),
        "{said}"
    );
    assert_eq!(schema(url).await, before, "nothing of it is applied");

    let (longest, written) = (Cell::new(Duration::ZERO), Cell::new(0_u32));
    let writing = async {
        let writer = connect(url).await.unwrap();
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        loop {
            ticks.tick().await;
            let begun = Instant::now();
            writer.batch_execute(WRITE).await.unwrap();
            longest.set(longest.get().max(begun.elapsed()));
            written.set(written.get() + 1);
        }
    };
    let reading = async {
        for _again in 0..3 {
            until_migration_waits(url, true).await;
            until_migration_waits(url, false).await;
        }
        drop(reader);
    };
    let limits = patience("60");
    let migrating = async { tokio::join!(run_migrate(Service::Order, url, &limits), reading).0 };
    let migrated = tokio::select! {
        migrated = migrating => migrated,
        () = writing => unreachable!("it writes for ever"),
    };
    assert!(migrated.status.success(), "{migrated:?}");
    println!("{} writes, the longest of {:?}", written.get(), longest.get());
    assert!(written.get() > 0 && longest.get() < MOST, "{longest:?}");
    let kept = format!(
        "select (count(*) >= {})::text from work where replays = 0",
        written.get()
    );
    assert_eq!(texts(url, &kept).await, ["true"]);
}

async fn until_migration_waits(url: &str, waits: bool) {
    let waiting = "select count(*)::text from pg_stat_activity where datname = current_database()
        and wait_event_type = 'Lock' and wait_event = 'relation' and query like '%alter table work%'
        and pid <> pg_backend_pid()";
    let deadline = Instant::now() + Duration::from_secs(60);
    let expected = [if waits { "1" } else { "0" }];
    let client = connect(url).await.unwrap();
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    loop {
        ticks.tick().await;
        let rows = client.query(waiting, &[]).await.unwrap();
        let found: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        if found == expected {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "the migration is not seen to wait: {waits}"
        );
    }
}

/// An attempt that was broken off has left half an index; of two `migrate`s at once one makes it anew, beside a
/// transaction that takes its time.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_made_concurrently_is_made_again_after_an_attempt_was_broken_off() {
    const MIGRATIONS: EmbeddedMigrations = embed_migrations!("chaos/concurrently");
    const VALID: &str = "select indisvalid::text from pg_index where indexrelid = 'thing_by_name'::regclass";
    let database = TestDatabase::empty().await.unwrap();
    let url = database.url();
    let other = connect(url).await.unwrap();
    other
        .batch_execute("create table thing (name text not null); insert into thing values ('a'), ('a')")
        .await
        .unwrap();
    let broken_off = "create unique index concurrently thing_by_name on thing (name)";
    other.batch_execute(broken_off).await.unwrap_err();
    assert_eq!(texts(url, VALID).await, ["false"]);

    other
        .batch_execute("truncate thing; begin; insert into thing values ('a')")
        .await
        .unwrap();
    let settings = MigrationSettings {
        lock_timeout_ms: 100,
        wait_s: 60,
    };
    let secret = url.to_owned().into();
    let one = || migrate_within(&settings, &secret, MIGRATIONS);
    let ending = async {
        let waiting = "select count(*)::text from pg_stat_activity where datname = current_database()
            and wait_event_type = 'Lock' and query like '%index concurrently%'";
        let deadline = Instant::now() + Duration::from_secs(60);
        while texts(url, waiting).await != ["1"] {
            assert!(Instant::now() < deadline, "no index is being made");
        }
        other.batch_execute("commit").await.unwrap();
    };
    let (first, second, ()) = tokio::join!(one(), one(), ending);
    let mut applied = [first.unwrap().len(), second.unwrap().len()];
    applied.sort_unstable();
    assert_eq!(applied, [0, 2], "one of them made both, the other waited for it");
    assert_eq!(texts(url, VALID).await, ["true"]);
}

/// Every table, index, constraint, trigger and function, as PostgreSQL describes it.
async fn schema(url: &str) -> Vec<String> {
    const OURS: &str = "not in ('pg_catalog', 'pg_toast', 'information_schema')";
    let queries = [
        format!("select indexdef from pg_indexes where schemaname {OURS}"),
        format!(
            "select conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) from pg_constraint
             where connamespace::regnamespace::text {OURS}"
        ),
        "select pg_get_triggerdef(oid) from pg_trigger where not tgisinternal".to_owned(),
        format!(
            "select pg_get_functiondef(oid) from pg_proc where pronamespace::regnamespace::text {OURS}
             and prokind in ('f', 'p')"
        ),
    ];
    let mut schema = tables(url).await;
    for query in queries {
        let mut found = texts(url, &query).await;
        found.sort_unstable();
        schema.extend(found);
    }
    schema
}

/// Every table with its columns.
async fn tables(url: &str) -> Vec<String> {
    let sql = "select table_schema || '.' || table_name || ': ' ||
                      string_agg(column_name || ' ' || data_type || ' ' || is_nullable || coalesce(' ' || column_default, ''),
                          ', ' order by ordinal_position)
               from information_schema.columns
               where table_schema not in ('pg_catalog', 'information_schema')
               group by table_schema, table_name order by 1";
    texts(url, sql).await
}

async fn texts(url: &str, sql: &str) -> Vec<String> {
    let rows = connect(url).await.unwrap().query(sql, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}
