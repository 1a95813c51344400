//! Columns for people.
//!
//! Promises: every cell of a column begins, or with numbers ends, in the same place; the last
//! column is never padded.

/// How a column is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A header and rows as lines; each row has as many cells as there are columns.
pub(super) fn table(columns: &[(&str, Align)], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    let lines = || std::iter::once(&header).chain(rows);
    let width = |at: usize| lines().filter_map(|row| row.get(at)).map(|it| chars(it)).max();
    let widths: Vec<usize> = (0..columns.len()).map(|at| width(at).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in lines() {
        let mut line = String::new();
        for ((cell, (_, align)), width) in row.iter().zip(columns).zip(&widths) {
            let padding = " ".repeat(width - chars(cell));
            match align {
                Align::Left => line.push_str(&format!("{cell}{padding}  ")),
                Align::Right => line.push_str(&format!("{padding}{cell}  ")),
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_begin_and_numbers_end_below_each_other() {
        let rows = [vec!["tern".to_owned(), "7".to_owned()], vec!["é".to_owned(), "10".to_owned()]];
        let text = table(&[("NODE", Align::Left), ("N", Align::Right)], &rows);
        assert_eq!(text, "NODE   N\ntern   7\né     10\n");
    }
}
