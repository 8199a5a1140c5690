//! The tables.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::check::{Fact, Findings};
use crate::plan::{Kind, Target};

/// What was done to what, and how often: kinds down, targets across.
#[must_use]
pub fn faults(done: &[(Target, Kind)]) -> String {
    let mut counts: BTreeMap<(&str, String), u64> = BTreeMap::new();
    for (target, kind) in done {
        *counts.entry((kind.class(), target.class())).or_default() += 1;
    }
    let columns: BTreeSet<&String> = counts.keys().map(|(_, target)| target).collect();
    let mut text = format!("  {:<22}", "faults");
    for column in &columns {
        let _ = write!(text, "{column:>10}");
    }
    text.push_str("       all\n");
    let rows: BTreeSet<&str> = counts.keys().map(|(kind, _)| *kind).collect();
    for row in rows {
        let _ = write!(text, "  {row:<22}");
        let mut all = 0;
        for column in &columns {
            let count = counts.get(&(row, (*column).clone())).copied();
            all += count.unwrap_or(0);
            let cell = count.map_or_else(|| "·".to_owned(), |count| count.to_string());
            let _ = write!(text, "{cell:>10}");
        }
        let _ = writeln!(text, "{all:>10}");
    }
    let width = columns.len() * 10 + 10;
    let _ = writeln!(text, "  {:<22}{:>width$}", "all", done.len());
    text
}

/// What was checked, how often, and how often it did not hold; then the violations.
#[must_use]
pub fn facts(findings: &Findings) -> String {
    let mut text = format!("  {:<50}{:>12}{:>12}\n", "facts", "checked", "violations");
    for fact in Fact::ALL {
        let (checked, violated) = findings.counts.get(&fact).copied().unwrap_or_default();
        let fact = fact.to_string();
        let _ = writeln!(
            text,
            "  {fact:<50}{:>12}{:>12}",
            grouped(checked),
            grouped(violated)
        );
    }
    for violation in &findings.violations {
        let _ = write!(text, "\n  ✗ {}\n    {}\n", violation.fact, violation.what);
    }
    text
}

/// 1234567 → 1,234,567.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Part;

    #[test]
    fn faults_are_counted_by_kind_and_target() {
        let to_redis = |number| Target::Link {
            from: Part::Orders(number),
            to: Part::Redis,
        };
        let table = faults(&[
            (Target::Part(Part::Orders(1)), Kind::Kill),
            (Target::Part(Part::Orders(3)), Kind::Kill),
            (to_redis(1), Kind::Cut),
            (Target::Part(Part::Sqs), Kind::Kill),
        ]);
        let lines: Vec<Vec<&str>> = table
            .lines()
            .map(|l| l.split_whitespace().collect())
            .collect();
        assert_eq!(
            lines[0],
            ["faults", "orders", "sqs", "→redis", "all"],
            "{table}"
        );
        assert_eq!(lines[1], ["cut", "·", "·", "1", "1"], "{table}");
        assert_eq!(lines[2], ["kill", "-9", "2", "1", "·", "3"], "{table}");
        assert_eq!(lines[3], ["all", "4"], "{table}");
    }

    #[test]
    fn violations_are_told_under_the_facts() {
        let mut findings = Findings::default();
        findings.checked(Fact::Exact, 1_234_567);
        findings.violated(Fact::Exact, "order 7".to_owned());
        let table = facts(&findings);
        assert!(table.contains("1,234,567"), "{table}");
        assert!(
            table.contains("✗ totals to the cent\n    order 7"),
            "{table}"
        );
    }
}
