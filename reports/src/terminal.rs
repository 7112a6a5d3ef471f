//! The summary of a run for people at a terminal: the verdict first, then what was asked, the
//! thresholds, the latencies, the ledger, and what it cost.
//!
//! Invariants:
//! * Nothing is said that the samples do not support: a quantile without enough of them is `n/a`, and
//!   one that falls on a late or missing delivery is `> deadline`.
//! * Every text that came from a user or a target is cleaned and bounded before it is printed.
//! * Lines that would carry nothing are left out.

pub mod capacity;
mod comparison;
pub mod gate;
mod headline;
mod latency;
mod layout;
mod ledger;
mod resources;
#[cfg(test)]
mod tests;
mod thresholds;
mod validity;

pub use comparison::comparison;
pub(crate) use comparison::quantile_shift_text;
pub use headline::{load_in_words, sentences};
pub(crate) use headline::{plain_sentence, scenario_words};
pub(crate) use latency::latency_table;
use layout::Page;
pub(crate) use layout::clean;

use crate::RunResult;

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Use ANSI colors.
    pub color: bool,
    /// Columns that a line may fill. Less than 40 counts as 40; tables need 72 and do not shrink.
    pub width: u16,
}

/// Renders a run; every line ends in `\n`.
pub fn summary(result: &RunResult, style: &Style) -> String {
    let mut page = Page::new(style);
    headline::print(&mut page, result);
    validity::print(&mut page, result);
    thresholds::print(&mut page, result);
    page.blank();
    latency::print(&mut page, result);
    page.blank();
    ledger::print(&mut page, result);
    page.blank();
    resources::print(&mut page, &result.resources);
    page.into_text()
}
