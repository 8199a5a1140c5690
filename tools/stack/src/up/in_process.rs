//! Services as tasks of the stack's own process.

use std::time::Duration;

use anyhow::{Context, bail};
use futures_util::future::BoxFuture;
use steelyard_aws::AwsCredentials;
use steelyard_runtime::config::Env;
use steelyard_runtime::telemetry::Metrics;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::services::Plan;

/// Above the services' own drain times, so that they end by themselves.
const STOP_MAX: Duration = Duration::from_secs(40);

/// A running service.
pub(super) struct Task {
    name: String,
    stop: CancellationToken,
    task: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Task {
    /// Starts a service with the environment of its plan, on top of the process's own.
    pub(super) fn start(plan: &Plan, metrics: &Metrics) -> Self {
        let mut env = Env::from_process();
        for (name, value) in &plan.env {
            env = env.with(name, value);
        }
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(plan.service, env, metrics.clone(), stop.clone()));
        Self {
            name: plan.name.clone(),
            stop,
            task: Some(task),
        }
    }

    /// Waits until `url` answers 200.
    pub(super) async fn ready(&mut self, url: &str) -> anyhow::Result<()> {
        let name = self.name.clone();
        super::ready::wait(&name, url, async || self.death().await, String::new).await
    }

    /// What to tell about a service that has ended by itself; once.
    pub(super) async fn death(&mut self) -> Option<String> {
        let task = self
            .task
            .take_if(|task| task.is_finished() && !self.stop.is_cancelled())?;
        Some(match task.await {
            Ok(Ok(())) => format!("{} has ended", self.name),
            Ok(Err(error)) => format!("{} has ended: {error:#}", self.name),
            Err(panic) => format!("{} has ended: {panic}", self.name),
        })
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        let Some(mut task) = self.task else {
            return Ok(());
        };
        match tokio::time::timeout(STOP_MAX, &mut task).await {
            Err(_) => {
                task.abort();
                bail!("{} did not stop within {} s", self.name, STOP_MAX.as_secs())
            }
            Ok(ended) => ended
                .with_context(|| self.name.clone())?
                .with_context(|| self.name),
        }
    }
}

fn serve(
    service: &'static str,
    env: Env,
    metrics: Metrics,
    stop: CancellationToken,
) -> BoxFuture<'static, anyhow::Result<()>> {
    Box::pin(async move {
        match service {
            "catalog" => {
                let mut config = steelyard_catalog::Config::from_env(&env)?;
                config.sqs.credentials = credentials(&env);
                if let Some(media) = &mut config.media {
                    media.sqs.credentials = credentials(&env);
                    media.s3.credentials = credentials(&env);
                }
                steelyard_catalog::run(&config, metrics, stop).await?;
            }
            "documents" => {
                let mut config = steelyard_documents::Config::from_env(&env)?;
                if let Some(issuing) = &mut config.issuing {
                    issuing.sqs.credentials = credentials(&env);
                }
                config.s3.credentials = credentials(&env);
                let deps = steelyard_documents::Deps::connect(&config, metrics).await?;
                steelyard_documents::run(deps, stop).await?;
            }
            "orders" => {
                let mut config = steelyard_orders::Config::from_env(&env)?;
                config.sqs.credentials = credentials(&env);
                steelyard_orders::run(config, metrics, stop).await?;
            }
            "gateway" => {
                let mut config = steelyard_gateway::Config::from_env(&env)?;
                config.sqs.credentials = credentials(&env);
                let deps = steelyard_gateway::Deps::connect(&config, metrics).await?;
                steelyard_gateway::run(config, deps, stop).await?;
            }
            other => bail!("{other} is no service"),
        }
        Ok(())
    })
}

/// The SDK's default chain would look at this process's variables, where the stack's own are not.
fn credentials(env: &Env) -> AwsCredentials {
    match (
        env.get("AWS_ACCESS_KEY_ID"),
        env.get("AWS_SECRET_ACCESS_KEY"),
    ) {
        (Some(id), Some(secret)) => AwsCredentials::Static {
            access_key_id: id.to_owned(),
            secret_access_key: secret.to_owned(),
        },
        _ => AwsCredentials::DefaultChain,
    }
}
