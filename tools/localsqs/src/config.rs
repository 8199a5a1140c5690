//! What a server is started with.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use crate::{Clock, QueueSpec};

/// Where messages are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In memory: gone with the process.
    Memory,
    /// In an append-only log in this directory, which is created when missing. One process at a time.
    Durable(PathBuf),
}

/// Settings of a [`Server`](crate::Server). [`Config::default`] is a server in memory on a free port of 127.0.0.1.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address to listen on; port 0 takes a free one. Default `127.0.0.1:0`.
    pub listen: SocketAddr,
    /// Where messages are kept. Default: in memory.
    pub storage: Storage,
    /// Region in the queues' ARNs. Default `us-east-1`.
    pub region: String,
    /// Account in the queues' ARNs and URLs. Default `000000000000`.
    pub account_id: String,
    /// The time that visibility, delays, retention and deduplication go by. Default: the machine's.
    pub clock: Clock,
    /// Queues to have from the start. Default: none.
    pub queues: Vec<QueueSpec>,
    /// Connections served at once; further ones wait to be accepted. Default 4,096.
    pub connections_max: usize,
    /// Bytes of one HTTP request. A message of 1 MiB may take six times that when every character is escaped; default
    /// 8 MiB.
    pub request_bytes_max: usize,
    /// Queues at once. Default 10,000.
    pub queues_max: usize,
    /// Bytes of message bodies and attributes kept in all queues together; a send beyond them is answered with an error.
    /// Default 8 GiB.
    pub stored_bytes_max: usize,
    /// Messages of one queue in flight at once, AWS's 120,000 by default. At the limit a standard queue answers
    /// `OverLimit` and a FIFO queue gives no messages.
    pub in_flight_messages_max: usize,
    /// A log shorter than this is never compacted; from there on, when it has outgrown twice the last snapshot.
    /// Default 64 MiB.
    pub log_bytes_before_compaction: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            storage: Storage::Memory,
            region: "us-east-1".to_owned(),
            account_id: "000000000000".to_owned(),
            clock: Clock::system(),
            queues: Vec::new(),
            connections_max: 4_096,
            request_bytes_max: 8 << 20,
            queues_max: 10_000,
            stored_bytes_max: 8 << 30,
            in_flight_messages_max: 120_000,
            log_bytes_before_compaction: 64 << 20,
        }
    }
}
