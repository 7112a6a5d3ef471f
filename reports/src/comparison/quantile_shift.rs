//! How much later the deliveries of the candidate came, quantile by quantile.

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantile::{self, decode, is_supported, new_histogram};
use crate::{Quantile, RunResult};

/// The quantiles, from below.
const QUANTILES: [f64; 10] = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999];

/// One quantile of both sides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QuantileShift {
    /// In (0, 1).
    pub quantile: f64,
    /// Of the base's deliveries.
    pub base: Quantile,
    /// Of the candidate's deliveries.
    pub candidate: Quantile,
    /// candidate - base; `null` where one of them is no number.
    pub shift_ns: Option<i64>,
}

/// All deliveries of a side.
struct Merged {
    histogram: Histogram<u64>,
    beyond_deadline: u64,
    effective_samples: f64,
}

pub(super) fn of(base: &[RunResult], candidate: &[RunResult]) -> Vec<QuantileShift> {
    let (Some(base), Some(candidate)) = (merged(base), merged(candidate)) else { return Vec::new() };
    let shift = |quantile: f64| {
        let (base, candidate) = (base.at(quantile), candidate.at(quantile));
        let shift_ns = match (base, candidate) {
            (Quantile::Ns(base), Quantile::Ns(candidate)) => Some(candidate as i64 - base as i64),
            _ => None,
        };
        QuantileShift { quantile, base, candidate, shift_ns }
    };
    QUANTILES.into_iter().map(shift).collect()
}

/// `None` where a histogram cannot be read.
fn merged(runs: &[RunResult]) -> Option<Merged> {
    let mut all = Merged { histogram: new_histogram(), beyond_deadline: 0, effective_samples: 0.0 };
    for run in runs {
        let delivery = &run.latency_ns.delivery;
        all.histogram.add(decode(&delivery.hdr).ok()?).ok()?;
        all.beyond_deadline = all.beyond_deadline.saturating_add(delivery.beyond_deadline);
        all.effective_samples += delivery.effective_samples;
    }
    Some(all)
}

impl Merged {
    /// The quantile, if the samples support it, counted from the nearer end.
    fn at(&self, quantile: f64) -> Quantile {
        if is_supported(self.effective_samples, quantile.max(1.0 - quantile)) {
            quantile::value_at(&self.histogram, self.beyond_deadline, quantile)
        } else {
            Quantile::NotAvailable
        }
    }
}
