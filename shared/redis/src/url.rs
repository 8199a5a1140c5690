use std::fmt;
use std::str::FromStr;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use url::Url;

/// A URL that cannot be used. Its text never repeats the URL, which may hold a password.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidUrl {
    /// Neither `redis`, `redis-sentinel`, `redis-cluster`, nor one of these with `rediss`.
    #[error(
        "must begin with redis://, redis-sentinel:// or redis-cluster://, or with rediss… for TLS"
    )]
    Scheme,
    /// A host, port, password or database that is none.
    #[error("names a host, a port, a password or a database in a way that cannot be read")]
    Unreadable,
    /// Several hosts say nothing about what they are to each other.
    #[error("names several hosts: begin it with redis-sentinel:// or redis-cluster://")]
    SeveralHosts,
    /// Sentinels watch more than one replica set.
    #[error("names sentinels and not what they watch: add ?master=NAME")]
    NoMaster,
    /// A parameter that the form does not have.
    #[error("has a parameter that it cannot have")]
    Parameter,
    /// Clusters have one database.
    #[error("names a database, and a cluster has just one")]
    ClusterDatabase,
}

/// Where Redis is; see the crate's page for the forms. Printed without its password.
#[derive(Clone)]
pub struct RedisUrl {
    pub(crate) form: Form,
    pub(crate) hosts: Vec<ConnectionInfo>,
}

#[derive(Clone)]
pub(crate) enum Form {
    Single,
    /// `hosts` are the sentinels.
    Sentinel {
        master: String,
        node: Box<ConnectionInfo>,
    },
    Cluster,
}

const SENTINEL_PORT: u16 = 26_379;

impl RedisUrl {
    /// Whether keys are spread over several primaries, so that a script or a transaction must stay within one hash tag.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        matches!(self.form, Form::Cluster)
    }

    /// The hosts that it names.
    pub fn hosts(&self) -> impl Iterator<Item = String> {
        self.hosts.iter().map(|host| match host.addr() {
            ConnectionAddr::Tcp(name, port)
            | ConnectionAddr::TcpTls {
                host: name, port, ..
            } => {
                let is_ipv6 = name.contains(':');
                if is_ipv6 {
                    format!("[{name}]:{port}")
                } else {
                    format!("{name}:{port}")
                }
            }
            other => other.to_string(),
        })
    }
}

impl FromStr for RedisUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidUrl::Scheme)?;
        let (single, kind) = match scheme.split_once('-') {
            Some((single, kind)) => (single, Some(kind)),
            None => (scheme, None),
        };
        if !matches!(single, "redis" | "rediss")
            || !matches!(kind, None | Some("sentinel" | "cluster"))
        {
            return Err(InvalidUrl::Scheme);
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let hosts: Vec<&str> = hosts.split(',').collect();
        match kind {
            None => {
                if hosts.len() > 1 {
                    return Err(InvalidUrl::SeveralHosts);
                }
                // The client's own parameters (`protocol=resp3`) go through.
                let host = connection_info(text)?;
                Ok(Self {
                    form: Form::Single,
                    hosts: vec![host],
                })
            }
            Some("cluster") => {
                if !path.is_empty() {
                    return Err(InvalidUrl::ClusterDatabase);
                }
                Parameters::parse(query)?.finish()?;
                let infos = hosts
                    .iter()
                    .map(|host| connection_info(&join(single, credentials, host, "")));
                Ok(Self {
                    form: Form::Cluster,
                    hosts: infos.collect::<Result<_, _>>()?,
                })
            }
            Some(_) => {
                let mut parameters = Parameters::parse(query)?;
                let master = parameters.take("master").ok_or(InvalidUrl::NoMaster)?;
                let user = parameters.take("sentinel_user");
                let password = parameters.take("sentinel_password");
                parameters.finish()?;
                let sentinel = |host: &&str| -> Result<ConnectionInfo, InvalidUrl> {
                    let info = connection_info(&join(single, "", &with_port(host), ""))?;
                    let mut settings = info.redis_settings().clone();
                    if let Some(user) = &user {
                        settings = settings.set_username(user);
                    }
                    if let Some(password) = &password {
                        settings = settings.set_password(password);
                    }
                    Ok(info.set_redis_settings(settings))
                };
                // The host is a stand-in: the sentinels know the true one.
                let node = connection_info(&join(single, credentials, "primary", path))?;
                Ok(Self {
                    form: Form::Sentinel {
                        master,
                        node: Box::new(node),
                    },
                    hosts: hosts.iter().map(sentinel).collect::<Result<_, _>>()?,
                })
            }
        }
    }
}

fn join(scheme: &str, credentials: &str, host: &str, path: &str) -> String {
    let at = if credentials.is_empty() { "" } else { "@" };
    format!("{scheme}://{credentials}{at}{host}/{path}")
}

/// Sentinels listen elsewhere than what they watch.
fn with_port(host: &str) -> String {
    // An IPv6 address has colons inside its brackets.
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.contains(']'));
    if has_port {
        host.to_owned()
    } else {
        format!("{host}:{SENTINEL_PORT}")
    }
}

fn connection_info(text: &str) -> Result<ConnectionInfo, InvalidUrl> {
    let url = Url::parse(text).map_err(|_| InvalidUrl::Unreadable)?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err(InvalidUrl::Unreadable);
    }
    let info = url
        .into_connection_info()
        .map_err(|_| InvalidUrl::Unreadable)?;
    // Small writes are not to wait for each other's acknowledgements.
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    Ok(info.set_tcp_settings(tcp))
}

/// What stands behind the question mark, each at most once.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn parse(query: &str) -> Result<Self, InvalidUrl> {
        let url =
            Url::parse(&format!("redis://host/?{query}")).map_err(|_| InvalidUrl::Parameter)?;
        let pairs = url
            .query_pairs()
            .map(|(name, value)| (name.into_owned(), value.into_owned()));
        Ok(Self(pairs.collect()))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self
            .0
            .iter()
            .position(|(other, value)| other == name && !value.is_empty())?;
        Some(self.0.swap_remove(at).1)
    }

    /// What is left is a mistake.
    fn finish(self) -> Result<(), InvalidUrl> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(InvalidUrl::Parameter)
        }
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_tls = self
            .hosts
            .iter()
            .any(|host| matches!(host.addr(), ConnectionAddr::TcpTls { .. }));
        let scheme = if is_tls { "rediss" } else { "redis" };
        let hosts: Vec<String> = self.hosts().collect();
        let hosts = hosts.join(",");
        match &self.form {
            Form::Single => write!(f, "{scheme}://{hosts}"),
            Form::Sentinel { master, .. } => {
                write!(f, "{scheme}-sentinel://{hosts}?master={master}")
            }
            Form::Cluster => write!(f, "{scheme}-cluster://{hosts}"),
        }
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_printed_without_its_password() {
        for (text, printed) in [
            ("redis://localhost", "redis://localhost:6379"),
            ("redis://:pw@h:1/3", "redis://h:1"),
            ("rediss://u:pw@h", "rediss://h:6379"),
            ("redis://u:pw@[::1]:7", "redis://[::1]:7"),
            (
                "redis-cluster://:pw@a:1,b:2,c",
                "redis-cluster://a:1,b:2,c:6379",
            ),
            ("rediss-cluster://a:1", "rediss-cluster://a:1"),
            (
                "redis-sentinel://u:pw@a,b:2/4?master=shop",
                "redis-sentinel://a:26379,b:2?master=shop",
            ),
            (
                "redis-sentinel://[::1]?master=m&sentinel_password=pw",
                "redis-sentinel://[::1]:26379?master=m",
            ),
        ] {
            let url: RedisUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), printed, "{text}");
            assert!(!format!("{url:?}").contains("pw"), "{url:?}");
        }
    }

    #[test]
    fn credentials_and_database_reach_those_whom_they_are_for() {
        let url: RedisUrl = "redis-sentinel://u:p%40w@a/4?master=m&sentinel_password=s"
            .parse()
            .unwrap();
        let Form::Sentinel { node, .. } = &url.form else {
            panic!("{url}")
        };
        let data = node.redis_settings();
        assert_eq!(
            (data.username(), data.password(), data.db()),
            (Some("u"), Some("p@w"), 4)
        );
        let sentinel = url.hosts[0].redis_settings();
        assert_eq!(
            (sentinel.username(), sentinel.password(), sentinel.db()),
            (None, Some("s"), 0)
        );
        let url: RedisUrl = "redis-cluster://:pw@a,b".parse().unwrap();
        assert!(
            url.is_cluster()
                && url
                    .hosts
                    .iter()
                    .all(|host| host.redis_settings().password() == Some("pw"))
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        for (text, error) in [
            ("localhost:6379", InvalidUrl::Scheme),
            ("http://localhost", InvalidUrl::Scheme),
            ("redis-ring://localhost", InvalidUrl::Scheme),
            ("redis://", InvalidUrl::Unreadable),
            ("redis://h:port", InvalidUrl::Unreadable),
            ("redis://h/shop", InvalidUrl::Unreadable),
            ("redis-cluster://a,,b", InvalidUrl::Unreadable),
            ("redis://a:1,b:2", InvalidUrl::SeveralHosts),
            ("redis-sentinel://a,b", InvalidUrl::NoMaster),
            ("redis-sentinel://a?master=", InvalidUrl::NoMaster),
            ("redis-sentinel://a?master=m&node=b", InvalidUrl::Parameter),
            ("redis-cluster://a?node=b", InvalidUrl::Parameter),
            ("redis-cluster://a/1", InvalidUrl::ClusterDatabase),
        ] {
            assert_eq!(text.parse::<RedisUrl>().err(), Some(error), "{text}");
        }
    }
}
