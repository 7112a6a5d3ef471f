//! GitHub-flavored Markdown: the verdict in words, a table of the cases, and the whole summary folded away.
//!
//! Invariant: every text that is not ours stands in a fence or in a code span, where nothing of it is markup, a link or
//! somebody's name.

use super::outcome::{Case, Outcome};
use crate::markdown;
use crate::terminal::clean;

const CELL_COLUMNS_MAX: usize = 200;

/// Renders the outcome.
pub fn render(outcome: &Outcome) -> String {
    let (_, rest) = parts(outcome);
    format!("{}\n<details><summary>All figures</summary>\n\n{}\n</details>\n", short(outcome), fence(rest))
}

/// The same without the summary: for a place that has no room for it.
pub fn short(outcome: &Outcome) -> String {
    let (verdict, _) = parts(outcome);
    let mut text = format!("### {}: {}\n\n", outcome.kind.name(), outcome.verdict.status.word());
    text.push_str(&fence(verdict));
    text.push_str("\n| result | case | observed | allowed |\n|---|---|---|---|\n");
    for case in outcome.by_gravity() {
        text.push_str(&row(case));
    }
    text
}

/// The verdict in words, and the rest of the summary.
fn parts(outcome: &Outcome) -> (&str, &str) {
    outcome.summary.split_once("\n\n").unwrap_or((&outcome.summary, ""))
}

fn row(case: &Case) -> String {
    let word = case.word();
    let word = if case.status == crate::Status::Pass { word } else { format!("**{word}**") };
    markdown::row(&[word, cell(&case.name), cell(&case.observed), cell(&case.allowed)])
}

/// A code span in a table. A bar would end the cell even within the span, and whether a backslash before it helps depends
/// on what stands before that.
fn cell(text: &str) -> String {
    let text = clean(text, CELL_COLUMNS_MAX).replace('|', "¦");
    // A span needs something in it.
    if text.trim().is_empty() { String::new() } else { markdown::code(&text) }
}

/// A block that no line of the text can end.
fn fence(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{}\n{fence}\n", text.trim_end())
}
