//! Which messages of a standard queue may be handed out: the oldest first, and fairly between tenants.
//!
//! AWS's fair queues watch the messages in flight per `MessageGroupId` and, while one tenant has too many of them, hand
//! out the others' messages first. The thresholds here are the documented ones: 30 messages and a tenth of all in flight.
//! Messages without a group are a tenant that is never noisy.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// A tenant is noisy from this many messages in flight,
const NOISY_IN_FLIGHT_MIN: usize = 30;
/// if they are more than this part of all.
const NOISY_PART_OF_IN_FLIGHT: usize = 10;

#[derive(Debug, Default)]
pub(crate) struct StandardIndex {
    groups: HashMap<Arc<str>, Tenant>,
    /// The oldest visible message of each quiet tenant, and of each noisy one.
    quiet: BTreeSet<(u64, Arc<str>)>,
    noisy: BTreeSet<(u64, Arc<str>)>,
    in_flight: usize,
}

#[derive(Debug, Default)]
struct Tenant {
    visible: BTreeSet<u64>,
    in_flight: usize,
    noisy: bool,
}

impl StandardIndex {
    pub(crate) fn has_ready(&self) -> bool {
        !self.quiet.is_empty() || !self.noisy.is_empty()
    }

    /// A message became visible, first or again.
    pub(crate) fn show(&mut self, group: &Arc<str>, seq: u64) {
        self.change(group, |tenant| {
            tenant.visible.insert(seq);
        });
    }

    /// A visible message was deleted or moved away.
    pub(crate) fn hide(&mut self, group: &Arc<str>, seq: u64) {
        self.change(group, |tenant| {
            tenant.visible.remove(&seq);
        });
    }

    /// A message of `group` went into flight, or came out of it.
    pub(crate) fn count_in_flight(&mut self, group: &Arc<str>, started: bool) {
        self.in_flight = if started {
            self.in_flight + 1
        } else {
            self.in_flight.saturating_sub(1)
        };
        self.change(group, |tenant| {
            tenant.in_flight = if started {
                tenant.in_flight + 1
            } else {
                tenant.in_flight.saturating_sub(1)
            };
        });
    }

    /// The next messages to hand out, at most `max`. They are no longer counted as visible.
    pub(crate) fn take(&mut self, max: usize) -> Vec<u64> {
        let mut taken = Vec::new();
        while taken.len() < max
            && let Some((seq, group)) = self.quiet.first().or_else(|| self.noisy.first()).cloned()
        {
            taken.push(seq);
            self.hide(&group, seq);
        }
        taken
    }

    /// Changes one tenant and puts its oldest visible message into the right set.
    fn change(&mut self, group: &Arc<str>, change: impl FnOnce(&mut Tenant)) {
        let tenant = self.groups.entry(Arc::clone(group)).or_default();
        let (head_before, noisy_before) = (tenant.visible.first().copied(), tenant.noisy);
        change(tenant);
        let head = tenant.visible.first().copied();
        tenant.noisy = !group.is_empty()
            && tenant.in_flight >= NOISY_IN_FLIGHT_MIN
            && tenant.in_flight * NOISY_PART_OF_IN_FLIGHT > self.in_flight;
        let noisy = tenant.noisy;
        if tenant.visible.is_empty() && tenant.in_flight == 0 {
            self.groups.remove(group);
        }
        if (head, noisy) != (head_before, noisy_before) {
            if let Some(seq) = head_before {
                let set = if noisy_before {
                    &mut self.noisy
                } else {
                    &mut self.quiet
                };
                set.remove(&(seq, Arc::clone(group)));
            }
            if let Some(seq) = head {
                let set = if noisy {
                    &mut self.noisy
                } else {
                    &mut self.quiet
                };
                set.insert((seq, Arc::clone(group)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_message_comes_first_whatever_its_tenant() {
        let mut index = StandardIndex::default();
        for (seq, group) in [(3, "a"), (1, ""), (2, "b")] {
            index.show(&Arc::from(group), seq);
        }
        assert_eq!(index.take(10), [1, 2, 3]);
        assert!(!index.has_ready());
    }

    #[test]
    fn a_tenant_with_many_messages_in_flight_lets_the_others_go_first() {
        let (noisy, quiet) = (Arc::<str>::from("noisy"), Arc::<str>::from("quiet"));
        let mut index = StandardIndex::default();
        for seq in 0..100 {
            index.show(&noisy, seq);
        }
        for _ in index.take(40) {
            index.count_in_flight(&noisy, true);
        }
        index.show(&quiet, 1_000);
        assert_eq!(
            index.take(2),
            [1_000, 40],
            "the quiet tenant's message overtakes the backlog"
        );
        for _ in 0..11 {
            index.count_in_flight(&noisy, false);
        }
        index.show(&quiet, 1_001);
        assert_eq!(
            index.take(1),
            [41],
            "below 30 in flight the age decides again"
        );
    }
}
