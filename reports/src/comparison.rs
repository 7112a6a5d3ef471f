//! Two sets of runs side by side: how every figure has changed, and whether that can be told from chance.
//!
//! The run is the sample (METHOD section 5): a figure of each run is one value, and the change is the Hodges-Lehmann
//! shift of the logarithms, with its exact interval. Counters are exact in each run and need no statistics.
//!
//! Invariants: exchanging base and candidate mirrors every change, interval and word; where the samples say nothing, no
//! number stands, but the reason.
//! Must not know: thresholds, gates, how it is shown.

mod change;
mod quantile_shift;
mod sentences;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use change::{ChangeInterval, Figure, Figures, MetricChange, Unavailable, Word};
pub use quantile_shift::QuantileShift;
pub(crate) use sentences::HEAD;

use crate::comparable::{Difference, differences};
use crate::metric::{Count, Metric, Rank, Series, Side};
use crate::run_set::{RUNS_MAX, RunSet};
use crate::stats::rank_sum::{has_interval, values_needed};
use crate::units::counted;
use crate::{RunResult, Status};

/// Raised when a field changes its meaning or disappears; additions keep it.
pub const SCHEMA_VERSION: u32 = 1;
/// Confidence of every interval.
pub const CONFIDENCE: f64 = 0.95;

/// The figures that are compared if nobody asks for others.
pub const METRICS: [Metric; 14] = [
    Metric::Latency(Series::Delivery, Rank::percentile(50.0)),
    Metric::Latency(Series::Delivery, Rank::percentile(90.0)),
    Metric::Latency(Series::Delivery, Rank::percentile(99.0)),
    Metric::Latency(Series::FullFanout, Rank::percentile(50.0)),
    Metric::Latency(Series::FullFanout, Rank::percentile(99.0)),
    Metric::Latency(Series::FirstDelivery, Rank::percentile(50.0)),
    Metric::Latency(Series::ResponseTime, Rank::percentile(50.0)),
    Metric::Latency(Series::ResponseTime, Rank::percentile(99.0)),
    Metric::Latency(Series::Connect, Rank::percentile(50.0)),
    Metric::Count(Count::Missing),
    Metric::Count(Count::Late),
    Metric::CpuPerMillion(Side::Target),
    Metric::PeakMemory(Side::Target),
    Metric::CpuPerMillion(Side::Generator),
];

/// A comparison, whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// Version of this schema that the writer used.
    #[schemars(extend("const" = SCHEMA_VERSION))]
    pub schema_version: u32,
    /// The gravest word of all figures: worse before better before unresolved before same.
    pub word: Word,
    /// What is compared with.
    pub base: RunList,
    /// What is compared.
    pub candidate: RunList,
    /// In which ways the runs differ, beside their figures: what may explain a change, or what should have forbidden the
    /// comparison and was overruled.
    pub differences: Vec<Difference>,
    /// Why no change has an interval, and what would give one; `null` where there are runs enough, or nothing needs an
    /// interval.
    pub too_few_runs: Option<String>,
    /// Every figure.
    pub metrics: Vec<MetricChange>,
    /// The delivery latency of all runs of a side taken together, quantile by quantile: for diagnosis, because all
    /// deliveries of a post share its fate.
    pub delivery_shift: Vec<QuantileShift>,
}

/// The runs of one side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunList {
    /// What the user called them.
    pub name: String,
    /// The runs.
    pub runs: Vec<RunName>,
}

/// Which run it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunName {
    /// As in its `run.json`.
    pub run_id: String,
    /// Start of the run, wall clock, RFC 3339 in UTC.
    pub started_at: String,
    /// Its own verdict.
    pub status: Status,
}

/// Why the runs are not compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not comparable: {}", .0.iter().map(Difference::to_string).collect::<Vec<_>>().join("; "))]
pub struct NotComparable(pub Vec<Difference>);

/// Compares the figures of two sets of runs. With `force`, what forbids it is only named.
///
/// # Errors
/// If the runs asked for different work, or one of them could not be trusted.
///
/// # Panics
/// When a set has no run, or more than [`RUNS_MAX`].
pub fn compare(
    base: &RunSet,
    candidate: &RunSet,
    metrics: &[Metric],
    force: bool,
) -> Result<Comparison, NotComparable> {
    for set in [base, candidate] {
        assert!((1..=RUNS_MAX).contains(&set.runs.len()), "{} has {} runs", set.name, set.runs.len());
    }
    let mut differences = differences(&base.runs, &candidate.runs);
    if !force && differences.iter().any(|difference| difference.forbids) {
        differences.retain(|difference| difference.forbids);
        return Err(NotComparable(differences));
    }
    let too_few_runs = too_few_runs(base.runs.len(), candidate.runs.len(), metrics);
    let metrics: Vec<MetricChange> =
        metrics.iter().map(|metric| change::of(*metric, &base.runs, &candidate.runs)).collect();
    Ok(Comparison {
        schema_version: SCHEMA_VERSION,
        word: gravest(&metrics),
        base: list(base),
        candidate: list(candidate),
        differences,
        too_few_runs,
        metrics,
        delivery_shift: quantile_shift::of(&base.runs, &candidate.runs),
    })
}

fn gravest(metrics: &[MetricChange]) -> Word {
    let is_found = |word: &Word| metrics.iter().any(|metric| metric.word == *word);
    [Word::Worse, Word::Better, Word::Unresolved].into_iter().find(is_found).unwrap_or(Word::Same)
}

fn list(set: &RunSet) -> RunList {
    let name = |run: &RunResult| RunName {
        run_id: run.run_id.clone(),
        started_at: run.started_at.clone(),
        status: run.verdict.status,
    };
    RunList { name: set.name.clone(), runs: set.runs.iter().map(name).collect() }
}

/// What cannot be known from so few runs.
fn too_few_runs(base: usize, candidate: usize, metrics: &[Metric]) -> Option<String> {
    let all_exact = metrics.iter().all(|metric| metric.unit().is_exact());
    if all_exact || has_interval(base, candidate, CONFIDENCE) {
        return None;
    }
    let remedy = values_needed(CONFIDENCE).map_or(String::new(), |runs| {
        format!(": {runs} runs a side make a {} % interval possible", CONFIDENCE * 100.0)
    });
    let base = counted(base as u64, "run", "runs");
    Some(format!("{base} against {candidate} cannot tell a change from the noise between runs{remedy}"))
}
