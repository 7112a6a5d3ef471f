//! What GitHub Actions reads from the output of a step: annotations.
//!
//! Source: GitHub's documentation of workflow commands, and the escapes of its toolkit (`@actions/core`).

use super::outcome::{Case, Outcome};
use crate::Status;
use crate::terminal::clean;

/// GitHub shows this many annotations of a kind for each step, and drops the others without a word.
const ANNOTATIONS_MAX: usize = 10;
const COLUMNS_MAX: usize = 1_000;

/// A line for each case that does not hold: an error if it fails the step, a warning if it leaves it open, a notice if it
/// is advice.
pub fn annotations(outcome: &Outcome) -> String {
    let mut text = String::new();
    for level in ["error", "warning", "notice"] {
        let cases = outcome.by_gravity();
        let cases: Vec<&Case> = cases.into_iter().filter(|case| level_of(case) == Some(level)).collect();
        let shown = if cases.len() > ANNOTATIONS_MAX { ANNOTATIONS_MAX - 1 } else { cases.len() };
        for case in &cases[..shown] {
            let title = format!("{}: {} {}", outcome.kind.name(), case.word(), case.name);
            text.push_str(&annotation(level, &title, &case.sentence));
        }
        if shown < cases.len() {
            let more = cases.len() - shown;
            text.push_str(&annotation(
                level,
                outcome.kind.name(),
                &format!("and {more} more, which are in its output"),
            ));
        }
    }
    text
}

const fn level_of(case: &Case) -> Option<&'static str> {
    match (case.status, case.advisory) {
        (Status::Pass, _) => None,
        (_, true) => Some("notice"),
        (Status::Unresolved, false) => Some("warning"),
        (Status::Fail | Status::Invalid, false) => Some("error"),
    }
}

fn annotation(level: &str, title: &str, message: &str) -> String {
    let property = escaped(title).replace(':', "%3A").replace(',', "%2C");
    format!("::{level} title={property}::{}\n", escaped(message))
}

/// Line ends would begin a command of their own.
fn escaped(text: &str) -> String {
    clean(text, COLUMNS_MAX).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}
