//! A step: one run at one load, and what it says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fixed, Measure, StepResources};
use crate::metric::{Metric, Value};
use crate::quantile::decode;
use crate::stats::littles_law::{outstanding_expected, relative_difference};
use crate::threshold::result::ThresholdResult;
use crate::units::{count, counted, percent};
use crate::validity::Label;
use crate::verdict::judge::distrust;
use crate::{LatencySummary, Quantile, RunResult, Status};

/// Of what was offered, the share that has to be delivered.
const DELIVERED_MIN: f64 = 0.99;
/// Share of the posts that may wait because the most posts are in flight: more is a backlog that grows.
const WAITED_MAX: f64 = 0.01;

/// One run at one load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Which search it belongs to, from 0.
    pub search: u32,
    /// What it was measured for.
    pub role: Role,
    /// Subscribers asked for.
    pub subscribers: u32,
    /// Posts per second.
    pub rate_per_s: f64,
    /// Cores that the target was held to.
    pub cores: Option<u32>,
    /// Length of the steady phase.
    pub steady_ns: u64,
    /// Less than METHOD's length, for want of budget.
    pub is_short: bool,
    /// All that it took, from starting the target to the last file.
    pub took_ns: u64,
    /// Identifies the run; empty of a load that no run could be carried out at.
    pub run_id: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Latency grew, or less was delivered than offered: the target takes less than this load.
    pub is_saturated: bool,
    /// A latency was beyond its threshold, or could not be told from it.
    pub is_slow: bool,
    /// How the target ended during the run, if it did.
    pub target_ended: Option<String>,
    /// Why it is not a pass, one sentence each.
    pub reasons: Vec<String>,
    /// What was measured.
    pub readings: Readings,
    /// What the target used.
    pub resources: StepResources,
}

/// What a step is measured for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A low load, to read costs from.
    Probe,
    /// Up (or down) until a load fails (or holds).
    Ramp,
    /// Between a load that held and one that failed.
    Bisect,
    /// Does the greatest load that held hold every time?
    Verify,
}

impl Role {
    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Ramp => "ramp",
            Self::Bisect => "bisect",
            Self::Verify => "verify",
        }
    }
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All thresholds hold (of a probe, whose posts are few: none fails), nothing is lost, and no backlog grows.
    Pass,
    /// One of these is not so, or cannot be told.
    Fail,
    /// The generator was not trustworthy: it says nothing of the target.
    Invalid,
    /// The run was not one to judge by: it had not settled, too little was posted, or a threshold is on what was not measured.
    Unsettled,
}

impl Outcome {
    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Invalid => "invalid",
            Self::Unsettled => "unsettled",
        }
    }

    /// It says something of the target.
    pub const fn is_valid(self) -> bool {
        matches!(self, Self::Pass | Self::Fail)
    }
}

/// What a step measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Readings {
    /// Deliveries in time of the steady phase.
    pub deliveries: u64,
    /// The same over posts x subscribers.
    pub delivered_share: Option<f64>,
    /// Median delivery latency.
    pub delivery_p50_ns: Quantile,
    /// 99 % of the deliveries.
    pub delivery_p99_ns: Quantile,
    /// Median full fan-out.
    pub full_fanout_p50_ns: Quantile,
    /// 99 % of the posts.
    pub full_fanout_p99_ns: Quantile,
    /// Median first delivery.
    pub first_delivery_p50_ns: Quantile,
    /// Median service time.
    pub service_time_p50_ns: Quantile,
    /// What one more subscriber costs a post.
    pub slope_ns_per_rank: Option<f64>,
    /// Growth of the median latency, seconds per second.
    pub latency_slope_s_per_s: Option<f64>,
    /// `rate x (1 - latency slope)` of a step whose latency grows: the posts per second that the target takes.
    pub overload_estimate_per_s: Option<f64>,
    /// Mean deliveries outstanding over `rate x mean latency`, - 1 (Little's law).
    pub little_difference: Option<f64>,
    /// From the first attempt to connect to the last confirmation.
    pub connect_storm_ns: u64,
    /// CPU time of the target per million deliveries.
    pub cpu_s_per_million_deliveries: Option<f64>,
}

impl Readings {
    /// Nothing was measured.
    const NONE: Self = Self {
        deliveries: 0,
        delivered_share: None,
        delivery_p50_ns: Quantile::NotAvailable,
        delivery_p99_ns: Quantile::NotAvailable,
        full_fanout_p50_ns: Quantile::NotAvailable,
        full_fanout_p99_ns: Quantile::NotAvailable,
        first_delivery_p50_ns: Quantile::NotAvailable,
        service_time_p50_ns: Quantile::NotAvailable,
        slope_ns_per_rank: None,
        latency_slope_s_per_s: None,
        overload_estimate_per_s: None,
        little_difference: None,
        connect_storm_ns: 0,
        cpu_s_per_million_deliveries: None,
    };
}

impl Step {
    /// What `run` says, which was `measure`d, and took so long from starting the target to the last file. Its thresholds have to
    /// be those of the plan.
    pub fn of_run(measure: &Measure, run: &RunResult, took_ns: u64) -> Self {
        let is_saturated = run.findings.iter().any(|finding| finding.label == Label::Saturated);
        let readings = readings(run, is_saturated);
        let shortfalls = shortfalls(run, &readings);
        let (outcome, reasons) = judge(measure.role, run, &shortfalls);
        Self {
            run_id: run.run_id.clone(),
            is_slow: outcome == Outcome::Fail && decisive(run).any(|result| is_beyond(result, run)),
            is_saturated: is_saturated || !shortfalls.is_empty() || took_nothing(run),
            target_ended: run.target_ended.clone(),
            readings,
            resources: StepResources::of(run),
            ..Self::without_run(measure, outcome, reasons, took_ns)
        }
    }

    /// No run could be carried out at this load, and why: because of the target, which `fail`s, or of the generator, which
    /// is `invalid`.
    pub fn not_measured(measure: &Measure, outcome: Outcome, reason: String, took_ns: u64) -> Self {
        let is_saturated = outcome == Outcome::Fail;
        Self { is_saturated, ..Self::without_run(measure, outcome, vec![reason], took_ns) }
    }

    /// What of a step does not come from its run.
    fn without_run(measure: &Measure, outcome: Outcome, reasons: Vec<String>, took_ns: u64) -> Self {
        Self {
            search: measure.search,
            role: measure.role,
            subscribers: measure.subscribers,
            rate_per_s: measure.rate_per_s,
            cores: measure.cores,
            steady_ns: measure.steady_ns,
            is_short: measure.is_short,
            took_ns,
            run_id: String::new(),
            outcome,
            is_saturated: false,
            is_slow: false,
            target_ended: None,
            reasons,
            readings: Readings::NONE,
            resources: StepResources::default(),
        }
    }

    /// The load on the axis of the search.
    pub fn load(&self, fixed: &Fixed) -> f64 {
        fixed.load(self.subscribers, self.rate_per_s)
    }
}

/// Invalid before fail before unsettled before pass. A threshold that cannot be told from its limit does not hold: a
/// capacity is what was shown.
fn judge(role: Role, run: &RunResult, shortfalls: &[String]) -> (Outcome, Vec<String>) {
    let saturated = run.findings.iter().filter(|finding| finding.label == Label::Saturated);
    let saturated: Vec<String> =
        saturated.map(|finding| finding.sentence.clone()).chain(shortfalls.iter().cloned()).collect();
    let mut untold = decisive(run).filter(|result| result.status == Status::Unresolved).peekable();
    let outcome = match run.verdict.status {
        Status::Invalid => return (Outcome::Invalid, distrust(run)),
        Status::Fail => Outcome::Fail,
        _ if !saturated.is_empty() => Outcome::Fail,
        Status::Unresolved if untold.peek().is_none() => Outcome::Unsettled,
        Status::Unresolved if role == Role::Probe => return (Outcome::Pass, Vec::new()),
        Status::Unresolved if untold.any(|result| is_told(result, run)) => Outcome::Fail,
        Status::Unresolved => Outcome::Unsettled,
        Status::Pass => return (Outcome::Pass, Vec::new()),
    };
    let notes = run.verdict.reasons.iter().filter(|reason| !reason.starts_with("note"));
    // What is said first is the cause of the rest.
    let ended = run.target_ended.iter().filter(|_| outcome == Outcome::Fail);
    let rest = saturated.iter().chain(notes).filter(|reason| Some(*reason) != run.target_ended.as_ref());
    (outcome, ended.chain(rest).cloned().collect())
}

fn decisive(run: &RunResult) -> impl Iterator<Item = &ThresholdResult> {
    run.thresholds.iter().filter(|result| !result.advisory)
}

/// A latency that is beyond its threshold, or cannot be told from it.
fn is_beyond(result: &ThresholdResult, run: &RunResult) -> bool {
    matches!(result.metric, Metric::Latency(..)) && result.status != Status::Pass && is_told(result, run)
}

/// It was measured, and of posts enough that a target without a miss had passed: so it says something of this load.
fn is_told(result: &ThresholdResult, run: &RunResult) -> bool {
    let threshold = &result.expression;
    let needed = threshold.posts_needed().unwrap_or(1);
    match (threshold.window, result.misses) {
        (Some(window), _) => run.scenario.rate_per_s * window.value() / 1e9 >= needed as f64,
        (None, Some(misses)) => misses.posts >= needed,
        (None, None) => result.observed != Value::NotMeasured,
    }
}

/// Less than was offered: delivered, or sent in time.
fn shortfalls(run: &RunResult, readings: &Readings) -> Vec<String> {
    let posts = &run.posts;
    let undelivered = readings.delivered_share.filter(|share| *share < DELIVERED_MIN).map(|share| {
        format!(
            "{} of what was offered was delivered in time, less than {}",
            percent(share),
            percent(DELIVERED_MIN)
        )
    });
    let waited = (posts.waited_at_cap as f64 > WAITED_MAX * posts.scheduled as f64).then(|| {
        format!(
            "{} of {} had to wait for an answer to an earlier one: the backlog reached the most posts in flight",
            count(posts.waited_at_cap),
            counted(posts.scheduled, "post", "posts")
        )
    });
    undelivered.into_iter().chain(waited).collect()
}

/// The target gave way before the schedule.
fn took_nothing(run: &RunResult) -> bool {
    run.aborted.is_some() && run.posts.scheduled == 0
}

fn readings(run: &RunResult, is_saturated: bool) -> Readings {
    let latency = &run.latency_ns;
    let offered = run.posts.scheduled.saturating_mul(run.connections.requested);
    let slope = run.evidence.drift.map(|drift| drift.slope_s_per_s);
    let expected = outstanding(&latency.delivery, run.scenario.duration_ns);
    Readings {
        deliveries: run.deliveries.delivered,
        delivered_share: (offered > 0).then(|| run.deliveries.delivered as f64 / offered as f64),
        delivery_p50_ns: latency.delivery.p50,
        delivery_p99_ns: latency.delivery.p99,
        full_fanout_p50_ns: latency.full_fanout.p50,
        full_fanout_p99_ns: latency.full_fanout.p99,
        first_delivery_p50_ns: latency.first_delivery.p50,
        service_time_p50_ns: latency.service_time.p50,
        slope_ns_per_rank: run.fanout.slope_ns_per_rank,
        latency_slope_s_per_s: slope,
        overload_estimate_per_s: slope
            .filter(|_| is_saturated)
            .map(|slope| overload_estimate(run.scenario.rate_per_s, slope)),
        little_difference: run
            .evidence
            .outstanding_mean
            .zip(expected)
            .and_then(|(measured, expected)| relative_difference(measured, expected)),
        connect_storm_ns: run.connections.duration_ns,
        cpu_s_per_million_deliveries: run
            .resources
            .target
            .as_ref()
            .and_then(|target| target.cpu_s_per_million_deliveries),
    }
}

/// What a target takes whose latency grows by `slope` s per s under `rate_per_s`: the `C` of `slope = 1 - C / rate`.
pub(super) fn overload_estimate(rate_per_s: f64, slope: f64) -> f64 {
    rate_per_s * (1.0 - slope).max(0.0)
}

/// By Little's law, of a series that nothing is missing of.
fn outstanding(delivery: &LatencySummary, span_ns: u64) -> Option<f64> {
    let histogram = decode(&delivery.hdr).ok().filter(|_| delivery.beyond_deadline == 0)?;
    let latency_sum_ns = histogram.mean() * histogram.len() as f64;
    outstanding_expected(latency_sum_ns as u128, span_ns)
}
