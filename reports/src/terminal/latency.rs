//! The table of latencies, and what its `n/a` cells would need.

use super::layout::Page;
use crate::advice::duration_for;
use crate::quantile::effective_samples_needed;
use crate::run_result::Latencies;
use crate::units::{count, counted, duration, short_duration};
use crate::{LatencySummary, Quantile, RunResult};

const HEAD: [&str; 6] = ["latency", "p50", "p90", "p99", "p99.9", "max"];
type Pick = fn(&LatencySummary) -> Quantile;

/// The quantiles of the table that need samples beyond them, from the easiest.
const QUANTILES: [(&str, f64, Pick); 4] = [
    ("p50", 0.5, |summary| summary.p50),
    ("p90", 0.9, |summary| summary.p90),
    ("p99", 0.99, |summary| summary.p99),
    ("p99.9", 0.999, |summary| summary.p999),
];

/// The table in words, for every page that shows it.
pub(crate) struct LatencyTable {
    pub(crate) head: [&'static str; 6],
    pub(crate) rows: Vec<Vec<String>>,
    /// What the `n/a` cells need.
    pub(crate) needs: Option<Vec<String>>,
}

/// The latencies of a run in words.
pub(crate) fn latency_table(result: &RunResult) -> LatencyTable {
    let rows = rows(&result.latency_ns)
        .into_iter()
        // Delivery is what the run is about, so its row stays even if nothing arrived.
        .filter(|(name, summary)| summary.count > 0 || *name == "delivery")
        .map(|(name, summary)| row(name, summary, result.scenario.deadline_ns))
        .collect();
    LatencyTable { head: HEAD, rows, needs: needs(result) }
}

pub(super) fn print(page: &mut Page, result: &RunResult) {
    let table = latency_table(result);
    page.table(&table.head, &table.rows);
    if let Some(needs) = table.needs {
        page.remark(&needs);
    }
}

fn rows(latencies: &Latencies) -> [(&'static str, &LatencySummary); 9] {
    [
        ("delivery", &latencies.delivery),
        ("first delivery", &latencies.first_delivery),
        ("full fan-out", &latencies.full_fanout),
        ("spread", &latencies.spread),
        ("send lag", &latencies.send_lag),
        ("lag at the cap", &latencies.send_lag_at_cap),
        ("service time", &latencies.service_time),
        ("response time", &latencies.response_time),
        ("receive delay", &latencies.receive_delay),
    ]
}

fn row(name: &str, summary: &LatencySummary, deadline_ns: u64) -> Vec<String> {
    let quantiles = [summary.p50, summary.p90, summary.p99, summary.p999, summary.max];
    let infinite = match name {
        "send lag" => "not sent".to_owned(),
        "service time" | "response time" => "no reply".to_owned(),
        _ => beyond(deadline_ns),
    };
    std::iter::once(name.to_owned()).chain(quantiles.map(|quantile| cell(quantile, &infinite))).collect()
}

/// How a delivery that was late or never came is printed.
pub(super) fn beyond(deadline_ns: u64) -> String {
    format!("> {}", short_duration(deadline_ns))
}

/// A quantile as it is printed, with the words for an infinite one.
pub(super) fn cell(quantile: Quantile, infinite: &str) -> String {
    match quantile {
        Quantile::Ns(ns) => duration(ns),
        Quantile::BeyondDeadline => infinite.to_owned(),
        Quantile::NotAvailable => "n/a".to_owned(),
    }
}

/// What the `n/a` cells need: for each quantile the effective posts (METHOD V9) and a steady phase that
/// gives them. The series with the fewest decides, so that the advice fills the whole column.
fn needs(result: &RunResult) -> Option<Vec<String>> {
    if result.latency_ns.delivery.count == 0 {
        return Some(vec!["n/a: no delivery was owed".to_owned()]);
    }
    let shown: Vec<_> =
        rows(&result.latency_ns).into_iter().filter(|(_, summary)| summary.count > 0).collect();
    let mut items = Vec::new();
    let mut fewest = f64::INFINITY;
    for (name, quantile, of) in QUANTILES {
        let lacking = shown.iter().filter(|(_, summary)| of(summary) == Quantile::NotAvailable);
        let worst = lacking.clone().min_by(|a, b| a.1.effective_samples.total_cmp(&b.1.effective_samples));
        let Some((row, summary)) = worst else { continue };
        let effective = summary.effective_samples;
        fewest = fewest.min(effective);
        let row = if lacking.count() < shown.len() { format!(" of {row}") } else { String::new() };
        let needed = effective_samples_needed(quantile);
        let advice = duration_for(result, needed, effective).map_or(String::new(), |d| format!(" (-d {d})"));
        items.push(format!("{name}{row} needs {}{advice}", count(needed as u64)));
    }
    let first = items.first_mut()?;
    let posts = if fewest as u64 == result.posts.scheduled { "" } else { "effective " };
    *first = format!(
        "n/a: {}; {first}",
        counted(fewest as u64, &format!("{posts}post"), &format!("{posts}posts"))
    );
    Some(items)
}
