//! One line on the checks; what tripped stands in the headline, with its remedy.

use super::layout::Page;
use crate::RunResult;
use crate::validity::{CHECKS, Check};

pub(super) fn print(page: &mut Page, result: &RunResult) {
    let checks = &result.validity;
    let tripped = ids(checks, Check::tripped);
    let unmeasured = ids(checks, |check| check.passed.is_none());
    let of = |n: usize| format!("{n} of {CHECKS} checks");
    let mut items = Vec::new();
    if tripped.is_empty() {
        items.push(format!("valid: {}", of(CHECKS - unmeasured.len().min(CHECKS))));
    } else {
        items.push(format!("tripped: {} ({})", of(tripped.len()), tripped.join(" ")));
    }
    if !unmeasured.is_empty() {
        items.push(format!("not measured: {}", unmeasured.join(" ")));
        let hints = checks.iter().filter(|check| check.passed.is_none());
        items.extend(hints.filter_map(|check| Some(format!("({})", check.remedy.as_deref()?))));
    }
    page.remark(&items);
}

/// Each id once, in order.
fn ids(checks: &[Check], wanted: impl Fn(&Check) -> bool) -> Vec<&str> {
    let mut ids: Vec<&str> =
        checks.iter().filter(|check| wanted(check)).map(|check| check.id.as_str()).collect();
    ids.dedup();
    ids
}
