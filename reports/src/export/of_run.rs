//! The outcome of a run.

use super::outcome::{Case, Figure, Kind, Outcome, PLAIN, host, load};
use crate::metric::{Count, Metric, Rank, Series, Side, Value};
use crate::stats::binomial;
use crate::terminal;
use crate::threshold::result::ThresholdResult;
use crate::threshold::{Role, Threshold};
use crate::units::{count, counted};
use crate::validity::CHECKS;
use crate::verdict::judge;
use crate::{LatencySummary, Quantile, RunResult, Status};

/// What is followed from build to build, beside what has a threshold. No greatest values: they are noise.
const TRACKED: [Metric; 8] = [
    Metric::Latency(Series::Delivery, Rank::percentile(50.0)),
    Metric::Latency(Series::Delivery, Rank::percentile(90.0)),
    Metric::Latency(Series::Delivery, Rank::percentile(99.0)),
    Metric::Latency(Series::FullFanout, Rank::percentile(50.0)),
    Metric::Count(Count::Missing),
    Metric::Count(Count::Late),
    Metric::CpuPerMillion(Side::Target),
    Metric::PeakMemory(Side::Target),
];

/// The ranks of every series.
const RANKS: [Rank; 5] = [
    Rank::percentile(50.0),
    Rank::percentile(90.0),
    Rank::percentile(99.0),
    Rank::percentile(99.9),
    Rank::Max,
];

/// How often the interval of a quantile may miss it on either side.
const ALPHA: f64 = 0.025;

impl Outcome {
    /// The outcome of a run that has been judged.
    pub fn of_run(run: &RunResult) -> Self {
        let figures = match run.verdict.status {
            Status::Invalid => Vec::new(),
            _ => figures(run),
        };
        Self {
            kind: Kind::Run,
            verdict: run.verdict.clone(),
            cases: cases(run),
            figures,
            carried: Vec::new(),
            facts: facts(run),
            duration_ns: run.phases.last().map(|phase| phase.end_ns),
            summary: terminal::summary(run, &PLAIN),
        }
    }
}

fn cases(run: &RunResult) -> Vec<Case> {
    let always = [trustworthy(run), complete(run), enough(run)];
    let rules = judge::rules(run).into_iter().map(|(what, broken)| Case {
        name: format!("{} == 0", what.name()),
        status: if broken.is_some() { Status::Fail } else { Status::Pass },
        advisory: false,
        observed: count(what.of(run)),
        allowed: "== 0".to_owned(),
        sentence: broken.unwrap_or_else(|| format!("`{} == 0` holds", what.name())),
    });
    let deadline_ns = run.scenario.deadline_ns;
    let asked = run.thresholds.iter().map(|threshold| of_threshold(threshold, deadline_ns));
    always.into_iter().chain(rules).chain(asked).collect()
}

fn trustworthy(run: &RunResult) -> Case {
    let problems = judge::distrust(run);
    let unmeasured = run.validity.iter().filter(|check| check.passed.is_none());
    let mut ids: Vec<&str> = unmeasured.map(|check| check.id.as_str()).collect();
    ids.dedup();
    let measured = CHECKS - ids.len().min(CHECKS);
    Case {
        name: "the generator can be trusted".to_owned(),
        status: if problems.is_empty() { Status::Pass } else { Status::Invalid },
        advisory: false,
        observed: match problems.len() {
            0 => format!("{measured} of {CHECKS} checks measured, none of them tripped"),
            tripped => counted(tripped as u64, "check tripped", "checks tripped"),
        },
        allowed: "no check of the generator trips".to_owned(),
        sentence: or(&problems, "the schedule was kept, and nothing held the generator up"),
    }
}

fn complete(run: &RunResult) -> Case {
    let ends: Vec<String> = run.aborted.iter().chain(&run.target_ended).cloned().collect();
    Case {
        name: "the run came to its end".to_owned(),
        status: if ends.is_empty() { Status::Pass } else { Status::Fail },
        advisory: false,
        observed: if ends.is_empty() { "it did" } else { "it ended early" }.to_owned(),
        allowed: "the whole schedule".to_owned(),
        sentence: or(&ends, "neither a threshold nor the target ended it"),
    }
}

fn enough(run: &RunResult) -> Case {
    let doubts = judge::doubts(run);
    Case {
        name: "enough was measured".to_owned(),
        status: if doubts.is_empty() { Status::Pass } else { Status::Unresolved },
        advisory: false,
        observed: format!(
            "{}, {}",
            counted(run.posts.scheduled, "post", "posts"),
            counted(run.deliveries.owed, "owed delivery", "owed deliveries")
        ),
        allowed: "as much as a verdict takes".to_owned(),
        sentence: or(&doubts, "posts and warm-up were enough for a verdict"),
    }
}

/// The sentences, or what to say where there are none.
fn or(sentences: &[String], otherwise: &str) -> String {
    if sentences.is_empty() { otherwise.to_owned() } else { sentences.join("; ") }
}

fn of_threshold(threshold: &ThresholdResult, deadline_ns: u64) -> Case {
    // What comes of it is said elsewhere: the name stays when an advisory threshold is made to decide.
    let expression = Threshold { role: Role::Decides, ..threshold.expression };
    Case {
        name: expression.to_string(),
        status: threshold.status,
        advisory: threshold.advisory,
        observed: threshold.observed_text(deadline_ns),
        allowed: threshold.expression.allowed(),
        sentence: threshold.sentence.clone(),
    }
}

/// Everything that the samples support.
fn figures(run: &RunResult) -> Vec<Figure> {
    let limited = run.thresholds.iter().map(|threshold| threshold.metric);
    let tracked: Vec<Metric> = TRACKED.into_iter().chain(limited).collect();
    let latencies = Series::ALL.iter().flat_map(|series| RANKS.map(|rank| Metric::Latency(*series, rank)));
    let counts = Count::ALL.iter().map(|count| Metric::Count(*count));
    let resources =
        Side::ALL.iter().flat_map(|side| [Metric::CpuPerMillion(*side), Metric::PeakMemory(*side)]);
    let mut metrics: Vec<Metric> =
        latencies.chain(counts).chain([Metric::Completeness]).chain(resources).collect();
    for metric in &tracked {
        if !metrics.contains(metric) {
            metrics.push(*metric);
        }
    }
    let of = |metric: Metric| {
        let (value, is_beyond) = match metric.of(run) {
            Value::Number(value) => (value, false),
            Value::BeyondDeadline => (run.scenario.deadline_ns as f64, true),
            Value::NotMeasured => return None,
        };
        let is_tracked = tracked.contains(&metric);
        let Metric::Latency(series, rank) = metric else {
            return Some(Figure { metric, value, is_beyond, interval: None, is_tracked });
        };
        let interval = if is_tracked && !is_beyond { interval(series.of(run), rank) } else { None };
        Some(Figure { metric, value, is_beyond, interval, is_tracked })
    };
    metrics.into_iter().filter(|metric| metric.is_supported(run)).filter_map(of).collect()
}

/// The 95 % interval of a quantile, from the order of the values alone: the ranks between which a share of `quantile` may
/// lie by chance are those that Clopper and Pearson give for it (Woodruff, Confidence intervals for medians and other
/// position measures, 1952). The effective samples are the samples; `None` where it has no upper end.
fn interval(summary: &LatencySummary, rank: Rank) -> Option<(f64, f64)> {
    let Rank::Quantile(quantile) = rank else { return None };
    let samples = summary.effective_samples as u64;
    let below = quantile * samples as f64;
    let low = binomial::lower_bound(below.floor() as u64, samples, ALPHA)?;
    let high = binomial::upper_bound(below.ceil() as u64, samples, ALPHA)?;
    match (summary.value_at(low), summary.value_at(high)) {
        (Quantile::Ns(low), Quantile::Ns(high)) => Some((low as f64, high as f64)),
        _ => None,
    }
}

fn facts(run: &RunResult) -> Vec<(&'static str, String)> {
    vec![
        ("feedmark", run.feedmark_version.clone()),
        ("run", run.run_id.clone()),
        ("started_at", run.started_at.clone()),
        ("target", run.scenario.url.clone().unwrap_or_else(|| "reference server".to_owned())),
        load(&run.scenario, &format!("seed {}", run.seed)),
        ("scenario_hash", run.scenario_hash.clone()),
        host(&run.host),
    ]
}
