//! Listening to a channel, with a new connection whenever Redis was away.

use std::time::Duration;

use futures_util::StreamExt as _;
use steelyard_redis::redis;

use crate::connect::{Error, Redis};

/// A silent connection is probed this often: one whose peer vanished would stay silent for ever.
const PROBE_EVERY: Duration = Duration::from_secs(10);
const PROBE_MAX: Duration = Duration::from_secs(2);
/// The pause before the next attempt to connect; it doubles up to the maximum.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What a listener hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard<'a> {
    /// A message.
    Message(&'a [u8]),
    /// The connection stands from here on: what was published before may have been missed.
    MayHaveMissed,
}

/// Listens for ever; to be cancelled by dropping it.
pub(crate) async fn listen(
    redis: Redis,
    channel: &'static str,
    mut on: impl FnMut(Heard<'_>) + Send,
) {
    let mut pause = PAUSE;
    let mut away = false;
    loop {
        match redis.pubsub(channel).await {
            Ok(pubsub) => {
                if away {
                    tracing::info!(channel, "the channel is heard again");
                }
                pause = PAUSE;
                on(Heard::MayHaveMissed);
                let error = relay(pubsub, &mut on).await;
                tracing::warn!(channel, %error, "the channel is not heard; connecting again");
            }
            Err(error) if !away => {
                tracing::warn!(channel, %error, "the channel is not heard; connecting again");
            }
            Err(_) => {}
        }
        away = true;
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Hands on what arrives until the connection breaks.
async fn relay(pubsub: redis::aio::PubSub, on: &mut (impl FnMut(Heard<'_>) + Send)) -> Error {
    let (mut sink, mut messages) = pubsub.split();
    let mut probe = tokio::time::interval(PROBE_EVERY);
    loop {
        tokio::select! {
            message = messages.next() => match message {
                Some(message) => on(Heard::Message(message.get_payload_bytes())),
                None => return Error::Unavailable("the connection was closed".to_owned()),
            },
            _ = probe.tick() => {
                match tokio::time::timeout(PROBE_MAX, sink.ping::<redis::Value>()).await {
                    Ok(Ok(_pong)) => {}
                    Ok(Err(error)) => return steelyard_redis::Error::from(error).into(),
                    Err(_elapsed) => return Error::TimedOut,
                }
            }
        }
    }
}
