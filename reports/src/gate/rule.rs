//! The paired sequential rule (METHOD section 5): what is gated, when it is looked at, and what a look says.
//!
//! Invariant: a change that is not there FAILs at most once in a hundred gates, however many looks and metrics there are;
//! a change as large as what is allowed passes a metric at most once in twenty.
//! Must not know: where the runs come from.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metric::{Metric, MetricError};
use crate::stats::signed_rank::{DIFFERENCES_MAX, Location, location, p_greater};

/// What a metric may get worse by where nothing else is said.
pub const ALLOWED: f64 = 0.10;
/// Of what is allowed, the share that an estimate must reach to FAIL: less is not worth a red build.
const FORGIVEN: f64 = 0.5;
/// Most metrics of a gate; each one more costs the others power.
pub const METRICS_MAX: usize = 3;
/// Pairs after which the gate looks where nothing else is said.
pub const LOOKS: [u32; 3] = [10, 20, 30];
/// How often a gate may FAIL though nothing changed; each look has its share.
const FALSE_FAIL: f64 = 0.01;
/// How often a metric may pass though it got worse by what is allowed; each look has its share.
const FALSE_PASS: f64 = 0.05;
/// Confidence of the intervals, each look by itself.
pub const CONFIDENCE: f64 = 0.95;

/// A metric with what it may get worse by: `delivery p50 10%`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GatedMetric {
    /// A figure of which more is worse.
    pub metric: Metric,
    /// What the candidate may have more, as a share of the base.
    pub allowed: f64,
}

impl GatedMetric {
    /// The least change that FAILs, if it is sure.
    pub fn fails_from(&self) -> f64 {
        self.allowed * FORGIVEN
    }
}

impl fmt::Display for GatedMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounded to what can be written, so that 0.07 * 100 prints as 7.
        write!(f, "{} {}%", self.metric, (self.allowed * 1e8).round() / 1e6)
    }
}

impl FromStr for GatedMetric {
    type Err = MetricError;

    /// A metric, and where it is not [`ALLOWED`], what is allowed in percent.
    fn from_str(text: &str) -> Result<Self, MetricError> {
        let end = text.trim_end();
        let (name, allowed) = match end.strip_suffix('%') {
            None => (end, ALLOWED),
            Some(rest) => {
                let number = rest.trim_end().rsplit(char::is_whitespace).next().unwrap_or_default();
                let at = rest.trim_end().len() - number.len();
                let refused = || MetricError {
                    at,
                    problem: format!(
                        "`{}` is not what may be allowed: write 1% to 100%, such as 10%",
                        &end[at..]
                    ),
                };
                let percent: f64 = number.parse().map_err(|_| refused())?;
                if !(1.0..=100.0).contains(&percent) {
                    return Err(refused());
                }
                (&end[..at], percent / 100.0)
            }
        };
        let metric: Metric = name.parse()?;
        match metric {
            Metric::Latency(..) | Metric::CpuPerMillion(_) | Metric::PeakMemory(_) => {
                Ok(Self { metric, allowed })
            }
            Metric::Count(_) | Metric::Completeness => Err(MetricError {
                at: 0,
                problem: format!(
                    "`{metric}` needs no statistics: a candidate that loses or refuses something FAILs as it is, and a \
                     threshold in the scenario says the rest"
                ),
            }),
        }
    }
}

/// Why a rule cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// None, too many, or one twice.
    #[error("{0} metrics are gated: 1 to {METRICS_MAX} different ones are allowed")]
    Metrics(usize),
    /// Not increasing, or too many pairs.
    #[error(
        "looks after {0:?} pairs: write increasing numbers from 1 to {DIFFERENCES_MAX}, such as 10,20,30"
    )]
    Looks(Vec<u32>),
    /// No difference would ever be significant.
    #[error("after {pairs} pairs no change, however large, can FAIL: the last look needs at least {needed}")]
    Powerless {
        /// Of the last look.
        pairs: u32,
        /// Least number that allows a FAIL.
        needed: u32,
    },
}

/// What is gated, and after how many pairs it is looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    metrics: Vec<GatedMetric>,
    looks: Vec<u32>,
}

/// What one metric's differences say at a look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// Of `ln(candidate / base)`.
    pub location: Location,
    /// Signed-rank p of "no worse than the base".
    pub p_worse: f64,
    /// Signed-rank p of "worse by what is allowed, or more".
    pub p_within: f64,
    /// What that means.
    pub answer: Answer,
}

/// What a look says of one metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Worse, and by enough to matter.
    Worse,
    /// Not worse by what is allowed.
    Within,
    /// Neither can be told.
    Unresolved,
}

impl Answer {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Worse => "worse",
            Self::Within => "within",
            Self::Unresolved => "unresolved",
        }
    }
}

impl Rule {
    /// Checks that the rule can come to an answer.
    ///
    /// # Errors
    /// See [`RuleError`].
    pub fn new(metrics: Vec<GatedMetric>, looks: Vec<u32>) -> Result<Self, RuleError> {
        let repeated = |(index, gated): (usize, &GatedMetric)| {
            metrics[..index].iter().any(|earlier| earlier.metric == gated.metric)
        };
        if !(1..=METRICS_MAX).contains(&metrics.len()) || metrics.iter().enumerate().any(repeated) {
            return Err(RuleError::Metrics(metrics.len()));
        }
        let increases = looks.windows(2).all(|pair| pair[0] < pair[1]);
        let last = looks.last().copied().unwrap_or(0);
        if !increases || looks.first() == Some(&0) || !(1..=DIFFERENCES_MAX).contains(&(last as usize)) {
            return Err(RuleError::Looks(looks));
        }
        let rule = Self { metrics, looks };
        // The least p of n pairs is 2^-n: all of them on one side.
        let needed = (rule.metrics.len() as f64 / rule.fail_level()).log2().ceil() as u32;
        if last < needed {
            return Err(RuleError::Powerless { pairs: last, needed });
        }
        Ok(rule)
    }

    /// What is gated.
    pub fn metrics(&self) -> &[GatedMetric] {
        &self.metrics
    }

    /// After how many pairs.
    pub fn looks(&self) -> &[u32] {
        &self.looks
    }

    /// Pairs of the last look.
    pub fn pairs_max(&self) -> u32 {
        self.looks.last().copied().unwrap_or(0)
    }

    /// p of a look that FAILs with one metric.
    pub fn fail_level(&self) -> f64 {
        FALSE_FAIL / self.looks.len() as f64
    }

    /// p of a look that passes a metric.
    pub fn pass_level(&self) -> f64 {
        FALSE_PASS / self.looks.len() as f64
    }

    /// Reads every metric's differences `ln(candidate / base)`, one list each in the order of the metrics.
    ///
    /// A metric is [`Answer::Worse`] if p of "no worse" is within the look's level after Holm's correction over the
    /// metrics, and the Hodges-Lehmann estimate is at least half of what is allowed; else [`Answer::Within`] if p of
    /// "worse by what is allowed" is within its level. That needs no correction, because a gate passes only if every
    /// metric does.
    ///
    /// `None` when there are no differences, or one is not finite.
    ///
    /// Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of Statistics 6 (1979).
    ///
    /// # Panics
    /// When there is not one list for each metric.
    pub fn read(&self, differences: &[Vec<f64>]) -> Option<Vec<Reading>> {
        assert_eq!(differences.len(), self.metrics.len(), "one list of differences for each metric");
        let mut readings: Vec<Reading> = self
            .metrics
            .iter()
            .zip(differences)
            .map(|(gated, differences)| reading(gated, differences, self.pass_level()))
            .collect::<Option<_>>()?;
        let mut by_p: Vec<usize> = (0..readings.len()).collect();
        by_p.sort_by(|a, b| readings[*a].p_worse.total_cmp(&readings[*b].p_worse));
        for (rejected, index) in by_p.into_iter().enumerate() {
            let left = (self.metrics.len() - rejected) as f64;
            if readings[index].p_worse > self.fail_level() / left {
                break;
            }
            if readings[index].location.estimate >= self.metrics[index].fails_from().ln_1p() {
                readings[index].answer = Answer::Worse;
            }
        }
        Some(readings)
    }
}

fn reading(gated: &GatedMetric, differences: &[f64], pass_level: f64) -> Option<Reading> {
    let allowed = gated.allowed.ln_1p();
    let short_of_allowed: Vec<f64> = differences.iter().map(|difference| allowed - difference).collect();
    let p_within = p_greater(&short_of_allowed)?;
    Some(Reading {
        location: location(differences, CONFIDENCE)?,
        p_worse: p_greater(differences)?,
        p_within,
        answer: if p_within <= pass_level { Answer::Within } else { Answer::Unresolved },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(names: &[&str]) -> Vec<GatedMetric> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn what_is_gated_is_parsed_as_it_is_printed() {
        for (text, printed) in [
            ("delivery p50", "delivery p50 10%"),
            (" full_fanout  p99   7 % ", "full_fanout p99 7%"),
            ("target cpu_per_million 2.5%", "target cpu_per_million 2.5%"),
            ("generator peak_memory 100%", "generator peak_memory 100%"),
        ] {
            let gated: GatedMetric = text.parse().unwrap();
            assert_eq!(gated.to_string(), printed);
            assert_eq!(printed.parse(), Ok(gated));
        }
        for (text, at, part) in [
            ("missing", 0, "needs no statistics"),
            ("completeness 5%", 0, "needs no statistics"),
            ("delivery p50 0%", 13, "1% to 100%"),
            ("delivery p50 ten%", 13, "`ten%`"),
            ("%", 0, "1% to 100%"),
            ("latency 5%", 0, "no metric"),
        ] {
            let error = text.parse::<GatedMetric>().unwrap_err();
            assert!(error.at == at && error.problem.contains(part), "{text}: {error:?}");
        }
    }

    #[test]
    fn rules_that_cannot_answer_are_refused() {
        let rule = |names: &[&str], looks: &[u32]| Rule::new(metrics(names), looks.to_vec());
        assert!(rule(&["delivery p50", "full_fanout p50", "target cpu_per_million"], &LOOKS).is_ok());
        assert!(rule(&["delivery p50"], &[7]).is_ok());
        for (names, looks, part) in [
            (&[][..], &LOOKS[..], "0 metrics"),
            (&["delivery p50", "delivery p50 5%"], &LOOKS, "2 metrics"),
            (&["delivery p50", "delivery p90", "spread p50", "connect p50"], &LOOKS, "4 metrics"),
            (&["delivery p50"], &[], "[] pairs"),
            (&["delivery p50"], &[0, 10], "[0, 10]"),
            (&["delivery p50"], &[10, 10], "[10, 10]"),
            (&["delivery p50"], &[10, 201], "201"),
            (&["delivery p50"], &[6], "at least 7"),
            (&["delivery p50", "full_fanout p50"], &[4, 8], "at least 9"),
        ] {
            let error = rule(names, looks).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    /// The levels of METHOD section 5, from its three looks.
    #[test]
    fn levels_are_the_methods() {
        let rule = Rule::new(metrics(&["delivery p50"]), LOOKS.to_vec()).unwrap();
        assert!((rule.fail_level() - 0.0033).abs() < 5e-5 && (rule.pass_level() - 0.0167).abs() < 5e-5);
    }

    #[test]
    fn a_look_says_worse_within_or_neither() {
        let rule = Rule::new(metrics(&["delivery p50", "full_fanout p50 20%"]), LOOKS.to_vec()).unwrap();
        let steady = |ratio: f64| (0..10).map(|i| (ratio + 0.001 * f64::from(i)).ln()).collect::<Vec<f64>>();
        let noisy: Vec<f64> =
            (0..10).map(|i| if i % 2 == 0 { 0.3 } else { -0.25 - 0.001 * f64::from(i) }).collect();
        for (first, second, expected) in [
            (steady(1.0), steady(1.0), [Answer::Within, Answer::Within]),
            (steady(1.08), steady(1.08), [Answer::Worse, Answer::Within]),
            // Certainly worse, and not by as much as half of what is allowed.
            (steady(1.03), steady(1.0), [Answer::Within, Answer::Within]),
            (steady(1.5), steady(1.5), [Answer::Worse, Answer::Worse]),
            (steady(0.9), noisy.clone(), [Answer::Within, Answer::Unresolved]),
        ] {
            let answers =
                rule.read(&[first, second]).unwrap().iter().map(|reading| reading.answer).collect::<Vec<_>>();
            assert_eq!(answers, expected);
        }
        assert_eq!(rule.read(&[vec![], vec![]]), None);
        assert_eq!(rule.read(&[vec![f64::INFINITY], vec![0.0]]), None);
    }

    /// Nine of ten on one side and the tenth the smallest: p = 2 / 1024, which one metric may FAIL with, the first of three not.
    #[test]
    fn metrics_share_the_level() {
        let almost: Vec<f64> =
            (0..10).map(|i| if i == 0 { -0.01 } else { 0.1 + 0.001 * f64::from(i) }).collect();
        let still = vec![0.0; 10];
        let alone = Rule::new(metrics(&["delivery p50"]), LOOKS.to_vec()).unwrap();
        assert_eq!(alone.read(std::slice::from_ref(&almost)).unwrap()[0].answer, Answer::Worse);
        let three =
            Rule::new(metrics(&["delivery p50", "spread p50", "connect p50"]), LOOKS.to_vec()).unwrap();
        assert_ne!(three.read(&[almost, still.clone(), still]).unwrap()[0].answer, Answer::Worse);
    }
}
