//! What goes wrong and when.

use std::fmt;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

/// Gateways of the system under test.
pub const GATEWAYS: u8 = 2;
/// Its order workers.
pub const WORKERS: u8 = 3;

/// Faults begin for this long, …
const STORM: Duration = Duration::from_secs(45);
/// … and then none for this long: a backlog that never drains would hide what happens when it does.
const CALM: Duration = Duration::from_secs(15);
/// From the beginning of one fault to the next, in milliseconds. Most last longer, so that they overlap.
const GAP_MS: std::ops::Range<u64> = 1_000..4_000;

/// One process of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// A gateway, by its number.
    Gateway(u8),
    /// An order worker, by its number.
    Orders(u8),
    /// The only catalog.
    Catalog,
    /// All of its processes.
    Postgres,
    /// The only Redis.
    Redis,
    /// localsqs.
    Sqs,
}

impl Part {
    /// Every process.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let gateways = (1..=GATEWAYS).map(Self::Gateway);
        let workers = (1..=WORKERS).map(Self::Orders);
        let others = [Self::Catalog, Self::Postgres, Self::Redis, Self::Sqs];
        gateways.chain(workers).chain(others).collect()
    }

    /// What it is, whatever its number.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Self::Gateway(_) => "gateway",
            Self::Orders(_) => "orders",
            Self::Catalog => "catalog",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Sqs => "sqs",
        }
    }

    /// What it connects to.
    #[must_use]
    pub const fn needs(self) -> &'static [Self] {
        match self {
            Self::Gateway(_) => &[Self::Sqs, Self::Redis, Self::Catalog],
            Self::Orders(_) => &[Self::Sqs, Self::Redis, Self::Postgres, Self::Catalog],
            Self::Catalog => &[Self::Postgres],
            Self::Postgres | Self::Redis | Self::Sqs => &[],
        }
    }

    const fn is_service(self) -> bool {
        matches!(self, Self::Gateway(_) | Self::Orders(_) | Self::Catalog)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway(number) | Self::Orders(number) => write!(f, "{}-{number}", self.class()),
            _ => f.write_str(self.class()),
        }
    }
}

/// What a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// A process.
    Part(Part),
    /// The connections of one process to another.
    Link {
        /// Who connects.
        from: Part,
        /// To whom.
        to: Part,
    },
}

impl Target {
    /// What it is, whatever the numbers: a column of the table of faults.
    #[must_use]
    pub fn class(self) -> String {
        match self {
            Self::Part(part) => part.class().to_owned(),
            Self::Link { to, .. } => format!("→{}", to.class()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Part(part) => part.fmt(f),
            Self::Link { from, to } => write!(f, "{from}→{to}"),
        }
    }
}

/// What is done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `SIGKILL`; started again after a while.
    Kill,
    /// `SIGKILL`; started again without its memory.
    KillEmpty,
    /// `SIGTERM`, as a deploy does; started again after a while.
    Restart,
    /// `SIGSTOP`; later it goes on as if nothing had been.
    Freeze,
    /// Open connections break once.
    Cut,
    /// Open connections break and new ones are refused.
    Refuse,
    /// Connections stay open and nothing passes.
    Stall,
    /// What passes is late, in each direction.
    Slow {
        /// How late.
        latency_ms: u16,
    },
}

impl Kind {
    /// What is done, whatever the figures: a row of the table of faults.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Self::Kill => "kill -9",
            Self::KillEmpty => "kill -9, memory lost",
            Self::Restart => "restart",
            Self::Freeze => "freeze",
            Self::Cut => "cut",
            Self::Refuse => "refuse",
            Self::Stall => "stall",
            Self::Slow { .. } => "slow",
        }
    }

    /// How long it lasts, in milliseconds.
    ///
    /// A freeze is longer than the lease and the visibility timeout that the workers run with under chaos.
    const fn lasts_ms(self) -> std::ops::Range<u64> {
        match self {
            Self::Kill | Self::KillEmpty | Self::Restart => 200..4_000,
            Self::Freeze => 6_000..10_000,
            Self::Cut => 0..1,
            Self::Refuse => 500..6_000,
            Self::Stall => 1_000..9_000,
            Self::Slow { .. } => 3_000..12_000,
        }
    }
}

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// From the beginning of the run.
    pub at: Duration,
    /// What is hit.
    pub target: Target,
    /// What is done to it.
    pub kind: Kind,
    /// Until it is undone. A process that is started again takes a little longer to be ready.
    pub lasts: Duration,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at_ms, lasts_ms) = (self.at.as_millis(), self.lasts.as_millis());
        let (s, ms) = (at_ms / 1_000, at_ms % 1_000);
        write!(
            f,
            "{s:>5}.{ms:03}  {:<24} {}",
            self.target,
            self.kind.class()
        )?;
        if let Kind::Slow { latency_ms } = self.kind {
            write!(f, " {latency_ms} ms")?;
        }
        if lasts_ms > 0 {
            write!(
                f,
                " for {}.{:01} s",
                lasts_ms / 1_000,
                lasts_ms % 1_000 / 100
            )?;
        }
        Ok(())
    }
}

/// All faults of a run, by the time at which they begin.
#[must_use]
pub fn faults(seed: u64, lasts: Duration) -> Vec<Fault> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut parts = Deck::new(on_parts());
    let mut links = Deck::new(on_links());
    let mut faults: Vec<Fault> = Vec::new();
    let mut at = Duration::ZERO;
    loop {
        at += Duration::from_millis(rng.random_range(GAP_MS));
        let into_cycle_ms = at.as_millis() % (STORM + CALM).as_millis();
        if into_cycle_ms >= STORM.as_millis() {
            at += STORM + CALM - Duration::from_millis(into_cycle_ms.try_into().unwrap_or(0));
        }
        if at >= lasts {
            return faults;
        }
        let deck = if rng.random_range(0..2) == 0 {
            &mut parts
        } else {
            &mut links
        };
        let (target, mut kind) = deck.draw(&mut rng);
        if let Kind::Slow { latency_ms } = &mut kind {
            *latency_ms = rng.random_range(20..400);
        }
        let lasts_ms = rng.random_range(kind.lasts_ms());
        let fault = Fault {
            at,
            target,
            kind,
            lasts: Duration::from_millis(lasts_ms),
        };
        let is_taken = |other: &Fault| {
            // A restart takes a moment longer than planned.
            other.target == target && other.at + other.lasts + GAP_AFTER > at
        };
        if fault.at + fault.lasts <= lasts && !faults.iter().any(is_taken) {
            faults.push(fault);
        }
    }
}

/// Between two faults of one target.
const GAP_AFTER: Duration = Duration::from_secs(2);

/// Cards that are dealt out until none is left, and shuffled again then: every kind of fault comes about equally often.
struct Deck {
    cards: Vec<(Target, Kind)>,
    left: Vec<(Target, Kind)>,
}

impl Deck {
    fn new(cards: Vec<(Target, Kind)>) -> Self {
        Self {
            cards,
            left: Vec::new(),
        }
    }

    fn draw(&mut self, rng: &mut StdRng) -> (Target, Kind) {
        if self.left.is_empty() {
            self.left.clone_from(&self.cards);
            self.left.shuffle(rng);
        }
        // Never empty: both decks have cards.
        self.left
            .pop()
            .unwrap_or((Target::Part(Part::Catalog), Kind::Kill))
    }
}

fn on_parts() -> Vec<(Target, Kind)> {
    let mut cards = Vec::new();
    for part in Part::all() {
        cards.push((Target::Part(part), Kind::Kill));
        cards.push((Target::Part(part), Kind::Freeze));
        if part.is_service() {
            cards.push((Target::Part(part), Kind::Restart));
        }
    }
    cards.push((Target::Part(Part::Redis), Kind::KillEmpty));
    cards
}

fn on_links() -> Vec<(Target, Kind)> {
    let kinds = [
        Kind::Cut,
        Kind::Refuse,
        Kind::Stall,
        Kind::Slow { latency_ms: 0 },
    ];
    links()
        .into_iter()
        .flat_map(|(from, to)| kinds.map(|kind| (Target::Link { from, to }, kind)))
        .collect()
}

/// Every connection between two processes.
#[must_use]
pub fn links() -> Vec<(Part, Part)> {
    let from_each = |from: Part| from.needs().iter().map(move |to| (from, *to));
    Part::all().into_iter().flat_map(from_each).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const HALF_HOUR: Duration = Duration::from_secs(30 * 60);

    #[test]
    fn a_seed_is_a_schedule_and_another_seed_another() {
        assert_eq!(faults(7, HALF_HOUR), faults(7, HALF_HOUR));
        assert_ne!(faults(7, HALF_HOUR), faults(8, HALF_HOUR));
        // A longer run begins as a shorter one does.
        let short = faults(7, HALF_HOUR / 3);
        let long = faults(7, HALF_HOUR);
        let ended_well = |fault: &&Fault| fault.at + Duration::from_secs(30) < HALF_HOUR / 3;
        let begun: Vec<&Fault> = short.iter().filter(ended_well).collect();
        assert!(long.iter().filter(ended_well).eq(begun));
    }

    #[test]
    fn every_kind_of_fault_hits_every_target_within_half_an_hour() {
        let planned = faults(1, HALF_HOUR);
        let drawn: HashSet<_> = planned.iter().map(|f| (f.target, f.kind.class())).collect();
        for (target, kind) in on_parts().into_iter().chain(on_links()) {
            assert!(
                drawn.contains(&(target, kind.class())),
                "{target} {}",
                kind.class()
            );
        }
    }

    #[test]
    fn faults_overlap_but_never_on_one_target_and_all_end_within_the_run() {
        for seed in 0..20 {
            let planned = faults(seed, HALF_HOUR);
            assert!(planned.is_sorted_by_key(|fault| fault.at));
            assert!(planned.iter().all(|f| f.at + f.lasts <= HALF_HOUR));
            let mut overlaps = 0;
            for (i, fault) in planned.iter().enumerate() {
                for later in &planned[i + 1..] {
                    if later.at >= fault.at + fault.lasts {
                        continue;
                    }
                    overlaps += 1;
                    assert_ne!(later.target, fault.target, "{fault} / {later}");
                }
            }
            assert!(
                overlaps > planned.len() / 4,
                "{overlaps} of {}",
                planned.len()
            );
        }
    }

    #[test]
    fn there_are_calm_times() {
        let quiet = |fault: &Fault| fault.at.as_millis() % 60_000 >= 45_000;
        assert!(!faults(3, HALF_HOUR).iter().any(quiet));
    }
}
