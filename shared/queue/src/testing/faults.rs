//! How often the fake queue misbehaves.

use std::time::Duration;

/// Frequencies in per mille of calls, entries or messages; all zero by default.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// A call has no effect and fails.
    pub call_fails: u32,
    /// A call has its effect, but its answer is lost.
    pub answer_lost: u32,
    /// An entry of a batch fails (not the sender's fault) while others succeed.
    pub entry_fails: u32,
    /// A message received becomes visible again long before its timeout: a duplicate delivery.
    pub visibility_cut: u32,
    /// A received message is handed out while it stays visible (standard queues only).
    pub duplicated: u32,
    /// The answer to a receive comes late, while the visibility of what it brings runs already.
    pub answer_late: u32,
    /// Such an answer comes up to this long late.
    pub late_max: Duration,
    /// Every call takes up to this long.
    pub latency_max: Duration,
}

impl Faults {
    /// Everything at once, each a few percent: what a soak test wants.
    pub fn nasty() -> Self {
        Self {
            call_fails: 30,
            answer_lost: 30,
            entry_fails: 50,
            visibility_cut: 20,
            duplicated: 20,
            answer_late: 20,
            late_max: Duration::from_secs(4),
            latency_max: Duration::from_millis(80),
        }
    }
}
