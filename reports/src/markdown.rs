//! Markdown, for a pull request or the summary of a job.
//!
//! Invariant: every text that came from a user or a run stands in a code span, where it is nothing but text.

use crate::capacity::CapacityResult;
use crate::capacity::advice::{Advice, advice};
use crate::comparison::{Comparison, HEAD, RunList};
use crate::terminal::capacity::{
    COSTS_HEAD, HEADROOM_HEAD, SEARCHES_HEAD, cost_row, frontier_lines, headroom_row, left_out,
    scalability_lines, search_row,
};
use crate::terminal::{clean, quantile_shift_text};

/// Longest text of a list.
const TEXT_COLUMNS_MAX: usize = 400;

/// Renders a comparison; every line ends in `\n`.
pub fn comparison(comparison: &Comparison) -> String {
    let mut text = format!("**{}**: {}\n\n", comparison.word.name(), comparison.findings().join("; "));
    for (label, list) in [("base", &comparison.base), ("candidate", &comparison.candidate)] {
        text.push_str(&side(label, list));
    }
    for (label, differences) in ["overruled", "differs"].into_iter().zip(comparison.differences_named()) {
        for difference in differences {
            text.push_str(&format!("- {label}: {}\n", code(&difference)));
        }
    }
    text.push_str(&format!("\n{}|---|--:|--:|--:|--:|---|\n", row(&HEAD)));
    for cells in comparison.rows() {
        text.push_str(&row(&cells));
    }
    text.push('\n');
    for reason in comparison.reasons() {
        text.push_str(&format!("- {reason}\n"));
    }
    text.push_str("\n<details><summary>Where in the distribution</summary>\n\n```\n");
    text.push_str(&quantile_shift_text(comparison));
    text.push_str("```\n\n</details>\n");
    text
}

/// Renders a capacity session; every line ends in `\n`.
pub fn capacity(capacity: &CapacityResult) -> String {
    let mut text = format!("### feedmark capacity: {}\n\n", capacity.verdict.status.word());
    text.push_str(&list("", &capacity.verdict.reasons));
    text.push_str(&format!("- target: {}\n\n", code(&clean(&capacity.plan.target, TEXT_COLUMNS_MAX))));
    text.push_str(&table(&SEARCHES_HEAD, capacity.searches.iter().map(search_row).collect()));
    let limits = capacity.searches.iter().filter_map(|search| Some(search.limit.as_ref()?.sentence.clone()));
    text.push_str(&list("limit", &limits.collect::<Vec<_>>()));
    let fits = capacity.frontier.iter().flat_map(frontier_lines).chain(capacity.frontier_refused.clone());
    text.push_str(&list("frontier", &fits.collect::<Vec<_>>()));
    let scaling =
        capacity.scalability.iter().flat_map(scalability_lines).chain(capacity.scalability_refused.clone());
    text.push_str(&list("cores", &scaling.collect::<Vec<_>>()));
    text.push_str(&table(
        &HEADROOM_HEAD,
        capacity.headroom.iter().map(|of| headroom_row(of).to_vec()).collect(),
    ));
    text.push_str(&table(&COSTS_HEAD, capacity.costs.iter().map(cost_row).collect()));
    text.push_str(&list("left out", &left_out(capacity)));
    text.push_str(&list("finding", &capacity.findings));
    text.push_str(&next(capacity));
    // Every table stands between blank lines; two of them share one.
    text.replace("\n\n\n", "\n\n")
}

/// What to do next; the sentences are ours.
fn next(capacity: &CapacityResult) -> String {
    let of = |Advice { sentence, command }: Advice| {
        // A code span would change one with a backtick in it.
        let command = command.filter(|command| !command.contains('`'));
        let command =
            command.map_or_else(String::new, |command| format!(": {}", code(&clean(&command, usize::MAX))));
        format!("- {sentence}{command}\n")
    };
    let lines: String = advice(capacity).into_iter().map(of).collect();
    if lines.is_empty() { lines } else { format!("\n**What to do next**\n\n{lines}") }
}

/// A table, if there is a row in it.
fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let rule = format!("|---|{}\n", "--:|".repeat(head.len() - 1));
    let rows: String = rows.iter().map(|cells| row(cells)).collect();
    format!("\n{}{rule}{rows}\n", row(head))
}

/// A list of sentences, each in a code span: some hold what a target said.
fn list(label: &str, sentences: &[String]) -> String {
    let label = if label.is_empty() { String::new() } else { format!("{label}: ") };
    let of = |sentence: &String| format!("- {label}{}\n", code(&clean(sentence, TEXT_COLUMNS_MAX)));
    sentences.iter().map(of).collect()
}

fn side(label: &str, list: &RunList) -> String {
    format!("- {label}: {}, {}\n", code(&list.title()), code(&list.description().join(", ")))
}

/// A row of a table; a cell has no bar and no line end.
pub(crate) fn row(cells: &[impl AsRef<str>]) -> String {
    let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// A code span, in which nothing is markup.
pub(crate) fn code(text: &str) -> String {
    format!("`{}`", text.replace('`', "'"))
}
