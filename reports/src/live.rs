//! What a run looks like at one moment: everything that a live view shows, as a plain value.
//!
//! Latencies here are those of what has arrived **so far**: whether a delivery that has not come is late or missing is
//! known only at its deadline, so the quantiles of a live view rank over arrivals, and those of the result over what was
//! owed. What has been sent and has not come is told beside them, as `under_way`.
//! Must not know: engine, threads, who looks at it.

pub mod distribution;
pub mod metrics;
pub mod otlp;
mod point;
pub mod prometheus;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::quantile::new_histogram;
use crate::validity::Check;
use crate::{RunResult, Status};
pub use point::Point;

/// Notes that a snapshot carries; [`LiveSnapshot::notes_said`] counts all of them.
pub const NOTES_MAX: usize = 100;

/// A run at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct LiveSnapshot {
    /// Run time.
    pub at_ns: u64,
    /// What the run is; `None` until that is known.
    pub run: Option<RunWords>,
    /// What it is doing.
    pub phase: PhaseNow,
    /// It was told to stop: what is out is waited for, and nothing more is sent.
    pub stopping: bool,
    /// The subscribers' connections.
    pub connections: ConnectionsNow,
    /// The posts of the schedule.
    pub posts: PostsNow,
    /// Pairs of the schedule that have arrived, owed or not, each once.
    pub deliveries: u64,
    /// Delivery latency of the judged posts, of what has arrived so far; `None` before the first one.
    pub delivery: Option<DeliverySoFar>,
    /// The histogram behind it, in ns.
    #[serde(skip)]
    pub delivery_histogram: Arc<Histogram<u64>>,
    /// The latest second.
    pub latest: Option<Point>,
    /// The schedule so far, in points of one length but for the last one.
    pub history: Vec<Point>,
    /// What became of the judged posts whose deadline has passed.
    pub ledger: LedgerSoFar,
    /// The checks that can be told while a run goes on, each with its worst value of the steady phase so far.
    pub checks: Vec<Check>,
    /// The generator's process.
    pub generator: Option<ProcessNow>,
    /// The target's process, if its pid is known.
    pub target: Option<ProcessNow>,
    /// The latest sentences that were said on the way, at most [`NOTES_MAX`].
    pub notes: Vec<Note>,
    /// Sentences that were said, all together.
    pub notes_said: u64,
    /// What the run concluded; `None` until its end.
    pub conclusion: Option<Conclusion>,
}

/// What a run is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunWords {
    /// Its marker's run, in eight hexadecimal digits.
    pub run_id: String,
    /// The target.
    pub target: String,
    /// The load in one line.
    pub scenario: String,
    /// Subscribers wanted.
    pub subscribers: u64,
    /// Posts per second wanted.
    pub rate_per_s: f64,
    /// Length of the warm-up.
    pub warmup_ns: u64,
    /// Length of the steady phase.
    pub duration_ns: u64,
    /// A delivery after this long is late.
    pub deadline_ns: u64,
}

/// What a run is doing.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PhaseNow {
    /// The phase; empty before the first one.
    pub name: &'static str,
    /// How much of it is done, in [0, 1].
    pub done: f64,
    /// How long it goes on; `None` where nobody knows.
    pub left_ns: Option<u64>,
    /// How it gets on, in one line.
    pub line: String,
}

/// Connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ConnectionsNow {
    /// Subscribers live now or before.
    pub established: u64,
    /// Live now.
    pub connected: u64,
    /// Gave up.
    pub failed: u64,
    /// Established and lost.
    pub lost: u64,
}

/// Posts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PostsNow {
    /// In the whole schedule.
    pub scheduled: u64,
    /// Handed to the writers.
    pub sent: u64,
    /// Acknowledged.
    pub acknowledged: u64,
    /// Failed.
    pub failed: u64,
}

/// Delivery latency of what has arrived so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DeliverySoFar {
    /// Deliveries.
    pub count: u64,
    /// Quantile 0.5.
    pub p50_ns: u64,
    /// Quantile 0.9.
    pub p90_ns: u64,
    /// Quantile 0.99.
    pub p99_ns: u64,
    /// Quantile 0.999.
    pub p999_ns: u64,
    /// Greatest value.
    pub max_ns: u64,
}

impl DeliverySoFar {
    /// Of a histogram in ns; `None` of an empty one.
    pub fn of(histogram: &Histogram<u64>) -> Option<Self> {
        (!histogram.is_empty()).then(|| Self {
            count: histogram.len(),
            p50_ns: histogram.value_at_quantile(0.5),
            p90_ns: histogram.value_at_quantile(0.9),
            p99_ns: histogram.value_at_quantile(0.99),
            p999_ns: histogram.value_at_quantile(0.999),
            max_ns: histogram.max(),
        })
    }
}

/// The ledger of the judged posts that are settled: `owed = delivered + late + missing`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LedgerSoFar {
    /// Pairs owed.
    pub owed: u64,
    /// Arrived in time.
    pub delivered: u64,
    /// Arrived after the deadline.
    pub late: u64,
    /// Not here; may still come late.
    pub missing: u64,
    /// Extra copies of owed pairs.
    pub duplicate: u64,
    /// First copies that came after a later post of the same writer.
    pub reordered: u64,
    /// Copies that nobody was owed.
    pub unexpected: u64,
    /// Pairs of posts that have been sent, warm-up included, for the subscribers that are connected now, that have not
    /// arrived: about what is on its way.
    pub under_way: u64,
}

/// A process.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ProcessNow {
    /// CPU time since it began, user and system.
    pub cpu_s: f64,
    /// CPU time per time between the two latest samples: 1 is one core.
    pub cpu_cores: f64,
    /// Resident memory.
    pub memory_bytes: u64,
}

/// A sentence that was said on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Run time.
    pub at_ns: u64,
    /// The sentence.
    pub text: String,
}

/// What a run concluded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conclusion {
    /// The verdict.
    pub status: Status,
    /// What led to it; of a plain pass, what it means.
    pub sentences: Vec<String>,
    /// The run folder.
    pub folder: String,
    /// The report is in it, and whole.
    pub has_report: bool,
}

impl LiveSnapshot {
    /// Before anything has happened.
    pub fn new() -> Self {
        Self {
            at_ns: 0,
            run: None,
            phase: PhaseNow::default(),
            stopping: false,
            connections: ConnectionsNow::default(),
            posts: PostsNow::default(),
            deliveries: 0,
            delivery: None,
            delivery_histogram: Arc::new(new_histogram()),
            latest: None,
            history: Vec::new(),
            ledger: LedgerSoFar::default(),
            checks: Vec::new(),
            generator: None,
            target: None,
            notes: Vec::new(),
            notes_said: 0,
            conclusion: None,
        }
    }

    /// The run is over: what the result says takes the place of what was seen so far, but for the latencies, which have
    /// all arrived. What only grows does not shrink by it: a result leaves out what was cut off in the end, and was seen.
    pub fn settle(&mut self, result: &RunResult) {
        let (posts, warmup, deliveries) = (&result.posts, &result.warmup.posts, &result.deliveries);
        let (seen, counted) = (self.posts, self.ledger);
        self.posts = PostsNow {
            scheduled: seen.sent.max(posts.scheduled + warmup.scheduled),
            // Posts with a byte sent, as the result has them, are fewer than were handed over when the target is stuck.
            sent: seen.sent,
            acknowledged: seen.acknowledged.max(posts.acknowledged + warmup.acknowledged),
            failed: seen.failed.max(posts.failed + warmup.failed),
        };
        self.ledger = LedgerSoFar {
            owed: counted.owed.max(deliveries.owed),
            delivered: counted.delivered.max(deliveries.delivered),
            late: counted.late.max(deliveries.late),
            missing: deliveries.missing,
            duplicate: counted.duplicate.max(deliveries.duplicate),
            reordered: counted.reordered.max(deliveries.reordered),
            unexpected: counted.unexpected.max(deliveries.unexpected),
            under_way: 0,
        };
        self.checks.clone_from(&result.validity);
    }

    /// Says something that stays.
    pub fn note(&mut self, at_ns: u64, text: &str) {
        if self.notes.len() == NOTES_MAX {
            self.notes.remove(0);
        }
        self.notes.push(Note { at_ns, text: text.to_owned() });
        self.notes_said += 1;
    }

    /// The notes that somebody has not seen who has seen `seen` of them, as far as they are still here.
    pub fn notes_since(&self, seen: u64) -> &[Note] {
        let unseen = usize::try_from(self.notes_said.saturating_sub(seen)).unwrap_or(usize::MAX);
        &self.notes[self.notes.len().saturating_sub(unseen)..]
    }
}

impl Default for LiveSnapshot {
    fn default() -> Self {
        Self::new()
    }
}
