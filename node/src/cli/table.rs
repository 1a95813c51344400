//! Columns for people.
//!
//! Promises: every cell of a column begins, or with numbers ends, in the same place of a terminal,
//! also where characters take two places or none; no line ends in blanks.
//! Does not: make texts of strangers safe to print, or shorten them.

use unicode_width::UnicodeWidthStr;

/// How a column is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A header and rows as lines; each row has as many cells as there are columns.
pub fn table(columns: &[(&str, Align)], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    let lines = || std::iter::once(&header).chain(rows);
    let width = |at: usize| lines().filter_map(|row| row.get(at)).map(|it| it.width()).max();
    let widths: Vec<usize> = (0..columns.len()).map(|at| width(at).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in lines() {
        let mut line = String::new();
        for ((cell, (_, align)), width) in row.iter().zip(columns).zip(&widths) {
            line.push_str(&padded(cell, *width, *align));
            line.push_str("  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// One cell in so many places of a terminal; a wider one stays as it is.
pub fn padded(cell: &str, width: usize, align: Align) -> String {
    let padding = " ".repeat(width.saturating_sub(cell.width()));
    match align {
        Align::Left => format!("{cell}{padding}"),
        Align::Right => format!("{padding}{cell}"),
    }
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

    #[test]
    fn wide_and_combining_characters_keep_the_columns() {
        let names = ["海豹", "e\u{301}", "tern"];
        let rows: Vec<Vec<String>> =
            names.iter().map(|name| vec![(*name).to_owned(), "7".to_owned()]).collect();
        let text = table(&[("NODE", Align::Left), ("N", Align::Right)], &rows);
        assert_eq!(text, "NODE  N\n海豹  7\ne\u{301}     7\ntern  7\n");
    }
}
