//! What was allowed, and what became of it.

use super::layout::Page;
use crate::RunResult;
use crate::threshold::result::ThresholdResult;

const HEAD: [&str; 4] = ["threshold", "observed", "allowed", "result"];

pub(super) fn print(page: &mut Page, result: &RunResult) {
    if result.thresholds.is_empty() {
        return;
    }
    page.blank();
    let deadline_ns = result.scenario.deadline_ns;
    let rows: Vec<Vec<String>> =
        result.thresholds.iter().map(|threshold| row(threshold, deadline_ns)).collect();
    page.table(&HEAD, &rows);
}

fn row(threshold: &ThresholdResult, deadline_ns: u64) -> Vec<String> {
    let expression = &threshold.expression;
    let window = expression.window.map_or(String::new(), |window| format!(" over {window}"));
    let result = match threshold.advisory {
        true => format!("({})", threshold.status.word()),
        false => threshold.status.word().to_owned(),
    };
    vec![
        format!("{}{window}", threshold.metric),
        threshold.observed_text(deadline_ns),
        expression.allowed(),
        result,
    ]
}
