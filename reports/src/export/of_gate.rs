//! The outcome of a gate.

use super::outcome::{Case, Figure, Kind, Outcome, PLAIN, host, load};
use crate::Status;
use crate::gate::{Answer, GateResult, MetricResult, Pair};
use crate::terminal;
use crate::units::{change, counted};

impl Outcome {
    /// The outcome of a gate that is finished.
    pub fn of_gate(gate: &GateResult) -> Self {
        let figures = match gate.verdict.status {
            Status::Invalid => Vec::new(),
            _ => gate
                .metrics
                .iter()
                .enumerate()
                .filter_map(|(index, metric)| figure(gate, index, metric))
                .collect(),
        };
        let metrics = gate.metrics.iter().map(of_metric);
        Self {
            kind: Kind::Gate,
            verdict: gate.verdict.clone(),
            cases: [trustworthy(gate), unbroken(gate)].into_iter().chain(metrics).collect(),
            figures,
            carried: Vec::new(),
            facts: facts(gate),
            duration_ns: None,
            summary: terminal::gate::gate(gate, &PLAIN),
        }
    }
}

fn trustworthy(gate: &GateResult) -> Case {
    let is_invalid = gate.verdict.status == Status::Invalid;
    let repeated = match gate.repeats.len() {
        0 => "no run was repeated".to_owned(),
        repeats => counted(repeats as u64, "run was repeated", "runs were repeated"),
    };
    Case {
        name: "the generator can be trusted".to_owned(),
        status: if is_invalid { Status::Invalid } else { Status::Pass },
        advisory: false,
        sentence: match is_invalid {
            true => gate.verdict.reasons.join("; "),
            false => format!("{repeated} because the generator was disturbed"),
        },
        observed: repeated,
        allowed: "no run stays INVALID".to_owned(),
    }
}

/// The candidate's own runs; the base's cannot fail, or there would be no gate.
fn unbroken(gate: &GateResult) -> Case {
    let failed: Vec<&Pair> =
        gate.pairs.iter().filter(|pair| pair.candidate.verdict.status == Status::Fail).collect();
    let runs = counted(gate.pairs.len() as u64, "run", "runs");
    let reasons = failed.iter().flat_map(|pair| &pair.candidate.verdict.reasons);
    let sentence = match failed.is_empty() {
        true => "no run of the candidate failed by itself".to_owned(),
        false => reasons.cloned().collect::<Vec<String>>().join("; "),
    };
    Case {
        name: "the candidate does its work".to_owned(),
        status: if failed.is_empty() { Status::Pass } else { Status::Fail },
        advisory: false,
        observed: format!("{} of {runs} failed", failed.len()),
        allowed: "none fails".to_owned(),
        sentence,
    }
}

fn of_metric(metric: &MetricResult) -> Case {
    let observed = match (metric.change, metric.change_low, metric.change_high) {
        (Some(estimate), Some(low), Some(high)) => {
            format!("{} (95 % interval {} to {})", change(estimate), change(low), change(high))
        }
        (Some(estimate), ..) => change(estimate),
        (None, ..) => "n/a".to_owned(),
    };
    Case {
        name: metric.name.clone(),
        status: match metric.answer {
            Answer::Worse => Status::Fail,
            Answer::Within => Status::Pass,
            Answer::Unresolved => Status::Unresolved,
        },
        advisory: false,
        observed,
        allowed: change(metric.allowed),
        sentence: metric.sentence.clone(),
    }
}

/// The candidate's median; `None` of a metric without one.
fn figure(gate: &GateResult, index: usize, metric: &MetricResult) -> Option<Figure> {
    let runs = gate.pairs.iter().filter_map(|pair| *pair.candidate.values.get(index)?);
    let interval = runs.fold(None, |range: Option<(f64, f64)>, value| match range {
        None => Some((value, value)),
        Some((low, high)) => Some((low.min(value), high.max(value))),
    });
    let metric_name = metric.name.parse().ok()?;
    let value = metric.candidate_median?;
    Some(Figure { metric: metric_name, value, is_beyond: false, interval, is_tracked: true })
}

fn facts(gate: &GateResult) -> Vec<(&'static str, String)> {
    let facts = [
        ("feedmark", gate.feedmark_version.clone()),
        ("base", gate.plan.base.clone()),
        ("candidate", gate.plan.candidate.clone()),
        ("pairs", gate.pairs.len().to_string()),
        load(&gate.plan.scenario, &format!("seeds from {}", gate.plan.seed)),
    ];
    facts.into_iter().chain(gate.host.as_ref().map(host)).collect()
}
