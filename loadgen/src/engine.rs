//! The subscriber engine: thousands of live subscribers on a few reactor threads.
//!
//! One straight line per reactor: `epoll_wait -> recvmsg (with the kernel's stamp) -> session ->
//! marker -> ledger`. Reactors share nothing: each owns its subscribers, their ledger and its read
//! buffer, publishes plain counters once per wake-up, and hands over a post when it is settled.
//! With clients of another library in place of the sessions, a thread runs those; its shard stays the same.

mod arrivals;
#[cfg(feature = "rust_socketio")]
mod clients;
mod connection;
mod connector;
mod reactor;
mod receive;
mod shard;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use feedmark_core::ledger::{Faults, LedgerReport, Pass, SettledPost, Tally};
use feedmark_core::recorder::Recorder;
use feedmark_core::session::SessionSpec;
use feedmark_reports::quantile::new_histogram;
use hdrhistogram::Histogram;

use crate::clock::RunClock;
pub use arrivals::SharedReads;
#[cfg(feature = "rust_socketio")]
pub use clients::ClientSpec;
#[cfg(feature = "rust_socketio")]
use clients::Clients;
use reactor::Reactor;
use shard::Shard;

/// Settled posts that may wait for the collector; a reactor keeps what does not fit.
const SETTLED_QUEUE: usize = 4096;

/// What the engine needs to know to connect its subscribers.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Address of the target.
    pub target: SocketAddr,
    /// Subscribers in all.
    pub subscribers: u32,
    /// Reactor threads.
    pub threads: u32,
    /// What each of them is, with upgrade request, namespace, event.
    pub subscriber: SubscriberSpec,
    /// Connections opened per second in all; `None` is as fast as the target accepts.
    pub connect_rate_per_s: Option<f64>,
    /// An attempt that takes longer has failed.
    pub connect_timeout_ns: u64,
    /// Ask for kernel receive stamps.
    pub kernel_stamps: bool,
    /// Settle a pass as soon as every live subscriber has all of its posts, instead of at their deadlines.
    pub settle_early: bool,
}

/// What a subscriber is.
#[derive(Debug, Clone)]
pub enum SubscriberSpec {
    /// A session of the engine's own.
    Session(SessionSpec),
    /// A client object of the `rust_socketio` crate.
    #[cfg(feature = "rust_socketio")]
    Client(ClientSpec),
}

/// Plain counters of one reactor, published once per wake-up.
#[derive(Debug, Default)]
pub struct Counters {
    /// Subscribers live now or before.
    pub established: AtomicU64,
    /// Subscribers that gave up.
    pub failed: AtomicU64,
    /// Established subscribers that lost their connection.
    pub lost: AtomicU64,
    /// Live subscribers that have received a post, in any pass.
    pub heard: AtomicU64,
    /// Pairs of the current pass that have arrived, owed or not, each once.
    pub deliveries: AtomicU64,
    /// Bytes that came over the connections; none are counted of client objects.
    pub received_bytes: AtomicU64,
    /// Owed pairs that were not there at their deadline and have not come since.
    pub outstanding: AtomicU64,
    /// Number of the pass of which every post is settled; 0 for none.
    pub settled_pass: AtomicU32,
}

/// What a reactor is told.
#[derive(Debug)]
enum Command {
    Begin { number: u32, pass: Pass, first_judged: u32, begun: SyncSender<()> },
    Cut { posts: u32 },
    Count { first: u32, missing_until: u32, faults: SyncSender<Faults> },
    Glance { glance: SyncSender<Glance> },
    Finish { abort: bool },
}

/// What one shard, or all of them, look like at one moment of a pass.
#[derive(Debug)]
pub struct Glance {
    /// What has arrived since somebody last looked.
    pub arrived: Arrived,
    /// The judged posts that are settled.
    pub tally: Tally,
    /// Frame's wait in our kernel, of judged posts, so far.
    pub receive_delay: Histogram<u64>,
    /// The kernel has stamped every judged delivery.
    pub kernel_stamps: bool,
    /// Greatest jump of the realtime clock against the run clock.
    pub clock_jump_ns: u64,
}

impl Glance {
    /// Another shard's, too.
    pub fn add(&mut self, other: &Self) {
        self.arrived.add(&other.arrived);
        self.tally.add(&other.tally);
        add(&mut self.receive_delay, &other.receive_delay);
        self.kernel_stamps &= other.kernel_stamps;
        self.clock_jump_ns = self.clock_jump_ns.max(other.clock_jump_ns);
    }
}

/// Delivery latency of pairs as they arrived, owed or not, late or not, each once. What is measured is settled at the
/// deadline; this is for who cannot wait that long.
#[derive(Debug)]
pub struct Arrived {
    /// Of posts of the warm-up.
    pub warm_up: Histogram<u64>,
    /// Of judged posts.
    pub judged: Histogram<u64>,
}

impl Arrived {
    fn new() -> Self {
        Self { warm_up: new_histogram(), judged: new_histogram() }
    }

    /// Others, too.
    pub fn add(&mut self, other: &Self) {
        add(&mut self.warm_up, &other.warm_up);
        add(&mut self.judged, &other.judged);
    }

    /// All of them.
    pub fn all(&self) -> Histogram<u64> {
        let mut all = self.judged.clone();
        add(&mut all, &self.warm_up);
        all
    }
}

fn add(histogram: &mut Histogram<u64>, other: &Histogram<u64>) {
    histogram.add(other).expect("all latency histograms share their bounds");
}

/// Times of the steps of successful connection attempts, in ns.
#[derive(Debug)]
pub struct ConnectHistograms {
    /// TCP handshake.
    pub tcp: Histogram<u64>,
    /// Upgrade request to 101.
    pub upgrade: Histogram<u64>,
    /// 101 to the confirmed CONNECT.
    pub socketio: Histogram<u64>,
    /// All of it.
    pub total: Histogram<u64>,
}

impl ConnectHistograms {
    fn new() -> Self {
        let empty = new_histogram();
        Self { tcp: empty.clone(), upgrade: empty.clone(), socketio: empty.clone(), total: empty }
    }

    fn add(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.tcp, &other.tcp),
            (&mut self.upgrade, &other.upgrade),
            (&mut self.socketio, &other.socketio),
            (&mut self.total, &other.total),
        ] {
            add(mine, theirs);
        }
    }
}

/// What happened to the connections.
#[derive(Debug)]
pub struct ConnectionReport {
    /// Subscribers confirmed.
    pub established: u64,
    /// Attempts beyond the first.
    pub retries: u64,
    /// Established and lost, by cause.
    pub lost_by_cause: BTreeMap<String, u64>,
    /// Never established, by the cause of the last attempt.
    pub failed_by_cause: BTreeMap<String, u64>,
    /// One whole sentence about the first failure, with its remedy.
    pub first_failure: Option<String>,
    /// Steps of the successful attempts.
    pub times: ConnectHistograms,
    /// Run time of the last confirmation.
    pub last_established_ns: u64,
}

impl ConnectionReport {
    fn new() -> Self {
        Self {
            established: 0,
            retries: 0,
            lost_by_cause: BTreeMap::new(),
            failed_by_cause: BTreeMap::new(),
            first_failure: None,
            times: ConnectHistograms::new(),
            last_established_ns: 0,
        }
    }

    fn add(&mut self, other: Self) {
        self.established += other.established;
        self.retries += other.retries;
        for (mine, theirs) in [
            (&mut self.lost_by_cause, other.lost_by_cause),
            (&mut self.failed_by_cause, other.failed_by_cause),
        ] {
            for (cause, count) in theirs {
                *mine.entry(cause).or_default() += count;
            }
        }
        self.first_failure = self.first_failure.take().or(other.first_failure);
        self.times.add(&other.times);
        self.last_established_ns = self.last_established_ns.max(other.last_established_ns);
    }
}

/// Everything one reactor, or all of them, saw.
#[derive(Debug)]
pub struct EngineReport {
    /// The shards' ledgers, in the order of the subscribers.
    pub ledgers: Vec<LedgerReport>,
    /// The connections.
    pub connections: ConnectionReport,
    /// Frame's wait in our kernel, of judged posts, by the second: exact for a frame that was read alone, else the
    /// longest that it can have been.
    pub receive_delay: Recorder,
    /// Judged frames that shared a read, and so its one stamp, with a later one.
    pub shared_reads: SharedReads,
    /// Local addresses, in the order of the subscribers; `None` of those that never connected, and of clients that do
    /// not tell.
    pub addresses: Vec<Option<SocketAddr>>,
    /// The kernel stamped every judged delivery.
    pub kernel_stamps: bool,
    /// Greatest jump of the realtime clock against the run clock.
    pub clock_jump_ns: u64,
}

/// The running engine.
pub struct Engine {
    reactors: Vec<ReactorHandle>,
    settled: Receiver<SettledPost>,
    /// Number of the latest pass, from 1.
    pass: AtomicU32,
}

struct ReactorHandle {
    commands: Sender<Command>,
    wake: Wake,
    counters: Arc<Counters>,
    thread: JoinHandle<EngineReport>,
}

/// Makes a reactor look at its commands.
type Wake = Box<dyn Fn() + Send>;
/// Its thread.
type Run = Box<dyn FnOnce() -> EngineReport + Send>;

/// Counters of all reactors, added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Subscribers live now or before.
    pub established: u64,
    /// Subscribers that gave up.
    pub failed: u64,
    /// Established subscribers that lost their connection.
    pub lost: u64,
    /// Live subscribers that have received a post, in any pass.
    pub heard: u64,
    /// Pairs of the current pass that have arrived, owed or not, each once.
    pub deliveries: u64,
    /// Bytes that came over the connections; none are counted of client objects.
    pub received_bytes: u64,
    /// Owed pairs past their deadline that have not come.
    pub outstanding: u64,
    /// Every reactor has settled every post.
    pub settled: bool,
}

impl Engine {
    /// Starts the reactors, which begin to connect at once.
    ///
    /// # Errors
    /// If a thread or an epoll instance cannot be made.
    pub fn start(config: &EngineConfig, clock: RunClock) -> std::io::Result<Self> {
        let (settled_sender, settled) = sync_channel(SETTLED_QUEUE);
        let reactors = (0..config.threads)
            .map(|index| start_reactor(config, index, clock, settled_sender.clone()))
            .collect::<std::io::Result<_>>()?;
        Ok(Self { reactors, settled, pass: AtomicU32::new(0) })
    }

    /// Number of shards.
    pub fn shards(&self) -> usize {
        self.reactors.len()
    }

    /// Starts a pass on every reactor and waits until each keeps its ledger; receive delays are recorded from post `first_judged` on.
    pub fn begin(&self, pass: &Pass, first_judged: u32) {
        let number = self.pass.fetch_add(1, Ordering::Relaxed) + 1;
        let (begun, all_begun) = sync_channel(self.reactors.len());
        self.tell(|| Command::Begin { number, pass: pass.clone(), first_judged, begun: begun.clone() });
        drop(begun);
        for _ in &self.reactors {
            all_begun.recv().expect("a reactor does not panic");
        }
        // What is there now belongs to the pass before: nothing of this one is due yet.
        while self.settled.try_recv().is_ok() {}
    }

    /// Accounts for the first `posts` posts only.
    pub fn cut(&self, posts: u32) {
        self.tell(|| Command::Cut { posts });
    }

    /// Asks every shard for [`feedmark_core::ledger::Ledger::faults`]; there are [`Engine::shards`] answers.
    pub fn count_faults(&self, first: u32, missing_until: u32) -> Receiver<Faults> {
        let (faults, answers) = sync_channel(self.reactors.len());
        self.tell(|| Command::Count { first, missing_until, faults: faults.clone() });
        answers
    }

    /// Asks every shard what it looks like; there are [`Engine::shards`] answers.
    pub fn glance(&self) -> Receiver<Glance> {
        let (glance, answers) = sync_channel(self.reactors.len());
        self.tell(|| Command::Glance { glance: glance.clone() });
        answers
    }

    /// The next settled post of any shard, waited for at most this long.
    pub fn next_settled(&self, timeout: Duration) -> Option<SettledPost> {
        self.settled.recv_timeout(timeout).ok()
    }

    /// Counters right now.
    ///
    /// # Panics
    /// If a reactor panicked: its ledger is lost, so there will be no result.
    pub fn totals(&self) -> Totals {
        let pass = self.pass.load(Ordering::Relaxed);
        let mut totals = Totals { settled: true, ..Totals::default() };
        for ReactorHandle { counters, thread, .. } in &self.reactors {
            assert!(!thread.is_finished(), "a reactor does not end by itself");
            // Before the rest: what was outstanding when the last post settled is in it.
            totals.settled &= counters.settled_pass.load(Ordering::Acquire) == pass;
            totals.established += counters.established.load(Ordering::Relaxed);
            totals.failed += counters.failed.load(Ordering::Relaxed);
            totals.lost += counters.lost.load(Ordering::Relaxed);
            totals.heard += counters.heard.load(Ordering::Relaxed);
            totals.deliveries += counters.deliveries.load(Ordering::Relaxed);
            totals.received_bytes += counters.received_bytes.load(Ordering::Relaxed);
            totals.outstanding += counters.outstanding.load(Ordering::Relaxed);
        }
        totals
    }

    /// Closes every connection (without a goodbye if `abort`) and gives what the shards saw.
    ///
    /// # Panics
    /// If a reactor panicked: its ledger is lost, so there is no result.
    pub fn finish(self, abort: bool) -> EngineReport {
        self.tell(|| Command::Finish { abort });
        drop(self.settled);
        self.reactors
            .into_iter()
            .map(|reactor| reactor.thread.join().expect("a reactor does not panic"))
            .reduce(|mut all, mut shard| {
                all.ledgers.append(&mut shard.ledgers);
                all.connections.add(shard.connections);
                all.receive_delay.merge(&mut shard.receive_delay);
                all.kernel_stamps &= shard.kernel_stamps;
                all.shared_reads.add(&shard.shared_reads);
                all.addresses.append(&mut shard.addresses);
                all.clock_jump_ns = all.clock_jump_ns.max(shard.clock_jump_ns);
                all
            })
            .expect("there is at least one reactor")
    }

    fn tell(&self, command: impl Fn() -> Command) {
        for reactor in &self.reactors {
            // A reactor that is gone has panicked; `finish` says so.
            let _ = reactor.commands.send(command());
            (reactor.wake)();
        }
    }
}

fn start_reactor(
    config: &EngineConfig,
    index: u32,
    clock: RunClock,
    settled: SyncSender<SettledPost>,
) -> std::io::Result<ReactorHandle> {
    #[expect(clippy::disallowed_methods, reason = "a handful of commands in the whole run")]
    let (commands, inbox) = std::sync::mpsc::channel();
    let counters = Arc::new(Counters::default());
    let share = share_of(config.subscribers, config.threads, index);
    let shard = Shard::new(config, share, clock, inbox, Arc::clone(&counters), settled);
    let (run, wake): (Run, Wake) = match &config.subscriber {
        SubscriberSpec::Session(session) => {
            let (reactor, waker) = Reactor::new(config.clone(), session.clone(), share, clock, shard)?;
            // Only a reactor that is gone cannot be woken.
            (Box::new(|| reactor.run()), Box::new(move || drop(waker.wake())))
        }
        #[cfg(feature = "rust_socketio")]
        SubscriberSpec::Client(client) => {
            let (clients, waker) =
                Clients::new(client.clone(), share, config.connect_timeout_ns, clock, shard)?;
            (Box::new(|| clients.run()), Box::new(move || waker.notify_one()))
        }
    };
    let thread = std::thread::Builder::new().name(format!("reactor-{index}")).spawn(run)?;
    Ok(ReactorHandle { commands, wake, counters, thread })
}

/// Subscribers of reactor `index`: all shares differ by one at most.
fn share_of(subscribers: u32, threads: u32, index: u32) -> u32 {
    subscribers / threads + u32::from(index < subscribers % threads)
}

#[cfg(test)]
mod tests {
    #[test]
    fn shares_cover_all_subscribers() {
        for (subscribers, threads) in [(1000, 1), (1000, 3), (2, 4)] {
            let shares: Vec<u32> = (0..threads).map(|i| super::share_of(subscribers, threads, i)).collect();
            assert_eq!(shares.iter().sum::<u32>(), subscribers);
            assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1);
        }
    }
}
