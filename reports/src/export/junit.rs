//! JUnit XML: a test case for each case.
//!
//! FAIL is a failure: the target did not do what was asked. INVALID and UNRESOLVED are errors: there is no answer, and a
//! pipeline must not go on as if there were one. An advisory case that does not hold is skipped, which every reader shows
//! and none counts. The whole text stands in the element's body, because GitLab reads nothing else of it.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::outcome::{Case, Outcome};
use crate::Status;
use crate::terminal::clean;

const COLUMNS_MAX: usize = 4_000;

pub(super) fn render(outcome: &Outcome) -> Result<String, SerializeError> {
    let name = outcome.kind.name();
    let mut suite = TestSuite::new(name);
    for (fact, value) in &outcome.facts {
        suite.add_property((*fact, plain(value).as_str()));
    }
    suite.add_property(("verdict", outcome.verdict.status.word()));
    if let Some(ns) = outcome.duration_ns {
        suite.set_time(Duration::from_nanos(ns));
    }
    suite.add_test_cases(outcome.cases.iter().map(|case| test_case(name, case)));
    let mut report = Report::new("feedmark");
    report.add_test_suite(suite);
    report.to_string()
}

fn test_case(class: &str, case: &Case) -> TestCase {
    let mut status = match (case.status, case.advisory) {
        (Status::Pass, _) => TestCaseStatus::success(),
        (_, true) => TestCaseStatus::skipped(),
        (Status::Fail, false) => TestCaseStatus::non_success(NonSuccessKind::Failure),
        (Status::Invalid | Status::Unresolved, false) => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    let short = format!("observed {}, allowed {}", plain(&case.observed), plain(&case.allowed));
    let long = format!(
        "{}\nobserved: {}\nallowed: {}",
        plain(&case.sentence),
        plain(&case.observed),
        plain(&case.allowed)
    );
    status.set_type(case.word()).set_message(short).set_description(long.as_str());
    let is_pass = case.status == Status::Pass;
    let mut test_case = TestCase::new(plain(&case.name), status);
    test_case.set_classname(class);
    if is_pass {
        test_case.set_system_out(long);
    }
    test_case
}

/// Without what XML 1.0 cannot hold: control characters, and the two that are no characters.
fn plain(text: &str) -> String {
    clean(text, COLUMNS_MAX).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}
