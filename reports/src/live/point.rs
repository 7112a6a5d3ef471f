//! One stretch of a run's time, as a live view draws it.

use hdrhistogram::Histogram;
use serde::Serialize;

/// What happened in one second, or in several of a long run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Point {
    /// Its end, since the start of the schedule.
    pub end_ns: u64,
    /// Its length.
    pub length_ns: u64,
    /// Posts handed to the writers.
    pub posts_per_s: f64,
    /// Pairs that arrived.
    pub deliveries_per_s: f64,
    /// Median delivery latency of what arrived in it; `None` if nothing did.
    pub p50_ns: Option<u64>,
    /// Its quantile 0.99.
    pub p99_ns: Option<u64>,
    /// Its greatest.
    pub max_ns: Option<u64>,
    /// Greatest send lag below the cap; `None` if no post was answered.
    pub send_lag_ns: Option<u64>,
    /// Greatest hiccup; `None` if nobody measured.
    pub hiccup_ns: Option<u64>,
    /// Mean CPU of the generator; 1 is one core.
    pub generator_cores: Option<f64>,
    /// Its memory at the end.
    pub generator_bytes: Option<u64>,
    /// Mean CPU of the target; 1 is one core.
    pub target_cores: Option<f64>,
    /// Its memory at the end.
    pub target_bytes: Option<u64>,
}

impl Point {
    /// This point with the latencies of a histogram in ns.
    #[must_use]
    pub fn with_latencies(mut self, histogram: &Histogram<u64>) -> Self {
        let at = |quantile| (!histogram.is_empty()).then(|| histogram.value_at_quantile(quantile));
        (self.p50_ns, self.p99_ns) = (at(0.5), at(0.99));
        self.max_ns = (!histogram.is_empty()).then(|| histogram.max());
        self
    }

    /// This point and the one after it; latencies are left to [`Point::with_latencies`].
    #[must_use]
    pub fn joined(&self, next: &Self) -> Self {
        let length_ns = self.length_ns + next.length_ns;
        let mean = |one: f64, other: f64| {
            (one * self.length_ns as f64 + other * next.length_ns as f64) / length_ns.max(1) as f64
        };
        // What was sampled in one of them stands for both.
        let cores = |one: Option<f64>, other: Option<f64>| match (one, other) {
            (Some(one), Some(other)) => Some(mean(one, other)),
            _ => one.or(other),
        };
        Self {
            end_ns: next.end_ns,
            length_ns,
            posts_per_s: mean(self.posts_per_s, next.posts_per_s),
            deliveries_per_s: mean(self.deliveries_per_s, next.deliveries_per_s),
            p50_ns: None,
            p99_ns: None,
            max_ns: None,
            send_lag_ns: self.send_lag_ns.max(next.send_lag_ns),
            hiccup_ns: self.hiccup_ns.max(next.hiccup_ns),
            generator_cores: cores(self.generator_cores, next.generator_cores),
            generator_bytes: next.generator_bytes.or(self.generator_bytes),
            target_cores: cores(self.target_cores, next.target_cores),
            target_bytes: next.target_bytes.or(self.target_bytes),
        }
    }
}
