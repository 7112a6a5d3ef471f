//! What a run noticed of itself: the measured values that the checks of [`crate::validity`] are made
//! from. Nothing here is a judgement.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{LatencySummary, Quantile};

/// What the generator noticed of itself, of its host, and of the course of the run. `null` is "could
/// not be measured here".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// Posts per second that were sent or waited at the cap, over those of the schedule.
    pub achieved_rate_ratio: Option<f64>,
    /// Anderson-Darling statistic of the gaps between the posts as they were sent, against the exponential law
    /// (Poisson arrivals only).
    pub arrival_a2: Option<f64>,
    /// The same of the gaps as they were scheduled: one seed in a hundred is an unlikely one.
    pub arrival_a2_scheduled: Option<f64>,
    /// How much the gaps as they were sent differ from the scheduled ones (constant arrivals only).
    pub gap_error: Option<GapError>,
    /// Pacer and writers had a real-time priority (SCHED_FIFO): the process was allowed to ask for one.
    pub real_time_priority: bool,
    /// Lateness of a sleeper with 1 ms period beside each group of threads that the scheduler treats alike.
    pub hiccups: Vec<Hiccups>,
    /// The generator's threads in the steady phase.
    pub threads: Vec<ThreadUse>,
    /// Greatest share of the host's CPU time that the hypervisor took away, per window of 1 s.
    pub steal_share_max: Option<f64>,
    /// Share of the host's CPU time that anything used in the steady phase.
    #[serde(default)]
    pub host_cpu_share: Option<f64>,
    /// Time for which a CPU quota stopped the generator (control groups).
    pub throttled_ns: Option<u64>,
    /// Greatest share of a 1 s window in which some task of the host waited for a CPU (pressure stall information).
    pub cpu_pressure_share_max: Option<f64>,
    /// Mean number of owed deliveries under way in the steady phase: for each that arrived in time, how much of the phase lay
    /// between its intended time and its arrival, summed up from the stamps, over the length of the phase. By Little's law
    /// it is rate x subscribers x mean latency, where nothing is missing. `null` if the phase was cut short.
    #[serde(default)]
    pub outstanding_mean: Option<f64>,
    /// Delivery latency if every frame that shared a read, and so a stamp, with a later one had come as early as it
    /// can have: the truth lies between this and `latency_ns.delivery`.
    pub delivery_earliest_ns: LatencySummary,
    /// Probe posts before the schedule.
    pub probes: u32,
    /// Live subscribers that none of them reached; `null` without a probe.
    pub probe_unreached: Option<u64>,
    /// Median delivery latency of each tenth of the steady phase (the posts' medians); `null` where too little arrived.
    pub block_medians_ns: Vec<Option<u64>>,
    /// Relative drift of the block medians over the steady phase (Theil-Sen), and how likely chance makes one as clear
    /// (Mann-Kendall, two-sided p).
    pub drift: Option<Drift>,
    /// Median delivery latency of each of the last three seconds of the warm-up.
    pub warmup_windows_ns: Vec<Option<u64>>,
    /// (greatest - least) / median of those three.
    pub warmup_spread: Option<f64>,
    /// The same of three seconds in a row of the steady phase: the greatest.
    pub steady_spread_max: Option<f64>,
    /// The floor of this host at the same load, where `feedmark calibrate` has stored it.
    pub floor: Option<Floor>,
}

/// A quantile of the differences between gaps as they were sent and as they were scheduled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GapError {
    /// The highest of `p50`, `p90` and `p99` that the gaps support.
    pub quantile: String,
    /// Its value.
    pub ns: u64,
}

/// How late a sleeper woke that does nothing else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hiccups {
    /// The threads that it sleeps beside.
    pub group: String,
    /// Its lateness, per tick of 1 ms.
    pub late_ns: LatencySummary,
}

/// What one thread of the generator used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ThreadUse {
    /// Name of the thread.
    pub name: String,
    /// CPU time of the steady phase.
    pub cpu_s: f64,
    /// Greatest share of one CPU.
    pub cpu_share_max: f64,
    /// When, since the start of the run: the end of that window.
    pub at_ns: u64,
    /// Greatest share of a window of 1 s in which it could have run, and waited for a CPU.
    pub run_delay_share_max: Option<f64>,
}

/// A trend of block medians.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Drift {
    /// Change from the first block to the last, relative to the median.
    pub relative: f64,
    /// Two-sided p of the Mann-Kendall test.
    pub p: f64,
    /// Growth of the median latency, seconds per second of arrivals: a target that takes `C` of the `rate` offered
    /// shows `1 - C / rate`.
    pub slope_s_per_s: f64,
}

/// What the null target gave at the same load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Floor {
    /// When it was measured, RFC 3339.
    pub measured_at: String,
    /// Its median delivery latency.
    pub p50: Quantile,
    /// Its quantile 0.9.
    pub p90: Quantile,
    /// Its quantile 0.99.
    pub p99: Quantile,
    /// All of its delivery latency; `null` of floors that were stored before this was.
    #[serde(default)]
    pub delivery: Option<LatencySummary>,
}
