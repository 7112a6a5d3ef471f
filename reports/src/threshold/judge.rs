//! Whether a threshold holds, and how sure that is (METHOD section 5).
//!
//! All deliveries of a post share its fate, so the post is the sample. A post is a **miss** as far as its values lie
//! beyond the limit or are infinite: one of the series with a value per post is a miss or none, one of `delivery` is one
//! by the share of its owed pairs. A sum of such shares is spread no more than the number of misses in a binomial of the
//! same mean (Hoeffding, On the distribution of the number of successes in independent trials, 1956; Probability
//! inequalities for sums of bounded random variables, 1963, section 3), so it is taken for that number: rounded up
//! before it may pass, down before it may fail.
//!
//! `quantile < limit` asks that the share of misses is at most `1 - quantile`. Pass: the upper 95 % bound (Clopper and
//! Pearson) is; fail: the lower one is not. Counts, completeness, CPU, memory, greatest values, and the times to connect
//! (of which one run has one sample, however many connections) are what they are: exact.

use super::Threshold;
use crate::metric::{Metric, Rank, Series, Value};
use crate::quantile::{self, LatencySummary};
use crate::stats::binomial;
use crate::{RunResult, Status};

/// How often a bound may be wrong.
pub const ALPHA: f64 = 0.05;
/// Sums of shares are off by their rounding: less than this.
const ROUNDING: f64 = 1e-6;

/// What a metric is judged by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Judged {
    /// The share of misses among the posts.
    ByPost(Rank),
    /// Its figure.
    Exactly,
}

/// What a metric is judged by.
pub const fn unit_of(metric: Metric) -> Judged {
    match metric {
        Metric::Latency(Series::Connect, _) => Judged::Exactly,
        Metric::Latency(_, rank) => Judged::ByPost(rank),
        _ => Judged::Exactly,
    }
}

/// What the steady phase, or a window of it, has to say about a threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sample {
    /// So many posts, and so many misses among them.
    Posts {
        /// Posts that have a value.
        posts: u64,
        /// Misses, in whole posts or in shares of them.
        misses: f64,
    },
    /// The figure.
    Exact(Value),
}

/// A window of the steady phase.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// Since the start of the steady phase.
    pub start_ns: u64,
    /// Likewise.
    pub end_ns: u64,
    /// What it has to say.
    pub sample: Sample,
}

impl Sample {
    /// What a run says by itself; [`Sample::Posts`] of a series with a value per post has to be counted.
    pub fn of_run(threshold: &Threshold, run: &RunResult) -> Self {
        match threshold.metric {
            Metric::Latency(series @ Series::ReceiveDelay, _) => pooled(threshold, series.of(run)),
            metric => Self::Exact(metric.of(run)),
        }
    }

    /// Whether the threshold holds there, if `windows` of them are judged (1: the whole).
    pub fn judge(&self, threshold: &Threshold, windows: u64) -> Status {
        match (self, unit_of(threshold.metric)) {
            (Self::Posts { posts, misses }, Judged::ByPost(Rank::Quantile(quantile))) => match () {
                () if passes(*misses, *posts, quantile) => Status::Pass,
                () if fails(*misses, *posts, quantile, windows) => Status::Fail,
                () => Status::Unresolved,
            },
            (Self::Posts { posts: 0, .. }, _) => Status::Unresolved,
            (Self::Posts { misses, .. }, _) if *misses > 0.0 => Status::Fail,
            (Self::Posts { .. }, _) => Status::Pass,
            (Self::Exact(Value::NotMeasured), _) => Status::Unresolved,
            (Self::Exact(Value::BeyondDeadline), _) => Status::Fail,
            (Self::Exact(Value::Number(value)), _) if threshold.holds(*value) => Status::Pass,
            (Self::Exact(Value::Number(_)), _) => Status::Fail,
        }
    }
}

/// The share of misses may be at most this.
pub fn allowed_share(quantile: f64) -> f64 {
    1.0 - quantile
}

/// Misses in whole posts, where more of them are worse to have.
pub(super) fn rounded_up(misses: f64) -> u64 {
    (misses - ROUNDING).ceil().max(0.0) as u64
}

/// Misses in whole posts, where fewer of them are worse to have.
pub(super) fn rounded_down(misses: f64) -> u64 {
    (misses + ROUNDING).floor() as u64
}

fn passes(misses: f64, posts: u64, quantile: f64) -> bool {
    posts > 0 && binomial::at_most(rounded_up(misses), posts, allowed_share(quantile)) <= ALPHA
}

/// So many misses among so many posts fail. More posts without a miss can only help, so with the posts of the whole
/// schedule, and the misses so far, it says that failing is certain. One of `windows` is enough, so each gets its share
/// of [`ALPHA`] (Bonferroni).
pub fn fails(misses: f64, posts: u64, quantile: f64, windows: u64) -> bool {
    binomial::at_least(rounded_down(misses).min(posts), posts, allowed_share(quantile))
        <= ALPHA / windows.max(1) as f64
}

/// The fewest posts that pass without a miss.
pub fn posts_to_pass(quantile: f64) -> Option<u64> {
    binomial::fewest(|posts| passes(0.0, posts, quantile))
}

/// The fewest posts, more than there were, that decide it if the share of misses stays; `None` if no number does.
pub fn posts_to_resolve(misses: f64, posts: u64, quantile: f64, windows: u64) -> Option<u64> {
    let share = misses / posts.max(1) as f64;
    let decides = |n: u64| match share <= allowed_share(quantile) {
        true => passes(share * n as f64, n, quantile),
        false => fails(share * n as f64, n, quantile, windows),
    };
    binomial::fewest(|n| n > posts && decides(n))
}

/// A series of which only the values of all deliveries are known: each counts alike, and all of them for as much as
/// the posts.
fn pooled(threshold: &Threshold, series: &LatencySummary) -> Sample {
    let Ok(histogram) = quantile::decode(&series.hdr) else { return Sample::Exact(Value::NotMeasured) };
    let beyond = |step: hdrhistogram::iterators::IterationValue<u64>| {
        let greatest = histogram.highest_equivalent(step.value_iterated_to());
        if threshold.holds_ns(greatest) { 0 } else { step.count_since_last_iteration() }
    };
    let misses = histogram.iter_recorded().map(beyond).sum::<u64>() + series.beyond_deadline;
    let share = misses as f64 / series.count.max(1) as f64;
    let posts = if series.count > 0 { series.effective_samples } else { 0.0 };
    Sample::Posts { posts: posts as u64, misses: share * posts }
}
