//! Postgres and S3 as commands and the Lambda reach them: the service's own settings.

use std::time::Duration;

use sqlx::PgPool;
use steelyard_objects::{Bucket, S3Config, S3Credentials};
use steelyard_runtime::config::{Env, Faults, Secret};
use steelyard_store::{PoolOptions, connect, migrate};

use crate::db;

/// What a command is told by its environment.
#[derive(Debug, Clone)]
pub struct Settings {
    database_url: Secret,
    bucket: String,
    /// How S3 is reached.
    pub s3: S3Config,
}

impl Settings {
    /// `DATABASE_URL`, `DOCUMENTS_BUCKET`, `AWS_REGION`, `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`.
    ///
    /// # Errors
    /// Every setting that is wrong.
    pub fn from_env(env: &Env) -> Result<Self, Faults> {
        let mut reader = env.reader();
        let database_url = reader.secret_url("DATABASE_URL", &["postgres", "postgresql"]);
        let bucket = reader.required("DOCUMENTS_BUCKET");
        let region = reader.optional("AWS_REGION");
        let names = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];
        let endpoint = names.into_iter().find(|name| env.get(name).is_some());
        let endpoint_url = endpoint.and_then(|name| reader.http_url(name));
        reader.finish(|| {
            Some(Self {
                database_url: database_url?,
                bucket: bucket?,
                s3: S3Config {
                    region,
                    endpoint_url: endpoint_url.map(String::from),
                    credentials: S3Credentials::DefaultChain,
                },
            })
        })
    }

    /// A pool of so many connections, with the schema up to date.
    ///
    /// # Errors
    /// A URL that is none, Postgres away, a schema that does not fit.
    pub async fn database(&self, connections_max: u32) -> anyhow::Result<PgPool> {
        let options = PoolOptions {
            application_name: "documents-command",
            connections_max,
            // Sets of a whole import are larger than those of a request.
            statement_max: Duration::from_mins(1),
            ..PoolOptions::new("documents")
        };
        let pool = connect(self.database_url.expose(), &options)?;
        migrate(&pool, "documents", &db::migrations()).await?;
        Ok(pool)
    }

    /// The bucket that documents lie in.
    pub async fn bucket(&self) -> Bucket {
        Bucket::connect(self.s3.clone(), self.bucket.as_str()).await
    }
}
