//! Postgres and Redis: the ones that the environment names, else private ones.

use std::net::ToSocketAddrs;
use std::time::Duration;

use anyhow::{Context, bail};
use steelyard_localstores::install::{self, Need};
use steelyard_localstores::{Durability, Postgres, Redis, StoreOptions};
use tokio::net::TcpStream;
use url::Url;

use crate::dir::StackDir;
use crate::progress::Progress;
use crate::run_file::Part;

/// How long a named server may take to answer.
pub(super) const REACH_MAX: Duration = Duration::from_secs(5);

/// The stores that the services use.
pub(super) struct Stores {
    /// Postgres, as an administrator.
    pub(super) database: Url,
    pub(super) redis: Url,
    postgres_server: Option<Postgres>,
    redis_server: Option<Redis>,
}

impl Stores {
    pub(super) async fn start(dir: &StackDir, progress: &Progress) -> anyhow::Result<Self> {
        let named_database =
            named("DATABASE_URL", &["postgres", "postgresql"], 5432, progress).await?;
        let named_redis = named("REDIS_URL", &["redis", "rediss"], 6379, progress).await?;
        let options = StoreOptions::new(Durability::Honest);
        let mut needs = Vec::new();
        needs.extend(named_database.is_none().then_some(Need::Postgres));
        needs.extend(named_redis.is_none().then_some(Need::Redis));
        install::ensure(&options.search, &needs, &|said| progress.install(said)).await?;
        // Both at once: each waits on its own disk syncs.
        if named_database.is_none() {
            progress.doing("starting Postgres");
        }
        let postgres = async {
            match &named_database {
                Some(_) => Ok(None),
                None => {
                    let options = StoreOptions {
                        log: Some(dir.log("postgres")),
                        ..options.clone()
                    };
                    Postgres::start(&dir.postgres(), &options).await.map(Some)
                }
            }
        };
        let redis = async {
            match &named_redis {
                Some(_) => Ok(None),
                None => {
                    let options = StoreOptions {
                        log: Some(dir.log("redis")),
                        ..options.clone()
                    };
                    Redis::start(&dir.redis(), &options).await.map(Some)
                }
            }
        };
        let (postgres_server, redis_server) = tokio::try_join!(postgres, redis)?;
        if let Some(server) = &postgres_server {
            progress.done(&format!("Postgres on 127.0.0.1:{}", server.port()));
            if server.placement().moved {
                progress.note(&format!(
                    "its data lies in {}, since the account that it runs under cannot reach {}",
                    server.placement().dir.display(),
                    dir.root().display()
                ));
            }
        }
        if let Some(server) = &redis_server {
            progress.done(&format!("Redis on 127.0.0.1:{}", server.port()));
        }
        let database = match (named_database, &postgres_server) {
            (None, Some(server)) => Url::parse(&server.url("postgres"))?,
            (named, _) => named.context("no Postgres")?,
        };
        let redis = match (named_redis, &redis_server) {
            (None, Some(server)) => Url::parse(&server.url())?,
            (named, _) => named.context("no Redis")?,
        };
        Ok(Self {
            database,
            redis,
            postgres_server,
            redis_server,
        })
    }

    /// Their entries in `run.json`.
    pub(super) fn parts(&self) -> Vec<(&'static str, Part)> {
        let postgres = self.postgres_server.as_ref();
        let redis = self.redis_server.as_ref();
        let part = |url: &Url, pid, log| Part {
            url: url.to_string(),
            admin_url: None,
            pid,
            log,
        };
        vec![
            (
                "postgres",
                part(
                    &self.database,
                    postgres.map(|server| server.pid()),
                    postgres.map(|p| p.log().to_owned()),
                ),
            ),
            (
                "redis",
                part(
                    &self.redis,
                    redis.map(|server| server.pid()),
                    redis.map(|r| r.log().to_owned()),
                ),
            ),
        ]
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        let postgres = async {
            match self.postgres_server {
                Some(server) => server.stop().await,
                None => Ok(()),
            }
        };
        let redis = async {
            match self.redis_server {
                Some(server) => server.stop().await,
                None => Ok(()),
            }
        };
        let (postgres, redis) = tokio::join!(postgres, redis);
        postgres.and(redis).map_err(Into::into)
    }
}

/// The URL in this variable, when it is set, can be read and answers. Messages never hold the URL's password.
async fn named(
    variable: &'static str,
    schemes: &[&str],
    port: u16,
    progress: &Progress,
) -> anyhow::Result<Option<Url>> {
    let Some(text) = std::env::var(variable)
        .ok()
        .filter(|text| !text.trim().is_empty())
    else {
        return Ok(None);
    };
    let Some(url) = Url::parse(text.trim())
        .ok()
        .filter(|url| schemes.contains(&url.scheme()))
    else {
        bail!(
            "{variable} is no {}:// URL; correct it, or unset it for a private server",
            schemes[0]
        );
    };
    let host = url.host_str().unwrap_or("127.0.0.1").to_owned();
    let port = url.port().unwrap_or(port);
    reach(&host, port)
        .await
        .with_context(|| {
            format!("{variable}: nothing answers at {host}:{port}; start it, or unset {variable} for a private server")
        })?;
    progress.done(&format!("{variable} answers at {host}:{port}"));
    Ok(Some(url))
}

/// Whether something accepts connections there.
pub(super) async fn reach(host: &str, port: u16) -> anyhow::Result<()> {
    let name = format!("{}:{port}", host.trim_matches(['[', ']']));
    let try_it = async {
        let addresses = tokio::task::spawn_blocking(move || name.to_socket_addrs()).await??;
        let addresses: Vec<_> = addresses.collect();
        TcpStream::connect(addresses.as_slice()).await?;
        anyhow::Ok(())
    };
    tokio::time::timeout(REACH_MAX, try_it)
        .await
        .unwrap_or_else(|_| bail!("no answer within {} s", REACH_MAX.as_secs()))
}
