//! The probe: a post or a few before the schedule, to see that posts are accepted and reach every subscriber.

use std::sync::Arc;
use std::time::Duration;

use feedmark_reports::units::count;

use crate::collector::{Judged, SettledPosts};
use crate::engine::{Engine, Totals};
use crate::interrupt;
use crate::live::Live;
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
    /// Live subscribers that heard none of them; `None` of a target that gave way.
    pub unreached: Option<u64>,
}

/// Posts once, and again while some live subscriber has heard nothing. Of a target that took subscribers and no post beside
/// them it says why nothing more is posted: it was found at its end, which is a result.
///
/// # Errors
/// If a target that took all its subscribers refuses the post, or nobody hears of it: it is asked for the wrong thing.
pub fn probe(
    scenario: &Scenario,
    engine: &Engine,
    writers: impl Fn(u32) -> WritersConfig,
    live: &mut Live,
    target: &str,
) -> Result<(Probed, Option<String>), RunError> {
    let clock = live.clock();
    let live_now = |totals: &Totals| totals.established - totals.lost;
    let mut probes = 0;
    let unreached = loop {
        probes += 1;
        // Who connects later is not owed this probe.
        let established = engine.totals().established;
        let look = |progress: &PassProgress<'_>, _: &SettledPosts| {
            let totals = &progress.totals;
            let done = totals.heard as f64 / live_now(totals).max(1) as f64;
            live.progress("probe", done, None, || {
                format!("{} of {} subscribers reached", count(totals.heard), count(live_now(totals)))
            });
            let another = probes < PROBES_MAX && totals.heard > 0 && progress.elapsed_ns > NEXT_PROBE_NS;
            let over = another || progress.elapsed_ns > scenario.deadline_ns;
            let answered = progress.acknowledged == 1 && (totals.heard >= live_now(totals) || over);
            // The post timeout ends the wait for a reply that never comes.
            Wish::enough_if(answered || progress.failed == 1 || interrupt::stop_asked())
        };
        let writers = writers(probes);
        let pass = pass_from_now(clock, writers.run, Arc::new([0]), scenario.deadline_ns);
        let pass = run_pass(engine, writers, clock, pass, Judged::ALL, None, look)?;
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
            let refused = RunError::ProbeRefused {
                target: target.to_owned(),
                path: scenario.post_path.clone(),
                failure: format!("{failure}{}", remedy(failure)),
                is_shortage: matches!(failure, PostError::Shortage(_)),
            };
            let gave_way = match failure {
                PostError::Shortage(_) => false,
                PostError::Connection(_) | PostError::Timeout => true,
                _ => turned_away(&totals),
            };
            return ended(refused, gave_way, live);
        }
        if totals.heard == 0 && live_now(&totals) > 0 {
            let unheard = RunError::NobodyReached {
                subscribers: live_now(&totals),
                event: scenario.event.clone(),
                namespace: scenario.namespace.clone(),
                deadline_s: Duration::from_nanos(scenario.deadline_ns).as_secs_f64(),
            };
            return ended(unheard, turned_away(&totals), live);
        }
        if unreached == 0 || probes == PROBES_MAX {
            break unreached;
        }
    };
    Ok((Probed { probes, unreached: Some(unreached) }, None))
}

/// Some subscribers could not connect, or did not stay.
fn turned_away(totals: &Totals) -> bool {
    totals.failed + totals.lost > 0
}

/// At the first probe post: a result, or an error.
fn ended(why: RunError, gave_way: bool, live: &mut Live) -> Result<(Probed, Option<String>), RunError> {
    if !gave_way {
        return Err(why);
    }
    let why = format!("ended before the schedule: {why}");
    live.note(&why);
    Ok((Probed { probes: 1, unreached: None }, Some(why)))
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
