use std::env;
use std::net::SocketAddr;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use steelyard_localstores::{Durability, Postgres, StoreOptions};
use time::OffsetDateTime;
use tokio::sync::OnceCell;
use url::Url;

use crate::{must, throwaway_dir};

const ADMIN_URL: &str = "STEELYARD_TEST_DATABASE_URL";
const PREFIX: &str = "steelyard_test_";
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Databases on a shared server whose test process was killed are removed after this time.
const LEFTOVER_AGE_SECONDS_MIN: i64 = 24 * 60 * 60;
const LEFTOVERS_MAX: i32 = 50;

/// A database of this test's own, empty, UTF-8, dropped with the value.
#[derive(Debug)]
pub struct TestDatabase {
    /// `postgres://…` as an administrator of the server.
    pub url: String,
    name: String,
    admin: Url,
}

/// One server per test process, unless the environment names one.
static SERVER: OnceCell<Server> = OnceCell::const_new();

struct Server {
    admin: Url,
    /// Held for the life of the process; the watchdog stops it then, since statics are not dropped.
    _private: Option<Postgres>,
}

/// Makes a fresh database on the shared server (see the crate's page).
///
/// # Panics
/// When there is no Postgres, or it cannot be reached.
pub async fn postgres() -> TestDatabase {
    let server = SERVER.get_or_init(find_server).await;
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let name = format!("{PREFIX}{now}_{}", uuid::Uuid::new_v4().simple());
    let mut connection = must(
        "connect to the Postgres for tests",
        connect(&server.admin).await,
    );
    // template0: nobody is ever connected to it, so any number of tests may copy it at once.
    let create = format!("create database {name} template template0 encoding 'UTF8'");
    must(
        "create a test database",
        sqlx::raw_sql(AssertSqlSafe(create))
            .execute(&mut connection)
            .await,
    );
    let _ = connection.close().await;
    let mut url = server.admin.clone();
    url.set_path(&name);
    TestDatabase {
        url: url.into(),
        name,
        admin: server.admin.clone(),
    }
}

async fn find_server() -> Server {
    if let Ok(text) = env::var(ADMIN_URL) {
        let admin = must(ADMIN_URL, Url::parse(&text));
        remove_leftovers(&admin).await;
        return Server {
            admin,
            _private: None,
        };
    }
    let options = StoreOptions::new(Durability::Throwaway);
    let private = must(
        "start a Postgres for tests",
        Postgres::start(&throwaway_dir("postgres"), &options).await,
    );
    Server {
        admin: must("the private Postgres", Url::parse(&private.url("postgres"))),
        _private: Some(private),
    }
}

async fn connect(admin: &Url) -> Result<PgConnection, String> {
    match tokio::time::timeout(CONNECT_MAX, PgConnection::connect(admin.as_str())).await {
        Ok(connected) => connected.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {CONNECT_MAX:?}")),
    }
}

/// A test process that was killed could not drop its databases on a shared server.
async fn remove_leftovers(admin: &Url) {
    let Ok(mut connection) = connect(admin).await else {
        return;
    };
    let oldest = OffsetDateTime::now_utc().unix_timestamp() - LEFTOVER_AGE_SECONDS_MIN;
    let names: Vec<String> = sqlx::query_scalar(
        "select datname::text from pg_database
          where datname ~ ('^' || $1 || '[0-9]+_') and split_part(datname, '_', 3)::bigint < $2 limit $3",
    )
    .bind(PREFIX)
    .bind(oldest)
    .bind(LEFTOVERS_MAX)
    .fetch_all(&mut connection)
    .await
    .unwrap_or_default();
    for name in names {
        let _ = sqlx::raw_sql(AssertSqlSafe(format!("drop database if exists {name}")))
            .execute(&mut connection)
            .await;
    }
}

impl TestDatabase {
    /// Where the server listens, for a proxy.
    ///
    /// # Panics
    /// When the server's URL names no IP address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        let host = self.admin.host_str().unwrap_or("127.0.0.1");
        let host = if host == "localhost" {
            "127.0.0.1"
        } else {
            host
        };
        let ip = must(
            "the host of the Postgres for tests must be an IP address",
            host.parse(),
        );
        SocketAddr::new(ip, self.admin.port().unwrap_or(5432))
    }

    /// The same database by way of a proxy at `address`.
    ///
    /// # Panics
    /// Never with an address of a proxy.
    #[must_use]
    pub fn url_via(&self, address: SocketAddr) -> String {
        let mut url = must("the test database's URL", Url::parse(&self.url));
        must(
            "the proxy's address",
            url.set_ip_host(address.ip()).map_err(|()| "not a host"),
        );
        must(
            "the proxy's port",
            url.set_port(Some(address.port()))
                .map_err(|()| "not a port"),
        );
        url.into()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (admin, name) = (self.admin.clone(), self.name.clone());
        // Dropped inside or outside of a runtime, or during a panic: a thread with a runtime of its own always works.
        let worker = std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
            else {
                return;
            };
            runtime.block_on(async {
                let drop_it = async {
                    let mut connection = connect(&admin).await.ok()?;
                    let sql = format!("drop database if exists {name} with (force)");
                    sqlx::raw_sql(AssertSqlSafe(sql))
                        .execute(&mut connection)
                        .await
                        .ok()
                };
                let _ = tokio::time::timeout(CONNECT_MAX, drop_it).await;
            });
        });
        let _ = worker.join();
    }
}
