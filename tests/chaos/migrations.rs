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

        let locked = migrate(service, broken.url(), Some("migration.locked=return")).await;
        assert_eq!(locked.signal(), Some(SIGABRT));
        assert_eq!(schema(broken.url()).await.len(), 1, "only diesel's own table");
        let mut crashes = 0;
        loop {
            let exit = migrate(service, broken.url(), Some("migration.applied=return")).await;
            if exit.success() {
                break;
            }
            assert_eq!(exit.signal(), Some(SIGABRT));
            crashes += 1;
        }
        assert!(crashes >= 2, "{service}: a crash after each migration");
        assert_eq!(schema(broken.url()).await, schema(whole.url()).await);
    }
}

async fn migrate(service: Service, url: &str, points: Option<&str>) -> ExitStatus {
    let mut command = tokio::process::Command::new(stack::binaries().join(service.name()));
    command.arg("migrate").env("QUADRILLE__DATABASE__URL", url);
    command.env("FAILPOINTS", points.unwrap_or_default());
    command.output().await.unwrap().status
}

/// Every table with its columns.
async fn schema(url: &str) -> Vec<String> {
    let sql = "select table_schema || '.' || table_name || ': ' ||
                      string_agg(column_name || ' ' || data_type, ', ' order by ordinal_position)
               from information_schema.columns
               where table_schema not in ('pg_catalog', 'information_schema')
               group by table_schema, table_name order by 1";
    let rows = connect(url).await.unwrap().query(sql, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}
