//! From pairs to the answer of a gate: outright failures first, then the looks in their order.

use super::{
    Answer, GateResult, GatedMetric, MetricResult, Pair, REPEATS_MAX, Reading, Rule, Variant, unit_word,
};
use crate::stats::median::median;
use crate::units::{change, counted, probability};
use crate::{Status, Verdict};

impl GateResult {
    /// Judges what is there: fills `verdict`, `finished`, `looks_done` and `metrics` from the pairs and repeats.
    ///
    /// `rule` is that of the plan.
    pub fn judge(&mut self, rule: &Rule) {
        let differences = differences(&self.pairs, rule.metrics().len());
        let complete = differences.first().map_or(0, Vec::len);
        self.looks_done.clear();
        let mut decided = None;
        for look in rule.looks().iter().copied().filter(|look| *look as usize <= complete) {
            self.looks_done.push(look);
            let seen: Vec<Vec<f64>> = differences.iter().map(|all| all[..look as usize].to_vec()).collect();
            let read = rule.read(&seen);
            if let Some(answer) = read.as_deref().and_then(answer_of_look) {
                decided = Some((answer, read));
                break;
            }
        }
        // Of a gate that is under way all pairs so far are shown, and none but a look decides.
        let (answer, read) =
            decided.map_or_else(|| (None, rule.read(&differences)), |(answer, read)| (Some(answer), read));
        self.metrics = metrics(rule, read.as_deref(), &self.pairs);
        let (finished, status, reasons) = if let Some(reasons) = invalid(self) {
            (true, Status::Invalid, reasons)
        } else if let Some(reasons) = failed_outright(&self.pairs) {
            (true, Status::Fail, reasons)
        } else {
            let last = complete >= rule.pairs_max() as usize;
            let status = answer.unwrap_or(Status::Unresolved);
            let mut reasons = reasons(&self.metrics, status);
            if answer.is_none() && !last {
                let pairs = counted(u64::from(rule.pairs_max()), "pair", "pairs");
                reasons.insert(0, format!("under way: {complete} of at most {pairs} measured"));
            }
            (answer.is_some() || last, status, reasons)
        };
        let reasons = reasons.into_iter().chain(self.plan.notes()).collect();
        self.finished = finished;
        self.verdict = Verdict { status, reasons };
    }
}

/// `ln(candidate / base)` of every pair in which both have all metrics, a list for each metric.
fn differences(pairs: &[Pair], metrics: usize) -> Vec<Vec<f64>> {
    let of_pair = |pair: &Pair| -> Option<Vec<f64>> {
        let both = pair.candidate.values.iter().zip(&pair.base.values);
        let differences: Vec<f64> =
            both.map(|(candidate, base)| Some(((*candidate)? / (*base)?).ln())).collect::<Option<_>>()?;
        differences.iter().all(|difference| difference.is_finite()).then_some(differences)
    };
    let rows: Vec<Vec<f64>> = pairs.iter().filter_map(of_pair).collect();
    (0..metrics).map(|metric| rows.iter().map(|row| row[metric]).collect()).collect()
}

/// FAIL if one metric is worse, PASS if all are within what is allowed.
fn answer_of_look(readings: &[Reading]) -> Option<Status> {
    let any = |answer| readings.iter().any(|reading| reading.answer == answer);
    match () {
        () if any(Answer::Worse) => Some(Status::Fail),
        () if any(Answer::Unresolved) => None,
        () => Some(Status::Pass),
    }
}

/// The run that stayed INVALID.
fn invalid(gate: &GateResult) -> Option<Vec<String>> {
    let attempts = |pair: u32, variant: Variant| {
        gate.repeats.iter().filter(move |repeat| (repeat.pair, repeat.variant) == (pair, variant))
    };
    let given_up =
        gate.repeats.iter().find(|repeat| attempts(repeat.pair, repeat.variant).count() > REPEATS_MAX)?;
    let (pair, variant) = (given_up.pair, given_up.variant);
    let mut reasons = vec![format!(
        "pair {pair}: {} runs of the {} in a row were INVALID",
        REPEATS_MAX + 1,
        variant.name()
    )];
    for reason in attempts(pair, variant).flat_map(|repeat| &repeat.reasons) {
        if !reasons.contains(reason) {
            reasons.push(reason.clone());
        }
    }
    Some(reasons)
}

/// A candidate that fails by itself, against a base that does not.
fn failed_outright(pairs: &[Pair]) -> Option<Vec<String>> {
    let (index, pair) =
        pairs.iter().enumerate().find(|(_, pair)| pair.candidate.verdict.status == Status::Fail)?;
    let runs = counted(index as u64 + 1, "run", "runs");
    let mut reasons =
        vec![format!("pair {}: the candidate failed, and none of the base's {runs} did", index + 1)];
    reasons.extend(pair.candidate.verdict.reasons.iter().cloned());
    Some(reasons)
}

/// The sentences that matter for the status first.
fn reasons(metrics: &[MetricResult], status: Status) -> Vec<String> {
    let deciding = match status {
        Status::Fail => Answer::Worse,
        _ => Answer::Unresolved,
    };
    let (first, rest): (Vec<_>, Vec<_>) = metrics.iter().partition(|metric| metric.answer == deciding);
    first.into_iter().chain(rest).map(|metric| metric.sentence.clone()).collect()
}

fn metrics(rule: &Rule, readings: Option<&[Reading]>, pairs: &[Pair]) -> Vec<MetricResult> {
    let median_of = |index: usize, variant: Variant| {
        let values = pairs.iter().filter_map(|pair| match variant {
            Variant::Base => pair.base.values[index],
            Variant::Candidate => pair.candidate.values[index],
        });
        median(&mut values.collect::<Vec<f64>>())
    };
    let of_metric = |(index, gated): (usize, &GatedMetric)| {
        let reading = readings.map(|readings| &readings[index]);
        let interval = reading.and_then(|reading| reading.location.interval);
        MetricResult {
            name: gated.metric.to_string(),
            unit: unit_word(gated.metric.unit()).to_owned(),
            allowed: gated.allowed,
            base_median: median_of(index, Variant::Base),
            candidate_median: median_of(index, Variant::Candidate),
            change: reading.map(|reading| reading.location.estimate.exp_m1()),
            change_low: interval.map(|(low, _)| low.exp_m1()),
            change_high: interval.map(|(_, high)| high.exp_m1()),
            p_worse: reading.map(|reading| reading.p_worse),
            p_within: reading.map(|reading| reading.p_within),
            answer: reading.map_or(Answer::Unresolved, |reading| reading.answer),
            sentence: sentence(gated, reading),
        }
    };
    rule.metrics().iter().enumerate().map(of_metric).collect()
}

fn sentence(gated: &GatedMetric, reading: Option<&Reading>) -> String {
    let metric = gated.metric;
    let Some(reading) = reading else { return format!("{metric}: not measured yet") };
    let estimate = change(reading.location.estimate.exp_m1());
    let interval = reading.location.interval.map_or_else(
        || "too few pairs for an interval".to_owned(),
        |(low, high)| format!("95 % interval {} to {}", change(low.exp_m1()), change(high.exp_m1())),
    );
    let allowed = change(gated.allowed);
    match reading.answer {
        Answer::Worse => {
            let p = probability(reading.p_worse);
            let fails_from = change(gated.fails_from());
            format!("{metric} is worse: {estimate} ({interval}), {p}; {fails_from} or more FAILs")
        }
        Answer::Within => format!("{metric} is within {allowed}: {estimate} ({interval})"),
        Answer::Unresolved => {
            format!("{metric}: {estimate} ({interval}); neither worse nor within {allowed}")
        }
    }
}
