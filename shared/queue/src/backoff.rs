//! How long to wait before the next attempt.

use std::time::Duration;

/// Exponential backoff with equal jitter: the n-th wait lies between half and the whole of `base × 2ⁿ`, never above `max`.
///
/// The computation is pure; [`Backoff::jittered`] only adds the dice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait at its longest.
    pub base: Duration,
    /// No wait is longer.
    pub max: Duration,
}

impl Backoff {
    /// A backoff from `base` up to `max`.
    pub const fn new(base: Duration, max: Duration) -> Self {
        Self { base, max }
    }

    /// The wait after `failures` failures (1 = the first), with `dice` (any number) for the jitter.
    pub fn delay(&self, failures: u32, dice: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let ceiling = self.base.saturating_mul(1 << doublings).min(self.max);
        let half = ceiling / 2;
        // dice / u32::MAX of the other half, in integers.
        let nanos = half.as_nanos().saturating_mul(u128::from(dice)) / u128::from(u32::MAX);
        half + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// [`Backoff::delay`] with random jitter.
    pub fn jittered(&self, failures: u32) -> Duration {
        self.delay(failures, rand::random())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_is_clamped_and_keeps_half_of_itself_against_the_dice() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        let table = [
            (0, 0, 50),
            (1, 0, 50),
            (1, u32::MAX, 100),
            (2, 0, 100),
            (2, u32::MAX / 2, 149),
            (3, u32::MAX, 400),
            (6, u32::MAX, 3_200),
            (7, u32::MAX, 5_000),
            (7, 0, 2_500),
            (40, 0, 2_500),
            (u32::MAX, u32::MAX, 5_000),
        ];
        for (failures, dice, expected_ms) in table {
            assert_eq!(
                backoff.delay(failures, dice).as_millis(),
                expected_ms,
                "after {failures} failures with dice {dice}"
            );
        }
    }

    #[test]
    fn an_endless_base_does_not_overflow() {
        let backoff = Backoff::new(Duration::MAX, Duration::MAX);
        assert!(backoff.delay(u32::MAX, 0) >= Duration::from_secs(1));
    }
}
