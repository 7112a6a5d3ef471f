//! The verdict of a run: what is wrong is said in sentences, and the gravest of it decides.

use super::{Status, Verdict};
use crate::RunResult;
use crate::units::{count, counted, duration, short_duration};
use crate::validity::{self, Check, Consequence};

impl RunResult {
    /// Checks the run and judges it: fills `validity`, `findings` and `verdict` from everything else. Invalid before
    /// fail before unresolved before pass.
    pub fn judge(&mut self) {
        (self.validity, self.findings) = validity::checks(self);
        let invalid = tripped(&self.validity, Consequence::Invalid);
        let failures = failures(self);
        let mut unresolved = unresolved(self);
        unresolved.extend(tripped(&self.validity, Consequence::Unresolved));
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

fn tripped(checks: &[Check], consequence: Consequence) -> Vec<String> {
    let tripped = checks.iter().filter(|check| check.tripped() && check.consequence() == consequence);
    tripped.map(|check| format!("{}: {}", check.id, check.remedy.as_deref().unwrap_or(&check.name))).collect()
}

/// What the target did not do.
fn failures(result: &RunResult) -> Vec<String> {
    let RunResult { posts, deliveries, connections, scenario, .. } = result;
    let deadline = short_duration(scenario.deadline_ns);
    let mut reasons = Vec::from_iter(result.target_ended.clone());
    let mut reason = |number: u64, sentence: &dyn Fn() -> String| {
        if number > 0 {
            reasons.push(sentence());
        }
    };
    reason(connections.failed, &|| {
        format!(
            "{} of {} could not connect",
            count(connections.failed),
            counted(connections.requested, "subscriber", "subscribers")
        )
    });
    reason(connections.lost, &|| {
        format!("{} lost the connection", counted(connections.lost, "subscriber", "subscribers"))
    });
    reason(posts.failed, &|| format!("{} not acknowledged", counted(posts.failed, "post was", "posts were")));
    reason(posts.dropped, &|| {
        let what = counted(posts.dropped, "post was", "posts were");
        format!("{what} never sent: the most posts ({}) were in flight to the end", scenario.in_flight_max)
    });
    reason(deliveries.missing, &|| {
        format!(
            "{} of {} owed never arrived",
            count(deliveries.missing),
            counted(deliveries.owed, "delivery", "deliveries")
        )
    });
    reason(deliveries.late, &|| {
        format!(
            "{} after the deadline of {deadline}",
            counted(deliveries.late, "delivery came", "deliveries came")
        )
    });
    reasons
}

/// What keeps the run from saying anything.
fn unresolved(result: &RunResult) -> Vec<String> {
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
    reasons
}

/// What decides nothing, and should not be overlooked.
fn notes(result: &RunResult) -> Vec<String> {
    let deliveries = &result.deliveries;
    let mut notes = Vec::new();
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
