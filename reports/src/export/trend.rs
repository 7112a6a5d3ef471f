//! Formats of tools that follow figures from build to build: what is tracked, in a list.
//!
//! A figure that fell on a late or missing delivery is given as the deadline, which it is at least: a gap in a chart would
//! look like good news.
//! Sources: the README of github-action-benchmark (`customSmallerIsBetter`), and Bencher's reference of its metric format
//! with its JSON Schema.

use std::collections::BTreeMap;

use serde::Serialize;

use super::outcome::{Carried, Figure, Outcome};
use crate::metric::Unit;

const NS_PER_MS: f64 = 1e6;
const BYTES_PER_MB: f64 = 1e6;

#[derive(Debug, Serialize)]
struct Entry {
    name: String,
    unit: &'static str,
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<String>,
    extra: String,
}

/// `customSmallerIsBetter`: less must be better, so completeness and capacities are left out; missing and late are in it.
pub(super) fn github_action_benchmark(outcome: &Outcome) -> serde_json::Result<String> {
    let entry = |figure: &Figure| {
        let (unit, size) = match figure.metric.unit() {
            Unit::Ns => ("ms", NS_PER_MS),
            Unit::CpuSeconds => ("s", 1.0),
            Unit::Bytes => ("MB", BYTES_PER_MB),
            Unit::Percent => ("%", 1.0),
            Unit::Count => ("count", 1.0),
        };
        let facts = outcome.facts.iter().filter(|(name, _)| *name == "load");
        let beyond = figure.is_beyond.then(|| "late or missing: at least this".to_owned());
        let extra = [format!("verdict: {}", outcome.verdict.status.word())]
            .into_iter()
            .chain(beyond)
            .chain(facts.map(|(_, load)| load.clone()));
        Entry {
            name: figure.metric.to_string(),
            unit,
            value: figure.value / size,
            range: figure.interval.map(|(low, high)| format!("{:.3} to {:.3}", low / size, high / size)),
            extra: extra.collect::<Vec<String>>().join("\n"),
        }
    };
    let tracked = tracked(outcome).filter(|figure| !figure.metric.more_is_better());
    json(&tracked.map(entry).collect::<Vec<Entry>>())
}

#[derive(Debug, Serialize)]
struct Measure {
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lower_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upper_value: Option<f64>,
}

/// Benchmark by name, measure by slug; `latency`, in ns, and `throughput`, per second, are those that every project of Bencher has.
pub(super) fn bencher(outcome: &Outcome) -> serde_json::Result<String> {
    let benchmark = |figure: &Figure| {
        let slug = match figure.metric.unit() {
            Unit::Ns => "latency",
            Unit::CpuSeconds => "cpu-seconds",
            Unit::Bytes => "bytes",
            Unit::Percent => "percent",
            Unit::Count => "count",
        };
        let beyond = figure.is_beyond.then_some(figure.value);
        let measure = Measure {
            value: figure.value,
            lower_value: beyond.or(figure.interval.map(|(low, _)| low)),
            upper_value: figure.interval.map(|(_, high)| high),
        };
        (figure.metric.to_string(), BTreeMap::from([(slug, measure)]))
    };
    let capacity = |carried: &Carried| {
        let slug = if carried.fixed.varies_subscribers() { "subscribers" } else { "throughput" };
        let measure =
            Measure { value: carried.held, lower_value: Some(carried.held), upper_value: carried.failing };
        (carried.name.clone(), BTreeMap::from([(slug, measure)]))
    };
    let benchmarks = tracked(outcome).map(benchmark).chain(outcome.carried.iter().map(capacity));
    json(&benchmarks.collect::<BTreeMap<_, _>>())
}

fn tracked(outcome: &Outcome) -> impl Iterator<Item = &Figure> {
    outcome.figures.iter().filter(|figure| figure.is_tracked)
}

fn json(document: &impl Serialize) -> serde_json::Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(document)?))
}
