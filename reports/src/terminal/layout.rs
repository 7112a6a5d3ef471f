//! Lines of bounded width: words, labelled lists and tables, with color only where it was asked for.
//!
//! Invariants: no line ends in a blank; no control character but `\n` (and ESC with color) leaves
//! this module; whatever is wrapped fits the width, and only commands and tables are not.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::Style;

/// Narrower terminals get lines of this width.
const WIDTH_MIN: usize = 40;
/// Where the content of a labelled line starts.
const LABEL_WIDTH: usize = 13;
/// Least width of a column of numbers, so that tables look alike from run to run.
const NUMBER_WIDTH_MIN: u16 = 8;
/// Least width of a column of names, likewise.
const NAME_WIDTH_MIN: u16 = 14;
/// Blanks between columns.
const GAP: u16 = 2;
/// Stands for every character that a terminal would obey instead of printing.
const REPLACEMENT: char = '\u{fffd}';

/// How a piece of text looks. The codes are ANSI's (ECMA-48, SGR).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    Green,
    Red,
    Yellow,
    Bold,
    Dim,
}

impl Paint {
    const fn code(self) -> &'static str {
        match self {
            Self::Green => "1;32",
            Self::Red => "1;31",
            Self::Yellow => "1;33",
            Self::Bold => "1",
            Self::Dim => "2",
        }
    }
}

/// The text as it grows, line by line.
#[derive(Debug)]
pub(super) struct Page {
    color: bool,
    width: usize,
    text: String,
}

impl Page {
    pub(super) fn new(style: &Style) -> Self {
        Self { color: style.color, width: usize::from(style.width).max(WIDTH_MIN), text: String::new() }
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    pub(super) fn blank(&mut self) {
        self.text.push('\n');
    }

    /// One line per paragraph behind a painted word, wrapped and indented by the width of the word.
    pub(super) fn headline(&mut self, word: &str, paint: Paint, paragraphs: &[String]) {
        self.paragraphs(&format!("{word}  "), paint, paragraphs.iter().map(|text| vec![text.clone()]));
    }

    /// A label and one line per list; the items of a list are separated by commas and kept whole.
    pub(super) fn section(&mut self, label: &str, lists: &[Vec<String>]) {
        let label = format!("{label:LABEL_WIDTH$}");
        self.paragraphs(&label, Paint::Bold, lists.iter().map(|items| with_commas(items)));
    }

    /// A command on a line of its own below a section, whole however long it is, because it is copied.
    pub(super) fn command(&mut self, command: &str) {
        self.line(&format!("{:LABEL_WIDTH$}{command}", ""));
    }

    /// A remark across the whole width, its items separated by commas and kept whole.
    pub(super) fn remark(&mut self, items: &[String]) {
        for line in wrap(&with_commas(items), self.width) {
            let line = self.painted(&line, Paint::Dim);
            self.line(&line);
        }
    }

    /// A table of numbers: the first column to the left, the others to the right.
    pub(super) fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(head.to_vec())
            .add_rows(rows.to_vec());
        for (index, column) in table.column_iter_mut().enumerate() {
            if index == 0 {
                column
                    .set_padding((0, 0))
                    .set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(NAME_WIDTH_MIN)));
            } else {
                column.set_padding((GAP, 0)).set_cell_alignment(CellAlignment::Right);
                column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(NUMBER_WIDTH_MIN + GAP)));
            }
        }
        for (index, line) in table.lines().enumerate() {
            let line = line.trim_end();
            let line = if index == 0 { self.painted(line, Paint::Bold) } else { line.to_owned() };
            self.line(&line);
        }
    }

    /// Each paragraph is a list of pieces; the first line stands behind `head`.
    fn paragraphs(&mut self, head: &str, paint: Paint, paragraphs: impl Iterator<Item = Vec<String>>) {
        let indent = head.width();
        let mut lines: Vec<String> =
            paragraphs.flat_map(|pieces| wrap(&pieces, self.width.saturating_sub(indent))).collect();
        if lines.is_empty() {
            lines.push(String::new());
        }
        for (index, line) in lines.iter().enumerate() {
            let line = if index == 0 {
                let word = head.trim_end();
                let blanks = if line.is_empty() { 0 } else { indent - word.width() };
                format!("{}{:blanks$}{line}", self.painted(word, paint), "")
            } else {
                format!("{:indent$}{line}", "")
            };
            self.line(&line);
        }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn painted(&self, text: &str, paint: Paint) -> String {
        match self.color && !text.is_empty() {
            true => format!("\u{1b}[{}m{text}\u{1b}[0m", paint.code()),
            false => text.to_owned(),
        }
    }
}

/// Text from a user or a target, safe to print: what a terminal would obey (control characters, marks
/// of direction, marks without width) is replaced, and what is longer than `columns` is cut with `…`.
pub(crate) fn clean(text: &str, columns: usize) -> String {
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let is_line_end = matches!(c, '\u{2028}' | '\u{2029}');
        // Control characters have no width at all, marks have the width 0.
        let width = c.width().filter(|width| *width > 0 && !is_line_end);
        let (c, width) = width.map_or((REPLACEMENT, 1), |width| (c, width));
        if used + width > columns {
            // The mark needs a column of its own.
            while used + 1 > columns {
                match out.pop().and_then(|c: char| c.width()) {
                    Some(width) => used -= width,
                    None => break,
                }
            }
            out.push('…');
            break;
        }
        out.push(c);
        used += width;
    }
    out
}

fn with_commas(items: &[String]) -> Vec<String> {
    let last = items.len().saturating_sub(1);
    items
        .iter()
        .enumerate()
        .map(|(i, item)| {
            // The next item may go on with a sum instead of beginning something new.
            let is_open = i == last || items[i + 1].starts_with('+');
            if is_open { item.clone() } else { format!("{item},") }
        })
        .collect()
}

/// Puts pieces behind each other with blanks between, in lines of at most `width` columns. A piece is
/// kept whole if a line can hold it, else cut between words, else anywhere.
fn wrap(pieces: &[String], width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut place = |piece: &str| {
        if !line.is_empty() && line.width() + 1 + piece.width() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(piece);
    };
    for piece in pieces {
        if piece.width() <= width {
            place(piece);
            continue;
        }
        for word in piece.split(' ').filter(|word| !word.is_empty()) {
            slices(word, width).for_each(&mut place);
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// Cuts a word into slices of at most `width` columns (a character wider than that stands alone).
fn slices(word: &str, width: usize) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut used = 0;
        let end = rest
            .char_indices()
            .find(|(at, c)| {
                used += c.width().unwrap_or(0);
                *at > 0 && used > width
            })
            .map_or(rest.len(), |(at, _)| at);
        let (slice, tail) = rest.split_at(end);
        rest = tail;
        Some(slice)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleans_what_a_terminal_would_obey() {
        for (text, columns, expected) in [
            ("plain", 10, "plain"),
            ("a\u{1b}[31mb", 10, "a\u{fffd}[31mb"),
            ("a\r\nb\tc", 10, "a\u{fffd}\u{fffd}b\u{fffd}c"),
            ("a\u{9b}b\u{7f}", 10, "a\u{fffd}b\u{fffd}"),
            ("a\u{202e}b\u{2028}c", 10, "a\u{fffd}b\u{fffd}c"),
            ("e\u{301}", 10, "e\u{fffd}"),
            ("abcdef", 6, "abcdef"),
            ("abcdefg", 6, "abcde…"),
            ("日本語日本語", 6, "日本…"),
            ("", 0, ""),
            ("a", 0, "…"),
        ] {
            assert_eq!(clean(text, columns), expected, "{text:?} in {columns}");
        }
    }

    #[test]
    fn wraps_between_items_then_words_then_anywhere() {
        let pieces = ["one two,", "three", "four five six seven", "eeeeeeeeeeeeeeee"].map(str::to_owned);
        assert_eq!(
            wrap(&pieces, 10),
            ["one two,", "three four", "five six", "seven", "eeeeeeeeee", "eeeeee"]
        );
    }
}
