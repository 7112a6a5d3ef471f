//! Markdown, for a pull request or the summary of a job.
//!
//! Invariant: every text that came from a user or a run stands in a code span, where it is nothing but text.

use crate::comparison::{Comparison, HEAD, RunList};
use crate::terminal::quantile_shift_text;

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

fn side(label: &str, list: &RunList) -> String {
    format!("- {label}: {}, {}\n", code(&list.title()), code(&list.description().join(", ")))
}

fn row(cells: &[impl AsRef<str>]) -> String {
    let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
    format!("| {} |\n", cells.join(" | "))
}

fn code(text: &str) -> String {
    format!("`{}`", text.replace('`', "'"))
}
