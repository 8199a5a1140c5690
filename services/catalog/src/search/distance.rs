//! How far two words are apart.

/// Steps from one word to the other, each a letter more, less, other or swapped with its neighbour (optimal string
/// alignment); `None` when more than `steps_max` are needed.
pub(super) fn distance(one: &str, other: &str, steps_max: usize) -> Option<usize> {
    let one: Vec<char> = one.chars().collect();
    let other: Vec<char> = other.chars().collect();
    if one.len().abs_diff(other.len()) > steps_max {
        return None;
    }
    let width = other.len() + 1;
    let mut before_last = vec![0; width];
    let mut last: Vec<usize> = (0..width).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1; width];
        for (j, b) in other.iter().enumerate() {
            let changed = last[j] + usize::from(a != b);
            let mut steps = changed.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && one[i - 1] == *b && other[j - 1] == *a {
                steps = steps.min(before_last[j - 1] + 1);
            }
            row[j + 1] = steps;
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().filter(|steps| *steps <= steps_max)
}

/// Steps within which a word is taken for a misspelling: one in four letters or so.
pub(super) fn steps_max(word: &str) -> usize {
    match word.chars().count() {
        0..=3 => 0,
        4..=7 => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::{distance, steps_max};

    #[test]
    fn a_letter_more_less_other_or_swapped_is_one_step() {
        for (one, other, steps) in [
            ("lamp", "lamp", Some(0)),
            ("lamp", "lmap", Some(1)),
            ("lamp", "lap", Some(1)),
            ("lamp", "lampe", Some(1)),
            ("lamp", "camp", Some(1)),
            ("lantern", "lantren", Some(1)),
            ("lantern", "latnren", Some(2)),
            ("lamp", "cup", None),
            ("", "ab", Some(2)),
            ("чайник", "чаиник", Some(1)),
        ] {
            assert_eq!(distance(one, other, 2), steps, "{one} {other}");
            assert_eq!(distance(other, one, 2), steps, "{other} {one}");
        }
        assert_eq!(
            (steps_max("cup"), steps_max("lamp"), steps_max("lanterns")),
            (0, 1, 2)
        );
    }
}
