//! The figures of a run by name: what thresholds, comparisons and gates speak about.
//!
//! Invariant: a name and its figure belong together here and nowhere else; [`Metric`] prints as it is parsed.
//! Must not know: what is allowed, and who asks.

mod names;
mod parse;
mod unit;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::RunResult;
use crate::quantile::{Quantile, is_supported};

pub use names::{Count, Series, Side};
pub use parse::MetricError;
pub use unit::{Unit, Value};

/// A figure of a run; in JSON its name.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub enum Metric {
    /// A quantile of a latency series, `delivery p99`.
    Latency(Series, Rank),
    /// A number of things, `missing`.
    Count(Count),
    /// Share of the owed pairs that were delivered within the deadline, `completeness`.
    Completeness,
    /// CPU time per million deliveries of the steady phase, `target cpu_per_million`.
    CpuPerMillion(Side),
    /// Greatest resident memory, `target peak_memory`.
    PeakMemory(Side),
}

/// A point of a latency series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rank {
    /// The quantile, in (0, 1), `p99.9` as a percentile.
    Quantile(f64),
    /// The greatest value.
    Max,
}

impl TryFrom<String> for Metric {
    type Error = MetricError;

    fn try_from(name: String) -> Result<Self, MetricError> {
        name.parse()
    }
}

impl From<Metric> for String {
    fn from(metric: Metric) -> Self {
        metric.to_string()
    }
}

const CPU_PER_MILLION: &str = "cpu_per_million";
const PEAK_MEMORY: &str = "peak_memory";
const COMPLETENESS: &str = "completeness";

impl Rank {
    /// The quantile of a percentile in (0, 100).
    pub const fn percentile(percentile: f64) -> Self {
        Self::Quantile(percentile / 100.0)
    }

    /// The quantile in (0, 1]; 1 is the greatest value.
    pub const fn quantile(self) -> f64 {
        match self {
            Self::Quantile(quantile) => quantile,
            Self::Max => 1.0,
        }
    }
}

impl Metric {
    /// The figure, ranked over everything that was owed, whether or not the samples support printing it.
    pub fn of(self, run: &RunResult) -> Value {
        let measured = |number: Option<f64>| number.map_or(Value::NotMeasured, Value::Number);
        match self {
            Self::Latency(series, rank) => match series.of(run).value_at(rank.quantile()) {
                Quantile::Ns(ns) => Value::Number(ns as f64),
                Quantile::BeyondDeadline => Value::BeyondDeadline,
                Quantile::NotAvailable => Value::NotMeasured,
            },
            Self::Count(count) => Value::Number(count.of(run) as f64),
            Self::Completeness => {
                let owed = run.deliveries.owed;
                measured((owed > 0).then(|| 100.0 * run.deliveries.delivered as f64 / owed as f64))
            }
            Self::CpuPerMillion(side) => {
                measured(side.of(run).and_then(|process| process.cpu_s_per_million_deliveries))
            }
            Self::PeakMemory(side) => measured(side.of(run).map(|process| process.peak_memory_bytes as f64)),
        }
    }

    /// True where the samples of the run support printing the figure (METHOD V9). The greatest value is a fact, not an
    /// estimate, and so is every count.
    pub fn is_supported(self, run: &RunResult) -> bool {
        match self {
            Self::Latency(series, Rank::Quantile(quantile)) => {
                let summary = series.of(run);
                // What was never measured does not lack samples.
                summary.count == 0 || is_supported(summary.effective_samples, quantile)
            }
            _ => true,
        }
    }

    /// What its numbers are in.
    pub const fn unit(self) -> Unit {
        match self {
            Self::Latency(..) => Unit::Ns,
            Self::Count(_) => Unit::Count,
            Self::Completeness => Unit::Percent,
            Self::CpuPerMillion(_) => Unit::CpuSeconds,
            Self::PeakMemory(_) => Unit::Bytes,
        }
    }

    /// True where a greater number is the better one.
    pub const fn more_is_better(self) -> bool {
        matches!(self, Self::Completeness)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latency(series, rank) => write!(f, "{} {rank}", series.name()),
            Self::Count(count) => f.write_str(count.name()),
            Self::Completeness => f.write_str(COMPLETENESS),
            Self::CpuPerMillion(side) => write!(f, "{} {CPU_PER_MILLION}", side.name()),
            Self::PeakMemory(side) => write!(f, "{} {PEAK_MEMORY}", side.name()),
        }
    }
}

impl fmt::Display for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Rounded to what a percentile can be written with, so that 0.999 * 100 prints as 99.9.
            Self::Quantile(quantile) => write!(f, "p{}", (quantile * 1e8).round() / 1e6),
            Self::Max => f.write_str("max"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn figures_come_from_where_the_name_says() {
        let run = sample::lossy();
        let value = |name: &str| name.parse::<Metric>().unwrap().of(&run);
        assert_eq!(value("missing"), Value::Number(run.deliveries.missing as f64));
        let owed = run.deliveries.owed as f64;
        assert_eq!(value("completeness"), Value::Number(100.0 * run.deliveries.delivered as f64 / owed));
        let Quantile::Ns(p50_ns) = run.latency_ns.delivery.p50 else { panic!("the sample has a median") };
        assert_eq!(value("delivery p50"), Value::Number(p50_ns as f64));
        assert_eq!(value("delivery max"), Value::BeyondDeadline);
        let mut without = run.clone();
        without.resources.target = None;
        assert_eq!("target cpu_per_million".parse::<Metric>().unwrap().of(&without), Value::NotMeasured);
        without.deliveries.owed = 0;
        assert_eq!(Metric::Completeness.of(&without), Value::NotMeasured);
    }

    #[test]
    fn a_quantile_needs_samples_and_nothing_else_does() {
        let run = sample::run();
        for (name, supported) in [
            ("delivery p90", true),
            ("delivery p99", false),
            ("delivery max", true),
            ("connect p99", true),
            ("missing", true),
        ] {
            assert_eq!(name.parse::<Metric>().unwrap().is_supported(&run), supported, "{name}");
        }
        let mut empty = run;
        empty.latency_ns.delivery = sample::latency(0, 1, 1, 0, 0.0);
        assert!(
            "delivery p99".parse::<Metric>().unwrap().is_supported(&empty),
            "not measured is not too little"
        );
    }
}
