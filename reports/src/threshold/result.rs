//! What became of a threshold, with the evidence and in words.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Threshold;
use super::judge::{self, ALPHA, Judged, Sample, Window};
use crate::advice::duration_for;
use crate::metric::{Metric, Rank, Series, Side, Unit, Value};
use crate::stats::binomial;
use crate::units::{
    bytes, count, counted, duration, flag_duration, number, percent, seconds, short_duration,
};
use crate::{RunResult, Status};

/// Windows that a result lists.
pub const WINDOWS_LISTED_MAX: usize = 10;

/// What became of a threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ThresholdResult {
    /// The threshold, as it is written.
    pub expression: Threshold,
    /// What it limits.
    pub metric: Metric,
    /// PASS, FAIL or UNRESOLVED.
    pub status: Status,
    /// It decides nothing.
    pub advisory: bool,
    /// The figure of the whole steady phase.
    pub observed: Value,
    /// The limit.
    pub limit: f64,
    /// Unit of figure and limit.
    pub unit: Unit,
    /// The misses among the posts of the steady phase; `null` where the figure is exact or windows are judged.
    pub misses: Option<Misses>,
    /// What became of the windows; `null` where the whole is judged.
    pub windows: Option<Windows>,
    /// All of it in a sentence.
    pub sentence: String,
}

/// Misses among posts: what lies beyond the limit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Misses {
    /// Posts judged.
    pub posts: u64,
    /// Misses among them; of deliveries, the sum of every post's share of them.
    pub misses: f64,
    /// The least share of misses that they leave possible (one-sided, 95 %); `null` of no posts.
    pub share_lower: Option<f64>,
    /// The greatest, likewise.
    pub share_upper: Option<f64>,
    /// The share that is allowed.
    pub share_allowed: f64,
    /// Where it is unresolved: the posts that would decide it, should the share stay as it is; `null` if no number would.
    pub posts_needed: Option<u64>,
}

/// What became of the windows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Windows {
    /// Windows judged.
    pub judged: u64,
    /// Of these, windows in which it failed.
    pub failed: u64,
    /// Of these, windows in which it is unresolved.
    pub unresolved: u64,
    /// The worst of them, worst first (at most 10).
    pub worst: Vec<WindowResult>,
}

/// What became of one window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WindowResult {
    /// Since the start of the steady phase.
    pub start_ns: u64,
    /// Likewise.
    pub end_ns: u64,
    /// PASS, FAIL or UNRESOLVED.
    pub status: Status,
    /// The figure of the window, where it is exact.
    pub observed: Value,
    /// The misses among its posts; `null` where the figure is exact.
    pub misses: Option<Misses>,
}

impl ThresholdResult {
    /// Judges the whole steady phase.
    pub fn of_whole(threshold: &Threshold, run: &RunResult, sample: Sample) -> Self {
        let status = sample.judge(threshold, 1);
        let misses = Misses::of(threshold, sample, 1);
        let observed = threshold.metric.of(run);
        let sentence = match misses {
            Some(misses) => by_posts(threshold, run, status, observed, &misses),
            None => exactly(threshold, run, status, observed),
        };
        Self { misses, ..Self::new(threshold, run, status, sentence) }
    }

    /// Judges every window by itself.
    pub fn of_windows(threshold: &Threshold, run: &RunResult, windows: &[Window]) -> Self {
        let judged = windows.len() as u64;
        let mut worst: Vec<WindowResult> = windows
            .iter()
            .map(|window| WindowResult {
                start_ns: window.start_ns,
                end_ns: window.end_ns,
                status: window.sample.judge(threshold, judged),
                observed: match window.sample {
                    Sample::Exact(value) => value,
                    Sample::Posts { .. } => Value::NotMeasured,
                },
                misses: Misses::of(threshold, window.sample, judged),
            })
            .collect();
        let with = |status| worst.iter().filter(|window| window.status == status).count() as u64;
        let (failed, unresolved) = (with(Status::Fail), with(Status::Unresolved));
        worst.sort_by(|a, b| b.badness(threshold).partial_cmp(&a.badness(threshold)).expect("no NaN"));
        worst.truncate(WINDOWS_LISTED_MAX);
        let windows = Windows { judged, failed, unresolved, worst };
        let status = match () {
            () if failed > 0 => Status::Fail,
            () if unresolved > 0 || judged == 0 => Status::Unresolved,
            () => Status::Pass,
        };
        let sentence = by_windows(threshold, run, status, &windows);
        Self { windows: Some(windows), ..Self::new(threshold, run, status, sentence) }
    }

    fn new(threshold: &Threshold, run: &RunResult, status: Status, sentence: String) -> Self {
        Self {
            expression: *threshold,
            metric: threshold.metric,
            status,
            advisory: !threshold.decides(),
            observed: threshold.metric.of(run),
            limit: threshold.limit.value(),
            unit: threshold.metric.unit(),
            misses: None,
            windows: None,
            sentence,
        }
    }

    /// What was observed, for people: a figure, or how many windows failed.
    pub fn observed_text(&self, deadline_ns: u64) -> String {
        match &self.windows {
            None => value_text(self.metric, self.observed, deadline_ns),
            Some(windows) => {
                let (judged, failed) = (windows.judged, windows.failed);
                match failed {
                    0 => counted(judged, "window", "windows"),
                    _ => format!("{} of {} failed", count(failed), count(judged)),
                }
            }
        }
    }
}

impl Misses {
    fn of(threshold: &Threshold, sample: Sample, windows: u64) -> Option<Self> {
        let Sample::Posts { posts, misses } = sample else { return None };
        let Judged::ByPost(rank) = judge::unit_of(threshold.metric) else { return None };
        let unresolved = sample.judge(threshold, windows) == Status::Unresolved;
        let quantile = rank.quantile();
        Some(Self {
            posts,
            misses,
            share_lower: binomial::lower_bound(judge::rounded_down(misses).min(posts), posts, ALPHA),
            share_upper: binomial::upper_bound(judge::rounded_up(misses), posts, ALPHA),
            share_allowed: judge::allowed_share(quantile),
            posts_needed: match unresolved {
                true if rank == Rank::Max => Some(1),
                true => judge::posts_to_resolve(misses, posts, quantile, windows),
                false => None,
            },
        })
    }

    fn share(&self) -> f64 {
        self.misses / self.posts.max(1) as f64
    }
}

impl WindowResult {
    /// Greater is worse: first by what became of it, then by how far it is off.
    fn badness(&self, threshold: &Threshold) -> (u8, f64) {
        let status = match self.status {
            Status::Fail => 2,
            Status::Unresolved => 1,
            Status::Pass | Status::Invalid => 0,
        };
        let observed = self.observed.number().unwrap_or_default();
        let off = match &self.misses {
            Some(misses) => misses.share(),
            None if threshold.metric.more_is_better() => -observed,
            None => observed,
        };
        (status, off)
    }
}

/// A figure for people.
fn value_text(metric: Metric, value: Value, deadline_ns: u64) -> String {
    match (value, metric.unit()) {
        (Value::NotMeasured, _) => "n/a".to_owned(),
        (Value::BeyondDeadline, _) => match metric {
            Metric::Latency(Series::SendLag, _) => "not sent".to_owned(),
            Metric::Latency(Series::ServiceTime | Series::ResponseTime, _) => "no reply".to_owned(),
            _ => format!("> {}", short_duration(deadline_ns)),
        },
        (Value::Number(ns), Unit::Ns) => duration(ns as u64),
        (Value::Number(s), Unit::CpuSeconds) => seconds(s),
        (Value::Number(size), Unit::Bytes) => bytes(size as u64),
        (Value::Number(n), Unit::Count) => count(n as u64),
        // Never rounded up to 100 %.
        (Value::Number(percentage), Unit::Percent) => {
            format!("{} %", number((percentage * 1e3).floor() / 1e3))
        }
    }
}

/// The expression without what comes of it, and what became of it.
fn lead(threshold: &Threshold, status: Status) -> String {
    let expression = Threshold { role: super::Role::Decides, ..*threshold };
    let word = match status {
        Status::Pass => "holds",
        Status::Fail => "does not hold",
        Status::Unresolved | Status::Invalid => "is unresolved",
    };
    format!("`{expression}` {word}")
}

fn exactly(threshold: &Threshold, run: &RunResult, status: Status, observed: Value) -> String {
    let lead = lead(threshold, status);
    let metric = threshold.metric;
    match status {
        Status::Unresolved => format!("{lead}: {}", why_not_measured(metric)),
        _ => format!("{lead}: {metric} is {}", value_text(metric, observed, run.scenario.deadline_ns)),
    }
}

fn why_not_measured(metric: Metric) -> &'static str {
    match metric {
        Metric::CpuPerMillion(Side::Target) | Metric::PeakMemory(Side::Target) => {
            "the target's process is not known: name it by --target-pid"
        }
        Metric::Latency(Series::Connect, _) => "nobody connected",
        _ => "no delivery was owed",
    }
}

fn by_posts(
    threshold: &Threshold,
    run: &RunResult,
    status: Status,
    observed: Value,
    misses: &Misses,
) -> String {
    let lead = lead(threshold, status);
    if misses.posts == 0 {
        return format!("{lead}: no post has such a value");
    }
    let metric = threshold.metric;
    let observed = format!("{metric} is {}", value_text(metric, observed, run.scenario.deadline_ns));
    let beyond = beyond(metric, misses);
    let rank = judge::unit_of(metric);
    match (status, rank) {
        (_, Judged::ByPost(Rank::Max)) => format!("{lead}: {observed}; {beyond}"),
        (Status::Unresolved, _) => {
            let advice = |needed| Some(format!("-d {}", duration_for(run, needed, misses.posts as f64)?));
            format!("{lead}: {observed}; {beyond}; {}", remedy(misses, advice))
        }
        _ => format!("{lead}: {observed}; {beyond}, {}", bound(misses, status)),
    }
}

/// What of the posts lies beyond the limit.
fn beyond(metric: Metric, misses: &Misses) -> String {
    let posts = counted(misses.posts, "post", "posts");
    match metric {
        Metric::Latency(Series::Delivery | Series::ReceiveDelay, _) => {
            format!("{} of the deliveries of {posts} beyond the limit", percent(misses.share()))
        }
        _ => format!("{} of {posts} beyond the limit", count(misses.misses as u64)),
    }
}

/// What that says of the target.
fn bound(misses: &Misses, status: Status) -> String {
    let allowed = percent(misses.share_allowed);
    let (word, share) = match status {
        Status::Fail => ("at least", misses.share_lower),
        _ => ("at most", misses.share_upper),
    };
    format!("so {word} {} in truth, where {allowed} may be", percent(share.unwrap_or_default()))
}

/// How it would be decided; `advice` turns a number of posts into a setting.
fn remedy(misses: &Misses, advice: impl Fn(f64) -> Option<String>) -> String {
    let allowed = percent(misses.share_allowed);
    let Some(needed) = misses.posts_needed else {
        return format!("{allowed} may be: no number of posts can tell them apart, choose another limit");
    };
    let advice = advice(needed as f64).map_or(String::new(), |setting| format!(" ({setting})"));
    format!("{allowed} may be: {} such posts would tell{advice}", count(needed))
}

fn by_windows(threshold: &Threshold, run: &RunResult, status: Status, windows: &Windows) -> String {
    let lead = lead(threshold, status);
    let Some(worst) = windows.worst.first() else {
        return format!("{lead}: the steady phase had no whole window");
    };
    let judged = counted(windows.judged, "window", "windows");
    let place = format!(
        "from {} to {} of the steady phase",
        flag_duration(worst.start_ns),
        flag_duration(worst.end_ns)
    );
    let what = match &worst.misses {
        Some(misses) if misses.posts == 0 => "no post".to_owned(),
        Some(misses) => beyond(threshold.metric, misses),
        None => value_text(threshold.metric, worst.observed, run.scenario.deadline_ns),
    };
    match (status, &worst.misses) {
        (Status::Pass, _) => format!("{lead} in {judged}"),
        (Status::Fail, _) => {
            format!("{lead} in {} of {judged}; worst {place}: {what}", count(windows.failed))
        }
        (_, Some(misses)) => {
            let scheduled = run.posts.scheduled as f64;
            let advice = |needed| Some(format!("over {}", duration_for(run, needed, scheduled)?));
            let unresolved = count(windows.unresolved);
            format!("{lead} in {unresolved} of {judged}; {place}: {what}; {}", remedy(misses, advice))
        }
        (_, None) => format!("{lead} in {} of {judged}; {place}: {what}", count(windows.unresolved)),
    }
}
