//! One pass over a schedule: the pacer sends it, the engine keeps its ledger, the collector takes
//! what is settled. The probe is a pass of one post; the measured run is a pass of all of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use feedmark_core::ledger::Pass;
use feedmark_core::recorder::Recorder;

use crate::clock::RunClock;
use crate::collector::{Collector, Judged, SettledPosts};
use crate::engine::{Engine, Totals};
use crate::interrupt;
use crate::pacer::Pacer;
use crate::writers::{PostRecord, WriterCounters, Writers, WritersConfig};

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
    /// The settled posts.
    pub settled: SettledPosts,
    /// Delivery latency of the judged posts.
    pub delivery: Recorder,
    /// The schedule was stopped before its end.
    pub stopped: Option<Stopped>,
    /// Pacer and writers had a real-time priority.
    pub real_time: bool,
    /// Posts that were sent but left out, because somebody would not wait for their deadline.
    pub unjudged: u32,
}

/// When and why a schedule was stopped: what is out is drained, and nothing more is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// Run time.
    pub at_ns: u64,
    /// Why.
    pub why: Stop,
}

/// Why a schedule was stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// By a person.
    Interrupted,
    /// By the run itself: the sentence says why.
    Aborted(String),
}

/// What who looks at a pass wants of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// It goes on.
    GoOn,
    /// It is over at once.
    Enough,
    /// The schedule stops.
    Stop(Stop),
}

impl Wish {
    /// Enough, if that is so.
    pub fn enough_if(enough: bool) -> Self {
        if enough { Self::Enough } else { Self::GoOn }
    }
}

impl PassOutcome {
    /// Run time at which the schedule was stopped.
    pub fn stopped_ns(&self) -> Option<u64> {
        self.stopped.as_ref().map(|stopped| stopped.at_ns)
    }
}

/// Where a pass stands.
#[derive(Debug, Clone, Copy)]
pub struct PassProgress<'a> {
    /// Run time since the start of the schedule.
    pub elapsed_ns: u64,
    /// Posts handed to the writers.
    pub handed_over: u32,
    /// When the schedule was stopped, since its start.
    pub stopped_ns: Option<u64>,
    /// Posts acknowledged.
    pub acknowledged: u64,
    /// Posts that failed.
    pub failed: u64,
    /// Of these, posts from the first judged one on.
    pub failed_judged: u64,
    /// The engine's counters.
    pub totals: Totals,
    /// The writers'.
    pub writers: &'a WriterCounters,
}

/// A pass of this schedule that begins in a moment.
pub fn pass_from_now(clock: RunClock, run: u32, offsets_ns: Arc<[u64]>, deadline_ns: u64) -> Pass {
    Pass { run, base_ns: clock.now_ns() + LEAD_NS, offsets_ns, deadline_ns }
}

/// Runs the schedule of `pass`, until every post is settled, or until `look` wishes otherwise. With a reason to `stop` nothing is
/// sent.
///
/// # Errors
/// If a thread cannot be started.
pub fn run_pass(
    engine: &Engine,
    writers: WritersConfig,
    clock: RunClock,
    pass: Pass,
    judged: Judged<'_>,
    stop: Option<Stop>,
    mut look: impl FnMut(&PassProgress<'_>, &SettledPosts) -> Wish,
) -> std::io::Result<PassOutcome> {
    let Pass { base_ns, deadline_ns, .. } = pass;
    let offsets_ns = Arc::clone(&pass.offsets_ns);
    let post_timeout_ns = writers.timeout.as_nanos() as u64;
    let (writers, posts) = Writers::start(writers, clock, &pass, judged.from)?;
    engine.begin(&pass, judged.from);
    let mut pacer = Some(Pacer::start(clock, base_ns, Arc::clone(&offsets_ns), posts)?);
    let mut collector = Collector::new(engine.shards(), Arc::clone(&offsets_ns), judged);
    let mut scheduled = offsets_ns.len() as u32;
    let (mut stopped, mut aborted) = (None::<Stopped>, false);
    let mut wish = stop.map_or(Wish::GoOn, Wish::Stop);
    let mut pacer_goes_first = false;
    loop {
        // Looked at first: what was stopped before it began sends nothing.
        let why = match wish {
            _ if interrupt::stop_asked() => Some(Stop::Interrupted),
            Wish::Stop(why) => Some(why),
            Wish::GoOn | Wish::Enough => None,
        };
        if let Some(why) = why.filter(|_| stopped.is_none()) {
            stopped = Some(Stopped { at_ns: clock.now_ns(), why });
            if let Some(pacer) = pacer.take() {
                (scheduled, pacer_goes_first) = pacer.stop();
            }
            engine.cut(scheduled);
        }
        if interrupt::abort_asked() && !aborted {
            aborted = true;
            engine.cut(0);
        }
        // One look a tick, however fast posts settle.
        let look_ns = clock.now_ns() + LOOK_EVERY.as_nanos() as u64;
        loop {
            let left = Duration::from_nanos(look_ns.saturating_sub(clock.now_ns()));
            let Some(settled) = engine.next_settled(left) else { break };
            collector.take(settled);
        }
        let totals = engine.totals();
        let counters = writers.counters();
        let progress = PassProgress {
            elapsed_ns: clock.now_ns().saturating_sub(base_ns),
            handed_over: pacer.as_ref().map_or(scheduled, Pacer::handed_over),
            stopped_ns: stopped.as_ref().map(|stopped| stopped.at_ns.saturating_sub(base_ns)),
            acknowledged: counters.acknowledged.load(Ordering::Relaxed),
            failed: counters.failed.load(Ordering::Relaxed),
            failed_judged: counters.failed_judged.load(Ordering::Relaxed),
            totals,
            writers: counters,
        };
        let last_offset_ns = offsets_ns[..scheduled as usize].last().copied().unwrap_or_default();
        let last_deadline_ns = base_ns + last_offset_ns + deadline_ns;
        let now_ns = clock.now_ns();
        // Pairs that are missing when all is settled get one more deadline to come late.
        let all_in = totals.outstanding == 0 || now_ns > last_deadline_ns + deadline_ns;
        // Posts that wait at the cap get one more timeout to be sent and answered.
        let all_answered = writers.is_done() || now_ns > last_deadline_ns + post_timeout_ns;
        let over = totals.settled && (aborted || (all_in && all_answered));
        wish = look(&progress, collector.settled());
        if over || wish == Wish::Enough {
            break;
        }
    }
    if let Some(pacer) = pacer {
        (scheduled, pacer_goes_first) = pacer.stop();
    }
    while let Some(settled) = engine.next_settled(Duration::ZERO) {
        collector.take(settled);
    }
    let (mut records, writers_go_first) = writers.finish();
    let real_time = pacer_goes_first && writers_go_first;
    collector.mistake_actual_for_intended(&records, base_ns);
    let (mut settled, delivery) = collector.finish();
    // A reactor may have settled a post that was due before the stop, and that nobody handed over.
    settled.times.truncate(scheduled as usize);
    let unjudged = if aborted { scheduled.saturating_sub(settled.times.len() as u32) } else { 0 };
    if aborted {
        // What was not at its deadline when somebody would not wait is in no figure at all.
        scheduled = settled.times.len() as u32;
        records.retain(|record| record.seq < scheduled);
    }
    Ok(PassOutcome { base_ns, scheduled, records, settled, delivery, stopped, real_time, unjudged })
}
