//! The private cluster and the databases of tests, on a real PostgreSQL.

use stack::postgres::{Options, Postgres, TestDatabase, connect};

async fn migrate(url: String) -> stack::Result<()> {
    let client = connect(&url).await?;
    client
        .batch_execute("create table seen(id int primary key); insert into seen values (1)")
        .await?;
    Ok(())
}

#[tokio::test]
async fn each_test_database_is_a_clone_of_its_own() {
    let (one, other) = tokio::join!(
        TestDatabase::create("seen", migrate),
        TestDatabase::create("seen", migrate)
    );
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_ne!(one.url(), other.url());
    let (first, second) = (
        connect(one.url()).await.unwrap(),
        connect(other.url()).await.unwrap(),
    );
    first.batch_execute("insert into seen values (2)").await.unwrap();
    let count: i64 = second
        .query_one("select count(*) from seen", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(count, 1, "what one test writes is not seen by another");
}

#[tokio::test]
async fn a_test_database_is_dropped_even_with_sessions_in_it() {
    let watcher = TestDatabase::empty().await.unwrap();
    let watcher_session = connect(watcher.url()).await.unwrap();
    let dropped = TestDatabase::empty().await.unwrap();
    let session = connect(dropped.url()).await.unwrap();
    let name = dropped.name().to_owned();
    drop(dropped);
    let row = watcher_session
        .query_opt("select 1 from pg_database where datname = $1", &[&name])
        .await
        .unwrap();
    assert!(row.is_none(), "{name} is still there");
    assert!(session.batch_execute("select 1").await.is_err());
}

#[tokio::test]
async fn failing_migrations_are_told_and_tried_again() {
    let broken = TestDatabase::create("broken", async |_| Err(std::io::Error::other("no such column"))).await;
    assert!(broken.unwrap_err().to_string().contains("no such column"));
    TestDatabase::create("broken", migrate).await.unwrap();
}

#[tokio::test]
async fn a_cluster_survives_kill_9_and_a_role_opens_only_its_own_database() {
    let directory = stack::temporary().unwrap();
    let port = stack::ports::lease().unwrap();
    let mut postgres = Postgres::start(Options::new(directory.path().join("postgres"), port.port()))
        .await
        .unwrap();
    let order = postgres.ensure_database("order_db", "secret1").await.unwrap();
    let payment = postgres.ensure_database("payment_db", "secret2").await.unwrap();
    connect(&order)
        .await
        .unwrap()
        .batch_execute("create table kept(id int); insert into kept values (1)")
        .await
        .unwrap();
    let foreign = format!("{}/order_db", payment.rsplit_once('/').unwrap().0);
    let refused = connect(&foreign).await.unwrap_err();
    assert!(
        format!("{refused:?}").contains("permission denied for database"),
        "{refused:?}"
    );

    postgres.kill9().await;
    assert!(connect(&order).await.is_err());
    postgres.restart().await.unwrap();
    let count: i64 = connect(&order)
        .await
        .unwrap()
        .query_one("select count(*) from kept", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(count, 1);
    let again = postgres.ensure_database("order_db", "secret3").await.unwrap();
    connect(&again).await.unwrap();
}
