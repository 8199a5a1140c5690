//! How much the handler is given at once: a window, in messages, that opens while the handler keeps up and closes
//! when it does not. Pure: no clock, no dice.
//!
//! It works as TCP's congestion window does (RFC 5681), with sets for segments. It starts at its lower bound and
//! doubles for every window's worth of messages handled well (slow start). A set that was slow, or failed as a whole,
//! halves it, once per window; from there it grows by [`STEP_MESSAGES`] per window's worth (congestion avoidance).
//! After an outage it starts over: the first set after it goes alone, and a dependency that has just come back sees a
//! trickle before it sees the backlog.

use std::time::Duration;

/// Growth per window's worth of messages, once the window has been halved.
const STEP_MESSAGES: usize = 10;

/// How a set went, as far as the handler's strength goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Went {
    /// The handler came back with outcomes, whatever they are.
    Through,
    /// It panicked over several groups, or could do nothing for any of them.
    Failed,
}

/// What a set has to remember from its start to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    messages: usize,
    /// At least half of the window was used; one that is not used must not grow (RFC 7661).
    filled: bool,
    epoch: u64,
}

/// The window. Invariant: `messages_min ≤ window ≤ messages_max`.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    messages_min: usize,
    messages_max: usize,
    slow_after: Duration,
    window: usize,
    /// Up to here it doubles, beyond it grows in steps.
    doubles_to: usize,
    /// Until a set has ended well after an outage, one goes at a time.
    on_trial: bool,
    /// Sets that began before the last cut say nothing about the window after it.
    epoch: u64,
}

impl Pace {
    pub(super) fn new(messages_min: usize, messages_max: usize, slow_after: Duration) -> Self {
        let messages_max = messages_max.max(1);
        let messages_min = messages_min.clamp(1, messages_max);
        Self {
            messages_min,
            messages_max,
            slow_after,
            window: messages_min,
            doubles_to: messages_max,
            on_trial: false,
            epoch: 0,
        }
    }

    /// Messages that the handler may have at once.
    pub(super) fn window(&self) -> usize {
        self.window
    }

    /// Messages that the next set may have beside those that handlers have already; none on trial, beside a set that
    /// is not overdue.
    pub(super) fn room(&self, handled_messages: usize) -> usize {
        if self.on_trial && handled_messages > 0 {
            return 0;
        }
        self.window.saturating_sub(handled_messages)
    }

    pub(super) fn is_on_trial(&self) -> bool {
        self.on_trial
    }

    /// A set begins; `handled_messages` include its own.
    pub(super) fn begin(&self, messages: usize, handled_messages: usize) -> Ticket {
        Ticket {
            messages,
            filled: handled_messages * 2 >= self.window,
            epoch: self.epoch,
        }
    }

    /// A set has ended.
    pub(super) fn ended(&mut self, ticket: Ticket, took: Duration, went: Went) {
        if ticket.epoch != self.epoch {
            return;
        }
        if went == Went::Failed || took > self.slow_after {
            self.doubles_to = (self.window / 2).max(self.messages_min);
            self.window = self.doubles_to;
            self.epoch += 1;
            return;
        }
        self.on_trial = false;
        if !ticket.filled {
            return;
        }
        let growth = if self.window < self.doubles_to {
            ticket.messages.min(self.doubles_to - self.window)
        } else {
            (STEP_MESSAGES * ticket.messages / self.window).max(1)
        };
        self.window = (self.window + growth).min(self.messages_max);
    }

    /// The tap was closed: what comes after begins with a trickle, and may double up to the full window again, for
    /// the outage says nothing about the handler's strength.
    pub(super) fn closed(&mut self) {
        self.window = self.messages_min;
        self.doubles_to = self.messages_max;
        self.on_trial = true;
        self.epoch += 1;
    }

    /// The set on trial takes longer than is well: waiting for it alone would hold up all others.
    pub(super) fn trial_is_overdue(&mut self) {
        self.on_trial = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Duration = Duration::from_secs(2);
    const QUICK: Duration = Duration::from_millis(20);

    fn pace() -> Pace {
        Pace::new(10, 600, SLOW)
    }

    /// Fills the window with sets of up to a hundred messages and ends them all.
    fn round(pace: &mut Pace, took: Duration, went: Went) {
        let mut tickets = Vec::new();
        let mut handled = 0;
        while pace.room(handled) > 0 {
            let messages = pace.room(handled).min(100);
            handled += messages;
            tickets.push(pace.begin(messages, handled));
        }
        for ticket in tickets {
            pace.ended(ticket, took, went);
        }
    }

    fn rounds_until(pace: &mut Pace, window: usize) -> usize {
        for rounds in 0..1_000 {
            if pace.window() >= window {
                return rounds;
            }
            round(pace, QUICK, Went::Through);
        }
        panic!("never reached: {pace:?}");
    }

    #[test]
    fn it_starts_small_and_is_at_its_full_width_within_a_dozen_rounds() {
        let mut pace = pace();
        assert_eq!(pace.window(), 10);
        let rounds = rounds_until(&mut pace, 600);
        assert!(rounds <= 12, "{rounds} rounds");
        round(&mut pace, QUICK, Went::Through);
        assert_eq!(pace.window(), 600);
    }

    #[test]
    fn a_slow_or_failed_round_halves_it_once_and_it_grows_back_in_steps() {
        for (took, went) in [(SLOW * 2, Went::Through), (QUICK, Went::Failed)] {
            let mut pace = pace();
            rounds_until(&mut pace, 600);
            round(&mut pace, took, went);
            assert_eq!(pace.window(), 300);
            let rounds = rounds_until(&mut pace, 310);
            assert!(rounds >= 1 && pace.window() < 330, "{pace:?}");
        }
    }

    #[test]
    fn it_never_leaves_its_bounds() {
        let mut pace = pace();
        for _ in 0..20 {
            round(&mut pace, QUICK, Went::Failed);
        }
        assert_eq!(pace.window(), 10);
        rounds_until(&mut pace, 600);
        assert_eq!(pace.window(), 600);
        let odd = Pace::new(0, 0, SLOW);
        assert_eq!((odd.window(), odd.room(0)), (1, 1));
        assert_eq!(Pace::new(50, 20, SLOW).window(), 20);
    }

    #[test]
    fn a_window_that_is_not_used_does_not_grow() {
        let mut pace = pace();
        for _ in 0..100 {
            let ticket = pace.begin(3, 3);
            pace.ended(ticket, QUICK, Went::Through);
        }
        assert_eq!(pace.window(), 10);
    }

    #[test]
    fn after_an_outage_one_small_set_goes_alone_and_then_the_window_doubles() {
        let mut pace = pace();
        rounds_until(&mut pace, 600);
        let before = pace.begin(100, 600);
        pace.closed();
        // Whatever was under way before says nothing about the time after.
        pace.ended(before, QUICK, Went::Through);
        assert_eq!((pace.room(0), pace.room(1)), (10, 0));
        let trial = pace.begin(10, 10);
        pace.ended(trial, QUICK, Went::Through);
        assert_eq!(pace.window(), 20);
        assert!(rounds_until(&mut pace, 600) <= 12);
    }

    #[test]
    fn a_failed_trial_stays_a_trial_and_an_overdue_one_holds_nobody_up() {
        let mut pace = pace();
        pace.closed();
        let trial = pace.begin(10, 10);
        pace.ended(trial, QUICK, Went::Failed);
        assert!(pace.is_on_trial());
        pace.trial_is_overdue();
        assert_eq!(pace.room(1), 9);
    }
}
