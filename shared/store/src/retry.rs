//! How long to wait before the next try.

use std::time::Duration;

/// Waits that double from `first` up to `longest`, each shortened at random by up to half so that
/// many instances do not come back at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait.
    pub first: Duration,
    /// No wait is longer.
    pub longest: Duration,
}

impl Backoff {
    /// The wait after `failures` failed tries in a row (1 or more).
    #[must_use]
    pub fn wait(&self, failures: u32) -> Duration {
        self.wait_with(failures, rand::random())
    }

    /// [`Backoff::wait`] with its chance given.
    fn wait_with(&self, failures: u32, chance: u16) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let full = self.first.saturating_mul(1 << doublings).min(self.longest);
        let half = full / 2;
        half + half * u32::from(chance) / u32::from(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;
    use std::time::Duration;

    #[test]
    fn waits_double_within_their_limits() {
        let ms = Duration::from_millis;
        let backoff = Backoff {
            first: ms(100),
            longest: ms(1_000),
        };
        for (failures, shortest, longest) in [
            (0, 50, 100),
            (1, 50, 100),
            (2, 100, 200),
            (4, 400, 800),
            (5, 500, 1_000),
            (u32::MAX, 500, 1_000),
        ] {
            assert_eq!(backoff.wait_with(failures, 0), ms(shortest));
            assert_eq!(backoff.wait_with(failures, u16::MAX), ms(longest));
        }
    }
}
