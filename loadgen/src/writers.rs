//! The writers: each a poster with its own connection, who posts again only after the reply.
//!
//! Dispatch never waits for a reply: a post goes to an idle writer, or to a new one, up to the most
//! posts in flight. There the schedule waits, and the wait is latency: the post keeps its intended
//! time. Because a writer's posts follow each other, any two of them that arrive in the other order
//! were reordered by the target.

mod connection;
mod lone;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use feedmark_core::ledger::Pass;
use feedmark_core::marker::Marker;
use feedmark_reports::quantile::new_histogram;
use hdrhistogram::Histogram;
use tokio::sync::{mpsc, watch};

use crate::clock::RunClock;
use crate::template::Template;
use crate::urgency::{go_first, wake_on_time};
use connection::Connection;
pub use connection::PostError;
use connection::Reply;
pub use lone::LoneWriter;

/// A connection idle for longer is not used again: servers close theirs after 5 s and up, and a
/// request that crosses such a close on its way is lost without the target's fault.
const IDLE_NS_MAX: u64 = 3_000_000_000;

/// What the writers need to know.
#[derive(Debug, Clone)]
pub struct WritersConfig {
    /// Address of the target.
    pub target: SocketAddr,
    /// Host header.
    pub host: String,
    /// Path and query of the POST.
    pub path: String,
    /// Extra headers.
    pub headers: Vec<(String, String)>,
    /// Body of a post.
    pub body: Template,
    /// Seed of the random text.
    pub seed: u64,
    /// The `run` of the markers.
    pub run: u32,
    /// Most posts in flight.
    pub in_flight_max: u16,
    /// A POST without a reply after this long has failed.
    pub timeout: Duration,
}

/// What became of one post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostRecord {
    /// Its sequence.
    pub seq: u32,
    /// It waited because the most posts were in flight.
    pub waited_at_cap: bool,
    /// The writer that posted it; `None` if none was ever free.
    pub writer: Option<u16>,
    /// The writers took it from the pacer.
    pub taken_ns: u64,
    /// Time that it took to open a connection for it: the target's and the network's, not the generator's.
    pub connect_ns: u64,
    /// First byte handed to the kernel; `None` if none was.
    pub sent_ns: Option<u64>,
    /// Reply complete; `None` if it never was.
    pub complete_ns: Option<u64>,
    /// Deliveries of it that the target's reply says a full buffer refused.
    pub refused_by_full_buffer: u64,
    /// Why it was not acknowledged.
    pub failure: Option<PostError>,
}

impl PostRecord {
    /// How late its first byte left, less the time to open a connection; `None` if none did.
    pub fn send_lag_ns(&self, intended_ns: u64) -> Option<u64> {
        Some(self.sent_ns?.saturating_sub(intended_ns).saturating_sub(self.connect_ns))
    }
}

/// What is known of the posts while they are being sent.
#[derive(Debug)]
pub struct WriterCounters {
    /// Posts acknowledged.
    pub acknowledged: AtomicU64,
    /// Posts that were not.
    pub failed: AtomicU64,
    /// Of these, posts from the first judged one on.
    pub failed_judged: AtomicU64,
    /// Send lag below the cap, of judged posts with an outcome, since somebody last took it.
    send_lag: Mutex<Histogram<u64>>,
}

impl WriterCounters {
    pub(crate) fn new() -> Self {
        Self {
            acknowledged: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            failed_judged: AtomicU64::new(0),
            send_lag: Mutex::new(new_histogram()),
        }
    }

    /// Send lag below the cap, of judged posts that have had their outcome since this was last asked.
    pub fn take_send_lag(&self) -> Histogram<u64> {
        std::mem::replace(&mut self.send_lag(), new_histogram())
    }

    fn send_lag(&self) -> MutexGuard<'_, Histogram<u64>> {
        self.send_lag.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The running writers.
pub struct Writers {
    thread: JoinHandle<(Vec<PostRecord>, bool)>,
    abandon: watch::Sender<bool>,
    counters: Arc<WriterCounters>,
}

impl Writers {
    /// Starts the writers; posts come from the returned queue, which has room for the whole schedule of `pass`, and are
    /// judged from `first_judged` on.
    ///
    /// # Errors
    /// If the runtime or its thread cannot be made.
    pub fn start(
        config: WritersConfig,
        clock: RunClock,
        pass: &Pass,
        first_judged: u32,
    ) -> std::io::Result<(Self, mpsc::Sender<u32>)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (sender, posts) = mpsc::channel(pass.offsets_ns.len().max(1));
        let (abandon, abandoned) = watch::channel(false);
        let counters = Arc::new(WriterCounters::new());
        let shared = Arc::new(Shared { config, clock, abandoned });
        let count = Count { pass: pass.clone(), first_judged, counters: Arc::clone(&counters) };
        let thread = std::thread::Builder::new().name("writers".into()).spawn(move || {
            wake_on_time();
            let goes_first = go_first();
            (runtime.block_on(dispatch(shared, posts, count)), goes_first)
        })?;
        Ok((Self { thread, abandon, counters }, sender))
    }

    /// Counters right now.
    pub fn counters(&self) -> &WriterCounters {
        &self.counters
    }

    /// Every post that was handed over has its outcome, and no more will be.
    pub fn is_done(&self) -> bool {
        self.thread.is_finished()
    }

    /// Gives up on replies that are still out and returns all records, by sequence, and whether they went before ordinary
    /// threads.
    ///
    /// # Panics
    /// If the writers' thread panicked.
    pub fn finish(self) -> (Vec<PostRecord>, bool) {
        // Fails only if every receiver is gone, that is when all is done.
        let _ = self.abandon.send(true);
        let (mut records, goes_first) = self.thread.join().expect("the writers do not panic");
        records.sort_unstable_by_key(|record| record.seq);
        (records, goes_first)
    }
}

/// What every writer shares.
struct Shared {
    config: WritersConfig,
    clock: RunClock,
    abandoned: watch::Receiver<bool>,
}

/// Counts outcomes.
struct Count {
    pass: Pass,
    first_judged: u32,
    counters: Arc<WriterCounters>,
}

/// One poster.
struct Writer {
    id: u16,
    connection: Option<Connection>,
}

/// A post that the pacer handed over.
#[derive(Debug, Clone, Copy)]
struct Taken {
    seq: u32,
    at_ns: u64,
}

/// Gives each post to an idle writer, the one used last first, so that few connections do the work.
async fn dispatch(shared: Arc<Shared>, mut posts: mpsc::Receiver<u32>, count: Count) -> Vec<PostRecord> {
    let cap = shared.config.in_flight_max;
    let (returning, mut returned) = mpsc::channel(usize::from(cap));
    let mut abandoned = shared.abandoned.clone();
    let (mut idle, mut spawned, mut in_flight) = (Vec::new(), 0, 0u16);
    let (mut waiting, mut records) = (VecDeque::new(), Vec::new());
    let mut open = true;
    let start = |mut writer: Writer, taken: Taken, waited_at_cap: bool| {
        let (shared, returning) = (Arc::clone(&shared), returning.clone());
        tokio::spawn(async move {
            let record = write_post(&shared, &mut writer, taken, waited_at_cap).await;
            // The dispatcher waits for every writer in flight, so it is there.
            let _ = returning.send((writer, record)).await;
        });
    };
    while open || in_flight > 0 {
        tokio::select! {
            biased;
            Some((writer, record)) = returned.recv() => {
                count.take(&record);
                records.push(record);
                let next = if *shared.abandoned.borrow() { None } else { waiting.pop_front() };
                match next {
                    Some(taken) => start(writer, taken, true),
                    None => {
                        in_flight -= 1;
                        idle.push(writer);
                    }
                }
            }
            post = posts.recv(), if open => match post {
                None => open = false,
                Some(seq) => {
                    let taken = Taken { seq, at_ns: shared.clock.now_ns() };
                    let new_writer = || (spawned < cap).then(|| {
                        spawned += 1;
                        Writer { id: spawned - 1, connection: None }
                    });
                    match idle.pop().or_else(new_writer) {
                        Some(writer) => {
                            in_flight += 1;
                            start(writer, taken, false);
                        }
                        None => waiting.push_back(taken),
                    }
                }
            },
            _ = abandoned.wait_for(|abandoned| *abandoned), if open => {
                // Nothing more is sent; replies that are out give up by themselves.
                open = false;
                while let Ok(seq) = posts.try_recv() {
                    waiting.push_back(Taken { seq, at_ns: shared.clock.now_ns() });
                }
            }
        }
    }
    records.extend(waiting.drain(..).map(not_sent));
    records
}

fn not_sent(taken: Taken) -> PostRecord {
    PostRecord {
        seq: taken.seq,
        waited_at_cap: true,
        writer: None,
        taken_ns: taken.at_ns,
        connect_ns: 0,
        sent_ns: None,
        complete_ns: None,
        refused_by_full_buffer: 0,
        failure: Some(PostError::NotSent),
    }
}

impl Count {
    fn take(&self, record: &PostRecord) {
        let counters = &self.counters;
        let is_judged = record.seq >= self.first_judged;
        let intended_ns = self.pass.base_ns + self.pass.offsets_ns[record.seq as usize];
        let below_cap = is_judged && !record.waited_at_cap;
        if let Some(lag_ns) = record.send_lag_ns(intended_ns).filter(|_| below_cap) {
            counters.send_lag().saturating_record(lag_ns);
        }
        if record.failure.is_none() {
            counters.acknowledged.fetch_add(1, Ordering::Relaxed);
            return;
        }
        counters.failed.fetch_add(1, Ordering::Relaxed);
        counters.failed_judged.fetch_add(u64::from(is_judged), Ordering::Relaxed);
    }
}

async fn write_post(
    shared: &Shared,
    writer: &mut Writer,
    Taken { seq, at_ns: taken_ns }: Taken,
    waited_at_cap: bool,
) -> PostRecord {
    let mut abandoned = shared.abandoned.clone();
    let (mut sent_ns, mut connect_ns) = (None, 0);
    let outcome = tokio::select! {
        outcome = post_once(shared, writer, seq, &mut sent_ns, &mut connect_ns) => outcome,
        () = tokio::time::sleep(shared.config.timeout) => Err(PostError::Timeout),
        _ = abandoned.wait_for(|abandoned| *abandoned) => Err(PostError::Abandoned),
    };
    if let Some(connection) = &writer.connection {
        sent_ns = sent_ns.or_else(|| connection.first_byte_ns());
    }
    if outcome.as_ref().is_err_and(|error| !matches!(error, PostError::Status { .. })) {
        writer.connection = None;
    }
    let complete_ns = match &outcome {
        Ok(Reply { complete_ns, .. }) | Err(PostError::Status { complete_ns, .. }) => Some(*complete_ns),
        Err(_) => None,
    };
    let refused_by_full_buffer = outcome.as_ref().map_or(0, |reply| reply.refused_by_full_buffer);
    let failure = outcome.err();
    PostRecord {
        seq,
        waited_at_cap,
        writer: Some(writer.id),
        taken_ns,
        connect_ns,
        sent_ns,
        complete_ns,
        refused_by_full_buffer,
        failure,
    }
}

/// Posts on the writer's connection, or on a new one where that has gone in the meantime.
async fn post_once(
    shared: &Shared,
    writer: &mut Writer,
    seq: u32,
    sent_ns: &mut Option<u64>,
    connect_ns: &mut u64,
) -> Result<Reply, PostError> {
    let config = &shared.config;
    let marker = Marker { run: config.run, writer: writer.id, seq };
    let body = config.body.render(marker, config.seed, shared.clock.realtime_ns() / 1_000_000);
    let usable = writer.connection.take().filter(|c| c.is_usable(shared.clock.now_ns(), IDLE_NS_MAX));
    if let Some(kept) = usable {
        let connection = writer.connection.insert(kept);
        let outcome = connection.post(config, body.clone()).await;
        *sent_ns = connection.first_byte_ns();
        match outcome {
            Err(PostError::Connection(_)) if sent_ns.is_none() => writer.connection = None,
            outcome => return outcome,
        }
    }
    let asked_ns = shared.clock.now_ns();
    let connection = writer.connection.insert(Connection::open(config, shared.clock).await?);
    *connect_ns = shared.clock.now_ns() - asked_ns;
    let outcome = connection.post(config, body).await;
    *sent_ns = connection.first_byte_ns();
    outcome
}
