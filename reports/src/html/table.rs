//! Tables: every chart's figures in words, which its read-outs are taken from, too.

use maud::{Markup, Render, html};

use super::definitions::term;
use super::path::fixed;

/// A table; its first column names the row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// Heads of the columns.
    pub head: Vec<String>,
    /// What stands in the columns, as far as it is no number.
    pub columns: Vec<Column>,
    /// The rows.
    pub rows: Vec<Row>,
}

/// What stands in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Numbers, whose ends stand below each other.
    Number,
    /// A word or two.
    Word,
    /// Sentences, which take more than a line.
    Text,
}

impl Column {
    const fn class(self) -> Option<&'static str> {
        match self {
            Self::Number => None,
            Self::Word => Some("word"),
            Self::Text => Some("text"),
        }
    }
}

/// One row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// Its place on the chart's axis, from 0 to 1: pointing there reads this row out.
    pub at: Option<f64>,
    /// What links to it name.
    pub id: Option<String>,
    /// One text per column.
    pub cells: Vec<String>,
}

impl Table {
    /// An empty table with these heads.
    pub fn new<const N: usize>(head: [&str; N]) -> Self {
        Self { head: head.map(str::to_owned).to_vec(), ..Self::default() }
    }

    /// Adds a row that nothing points at.
    pub fn push<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(Row { cells: cells.to_vec(), ..Row::default() });
    }

    /// Adds a row of a place on the axis.
    pub fn push_at(&mut self, at: f64, cells: Vec<String>) {
        self.rows.push(Row { at: Some(at), cells, ..Row::default() });
    }

    fn class(&self, column: usize) -> Option<&'static str> {
        self.columns.get(column).and_then(|column| column.class())
    }
}

impl Render for Table {
    fn render(&self) -> Markup {
        html! {
            div.scroll tabindex="0" role="group" aria-label=(self.head.join(", ")) {
                table {
                    thead { tr { @for (column, head) in self.head.iter().enumerate() { th scope="col" class=[self.class(column)] { (term(head)) } } } }
                    tbody {
                        @for row in &self.rows {
                            tr data-at=[row.at.map(|at| fixed(at * 1000.0))] id=[row.id.as_ref()] {
                                @for (column, cell) in row.cells.iter().enumerate() {
                                    @if column == 0 { th scope="row" { (term(cell)) } } @else { td class=[self.class(column)] { (cell) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
