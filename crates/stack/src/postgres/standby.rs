//! A second server that follows the first one and can take its place.

use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use super::{Options, PATIENCE, Postgres, SUPERUSER, not_ready};
use crate::error::{IoContext, Result};
use crate::process::run;

/// What the first server calls the other.
const NAME: &str = "standby";

impl Postgres {
    /// Copies this server while it runs, and starts the copy as its standby. Once it follows, a commit here is
    /// acknowledged only when it is there as well: without that, what was acknowledged last may be lost in a promotion.
    pub async fn standby(&self, options: Options) -> Result<Self> {
        let directory = &options.directory;
        std::fs::create_dir_all(directory).at("create", directory)?;
        self.installation.check_reach(directory)?;
        self.installation.give(directory)?;
        let secret = directory.join("superuser");
        std::fs::write(&secret, &self.password).at("write", &secret)?;
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).at("protect", &secret)?;
        let mut copy = self.installation.command("pg_basebackup")?;
        let port = self.options.port;
        copy.env("PGPASSWORD", &self.password)
            .arg("--pgdata")
            .arg(directory.join("data"))
            .arg("--dbname")
            .arg(format!(
                "host=127.0.0.1 port={port} user={SUPERUSER} application_name={NAME}"
            ))
            .args([
                "--write-recovery-conf",
                "--wal-method=stream",
                "--checkpoint=fast",
                "--no-sync",
            ]);
        run(copy).await?;
        let standby = Self::launch(self.installation.clone(), options, self.password.clone()).await?;
        self.set("synchronous_standby_names", NAME).await?;
        let following = "select 1 from pg_stat_replication where sync_state = 'sync'";
        self.wait_for("its standby to follow", following).await?;
        Ok(standby)
    }

    /// Stops taking writes, as a primary does that is relieved: sessions stay and read. Returns once every transaction
    /// that writes has ended and `standby` has all of them.
    pub async fn relieve(&self, standby: &Self) -> Result<()> {
        self.set("default_transaction_read_only", "on").await?;
        let taken_in = "select 1 where current_setting('default_transaction_read_only')::bool";
        self.wait_for("its setting", taken_in).await?;
        let since = self.text("select clock_timestamp()::text").await?;
        let writers = format!(
            "select 1 where not exists (select from pg_stat_activity where backend_type = 'client backend' \
             and xact_start < '{since}')"
        );
        self.wait_for("writers to end", &writers).await?;
        let end = self.text("select pg_current_wal_lsn()::text").await?;
        let arrived = format!("select 1 where pg_last_wal_replay_lsn() >= '{end}'::pg_lsn");
        standby.wait_for("all that was written", &arrived).await
    }

    /// Makes a standby a server of its own, which takes writes.
    pub async fn promote(&self) -> Result<()> {
        self.admin("postgres")
            .await?
            .query_one("select pg_promote()", &[])
            .await?;
        self.wait_for("its promotion", "select 1 where not pg_is_in_recovery()")
            .await
    }

    /// Changes a setting of the running server.
    async fn set(&self, key: &str, value: &str) -> Result<()> {
        let admin = self.admin("postgres").await?;
        admin
            .batch_execute(&format!("alter system set {key} = '{value}'"))
            .await?;
        admin.batch_execute("select pg_reload_conf()").await?;
        Ok(())
    }

    async fn text(&self, sql: &str) -> Result<String> {
        Ok(self.admin("postgres").await?.query_one(sql, &[]).await?.get(0))
    }

    /// Asks until there is a row.
    async fn wait_for(&self, what: &str, sql: &str) -> Result<()> {
        let (begin, admin) = (Instant::now(), self.admin("postgres").await?);
        while admin.query_opt(sql, &[]).await?.is_none() {
            if begin.elapsed() > PATIENCE {
                return Err(not_ready(begin, format!("it waits for {what}")));
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        Ok(())
    }
}
