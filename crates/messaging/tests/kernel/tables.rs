//! The kernel's tables are the same in every service's database, and the code agrees with them.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use stack::postgres::TestDatabase;

use crate::world::{KERNEL, LATER};

macro_rules! kernel_of {
    ($service:literal, $file:literal) => {
        (
            $service,
            $file,
            include_str!(concat!(
                "../../../../migrations/",
                $service,
                "/00000000000001_kernel/",
                $file
            )),
        )
    };
}

#[test]
fn all_five_services_have_the_same_kernel() {
    let copies = [
        kernel_of!("auth", "up.sql"),
        kernel_of!("gateway", "up.sql"),
        kernel_of!("notification", "up.sql"),
        kernel_of!("order", "up.sql"),
        kernel_of!("payment", "up.sql"),
        kernel_of!("auth", "down.sql"),
        kernel_of!("gateway", "down.sql"),
        kernel_of!("notification", "down.sql"),
        kernel_of!("order", "down.sql"),
        kernel_of!("payment", "down.sql"),
    ];
    let down = include_str!("../../../../migrations/order/00000000000001_kernel/down.sql");
    for (service, file, text) in copies {
        let expected = if file == "up.sql" { KERNEL } else { down };
        assert_eq!(text, expected, "{file} of {service} differs from order's");
    }
}

macro_rules! later_ones_of {
    ($service:literal) => {
        (
            $service,
            [
                include_str!(concat!(
                    "../../../../migrations/",
                    $service,
                    "/00000000000010_operations/up.sql"
                )),
                include_str!(concat!(
                    "../../../../migrations/",
                    $service,
                    "/00000000000011_publications/up.sql"
                )),
                include_str!(concat!(
                    "../../../../migrations/",
                    $service,
                    "/00000000000013_letters/up.sql"
                )),
                include_str!(concat!(
                    "../../../../migrations/",
                    $service,
                    "/00000000000014_letter_states/up.sql"
                )),
                include_str!(concat!(
                    "../../../../migrations/",
                    $service,
                    "/20261130000010_audit_of_everything/up.sql"
                )),
            ],
            [
                include_str!(concat!(
                    "../../../../migrations/",
                    $service,
                    "/00000000000010_operations/down.sql"
                )),
                include_str!(concat!(
                    "../../../../migrations/",
                    $service,
                    "/00000000000011_publications/down.sql"
                )),
                include_str!(concat!(
                    "../../../../migrations/",
                    $service,
                    "/00000000000013_letters/down.sql"
                )),
                include_str!(concat!(
                    "../../../../migrations/",
                    $service,
                    "/00000000000014_letter_states/down.sql"
                )),
                include_str!(concat!(
                    "../../../../migrations/",
                    $service,
                    "/20261130000010_audit_of_everything/down.sql"
                )),
            ],
        )
    };
}

#[test]
fn all_five_services_have_the_same_operations() {
    let (_, _, down) = later_ones_of!("order");
    for (service, up_sql, down_sql) in [
        later_ones_of!("auth"),
        later_ones_of!("gateway"),
        later_ones_of!("notification"),
        later_ones_of!("order"),
        later_ones_of!("payment"),
    ] {
        assert_eq!(up_sql, LATER, "up.sql of {service}");
        assert_eq!(down_sql, down, "down.sql of {service}");
    }
}

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = diesel::sql_types::Text)]
    line: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_code_knows_the_columns_that_the_migration_makes() {
    let database = TestDatabase::empty().await.unwrap();
    let mut conn = AsyncPgConnection::establish(database.url()).await.unwrap();
    for up_sql in [KERNEL].iter().chain(&LATER) {
        conn.batch_execute(up_sql).await.unwrap();
    }
    let columns: Vec<Column> = diesel::sql_query(
        "select table_name || ' ' || column_name || ' '
                || case when is_nullable = 'YES' then 'Nullable<' || kind || '>' else kind end as line
         from information_schema.columns,
              lateral (select case udt_name when 'bytea' then 'Bytea' when 'timestamptz' then 'Timestamptz'
                              else initcap(udt_name) end as kind) kinds
         where table_name in ('outbox', 'processed_event', 'work') order by table_name, ordinal_position",
    )
    .load(&mut conn)
    .await
    .unwrap();
    let found: Vec<String> = columns.into_iter().map(|column| column.line).collect();
    assert_eq!(found, declared(include_str!("../../src/schema.rs")));
    // and going down leaves nothing behind
    let (_, _, later) = later_ones_of!("order");
    let kernel = include_str!("../../../../migrations/order/00000000000001_kernel/down.sql");
    for down in later.iter().rev().chain([&kernel]) {
        conn.batch_execute(down).await.unwrap();
    }
    let left: Vec<Column> = diesel::sql_query(
        "select relname::text as line from pg_class where relnamespace = 'public'::regnamespace",
    )
    .load(&mut conn)
    .await
    .unwrap();
    assert!(left.is_empty());
}

/// `table column Type`, one for each column that `schema.rs` declares.
fn declared(schema: &str) -> Vec<String> {
    let mut table = String::new();
    let mut columns = Vec::new();
    for line in schema.lines().map(str::trim) {
        if let Some((name, kind)) = line.split_once(" -> ") {
            columns.push(format!("{table} {name} {}", kind.trim_end_matches(',')));
        } else if let Some((name, _)) = line.split_once(" (").filter(|_| line.ends_with('{')) {
            table = name.to_owned();
        }
    }
    columns
}
