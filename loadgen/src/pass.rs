//! One pass over a schedule: the pacer sends it, the engine keeps its ledger, the collector takes
//! what is settled. The probe is a pass of one post; the measured run is a pass of all of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use feedmark_core::ledger::Pass;
use feedmark_core::recorder::Recorder;

use crate::clock::RunClock;
use crate::collector::{Collector, PostTimes};
use crate::engine::{Engine, Totals};
use crate::interrupt;
use crate::pacer::Pacer;
use crate::writers::{PostRecord, Writers, WritersConfig};

/// Time between the start of a pass and its first possible post: everyone is ready by then.
const LEAD_NS: u64 = 50_000_000;
/// How often the conductor looks around when nothing settles.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a pass saw, without the ledger, which the engine keeps to its end.
#[derive(Debug)]
pub struct PassOutcome {
    /// Run time of the schedule's start.
    pub base_ns: u64,
    /// Posts of the schedule, or fewer if it was stopped.
    pub scheduled: u32,
    /// What became of each post, by sequence.
    pub records: Vec<PostRecord>,
    /// When each settled post reached its subscribers, by sequence.
    pub times: Vec<PostTimes>,
    /// Delivery latency of the judged posts.
    pub delivery: Recorder,
    /// Run time at which somebody stopped it.
    pub stopped_ns: Option<u64>,
}

/// Where a pass stands.
#[derive(Debug, Clone, Copy)]
pub struct PassProgress {
    /// Run time since the start of the schedule.
    pub elapsed_ns: u64,
    /// Posts handed to the writers.
    pub handed_over: u32,
    /// Somebody has stopped the schedule.
    pub stopped: bool,
    /// Posts acknowledged.
    pub acknowledged: u64,
    /// Posts that failed.
    pub failed: u64,
    /// The engine's counters.
    pub totals: Totals,
}

/// Runs the schedule `offsets_ns`, latencies being recorded from post `first_judged` on, until every
/// post is settled, or until `enough` says so.
///
/// # Errors
/// If a thread cannot be started.
pub fn run_pass(
    engine: &Engine,
    writers: WritersConfig,
    clock: RunClock,
    schedule: (Arc<[u64]>, u32),
    deadline_ns: u64,
    mut enough: impl FnMut(&PassProgress) -> bool,
) -> std::io::Result<PassOutcome> {
    let (offsets_ns, first_judged) = schedule;
    let run = writers.run;
    let (writers, posts) = Writers::start(writers, clock, offsets_ns.len())?;
    let base_ns = clock.now_ns() + LEAD_NS;
    let pass = Pass { run, base_ns, offsets_ns: Arc::clone(&offsets_ns), deadline_ns };
    engine.begin(&pass, first_judged);
    let mut pacer = Some(Pacer::start(clock, base_ns, Arc::clone(&offsets_ns), posts)?);
    let mut collector = Collector::new(engine.shards(), Arc::clone(&offsets_ns), first_judged);
    let mut scheduled = offsets_ns.len() as u32;
    let (mut stopped_ns, mut aborted) = (None, false);
    let last_late_ns = base_ns + offsets_ns.last().copied().unwrap_or_default() + 2 * deadline_ns;
    loop {
        while let Some(settled) = engine.next_settled(LOOK_EVERY) {
            collector.take(settled);
        }
        let totals = engine.totals();
        let counters = writers.counters();
        let progress = PassProgress {
            elapsed_ns: clock.now_ns().saturating_sub(base_ns),
            handed_over: pacer.as_ref().map_or(scheduled, Pacer::handed_over),
            stopped: stopped_ns.is_some(),
            acknowledged: counters.acknowledged.load(Ordering::Relaxed),
            failed: counters.failed.load(Ordering::Relaxed),
            totals,
        };
        // Pairs that are missing when all is settled get one more deadline to come late.
        let all_in = totals.outstanding == 0 || clock.now_ns() > last_late_ns;
        if enough(&progress) || (totals.settled && all_in) {
            break;
        }
        if interrupt::stop_asked() && stopped_ns.is_none() {
            stopped_ns = Some(clock.now_ns());
            scheduled = pacer.take().map_or(scheduled, Pacer::stop);
            engine.cut(scheduled);
        }
        if interrupt::abort_asked() && !aborted {
            aborted = true;
            engine.cut(0);
        }
    }
    if let Some(pacer) = pacer {
        scheduled = pacer.stop();
    }
    while let Some(settled) = engine.next_settled(Duration::ZERO) {
        collector.take(settled);
    }
    let records = writers.finish();
    let (times, delivery) = collector.finish();
    Ok(PassOutcome { base_ns, scheduled, records, times, delivery, stopped_ns })
}
