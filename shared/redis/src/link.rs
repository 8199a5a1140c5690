//! What is behind a connection.

use redis::ConnectionAddr;
use redis::aio::{ConnectionLike, MultiplexedConnection, PubSub};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, Pipeline, RedisError, RedisFuture, RedisResult, TlsMode,
    Value,
};
use tokio::sync::Mutex;

use crate::connect::Limits;
use crate::url::{Form, RedisUrl};

/// An open connection: to a primary, or to all of a cluster's.
#[derive(Clone)]
pub enum Link {
    /// One server.
    Node(MultiplexedConnection),
    /// A cluster; finds the server of each key by itself.
    Cluster(ClusterConnection),
}

/// How a connection is opened.
pub(crate) enum Target {
    Single(Client),
    /// Asks the sentinels for the primary each time.
    Sentinel(Mutex<SentinelClient>),
    Cluster {
        cluster: Box<ClusterClient>,
        nodes: Vec<Client>,
    },
}

impl Target {
    pub(crate) fn new(url: &RedisUrl, limits: &Limits) -> RedisResult<Self> {
        match &url.form {
            Form::Single => Ok(Self::Single(Client::open(url.hosts[0].clone())?)),
            Form::Sentinel { master, node } => {
                let tls = matches!(node.addr(), ConnectionAddr::TcpTls { .. });
                let info = SentinelNodeConnectionInfo::default()
                    .set_redis_connection_info(node.redis_settings().clone())
                    .set_tcp_settings(node.tcp_settings().clone());
                let info = if tls {
                    info.set_tls_mode(TlsMode::Secure)
                } else {
                    info
                };
                let hosts = url.hosts.clone();
                let client = SentinelClient::build(
                    hosts,
                    master.clone(),
                    Some(info),
                    SentinelServerType::Master,
                )?;
                Ok(Self::Sentinel(Mutex::new(client)))
            }
            Form::Cluster => {
                let nodes = url.hosts.iter().map(|host| Client::open(host.clone()));
                let cluster = ClusterClient::builder(url.hosts.clone())
                    .connection_timeout(limits.connect_max)
                    .response_timeout(limits.call_max)
                    // A slot that moves is followed; more waiting is the caller's to decide.
                    .retries(2)
                    .build()?;
                Ok(Self::Cluster {
                    cluster: Box::new(cluster),
                    nodes: nodes.collect::<RedisResult<_>>()?,
                })
            }
        }
    }

    pub(crate) async fn open(&self, limits: &Limits) -> RedisResult<Link> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(limits.connect_max))
            // The call as a whole is timed where it is made: there the connection is given up, too.
            .set_response_timeout(None);
        match self {
            Self::Single(client) => {
                let node = client
                    .get_multiplexed_async_connection_with_config(&config)
                    .await?;
                Ok(Link::Node(node))
            }
            Self::Sentinel(client) => {
                let mut client = client.lock().await;
                Ok(Link::Node(
                    client.get_async_connection_with_config(&config).await?,
                ))
            }
            Self::Cluster { cluster, .. } => {
                Ok(Link::Cluster(cluster.get_async_connection().await?))
            }
        }
    }

    /// A connection for subscriptions. In a cluster any node will do: what is published reaches all.
    pub(crate) async fn subscribe(&self, channel: &str) -> RedisResult<PubSub> {
        let clients = match self {
            Self::Single(client) => vec![client.clone()],
            Self::Sentinel(client) => vec![client.lock().await.async_get_client().await?],
            Self::Cluster { nodes, .. } => nodes.clone(),
        };
        let mut last = RedisError::from((redis::ErrorKind::Io, "no node was tried"));
        for client in clients {
            let subscribed = async {
                let mut pubsub = client.get_async_pubsub().await?;
                pubsub.subscribe(channel).await?;
                Ok(pubsub)
            };
            match subscribed.await {
                Ok(pubsub) => return Ok(pubsub),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Node(node) => node.req_packed_command(cmd),
            Self::Cluster(cluster) => cluster.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Node(node) => node.req_packed_commands(cmd, offset, count),
            Self::Cluster(cluster) => cluster.req_packed_commands(cmd, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Node(node) => node.get_db(),
            Self::Cluster(cluster) => cluster.get_db(),
        }
    }
}
