//! What each instance of the system under test is told: the others by way of the proxies in between.

use std::collections::HashMap;

use anyhow::Context;
use steelyard_chaos::plan::Part;
use steelyard_chaosproxy::Proxy;
use url::Url;

use super::rig::address;
use crate::dir::StackDir;
use crate::secrets::Secrets;
use crate::up::database::Database;
use crate::up::endpoints::Aws;
use crate::up::services;

/// So short that a freeze of a few seconds exceeds both, and a killed worker's messages come back soon.
const SHORT: [(&str, &str); 2] = [("VISIBILITY_TIMEOUT", "5s"), ("LEASE_TTL", "3s")];

/// What the environments are made of.
pub(super) struct Shared<'a> {
    pub(super) dir: &'a StackDir,
    pub(super) secrets: &'a Secrets,
    pub(super) database: &'a Database,
    pub(super) aws: &'a Aws,
    pub(super) redis_password: &'a str,
    pub(super) ports: &'a HashMap<Part, u16>,
    pub(super) links: &'a HashMap<(Part, Part), Proxy>,
}

/// The service that a part is an instance of; its binary's name.
pub(super) const fn service(part: Part) -> Option<&'static str> {
    match part {
        Part::Gateway(_) => Some("gateway"),
        Part::Orders(_) => Some("orders"),
        Part::Catalog => Some("catalog"),
        Part::Postgres | Part::Redis | Part::Sqs => None,
    }
}

impl Shared<'_> {
    /// Everything that a part is told but its own addresses.
    pub(super) fn env_of(&self, part: Part) -> anyhow::Result<Vec<(String, String)>> {
        // Who needs no Redis is told of it all the same, and never looks.
        let redis = self.via(part, Part::Redis);
        let redis = format!("redis://:{}@{redis}", self.redis_password);
        let aws = Aws {
            sqs_url: format!("http://{}", self.via(part, Part::Sqs)),
            ..self.aws.clone()
        };
        let mut env = services::common(self.dir, self.secrets, &redis, &aws);
        let mut tell = |name: &str, value: String| env.push((name.to_owned(), value));
        tell(
            "CATALOG_URL",
            format!("http://{}", self.via(part, Part::Catalog)),
        );
        // Each gateway reads from another worker's instance.
        if let Part::Gateway(number) = part {
            let orders = address(self.ports[&Part::Orders(number)]);
            tell("ORDERS_URL", format!("http://{orders}"));
            // There is none here.
            tell("DOCUMENTS_URL", "http://127.0.0.1:9".to_owned());
        }
        for (name, value) in SHORT {
            tell(name, value.to_owned());
        }
        if let Some(owner) = service(part).filter(|_| part.needs().contains(&Part::Postgres)) {
            let mut url = Url::parse(&self.database.url_of(owner)?)?;
            let proxy = self.via(part, Part::Postgres);
            url.set_port(Some(proxy.port())).ok().context("a port")?;
            tell("DATABASE_URL", url.to_string());
        }
        Ok(env)
    }

    fn via(&self, from: Part, to: Part) -> std::net::SocketAddr {
        let direct = || address(self.ports[&to]);
        self.links
            .get(&(from, to))
            .map_or_else(direct, Proxy::address)
    }
}
