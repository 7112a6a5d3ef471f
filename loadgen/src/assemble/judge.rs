//! The verdict: what is wrong is said in sentences, and the gravest of it decides.

use feedmark_reports::run_result::Timestamps;
use feedmark_reports::units::{count, counted, duration, short_duration};
use feedmark_reports::{RunResult, Status, Verdict};

/// A verdict to be replaced when the rest of the result is there.
pub(super) fn nothing_yet() -> Verdict {
    Verdict { status: Status::Unresolved, reasons: Vec::new() }
}

/// What the result does not hold.
pub(super) struct Circumstances {
    /// Live subscribers that the probe did not reach.
    pub(super) probe_missed: Option<u64>,
    /// Our own server ended early: how.
    pub(super) target_ended: Option<String>,
    /// Posts left out because somebody would not wait for them.
    pub(super) unjudged: u32,
}

/// A greater jump of the clock that stamps arrivals makes them worthless (METHOD, section 3).
const CLOCK_JUMP_NS_MAX: u64 = 1_000_000;

/// Invalid before fail before unresolved before pass.
pub(super) fn judge(result: &RunResult, circumstances: &Circumstances) -> Verdict {
    let invalid = invalid(result);
    let mut failures = failures(result);
    if let Some(missed) = circumstances.probe_missed.filter(|&missed| missed > 0) {
        let subscribers = counted(missed, "connected subscriber", "connected subscribers");
        failures.insert(0, format!("the probe post did not reach {subscribers}"));
    }
    if let Some(ended) = &circumstances.target_ended {
        failures.insert(0, ended.clone());
    }
    let unresolved = unresolved(result, circumstances);
    let notes = notes(result);
    let status = match () {
        () if !invalid.is_empty() => Status::Invalid,
        () if !failures.is_empty() => Status::Fail,
        () if !unresolved.is_empty() => Status::Unresolved,
        () => Status::Pass,
    };
    Verdict { status, reasons: invalid.into_iter().chain(failures).chain(unresolved).chain(notes).collect() }
}

/// Why the generator cannot be trusted.
fn invalid(result: &RunResult) -> Vec<String> {
    let jump_ns = result.clock_jump_ns_max;
    if result.timestamps == Timestamps::Kernel && jump_ns > CLOCK_JUMP_NS_MAX {
        let jump = short_duration(jump_ns);
        return vec![format!(
            "the realtime clock, which stamps arrivals, jumped by {jump}: stop what sets it, or use --timestamps user"
        )];
    }
    Vec::new()
}

/// What the target did not do.
fn failures(result: &RunResult) -> Vec<String> {
    let RunResult { posts, deliveries, connections, scenario, .. } = result;
    let deadline = short_duration(scenario.deadline_ns);
    let mut reasons = Vec::new();
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
fn unresolved(result: &RunResult, circumstances: &Circumstances) -> Vec<String> {
    let mut reasons = Vec::new();
    if result.interrupted {
        let steady = result.phases.iter().find(|phase| phase.name == "steady");
        let steady_ns = steady.map_or(0, |phase| phase.end_ns - phase.start_ns);
        reasons.push(match steady_ns {
            0 => "interrupted before the steady phase".to_owned(),
            _ => format!(
                "interrupted {} into the {} of the steady phase: the figures end there",
                duration(steady_ns),
                short_duration(result.scenario.duration_ns)
            ),
        });
    }
    if circumstances.unjudged > 0 {
        let posts = counted(u64::from(circumstances.unjudged), "post", "posts");
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
