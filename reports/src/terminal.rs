//! The summary of a run for people at a terminal.

use crate::RunResult;

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Use ANSI colors.
    pub color: bool,
    /// Columns that a line may fill.
    pub width: u16,
}

/// Renders a run; lines end in `\n`.
pub fn summary(result: &RunResult, style: &Style) -> String {
    let _ = style;
    format!("{}\n", result.verdict.status.word())
}
