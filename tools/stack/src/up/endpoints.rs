//! SQS and S3: what `AWS_ENDPOINT_URL` names, else localsqs and s3s-fs.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::{Context, bail};
use localsqs::{Config, Server, Storage};
use steelyard_locals3::Server as S3;
use steelyard_localstores::free_port;
use url::Url;

use super::objects;
use super::processes::{Binaries, Process};
use super::stores::reach;
use crate::dir::StackDir;
use crate::progress::Progress;
use crate::run_file::Part;
use crate::secrets::Secrets;

pub(crate) const REGION: &str = "us-east-1";
pub(crate) const ACCESS_KEY: &str = "steelyard";

/// How services reach SQS and S3.
#[derive(Clone)]
pub(crate) struct Aws {
    pub(crate) sqs_url: String,
    pub(crate) s3_url: String,
    pub(crate) region: String,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    /// Whether they are the stack's own.
    pub(crate) private: bool,
}

/// The servers behind it, as far as they are the stack's.
pub(super) struct Endpoints {
    pub(super) aws: Aws,
    sqs: Sqs,
    s3: Option<S3>,
    log: PathBuf,
}

enum Sqs {
    Named,
    InProcess(Server),
    Process(Process),
}

impl Endpoints {
    /// Starts what is not named. With `binaries`, localsqs runs as a process of its own.
    pub(super) async fn start(
        dir: &StackDir,
        secrets: &Secrets,
        binaries: Option<&Binaries>,
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        if let Some(aws) = named(progress).await? {
            return Ok(Self {
                aws,
                sqs: Sqs::Named,
                s3: None,
                log: dir.log("stack"),
            });
        }
        progress.doing("starting SQS and S3");
        let (sqs, sqs_url, log) = match binaries {
            None => {
                let storage = Storage::Durable(dir.sqs());
                let server = Server::start(Config {
                    storage,
                    region: REGION.to_owned(),
                    ..Config::default()
                })
                .await?;
                let url = server.url();
                (Sqs::InProcess(server), url, dir.log("stack"))
            }
            Some(binaries) => {
                let port = free_port().context("no free port for SQS")?;
                let url = format!("http://{}:{port}", Ipv4Addr::LOCALHOST);
                let mut process = Process::of_localsqs(dir, binaries, port).await?;
                process.ready(&format!("{url}/health")).await?;
                (Sqs::Process(process), url, dir.log("sqs"))
            }
        };
        let s3 = objects::serve(&dir.s3(), ACCESS_KEY, &secrets.s3_secret_key).await?;
        let aws = Aws {
            sqs_url,
            s3_url: s3.url(),
            region: REGION.to_owned(),
            access_key: ACCESS_KEY.to_owned(),
            secret_key: secrets.s3_secret_key.clone(),
            private: true,
        };
        progress.done(&format!("SQS at {}, S3 at {}", aws.sqs_url, aws.s3_url));
        Ok(Self {
            aws,
            sqs,
            s3: Some(s3),
            log,
        })
    }

    /// Their entries in `run.json`.
    pub(super) fn parts(&self) -> Vec<(&'static str, Part)> {
        let own = Some(std::process::id());
        let sqs_pid = match &self.sqs {
            Sqs::Named => None,
            Sqs::InProcess(_) => own,
            Sqs::Process(process) => Some(process.pid()),
        };
        let log = |ours: bool| ours.then(|| self.log.clone());
        let sqs = Part {
            url: self.aws.sqs_url.clone(),
            admin_url: None,
            pid: sqs_pid,
            log: log(sqs_pid.is_some()),
        };
        let s3 = Part {
            url: self.aws.s3_url.clone(),
            admin_url: None,
            pid: self.s3.as_ref().and(own),
            log: None,
        };
        vec![("sqs", sqs), ("s3", s3)]
    }

    /// The process of localsqs, to be watched.
    pub(super) fn process(&mut self) -> Option<&mut Process> {
        match &mut self.sqs {
            Sqs::Process(process) => Some(process),
            _ => None,
        }
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        if let Some(s3) = self.s3 {
            s3.stop().await;
        }
        match self.sqs {
            Sqs::Named => Ok(()),
            Sqs::InProcess(server) => {
                server.stop().await;
                Ok(())
            }
            Sqs::Process(process) => process.stop().await,
        }
    }
}

/// What `AWS_ENDPOINT_URL` names, with the credentials of the environment, or `test` as emulators want them.
async fn named(progress: &Progress) -> anyhow::Result<Option<Aws>> {
    let variable = |name: &str| {
        std::env::var(name)
            .ok()
            .filter(|text| !text.trim().is_empty())
    };
    let Some(text) = variable("AWS_ENDPOINT_URL") else {
        return Ok(None);
    };
    let Some(url) = Url::parse(text.trim())
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
    else {
        bail!(
            "AWS_ENDPOINT_URL is no http:// URL; correct it, or unset it for a private SQS and S3"
        );
    };
    let (host, port) = (
        url.host_str().unwrap_or_default().to_owned(),
        url.port_or_known_default().unwrap_or(443),
    );
    reach(&host, port).await.with_context(|| {
        format!(
            "AWS_ENDPOINT_URL: nothing answers at {host}:{port}; start it, or unset AWS_ENDPOINT_URL for a private SQS and S3"
        )
    })?;
    progress.done(&format!("AWS_ENDPOINT_URL answers at {host}:{port}"));
    let endpoint = text.trim().trim_end_matches('/').to_owned();
    Ok(Some(Aws {
        sqs_url: variable("AWS_ENDPOINT_URL_SQS").unwrap_or_else(|| endpoint.clone()),
        s3_url: variable("AWS_ENDPOINT_URL_S3").unwrap_or(endpoint),
        region: variable("AWS_REGION").unwrap_or_else(|| REGION.to_owned()),
        access_key: variable("AWS_ACCESS_KEY_ID").unwrap_or_else(|| "test".to_owned()),
        secret_key: variable("AWS_SECRET_ACCESS_KEY").unwrap_or_else(|| "test".to_owned()),
        private: false,
    }))
}
