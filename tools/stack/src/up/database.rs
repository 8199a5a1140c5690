//! One database, and in it a role and a schema for each service.

use anyhow::Context;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use url::Url;

/// The database's name, unless `DATABASE_URL` names another.
const DATABASE: &str = "steelyard";
/// Services with a schema of their own.
const OWNERS: [&str; 3] = ["catalog", "orders", "documents"];

/// Where the services find their schemas.
pub(crate) struct Database {
    url: Url,
    password: String,
}

impl Database {
    /// Makes database, roles and schemas, as far as they are not there. A service's role can neither see nor change
    /// another's tables: the schemas are its owner's, and nothing is granted.
    pub(crate) async fn provision(admin: &Url, password: &str) -> anyhow::Result<Self> {
        let mut url = admin.clone();
        let name = match admin.path().trim_start_matches('/') {
            "" | "postgres" => {
                make_database(admin).await?;
                url.set_path(DATABASE);
                DATABASE
            }
            named => named,
        };
        let mut connection = connect(&url).await?;
        for owner in OWNERS {
            // The names are constants above and the password is hexadecimal: nothing to escape.
            let sql = format!(
                "do $$ begin
                     if not exists (select from pg_roles where rolname = 'steelyard_{owner}') then
                         create role steelyard_{owner} login;
                     end if;
                 end $$;
                 alter role steelyard_{owner} login password '{password}';
                 grant connect on database \"{name}\" to steelyard_{owner};
                 create schema if not exists {owner} authorization steelyard_{owner};
                 alter role steelyard_{owner} in database \"{name}\" set search_path = {owner};"
            );
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.with_context(|| {
                format!("cannot make the role and schema of {owner}; DATABASE_URL must name an administrator")
            })?;
        }
        // The catalog's search wants it in its own schema, and its role may not make it.
        sqlx::raw_sql("create extension if not exists pg_trgm schema catalog")
            .execute(&mut connection)
            .await
            .context(
                "cannot make the extension pg_trgm, which comes with Postgres (postgresql-contrib)",
            )?;
        let _ = connection.close().await;
        Ok(Self {
            url,
            password: password.to_owned(),
        })
    }

    /// The same database on another server, which follows this one's.
    pub(crate) fn on_port(&self, port: u16) -> anyhow::Result<Self> {
        let mut url = self.url.clone();
        url.set_port(Some(port)).ok().context("a port")?;
        Ok(Self {
            url,
            password: self.password.clone(),
        })
    }

    /// `DATABASE_URL` of one service.
    pub(crate) fn url_of(&self, owner: &str) -> anyhow::Result<String> {
        let mut url = self.url.clone();
        url.set_username(&format!("steelyard_{owner}"))
            .ok()
            .context("DATABASE_URL takes no user")?;
        url.set_password(Some(&self.password))
            .ok()
            .context("DATABASE_URL takes no password")?;
        Ok(url.into())
    }
}

async fn make_database(admin: &Url) -> anyhow::Result<()> {
    let mut connection = connect(admin).await?;
    let found: bool =
        sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(DATABASE)
            .fetch_one(&mut connection)
            .await?;
    if !found {
        let sql = format!("create database {DATABASE} template template0 encoding 'UTF8'");
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .with_context(|| {
                format!(
                    "cannot make the database {DATABASE}; DATABASE_URL must name an administrator"
                )
            })?;
    }
    let _ = connection.close().await;
    Ok(())
}

async fn connect(url: &Url) -> anyhow::Result<PgConnection> {
    let host = format!(
        "{}:{}",
        url.host_str().unwrap_or_default(),
        url.port().unwrap_or(5432)
    );
    tokio::time::timeout(
        super::stores::REACH_MAX,
        PgConnection::connect(url.as_str()),
    )
    .await
    .with_context(|| format!("Postgres at {host} does not answer"))?
    .with_context(|| format!("cannot log in to Postgres at {host}; check DATABASE_URL"))
}
