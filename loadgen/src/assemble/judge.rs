//! The verdict: what is wrong is said in sentences, and the gravest of it decides.

use feedmark_reports::units::{count, counted, short_duration};
use feedmark_reports::{RunResult, Status, Verdict};

/// A verdict to be replaced when the rest of the result is there.
pub(super) fn nothing_yet() -> Verdict {
    Verdict { status: Status::Unresolved, reasons: Vec::new() }
}

/// Invalid before fail before unresolved before pass.
pub(super) fn judge(result: &RunResult, probe_missed: Option<u64>, target_ended: Option<String>) -> Verdict {
    let invalid: Vec<String> = probe_missed
        .filter(|&missed| missed > 0)
        .map(|missed| {
            let subscribers = counted(missed, "connected subscriber", "connected subscribers");
            format!("the probe post did not reach {subscribers}: the target does not broadcast to everyone")
        })
        .into_iter()
        .collect();
    let failures: Vec<String> = target_ended.into_iter().chain(failures(result)).collect();
    let unresolved = unresolved(result);
    let status = match () {
        () if !invalid.is_empty() && result.deliveries.owed == 0 => Status::Invalid,
        () if !failures.is_empty() || !invalid.is_empty() => Status::Fail,
        () if !unresolved.is_empty() => Status::Unresolved,
        () => Status::Pass,
    };
    Verdict { status, reasons: invalid.into_iter().chain(failures).chain(unresolved).collect() }
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
        format!("{what} never sent: the most posts were in flight ({})", scenario.in_flight_max)
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
        reasons.push("the run was interrupted: the figures cover what was sent until then".to_owned());
    }
    if result.deliveries.owed == 0 {
        reasons.push("no delivery was owed in the steady phase: nothing was measured".to_owned());
    }
    reasons
}
