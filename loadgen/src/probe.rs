//! The probe: a post or a few before the schedule, to see that posts are accepted and reach every subscriber.

use std::sync::Arc;
use std::time::Duration;

use feedmark_reports::units::count;

use crate::clock::RunClock;
use crate::collector::SettledPosts;
use crate::engine::{Engine, Totals};
use crate::interrupt;
use crate::narrator::Narrator;
use crate::pass::{PassProgress, Wish, pass_from_now, run_pass};
use crate::run::RunError;
use crate::scenario::Scenario;
use crate::writers::{PostError, PostRecord, WritersConfig};

/// Probe posts at most: a subscriber that hears none of them is not just the victim of a lossy target.
const PROBES_MAX: u32 = 3;
/// How long a probe waits for the last subscribers before the next one is posted.
const NEXT_PROBE_NS: u64 = 2_000_000_000;

/// What the probe posts showed.
#[derive(Debug, Clone, Copy)]
pub struct Probed {
    /// Probe posts sent.
    pub probes: u32,
    /// Live subscribers that heard none of them.
    pub unreached: u64,
}

/// Posts once, and again while some live subscriber has heard nothing.
///
/// # Errors
/// If the post is refused, or reaches nobody: then nothing can be measured.
pub fn probe(
    scenario: &Scenario,
    engine: &Engine,
    writers: impl Fn(u32) -> WritersConfig,
    clock: RunClock,
    narrator: &mut Narrator,
    target: &str,
) -> Result<Probed, RunError> {
    narrator.phase("probe", 1);
    let live = |totals: &Totals| totals.established - totals.lost;
    let mut probes = 0;
    let unreached = loop {
        probes += 1;
        // Who connects later is not owed this probe.
        let established = engine.totals().established;
        let look = |progress: &PassProgress, _: &SettledPosts| {
            let totals = &progress.totals;
            narrator.progress("probe", 0, || {
                format!("{} of {} subscribers reached", count(totals.heard), count(live(totals)))
            });
            let another = probes < PROBES_MAX && totals.heard > 0 && progress.elapsed_ns > NEXT_PROBE_NS;
            let over = another || progress.elapsed_ns > scenario.deadline_ns;
            let answered = progress.acknowledged == 1 && (totals.heard >= live(totals) || over);
            // The post timeout ends the wait for a reply that never comes.
            Wish::enough_if(answered || progress.failed == 1 || interrupt::stop_asked())
        };
        let writers = writers(probes);
        let pass = pass_from_now(clock, writers.run, Arc::new([0]), scenario.deadline_ns);
        let pass = run_pass(engine, writers, clock, pass, 0, &[], look)?;
        let totals = engine.totals();
        let unreached = established.saturating_sub(totals.lost).saturating_sub(totals.heard);
        if interrupt::stop_asked() {
            break unreached;
        }
        if let Some(PostRecord { failure: Some(failure), .. }) = pass.records.first() {
            if probes > 1 {
                // The first one was accepted: what the target refuses from then on is measured.
                break unreached;
            }
            return Err(RunError::ProbeRefused {
                target: target.to_owned(),
                path: scenario.post_path.clone(),
                failure: format!("{failure}{}", remedy(failure)),
            });
        }
        if totals.heard == 0 && live(&totals) > 0 {
            return Err(RunError::NobodyReached {
                subscribers: live(&totals),
                event: scenario.event.clone(),
                namespace: scenario.namespace.clone(),
                deadline_s: Duration::from_nanos(scenario.deadline_ns).as_secs_f64(),
            });
        }
        if unreached == 0 || probes == PROBES_MAX {
            break unreached;
        }
    };
    Ok(Probed { probes, unreached })
}

/// What to do about a refused probe.
pub(crate) fn remedy(failure: &PostError) -> String {
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
