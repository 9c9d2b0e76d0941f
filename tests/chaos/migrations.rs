//! `migrate` dies before and after each migration, and the next one goes on where it died.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

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
    let mut command = tokio::process::Command::new(stack::binaries().join(service.name()));
    command.arg("migrate").env("QUADRILLE__DATABASE__URL", url);
    command.env("FAILPOINTS", points.unwrap_or_default());
    command.output().await.unwrap().status
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
