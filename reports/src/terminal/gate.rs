//! A gate for people at a terminal: the answer first, then what was compared, the metrics, and what was repeated.

use super::Style;
use super::layout::{Page, Paint, clean};
use crate::Status;
use crate::gate::{GateResult, MetricResult, Repeat};
use crate::units::{
    bytes, change, change_interval, count, counted, duration, flag_duration, number, seconds,
};

const COMMAND_COLUMNS_MAX: usize = 200;
const REASON_COLUMNS_MAX: usize = 400;
/// Reasons and repeats that are printed; the others stand in `gate.json`.
const LINES_MAX: usize = 10;
/// Heads of the columns of the metrics.
pub(crate) const HEAD: [&str; 5] = ["metric", "base", "candidate", "change", "95 % interval"];

/// Renders a gate; every line ends in `\n`.
pub fn gate(gate: &GateResult, style: &Style) -> String {
    let mut page = Page::new(style);
    headline(&mut page, gate);
    page.blank();
    for (label, command) in [("base", &gate.plan.base), ("candidate", &gate.plan.candidate)] {
        page.section(label, &[vec![clean(command, COMMAND_COLUMNS_MAX)]]);
    }
    page.section("pairs", &[pairs_words(gate)]);
    page.section("each run", &[scenario_words(gate)]);
    page.blank();
    page.table(&HEAD, &gate.metrics.iter().map(|metric| metric_row(metric).to_vec()).collect::<Vec<_>>());
    if !gate.repeats.is_empty() {
        page.blank();
        let mut lines: Vec<Vec<String>> = gate.repeats.iter().take(LINES_MAX).map(repeat).collect();
        if let Some(more) = gate.repeats.len().checked_sub(LINES_MAX).filter(|more| *more > 0) {
            lines.push(vec![format!("and {} in gate.json", counted(more as u64, "more run", "more runs"))]);
        }
        page.section("repeated", &lines);
    }
    page.into_text()
}

fn headline(page: &mut Page, gate: &GateResult) {
    let reasons = gate.verdict.reasons.iter().take(LINES_MAX);
    let paint = match gate.verdict.status {
        Status::Pass => Paint::Green,
        Status::Fail => Paint::Red,
        Status::Invalid | Status::Unresolved => Paint::Yellow,
    };
    let sentences: Vec<String> = reasons.map(|reason| clean(reason, REASON_COLUMNS_MAX)).collect();
    page.headline(gate.verdict.status.word(), paint, &sentences);
}

/// How far it came.
pub(crate) fn pairs_words(gate: &GateResult) -> Vec<String> {
    let most = gate.plan.looks.last().copied().unwrap_or(0);
    let done = count(gate.pairs.len() as u64);
    let looks = match gate.looks_done.as_slice() {
        [] => "not looked at yet".to_owned(),
        looks => format!("looked at after {}", listed(looks)),
    };
    vec![format!("{done} of at most {most}"), looks, format!("seeds from {}", gate.plan.seed)]
}

/// `10`, `10 and 20`, `10, 20 and 30`.
fn listed(looks: &[u32]) -> String {
    let words: Vec<String> = looks.iter().map(u32::to_string).collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// What each run measures.
pub(crate) fn scenario_words(gate: &GateResult) -> Vec<String> {
    let scenario = &gate.plan.scenario;
    vec![
        counted(u64::from(scenario.subscribers), "subscriber", "subscribers"),
        format!("{} posts/s for {}", number(scenario.rate_per_s), flag_duration(scenario.duration_ns)),
        format!("after {} of warm-up", flag_duration(scenario.warmup_ns)),
    ]
}

/// What a metric says, in the columns of [`HEAD`].
pub(crate) fn metric_row(metric: &MetricResult) -> [String; 5] {
    let none = || "n/a".to_owned();
    let value = |value: Option<f64>| value.map_or_else(none, |value| shown(&metric.unit, value));
    let interval = match (metric.change_low, metric.change_high) {
        (Some(low), Some(high)) => change_interval(low, high),
        _ => none(),
    };
    [
        clean(&metric.name, REASON_COLUMNS_MAX),
        value(metric.base_median),
        value(metric.candidate_median),
        metric.change.map_or_else(none, change),
        interval,
    ]
}

/// A value in its unit; it came from a file, which may say anything.
fn shown(unit: &str, value: f64) -> String {
    match unit {
        "ns" => duration(value as u64),
        "cpu_s" => seconds(value),
        "bytes" => bytes(value as u64),
        _ => number(value),
    }
}

fn repeat(repeat: &Repeat) -> Vec<String> {
    let reason = repeat.reasons.first().map_or("", String::as_str);
    vec![clean(&format!("pair {}, {}: {reason}", repeat.pair, repeat.variant.name()), REASON_COLUMNS_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Variant;
    use crate::gate::tests::{gate_of, judged};

    fn plain(result: &GateResult) -> String {
        gate(result, &Style { color: false, width: 80 })
    }

    #[test]
    fn a_pass() {
        insta::assert_snapshot!(plain(&gate_of(10, [1.004, 0.998, 1.0])));
    }

    #[test]
    fn a_fail() {
        insta::assert_snapshot!(plain(&gate_of(10, [1.12, 1.02, 0.97])));
    }

    #[test]
    fn under_way_with_repeats() {
        let mut result = gate_of(4, [1.05, 1.05, 1.05]);
        result.repeats = (1..=12)
            .map(|pair| Repeat {
                pair,
                variant: Variant::Base,
                run_id: "7f3a9c0d".to_owned(),
                reasons: vec!["V4: paused \u{1b}[2J for 80 ms".to_owned()],
            })
            .collect();
        insta::assert_snapshot!(plain(&judged(result)));
    }

    #[test]
    fn nothing_measured_yet() {
        insta::assert_snapshot!(plain(&gate_of(0, [1.0; 3])));
    }
}
