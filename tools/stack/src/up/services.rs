//! The services of the stack: which there are, and the environment that each is given.

use std::net::Ipv4Addr;

use anyhow::Context;
use steelyard_localstores::free_port;

use super::database::Database;
use super::endpoints::Aws;
use super::stores::Stores;
use super::{objects, queues};
use crate::dir::StackDir;
use crate::secrets::Secrets;

/// In the order in which they start.
const SERVICES: [&str; 4] = ["catalog", "documents", "orders", "gateway"];

/// One instance of a service: its name, its addresses, its environment.
pub(crate) struct Plan {
    /// Unique in the stack: `gateway`, `orders-1`, …
    pub(crate) name: String,
    /// The service, which is also its binary's name.
    pub(crate) service: &'static str,
    pub(crate) url: String,
    pub(crate) admin_url: String,
    pub(crate) env: Vec<(String, String)>,
}

/// What the environments are made of.
pub(super) struct Given<'a> {
    pub(super) dir: &'a StackDir,
    pub(super) secrets: &'a Secrets,
    pub(super) stores: &'a Stores,
    pub(super) database: &'a Database,
    pub(super) aws: &'a Aws,
    pub(super) gateway_port: u16,
    pub(super) orders: u16,
}

/// All instances, in the order in which they start: whoever is called comes before its callers.
pub(super) fn plan(given: &Given<'_>) -> anyhow::Result<Vec<Plan>> {
    let mut plans = Vec::new();
    for service in SERVICES {
        match service {
            "orders" => {
                for number in 1..=given.orders {
                    plans.push(instance(format!("orders-{number}"), service, free()?)?);
                }
            }
            "gateway" if given.gateway_port != 0 => {
                plans.push(instance(service.to_owned(), service, given.gateway_port)?);
            }
            _ => plans.push(instance(service.to_owned(), service, free()?)?),
        }
    }
    let redis = given.stores.redis.as_str();
    let shop = shop(given.dir)?;
    let mut common = common(given.dir, given.secrets, redis, given.aws);
    // Queries go to the first instance; any would do.
    for (variable, service) in [
        ("CATALOG_URL", "catalog"),
        ("ORDERS_URL", "orders"),
        ("DOCUMENTS_URL", "documents"),
    ] {
        if let Some(peer) = plans.iter().find(|plan| plan.service == service) {
            common.push((variable.to_owned(), peer.url.clone()));
        }
    }
    for plan in &mut plans {
        plan.env.extend(common.iter().cloned());
        if plan.service != "gateway" {
            let url = given.database.url_of(plan.service)?;
            plan.env
                .push(("DATABASE_READER_URL".to_owned(), url.clone()));
            plan.env.push(("DATABASE_URL".to_owned(), url));
        }
        if plan.service == "documents" {
            plan.env.push(("SHOP".to_owned(), shop.clone()));
        }
    }
    Ok(plans)
}

/// Who issues the documents: whom `SHOP` names, else a shop for demonstrations. Its file is the user's to change.
fn shop(dir: &StackDir) -> anyhow::Result<String> {
    if let Ok(named) = std::env::var("SHOP") {
        return Ok(named);
    }
    let path = dir.shop();
    if !path.exists() {
        std::fs::write(&path, steelyard_documents::shop::EXAMPLE)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(path.to_string_lossy().into_owned())
}

/// What every service is told.
pub(crate) fn common(
    dir: &StackDir,
    secrets: &Secrets,
    redis: &str,
    aws: &Aws,
) -> Vec<(String, String)> {
    let jwks = dir.jwks();
    // No CDN here: S3 itself, which lets anyone read what is delivered.
    let media_base_url = format!("{}/{}", aws.s3_url, objects::MEDIA);
    [
        ("SERVICE_TOKEN", secrets.service_token.as_str()),
        ("REDIS_URL", redis),
        ("AWS_ENDPOINT_URL", &aws.sqs_url),
        ("AWS_ENDPOINT_URL_S3", &aws.s3_url),
        ("AWS_REGION", &aws.region),
        ("AWS_ACCESS_KEY_ID", &aws.access_key),
        ("AWS_SECRET_ACCESS_KEY", &aws.secret_key),
        // Long polls save requests where requests cost money; here they would only hold up the stop.
        ("POLL_WAIT", if aws.private { "1s" } else { "20s" }),
        // Nobody balances between gateways here.
        ("STOP_NOTICE", "0s"),
        ("ORDERS_QUEUE", queues::ORDERS),
        ("DOCUMENTS_QUEUE", queues::DOCUMENTS),
        ("WEBHOOKS_QUEUE", queues::WEBHOOKS),
        ("CATALOG_EVENTS_QUEUE", queues::CATALOG_EVENTS),
        ("DOCUMENTS_BUCKET", objects::DOCUMENTS),
        ("MEDIA_BUCKET", objects::MEDIA),
        ("MEDIA_BASE_URL", &media_base_url),
        ("MEDIA_QUEUE", queues::MEDIA),
        ("AUTH_JWKS", &jwks.to_string_lossy()),
        ("AUTH_ISSUER", steelyard_tokens::ISSUER),
        ("AUTH_AUDIENCE", steelyard_tokens::AUDIENCE),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

fn free() -> anyhow::Result<u16> {
    free_port().context("no free port for a service")
}

/// An instance on this port, with an admin address on a free one, and nothing else in its environment yet.
pub(crate) fn instance(name: String, service: &'static str, port: u16) -> anyhow::Result<Plan> {
    let address = |port| format!("{}:{port}", Ipv4Addr::LOCALHOST);
    let (api, admin) = (address(port), address(free()?));
    Ok(Plan {
        name,
        service,
        url: format!("http://{api}"),
        admin_url: format!("http://{admin}"),
        env: vec![
            ("LISTEN_ADDR".to_owned(), api),
            ("ADMIN_ADDR".to_owned(), admin),
        ],
    })
}
