//! How one figure has changed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CONFIDENCE;
use crate::RunResult;
use crate::metric::{Metric, Side, Unit, Value};
use crate::quantile::effective_samples_needed;
use crate::stats::median::median;
use crate::stats::rank_sum::{Shift, shift};
use crate::units::{self, count};

/// A change is worse, or better, from this ratio on (METHOD section 5).
const CHANGED_FROM: f64 = 1.05;
/// A change that certainly stays below this ratio is none (METHOD section 5).
const SAME_WITHIN: f64 = 1.10;

/// One figure on both sides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricChange {
    /// Its name, such as `delivery p99`.
    pub metric: String,
    /// What its numbers are in.
    pub unit: Unit,
    /// The base.
    pub base: Figures,
    /// The candidate.
    pub candidate: Figures,
    /// candidate / base - 1, estimated from all pairs of runs; `null` where there is no ratio.
    pub change: Option<f64>,
    /// Where the true change lies; `null` where the runs are too few, or the figure is a counter.
    pub interval: Option<ChangeInterval>,
    /// What that means.
    pub word: Word,
    /// Why there is no change, or no interval, unless the number of runs is the only reason.
    pub reason: Option<String>,
}

/// A figure of a side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Figures {
    /// The median of the runs; of a counter, or a share of one, their mean.
    pub overall: Figure,
    /// Of every run, in their order.
    pub runs: Vec<Figure>,
}

/// A figure, or why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Figure {
    /// In the metric's unit.
    Number(f64),
    /// No number.
    Unavailable(Unavailable),
}

/// Why there is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unavailable {
    /// The rank falls on a delivery that was late or missing, or on a reply that never came.
    BeyondDeadline,
    /// Too few posts for the quantile (METHOD V9).
    TooFewSamples,
    /// The run did not measure it.
    NotMeasured,
}

/// An interval of a change, of at least 95 % confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeInterval {
    /// Lower end, as candidate / base - 1.
    pub low: f64,
    /// Upper end, likewise.
    pub high: f64,
    /// How often such an interval holds the true change.
    pub coverage: f64,
}

/// What a change means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// It got better, by a margin that counts.
    Better,
    /// It got worse, likewise.
    Worse,
    /// If it changed, then by less than counts.
    Same,
    /// The runs cannot say.
    Unresolved,
}

impl Word {
    /// As it is printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Same => "same",
            Self::Unresolved => "unresolved",
        }
    }
}

impl Figure {
    /// The figure as one run has it.
    fn of(metric: Metric, run: &RunResult) -> Self {
        match metric.of(run) {
            _ if !metric.is_supported(run) => Self::Unavailable(Unavailable::TooFewSamples),
            Value::Number(number) => Self::Number(number),
            Value::BeyondDeadline => Self::Unavailable(Unavailable::BeyondDeadline),
            Value::NotMeasured => Self::Unavailable(Unavailable::NotMeasured),
        }
    }
}

/// What the figures of both sides say together.
struct Outcome {
    change: Option<f64>,
    interval: Option<ChangeInterval>,
    word: Word,
    reason: Option<String>,
}

impl Outcome {
    const fn unresolved(reason: String) -> Self {
        Self { change: None, interval: None, word: Word::Unresolved, reason: Some(reason) }
    }
}

/// How `metric` has changed.
pub(super) fn of(metric: Metric, base: &[RunResult], candidate: &[RunResult]) -> MetricChange {
    let figures = |runs: &[RunResult]| runs.iter().map(|run| Figure::of(metric, run)).collect::<Vec<_>>();
    let (base_figures, candidate_figures) = (figures(base), figures(candidate));
    let is_exact = metric.unit().is_exact();
    let outcome = match missing(metric, &base_figures, &candidate_figures) {
        Some(reason) => Outcome::unresolved(reason),
        None if is_exact => exact(metric, &base_figures, &candidate_figures),
        None => measured(base, &base_figures, candidate, &candidate_figures),
    };
    let of_side = |figures: &[Figure]| overall(figures, if is_exact { mean } else { median });
    MetricChange {
        metric: metric.to_string(),
        unit: metric.unit(),
        base: Figures { overall: of_side(&base_figures), runs: base_figures },
        candidate: Figures { overall: of_side(&candidate_figures), runs: candidate_figures },
        change: outcome.change,
        interval: outcome.interval,
        word: outcome.word,
        reason: outcome.reason,
    }
}

/// Why there is nothing to compare.
fn missing(metric: Metric, base: &[Figure], candidate: &[Figure]) -> Option<String> {
    if let Some(runs) = where_is(Unavailable::NotMeasured, base, candidate) {
        let remedy = match metric {
            Metric::CpuPerMillion(Side::Target) | Metric::PeakMemory(Side::Target) => {
                ": --target-pid samples a target of this host"
            }
            _ => "",
        };
        return Some(format!("not measured in {runs}{remedy}"));
    }
    let runs = where_is(Unavailable::TooFewSamples, base, candidate)?;
    let Metric::Latency(_, rank) = metric else { return None };
    let needed = effective_samples_needed(rank.quantile()) as u64;
    Some(format!("too few samples in {runs}: {rank} needs {} effective posts a run", count(needed)))
}

/// `2 of 5 base runs and 1 of 5 candidate runs`; `None` if it is in no run.
fn where_is(reason: Unavailable, base: &[Figure], candidate: &[Figure]) -> Option<String> {
    let sides = [("base", base), ("candidate", candidate)].map(|(side, figures)| {
        let runs = number_of(reason, figures);
        (runs > 0).then(|| format!("{runs} of {} {side} runs", figures.len()))
    });
    let named: Vec<String> = sides.into_iter().flatten().collect();
    (!named.is_empty()).then(|| named.join(" and "))
}

fn number_of(reason: Unavailable, figures: &[Figure]) -> usize {
    figures.iter().filter(|figure| **figure == Figure::Unavailable(reason)).count()
}

/// Counters have no noise of their own: their means are compared as they are.
fn exact(metric: Metric, base: &[Figure], candidate: &[Figure]) -> Outcome {
    let (Figure::Number(base), Figure::Number(candidate)) = (overall(base, mean), overall(candidate, mean))
    else {
        unreachable!("a counter is a number in every run, or `missing` has said so")
    };
    // Of what there should be much, what lacks is compared: of 100 %, the rest.
    let too_much = |value: f64| if metric.more_is_better() { 100.0 - value } else { value };
    let (before, after) = (too_much(base), too_much(candidate));
    let word = if after >= before * CHANGED_FROM && after > before {
        Word::Worse
    } else if before >= after * CHANGED_FROM && before > after {
        Word::Better
    } else {
        Word::Same
    };
    let change = (base > 0.0 && candidate > 0.0).then(|| candidate / base - 1.0);
    Outcome { change, interval: None, word, reason: None }
}

/// Times and sizes vary from run to run, by factors: the logarithms are shifted.
fn measured(
    base_runs: &[RunResult],
    base: &[Figure],
    candidate_runs: &[RunResult],
    candidate: &[Figure],
) -> Outcome {
    let beyond = |figures| number_of(Unavailable::BeyondDeadline, figures);
    let where_beyond = where_is(Unavailable::BeyondDeadline, base, candidate);
    let where_beyond = where_beyond.map(|runs| format!("beyond the deadline in {runs}"));
    if let (Some(reason), 1.., 1..) = (&where_beyond, beyond(base), beyond(candidate)) {
        return Outcome::unresolved(reason.clone());
    }
    let logarithms = |(runs, figures): (&[RunResult], &[Figure])| -> Vec<f64> {
        runs.iter().zip(figures).map(|(run, figure)| at_least(run, *figure).ln()).collect()
    };
    let shift = shift(&logarithms((base_runs, base)), &logarithms((candidate_runs, candidate)), CONFIDENCE);
    let Some(shift) = shift else {
        return Outcome::unresolved("not above 0 in every run, so there is no ratio".to_owned());
    };
    let word = word(&shift);
    let Some(reason) = where_beyond else {
        let interval = shift.interval.map(|interval| ChangeInterval {
            low: interval.low.exp_m1(),
            high: interval.high.exp_m1(),
            coverage: interval.coverage,
        });
        return Outcome { change: Some(shift.estimate.exp_m1()), interval, word, reason: None };
    };
    // The deadline stands for what is beyond it, so the shift has a bound on the one side only.
    let is_worse = beyond(candidate) > 0;
    let bound = shift.interval.map_or(String::new(), |interval| match is_worse {
        true => format!(": at least {}", units::change(interval.low.exp_m1())),
        false => format!(": at most {}", units::change(interval.high.exp_m1())),
    });
    let word = match (word, is_worse) {
        (Word::Worse, true) | (Word::Better, false) => word,
        _ => Word::Unresolved,
    };
    Outcome { word, ..Outcome::unresolved(reason + &bound) }
}

/// The number, or what it certainly exceeds.
fn at_least(run: &RunResult, figure: Figure) -> f64 {
    match figure {
        Figure::Number(number) => number,
        Figure::Unavailable(_) => run.scenario.deadline_ns as f64,
    }
}

fn word(shift: &Shift) -> Word {
    let Some(interval) = shift.interval else { return Word::Unresolved };
    let (changed_from, same_within) = (CHANGED_FROM.ln(), SAME_WITHIN.ln());
    // Of everything that is compared by its ratio, less is better.
    if interval.low > 0.0 && shift.estimate >= changed_from {
        Word::Worse
    } else if interval.high < 0.0 && shift.estimate <= -changed_from {
        Word::Better
    } else if -same_within <= interval.low && interval.high <= same_within {
        Word::Same
    } else {
        Word::Unresolved
    }
}

fn mean(numbers: &mut [f64]) -> Option<f64> {
    Some(numbers.iter().sum::<f64>() / numbers.len() as f64)
}

/// One figure for all runs; what is beyond the deadline ranks above all numbers.
fn overall(figures: &[Figure], of: fn(&mut [f64]) -> Option<f64>) -> Figure {
    let lacking = [Unavailable::NotMeasured, Unavailable::TooFewSamples];
    if let Some(reason) = lacking.into_iter().find(|reason| number_of(*reason, figures) > 0) {
        return Figure::Unavailable(reason);
    }
    let number = |figure: &Figure| match figure {
        Figure::Number(number) => *number,
        Figure::Unavailable(_) => f64::INFINITY,
    };
    let mut numbers: Vec<f64> = figures.iter().map(number).collect();
    match of(&mut numbers) {
        Some(number) if number.is_finite() => Figure::Number(number),
        Some(_) => Figure::Unavailable(Unavailable::BeyondDeadline),
        None => Figure::Unavailable(Unavailable::NotMeasured),
    }
}
