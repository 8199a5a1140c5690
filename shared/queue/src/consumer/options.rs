//! Limits of a consumer.

use std::time::Duration;

use crate::backoff::Backoff;

/// Limits of a consumer. The defaults suit an order worker; each says what moving it does.
#[derive(Clone, Debug)]
pub struct ConsumerOptions {
    /// Long-poll wait, whole seconds up to 20. Longer is cheaper when idle.
    pub poll_wait: Duration,
    /// Polls under way while there is much to do; one when idle.
    pub polls_max: usize,
    /// Visibility of what is received, renewed at a third of it. Whole seconds; the time after which a crashed
    /// instance's messages come back.
    pub visibility: Duration,
    /// The longest that one message is held, heartbeat or not; then its handling is cancelled.
    pub visibility_held_max: Duration,
    /// Messages in hand: waiting, being handled, being acknowledged. No poll starts that could exceed it.
    pub in_hand_max: usize,
    /// Messages that one handler call gets.
    pub set_messages_max: usize,
    /// Handler calls under way.
    pub sets_in_flight_max: usize,
    /// Messages that handlers have at once, at the least. How many they really get adapts between this and
    /// `sets_in_flight_max × set_messages_max`: it starts here, doubles while sets are handled well, and is halved by
    /// sets that are slow or fail as a whole. After an outage it starts here again, with one set alone.
    pub window_messages_min: usize,
    /// A handler call that takes longer is a sign that too much is asked of what it depends on: the window is halved.
    /// Give several times what a full set takes.
    pub set_slow_after: Duration,
    /// How long a small set waits for company while another one is under way; none when idle.
    pub set_linger_max: Duration,
    /// After this many attempts (see [`super::Delivery::attempt`]) a `Retry` parks the message. `None`: never.
    ///
    /// Keep the queue's own redrive policy (`maxReceiveCount`) well above: SQS also counts receives that nobody
    /// handled (deploys, crashes, outages, a failing message ahead in the group), moves without a reason attached, and
    /// is the net below this one, for messages that kill the process. While the tap is closed nothing is parked for
    /// its attempts.
    pub attempts_max: Option<u32>,
    /// No `Retry` or `Wait` is shorter: a handler that asks for no pause must not hammer a sick dependency.
    pub retry_after_min: Duration,
    /// A `Retry` up to this long is waited out in hand, with its group behind it, which costs no receive counts.
    /// A longer one is handed back to the queue. Zero hands back always.
    pub retry_held_max: Duration,
    /// Messages that wait out a retry in hand; above that they are handed back.
    pub retry_held_messages_max: usize,
    /// How long messages stay in hand when the tap is closed, before they are handed back (once the open polls have
    /// ended): a short hiccup of a dependency then costs no receive counts.
    pub tap_closed_held_max: Duration,
    /// Waits after panics, failed polls and failed parking.
    pub backoff: Backoff,
    /// Delete calls under way.
    pub deletes_in_flight_max: usize,
    /// Attempts to delete one message; then it is left to come back as a duplicate.
    pub delete_attempts_max: u32,
    /// One delete or visibility call may take this long.
    pub call_timeout: Duration,
    /// Stop: open polls may end by themselves this long, and what they bring is handed back; then they are dropped,
    /// and what they might still bring stays invisible for its timeout.
    pub stop_polls_max: Duration,
    /// Stop: handlers may finish this long.
    pub stop_drain_max: Duration,
    /// A cancelled handler may tidy up this long before it is dropped.
    pub cancel_grace: Duration,
    /// Stop: acknowledgements and hand-backs may take this long after the handlers.
    pub stop_flush_max: Duration,
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self {
            poll_wait: Duration::from_secs(20),
            polls_max: 8,
            visibility: Duration::from_secs(60),
            visibility_held_max: Duration::from_secs(600),
            in_hand_max: 1_000,
            set_messages_max: 200,
            sets_in_flight_max: 3,
            window_messages_min: 10,
            set_slow_after: Duration::from_secs(2),
            set_linger_max: Duration::from_millis(5),
            attempts_max: Some(10),
            retry_after_min: Duration::from_millis(100),
            retry_held_max: Duration::from_secs(60),
            retry_held_messages_max: 250,
            tap_closed_held_max: Duration::from_secs(5),
            backoff: Backoff::new(Duration::from_millis(200), Duration::from_secs(60)),
            deletes_in_flight_max: 8,
            delete_attempts_max: 5,
            call_timeout: Duration::from_secs(5),
            stop_polls_max: Duration::from_secs(21),
            stop_drain_max: Duration::from_secs(25),
            cancel_grace: Duration::from_secs(2),
            stop_flush_max: Duration::from_secs(5),
        }
    }
}
