//! Columns for people.

/// Rows under a head, each column as wide as its widest cell; the last one as it comes.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let all = || std::iter::once(&head).chain(rows);
    let width_of = |column: usize| {
        let cells = all().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width_of).collect();
    let lines = all().map(|row| {
        let cells = row.iter().zip(&widths);
        let line: Vec<String> = cells
            .map(|(cell, &width)| format!("{cell:<width$}"))
            .collect();
        line.join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Cut to length, on one line.
pub(super) fn short(text: &str, chars_max: usize) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if line.chars().count() <= chars_max {
        return line;
    }
    let cut: String = line.chars().take(chars_max - 1).collect();
    format!("{cut}…")
}

#[cfg(test)]
mod tests {
    use super::{short, table};

    #[test]
    fn columns_line_up_whatever_is_in_them() {
        let rows = [
            vec!["a".to_owned(), "1".to_owned(), "x".to_owned()],
            vec!["Łódź".to_owned(), "22".to_owned(), String::new()],
        ];
        let shown = table(&["NAME", "N", "WHY"], &rows);
        assert_eq!(shown, "NAME  N   WHY\na     1   x\nŁódź  22");
    }

    #[test]
    fn a_long_text_is_cut_and_stays_on_its_line() {
        assert_eq!(short("two\nlines", 20), "two lines");
        assert_eq!(short("ööööö", 3), "öö…");
    }
}
