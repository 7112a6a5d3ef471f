//! The verdict of a run: what is wrong is said in sentences, and the gravest of it decides.

use super::{Status, Verdict};
use crate::RunResult;
use crate::metric::{Count, Metric};
use crate::threshold::result::ThresholdResult;
use crate::units::{count, counted, duration, short_duration};
use crate::validity::{self, Check, Consequence};

impl RunResult {
    /// Checks the run and judges it: fills `validity`, `findings` and `verdict` from everything else. Invalid before
    /// fail before unresolved before pass.
    pub fn judge(&mut self) {
        (self.validity, self.findings) = validity::checks(self);
        let invalid = distrust(self);
        let failures = failures(self);
        let unresolved: Vec<String> =
            doubts(self).into_iter().chain(decided(self, Status::Unresolved)).collect();
        let status = match () {
            () if !invalid.is_empty() => Status::Invalid,
            () if !failures.is_empty() => Status::Fail,
            () if !unresolved.is_empty() => Status::Unresolved,
            () => Status::Pass,
        };
        let reasons = invalid.into_iter().chain(failures).chain(unresolved).chain(notes(self)).collect();
        self.verdict = Verdict { status, reasons };
    }
}

/// Why the generator cannot be trusted.
pub(crate) fn distrust(result: &RunResult) -> Vec<String> {
    tripped(&result.validity, Consequence::Invalid)
}

fn tripped(checks: &[Check], consequence: Consequence) -> Vec<String> {
    let tripped = checks.iter().filter(|check| check.tripped() && check.consequence() == consequence);
    tripped.map(|check| format!("{}: {}", check.id, check.remedy.as_deref().unwrap_or(&check.name))).collect()
}

/// The sentences of the thresholds that ended so, and decide.
fn decided(result: &RunResult, status: Status) -> impl Iterator<Item = String> {
    let decides = move |threshold: &&ThresholdResult| threshold.status == status && !threshold.advisory;
    result.thresholds.iter().filter(decides).map(|threshold| threshold.sentence.clone())
}

/// A threshold speaks about these, and decides: what is allowed is for it to say.
fn is_limited(result: &RunResult, what: Count) -> bool {
    let by = |metric: Metric| match metric {
        Metric::Completeness => matches!(what, Count::Missing | Count::Late),
        metric => metric == Metric::Count(what),
    };
    result.thresholds.iter().any(|threshold| !threshold.advisory && by(threshold.metric))
}

/// What the target did not do.
fn failures(result: &RunResult) -> Vec<String> {
    let ended = result.aborted.iter().chain(&result.target_ended).cloned();
    let broken = rules(result).into_iter().filter_map(|(_, broken)| broken);
    ended.chain(decided(result, Status::Fail)).chain(broken).collect()
}

/// What may not happen although nobody said so, unless a threshold allows it; with a sentence where it did.
pub(crate) fn rules(result: &RunResult) -> Vec<(Count, Option<String>)> {
    let RunResult { posts, deliveries, connections, scenario, .. } = result;
    let deadline = short_duration(scenario.deadline_ns);
    let mut rules = Vec::new();
    let mut rule = |what: Count, sentence: &dyn Fn() -> String| {
        if !is_limited(result, what) {
            rules.push((what, (what.of(result) > 0).then(sentence)));
        }
    };
    rule(Count::FailedConnections, &|| {
        format!(
            "{} of {} could not connect",
            count(connections.failed),
            counted(connections.requested, "subscriber", "subscribers")
        )
    });
    rule(Count::LostConnections, &|| {
        format!("{} lost the connection", counted(connections.lost, "subscriber", "subscribers"))
    });
    rule(Count::FailedPosts, &|| {
        format!("{} not acknowledged", counted(posts.failed, "post was", "posts were"))
    });
    rule(Count::DroppedPosts, &|| {
        let what = counted(posts.dropped, "post was", "posts were");
        format!("{what} never sent: the most posts ({}) were in flight to the end", scenario.in_flight_max)
    });
    rule(Count::Missing, &|| {
        format!(
            "{} of {} owed never arrived",
            count(deliveries.missing),
            counted(deliveries.owed, "delivery", "deliveries")
        )
    });
    rule(Count::Late, &|| {
        format!(
            "{} after the deadline of {deadline}",
            counted(deliveries.late, "delivery came", "deliveries came")
        )
    });
    rules
}

/// What keeps the run from saying anything, beside the thresholds.
pub(crate) fn doubts(result: &RunResult) -> Vec<String> {
    let mut reasons = Vec::new();
    if result.interrupted {
        let steady = result.phases.iter().find(|phase| phase.name == "steady");
        let steady_ns = steady.map_or(0, |phase| phase.end_ns.saturating_sub(phase.start_ns));
        reasons.push(match steady_ns {
            0 => "interrupted before the steady phase".to_owned(),
            _ => format!(
                "interrupted {} into the {} of the steady phase: the figures end there",
                duration(steady_ns),
                short_duration(result.scenario.duration_ns)
            ),
        });
    }
    if result.unjudged_posts > 0 {
        let posts = counted(result.unjudged_posts, "post", "posts");
        reasons.push(format!("{posts} had not reached their deadline and are left out of every figure"));
    }
    if result.deliveries.owed == 0 {
        reasons.push("no delivery was owed in the steady phase: nothing was measured".to_owned());
    }
    reasons.extend(tripped(&result.validity, Consequence::Unresolved));
    reasons
}

/// What decides nothing, and should not be overlooked.
fn notes(result: &RunResult) -> Vec<String> {
    let deliveries = &result.deliveries;
    let missed = |threshold: &&ThresholdResult| threshold.advisory && threshold.status != Status::Pass;
    let advisory = result.thresholds.iter().filter(missed);
    let mut notes: Vec<String> =
        advisory.map(|threshold| format!("note, advisory: {}", threshold.sentence)).collect();
    if deliveries.duplicate > 0 {
        notes.push(format!(
            "note: {} came more than once",
            counted(deliveries.duplicate, "delivery", "deliveries")
        ));
    }
    if deliveries.reordered > 0 {
        notes.push(format!(
            "note: {} overtaken by a later post of the same writer",
            counted(deliveries.reordered, "delivery was", "deliveries were")
        ));
    }
    if deliveries.unexpected_other_run > 0 {
        let strangers = counted(deliveries.unexpected_other_run, "delivery", "deliveries");
        notes.push(format!("note: {strangers} carried the marker of another run: is another load running?"));
    }
    notes
}

#[cfg(test)]
mod tests {
    use crate::threshold::judge::Sample;
    use crate::threshold::result::ThresholdResult;
    use crate::{RunResult, Status, sample};

    fn judged(mut run: RunResult, thresholds: &[(&str, Option<Sample>)]) -> (Status, Vec<String>) {
        let judge = |(text, sample): &(&str, Option<Sample>)| {
            let threshold = text.parse().unwrap();
            let sample = sample.unwrap_or_else(|| Sample::of_run(&threshold, &run));
            ThresholdResult::of_whole(&threshold, &run, sample)
        };
        run.thresholds = thresholds.iter().map(judge).collect();
        run.judge();
        (run.verdict.status, run.verdict.reasons)
    }

    const FEW: Option<Sample> = Some(Sample::Posts { posts: 20, misses: 0.0 });
    const BAD: Option<Sample> = Some(Sample::Posts { posts: 600, misses: 300.0 });

    #[test]
    fn thresholds_join_the_verdict() {
        let status = |thresholds| judged(sample::run(), thresholds).0;
        assert_eq!(status(&[("missing == 0", None)]), Status::Pass);
        assert_eq!(status(&[("delivery p99 < 1s", FEW)]), Status::Unresolved);
        assert_eq!(status(&[("delivery p99 < 1s", FEW), ("spread p99 < 1s", BAD)]), Status::Fail);
        let (advised, reasons) =
            judged(sample::run(), &[("delivery p99 < 1s advisory", FEW), ("spread p99 < 1s advisory", BAD)]);
        assert_eq!(advised, Status::Pass);
        assert!(reasons.iter().all(|reason| reason.starts_with("note, advisory: `")), "{reasons:?}");
        assert_eq!(reasons.len(), 2);
        let mut invalid = sample::run();
        invalid.deliveries.residual = 1;
        assert_eq!(judged(invalid, &[("spread p99 < 1s", BAD)]).0, Status::Invalid);
    }

    #[test]
    fn a_threshold_stands_for_the_default_of_which_it_speaks() {
        let mut run = sample::run();
        run.deliveries.missing = 3;
        run.deliveries.delivered -= 3;
        assert_eq!(judged(run.clone(), &[]).0, Status::Fail);
        assert_eq!(judged(run.clone(), &[("missing < 4", None)]).0, Status::Pass);
        assert_eq!(judged(run.clone(), &[("missing < 3", None)]).0, Status::Fail);
        assert_eq!(judged(run.clone(), &[("missing < 4 advisory", None)]).0, Status::Fail);
        assert_eq!(judged(run.clone(), &[("late == 0", None)]).0, Status::Fail);
        assert_eq!(judged(run.clone(), &[("completeness >= 99%", None)]).0, Status::Pass);
        run.deliveries.late = 1;
        run.deliveries.delivered -= 1;
        assert_eq!(judged(run.clone(), &[("missing < 4", None)]).0, Status::Fail);
        assert_eq!(judged(run, &[("completeness >= 99%", None)]).0, Status::Pass);
    }
}
