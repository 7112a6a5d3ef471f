//! The verdict with its reasons, and the scenario in one line.

use super::layout::{Page, Paint, clean};
use crate::run_result::{Driver, ScenarioRecord};
use crate::units::{count, counted, duration, flag_duration, number};
use crate::{Quantile, RunResult, Status};

/// Reasons that are printed; the others are counted and stand in `run.json`.
const REASONS_MAX: usize = 20;
const REASON_COLUMNS_MAX: usize = 400;
const URL_COLUMNS_MAX: usize = 120;

pub(super) fn print(page: &mut Page, result: &RunResult) {
    let status = result.verdict.status;
    let paint = match status {
        Status::Pass => Paint::Green,
        Status::Fail => Paint::Red,
        Status::Invalid | Status::Unresolved => Paint::Yellow,
    };
    page.headline(status.word(), paint, &sentences(result));
    page.blank();
    page.section("scenario", &[scenario_words(result)]);
}

/// What stands beside the word of the verdict: its reasons; of a plain pass, what it means; findings. Cleaned and bounded.
pub fn sentences(result: &RunResult) -> Vec<String> {
    let status = result.verdict.status;
    let mut sentences = Vec::new();
    if status == Status::Pass {
        sentences.push(plain_sentence(result));
    }
    let reasons = &result.verdict.reasons;
    sentences.extend(reasons.iter().take(REASONS_MAX).map(|reason| clean(reason, REASON_COLUMNS_MAX)));
    if let Some(more) = reasons.len().checked_sub(REASONS_MAX).filter(|more| *more > 0) {
        sentences.push(format!("and {} in run.json", counted(more as u64, "more reason", "more reasons")));
    }
    if status == Status::Invalid {
        sentences
            .push("the generator was not trustworthy: the figures say nothing about the target".to_owned());
    }
    for finding in &result.findings {
        sentences.push(clean(&format!("{}: {}", finding.label.word(), finding.sentence), REASON_COLUMNS_MAX));
    }
    sentences
}

/// What a pass means, in words that the samples support.
pub(crate) fn plain_sentence(result: &RunResult) -> String {
    let (deliveries, delivery) = (&result.deliveries, &result.latency_ns.delivery);
    if delivery.count == 0 {
        return "no delivery was owed".to_owned();
    }
    let counted_deliveries = counted(delivery.count, "delivery", "deliveries");
    let quantiles = [(99, delivery.p99), (90, delivery.p90), (50, delivery.p50)];
    let supported = quantiles.iter().find_map(|(percent, quantile)| match quantile {
        Quantile::Ns(ns) => Some((percent, *ns)),
        _ => None,
    });
    let speed = match (supported, delivery.max) {
        (Some((percent, ns)), _) => {
            format!("{percent} % of {counted_deliveries} arrived within {}", duration(ns))
        }
        (None, Quantile::Ns(ns)) if delivery.count == 1 => {
            format!("the only delivery arrived within {}", duration(ns))
        }
        (None, Quantile::Ns(ns)) => format!("all {counted_deliveries} arrived within {}", duration(ns)),
        (None, _) => format!("{counted_deliveries} were owed"),
    };
    let loss = match (deliveries.missing, deliveries.late) {
        (0, 0) => "nothing was lost".to_owned(),
        (missing, late) => format!("{} missing, {} late", count(missing), count(late)),
    };
    format!("{speed}; {loss}")
}

/// The load: `1,000 subscribers, 20 posts/s poisson for 30s`.
pub fn load_in_words(scenario: &ScenarioRecord) -> String {
    load(scenario).join(", ")
}

fn load(scenario: &ScenarioRecord) -> Vec<String> {
    let posts = if scenario.rate_per_s == 1.0 { "post/s" } else { "posts/s" };
    vec![
        counted(u64::from(scenario.subscribers), "subscriber", "subscribers"),
        format!(
            "{} {posts} {} for {}",
            number(scenario.rate_per_s),
            scenario.arrivals.name(),
            flag_duration(scenario.duration_ns)
        ),
    ]
}

/// The scenario in short.
pub(crate) fn scenario_words(result: &RunResult) -> Vec<String> {
    let scenario = &result.scenario;
    let mut parts = load(scenario);
    parts.extend([format!("seed {}", result.seed), format!("ts={}", result.timestamps.name())]);
    if scenario.driver == Driver::RustSocketio {
        parts.push("driver rust_socketio".to_owned());
    }
    parts.push(target(scenario));
    parts
}

fn target(scenario: &ScenarioRecord) -> String {
    match &scenario.url {
        Some(url) => clean(url, URL_COLUMNS_MAX),
        None => "reference server".to_owned(),
    }
}
