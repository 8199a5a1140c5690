//! Settings of the function: those of the import, and the secret among them by Secrets Manager.
//!
//! ECS hands secrets over at start; Lambda does not, and whoever may look at a function sees its environment. So the
//! environment has the ARN of the secret, and the function asks for it by its own role (decision 74).

use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::timeout::TimeoutConfig;
use steelyard_aws::{AwsConfig, AwsCredentials};
use steelyard_documents::stores::Settings;
use steelyard_runtime::config::{Env, Faults};

/// What the secret's value is set as.
const DATABASE_URL: &str = "DATABASE_URL";
/// `DATABASE_URL_SECRET`: ARN or name of the secret that `DATABASE_URL` is.
const DATABASE_URL_SECRET: &str = "DATABASE_URL_SECRET";
/// Secrets Manager itself; another one in tests.
const ENDPOINT: &str = "AWS_ENDPOINT_URL_SECRETS_MANAGER";
/// How long Secrets Manager may take, retries included.
const ASK_MAX: Duration = Duration::from_secs(10);

/// Why the settings are not to be had.
#[derive(Debug, thiserror::Error)]
pub enum Unsettled {
    /// A setting is missing or wrong.
    #[error(transparent)]
    Faults(#[from] Faults),
    /// Secrets Manager is away, knows no such secret, or does not give it.
    #[error("{DATABASE_URL_SECRET}: {0}")]
    Refused(String),
    /// The secret is no text.
    #[error("{DATABASE_URL_SECRET}: the secret has no text")]
    NoText,
}

/// Where the settings come from.
#[derive(Debug)]
pub struct Vault {
    env: Env,
    /// With the name of the secret, if `DATABASE_URL` is one.
    secrets: Option<(Client, String)>,
}

impl Vault {
    /// The process's variables, and Secrets Manager if they name a secret.
    pub async fn open(env: Env) -> Self {
        let secret = env.get(DATABASE_URL_SECRET).map(str::to_owned);
        let secrets = match secret {
            Some(secret) => Some((client(&env).await, secret)),
            None => None,
        };
        Self { env, secrets }
    }

    /// The settings as they are now.
    ///
    /// # Errors
    /// See [`Unsettled`].
    pub async fn settings(&self) -> Result<Settings, Unsettled> {
        let Some((client, secret)) = &self.secrets else {
            return Ok(Settings::from_env(&self.env)?);
        };
        let asked = client.get_secret_value().secret_id(secret).send().await;
        // The chain's words only: its insides have the answer, and that may be the secret.
        let found = asked.map_err(|error| {
            let why = anyhow::Error::from(error);
            Unsettled::Refused(format!("{why:#}"))
        })?;
        let url = found.secret_string().ok_or(Unsettled::NoText)?;
        let env = self.env.clone().with(DATABASE_URL, url);
        Ok(Settings::from_env(&env)?)
    }
}

/// Everything that is read, for the contract.
pub(crate) fn read(env: &Env) {
    for name in [DATABASE_URL_SECRET, ENDPOINT] {
        let _ = env.get(name);
    }
    drop(Settings::from_env(env));
}

async fn client(env: &Env) -> Client {
    let config = AwsConfig {
        region: env.get("AWS_REGION").map(str::to_owned),
        endpoint_url: env.get(ENDPOINT).map(str::to_owned),
        credentials: AwsCredentials::DefaultChain,
    };
    let timeouts = TimeoutConfig::builder().operation_timeout(ASK_MAX).build();
    let loader = config.into_loader().timeout_config(timeouts);
    Client::new(&loader.load().await)
}
