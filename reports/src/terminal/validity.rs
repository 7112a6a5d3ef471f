//! One line on the checks, and one for each that could be measured next time: how. What tripped stands in the headline,
//! with its remedy.

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
    }
    page.remark(&items);
    let hint = |check: &Check| Some(format!("{}: {}", check.id, check.remedy.as_deref()?));
    let mut hints: Vec<String> =
        checks.iter().filter(|check| check.passed.is_none()).filter_map(hint).collect();
    // Two values of one check may want the same.
    hints.dedup();
    hints.into_iter().for_each(|hint| page.remark(&[hint]));
}

/// Each id once, in order.
fn ids(checks: &[Check], wanted: impl Fn(&Check) -> bool) -> Vec<&str> {
    let mut ids: Vec<&str> =
        checks.iter().filter(|check| wanted(check)).map(|check| check.id.as_str()).collect();
    ids.dedup();
    ids
}
