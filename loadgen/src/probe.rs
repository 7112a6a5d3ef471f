//! The probe: one post before the schedule, to see that posts are accepted and reach subscribers.

use std::sync::Arc;
use std::time::Duration;

use feedmark_reports::units::count;

use crate::clock::RunClock;
use crate::engine::Engine;
use crate::interrupt;
use crate::narrator::Narrator;
use crate::pass::{PassProgress, run_pass};
use crate::run::RunError;
use crate::scenario::Scenario;
use crate::writers::{PostError, PostRecord, WritersConfig};

/// Posts once, and gives the number of live subscribers that the post did not reach.
///
/// # Errors
/// If the post is refused, or reaches nobody: then nothing can be measured.
pub fn probe(
    scenario: &Scenario,
    engine: &Engine,
    writers: WritersConfig,
    clock: RunClock,
    narrator: &mut Narrator,
    target: &str,
) -> Result<u64, RunError> {
    narrator.phase("probe", 1);
    let reached = |progress: &PassProgress| progress.totals.deliveries;
    let live = |progress: &PassProgress| progress.totals.established - progress.totals.lost;
    let mut missed = 0;
    let enough = |progress: &PassProgress| {
        narrator.progress("probe", 0, || {
            format!("{} of {} subscribers reached", count(reached(progress)), count(live(progress)))
        });
        missed = live(progress).saturating_sub(reached(progress));
        let over = progress.elapsed_ns > scenario.deadline_ns;
        let answered = progress.acknowledged == 1 && (missed == 0 || over);
        // The post timeout ends the wait for a reply that never comes.
        answered || progress.failed == 1 || interrupt::stop_asked()
    };
    let pass = run_pass(engine, writers, clock, (Arc::new([0]), 0), scenario.deadline_ns, enough)?;
    if let Some(PostRecord { failure: Some(failure), .. }) = pass.records.first()
        && !interrupt::stop_asked()
    {
        let failure = format!("{failure}{}", remedy(failure));
        return Err(RunError::ProbeRefused {
            target: target.to_owned(),
            path: scenario.post_path.clone(),
            failure,
        });
    }
    let totals = engine.totals();
    let live = totals.established - totals.lost;
    if missed == live && live > 0 && !interrupt::stop_asked() {
        return Err(RunError::NobodyReached {
            subscribers: live,
            event: scenario.event.clone(),
            namespace: scenario.namespace.clone(),
            deadline_s: Duration::from_nanos(scenario.deadline_ns).as_secs_f64(),
        });
    }
    Ok(missed)
}

/// What to do about a refused probe.
fn remedy(failure: &PostError) -> String {
    let (status, body) = match failure {
        PostError::Status { status, body, .. } => (status, body),
        PostError::Shortage(_) => return String::new(),
        _ => return ": is the target's HTTP on the same port as its Socket.IO?".to_owned(),
    };
    let hint = match status {
        300..=399 => "redirects are not followed: give the final --post-path",
        401 | 403 => {
            "give a token by --header 'Authorization: Bearer ...', or let the target accept open posts"
        }
        404 | 405 => "check --post-path",
        400 | 415 | 422 => "check --body, and the content type by --header",
        413 => "the target wants a smaller --body",
        _ => "see the target's log",
    };
    format!(" {body:?}: {hint}")
}
