//! What a low load tells of the greatest one: `rate_max(N) = 1 / (a + s N)`.
//!
//! It only says where to begin: a server that works on several posts at once takes more, and one that waits takes less.

use super::{Fixed, Step};
use crate::Quantile;

/// What a post occupies the target for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Prediction {
    /// For itself, `a`.
    pub(super) fixed_s: f64,
    /// For every subscriber, `s`.
    pub(super) per_subscriber_s: f64,
}

impl Prediction {
    /// From a step at a low load: `s` is its fan-out slope. `a` is what comes before the first delivery, and never more than
    /// the whole service time.
    pub(super) fn of(probe: &Step) -> Option<Self> {
        let ns = |quantile| match quantile {
            Quantile::Ns(ns) => Some(ns as f64),
            _ => None,
        };
        let readings = &probe.readings;
        let first = [readings.first_delivery_p50_ns, readings.service_time_p50_ns].into_iter().filter_map(ns);
        let fixed_s = first.reduce(f64::min)? / 1e9;
        let per_subscriber_s = readings.slope_ns_per_rank.filter(|slope| *slope > 0.0)? / 1e9;
        Some(Self { fixed_s, per_subscriber_s })
    }

    /// The greatest load of a search; `None` where the fixed rate alone is too much.
    pub(super) fn load_max(&self, fixed: &Fixed) -> Option<f64> {
        match (fixed.subscribers, fixed.rate_per_s) {
            (None, Some(rate_per_s)) => {
                let left_s = 1.0 / rate_per_s - self.fixed_s;
                (left_s > 0.0).then(|| left_s / self.per_subscriber_s)
            }
            (subscribers, _) => Some(
                1.0 / (self.fixed_s + self.per_subscriber_s * f64::from(subscribers.unwrap_or_default())),
            ),
        }
    }
}
