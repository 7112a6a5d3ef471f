//! The subscribers of one thread as the run sees them: who is connected, what arrived, what is owed.
//!
//! A driver (the reactor, or clients of another library) tells it of connections and arrivals; what the conductor asks,
//! it answers the same for all of them. Must not know: sockets, protocols.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver as Inbox, SyncSender, TrySendError};

use feedmark_core::ledger::{Ledger, SettledPost};
use feedmark_core::marker::{Marker, MarkerFinder};

use super::arrivals::{Arrivals, Read};
use super::connection::Ended;
use super::connector::{AfterFailure, Attempt, Connector};
use super::{Arrived, Command, ConnectionReport, Counters, EngineConfig, EngineReport, Glance};
use crate::clock::RunClock;

pub(super) struct Shard {
    inbox: Inbox<Command>,
    counters: Arc<Counters>,
    settled: SyncSender<SettledPost>,
    /// Settled posts that the collector has not had room for.
    unsent_settled: VecDeque<SettledPost>,
    pub(super) connector: Connector,
    pub(super) finder: MarkerFinder,
    ledger: Ledger,
    /// Who connected, and what became of it; the driver adds the times of the steps.
    pub(super) report: ConnectionReport,
    pub(super) arrivals: Arrivals,
    /// Since somebody last looked.
    arrived: Arrived,
    /// Local addresses by subscriber, once connected.
    addresses: Vec<Option<SocketAddr>>,
    /// Subscribers that have received any post, in any pass.
    heard: Vec<bool>,
    kernel_stamps: bool,
    settle_early: bool,
    pass_number: u32,
    pass_run: u32,
    pass_posts: u64,
    first_judged: u32,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    failed: u64,
    /// Live subscribers that have received a post.
    heard: u64,
    lost: u64,
    deliveries: u64,
    received_bytes: u64,
}

impl Shard {
    /// A shard of this many of the run's subscribers, none connected.
    pub(super) fn new(
        config: &EngineConfig,
        subscribers: u32,
        clock: RunClock,
        inbox: Inbox<Command>,
        counters: Arc<Counters>,
        settled: SyncSender<SettledPost>,
    ) -> Self {
        let rate_share = f64::from(subscribers) / f64::from(config.subscribers.max(1));
        let connect_rate_per_s = config.connect_rate_per_s.map(|rate| rate * rate_share);
        Self {
            inbox,
            counters,
            settled,
            unsent_settled: VecDeque::new(),
            connector: Connector::new(subscribers, connect_rate_per_s, config.connect_timeout_ns),
            finder: MarkerFinder::default(),
            ledger: Ledger::new(subscribers),
            report: ConnectionReport::new(),
            arrivals: Arrivals::new(clock),
            arrived: Arrived::new(),
            addresses: vec![None; subscribers as usize],
            heard: vec![false; subscribers as usize],
            kernel_stamps: config.kernel_stamps,
            settle_early: config.settle_early,
            pass_number: 0,
            pass_run: 0,
            pass_posts: 0,
            first_judged: 0,
            counts: Counts::default(),
        }
    }

    /// A post arrived. Gives the intended time of a judged delivery that is in time: its read is to be recorded.
    #[inline]
    pub(super) fn arrive(&mut self, subscriber: u32, marker: Marker, read: &Read) -> Option<u64> {
        let first_copy = self.ledger.arrive(subscriber, marker, read.arrival_ns);
        self.counts.deliveries += u64::from(first_copy);
        let ours = marker.run == self.pass_run;
        if ours && !std::mem::replace(&mut self.heard[subscriber as usize], true) {
            self.counts.heard += 1;
        }
        if !first_copy {
            return None;
        }
        let intended_ns = self.ledger.intended_ns(marker.seq);
        // The ledger, too, takes 1 ns for the least.
        let latency_ns = read.arrival_ns.saturating_sub(intended_ns).max(1);
        if marker.seq < self.first_judged {
            self.arrived.warm_up.saturating_record(latency_ns);
            return None;
        }
        self.arrived.judged.saturating_record(latency_ns);
        self.arrivals.unstamped += u64::from(!read.is_stamped);
        let in_time = self.ledger.is_in_time(subscriber, marker.seq, read.arrival_ns);
        in_time.then_some(intended_ns)
    }

    /// The subscriber's Socket.IO CONNECT is confirmed.
    pub(super) fn live(
        &mut self,
        subscriber: u32,
        started_ns: u64,
        now_ns: u64,
        address: Option<SocketAddr>,
    ) {
        self.connector.succeeded();
        self.addresses[subscriber as usize] = address;
        self.ledger.confirm(subscriber, now_ns);
        self.report.established += 1;
        self.report.last_established_ns = now_ns;
        self.report.times.total.saturating_record(now_ns - started_ns);
    }

    /// Everybody is connected or has given up.
    pub(super) fn is_connected(&self) -> bool {
        self.report.established + self.counts.failed == self.heard.len() as u64
    }

    /// A live subscriber has lost its connection.
    pub(super) fn lose(&mut self, subscriber: u32, ended: &Ended, now_ns: u64) {
        self.counts.lost += 1;
        self.counts.heard -= u64::from(self.heard[subscriber as usize]);
        self.ledger.lose(subscriber, now_ns);
        *self.report.lost_by_cause.entry(ended.cause()).or_default() += 1;
    }

    /// An attempt to connect failed.
    pub(super) fn fail(&mut self, attempt: Attempt, ended: &Ended, now_ns: u64) {
        let given_up = match self.connector.failed(attempt, now_ns) {
            AfterFailure::Retry => {
                self.report.retries += 1;
                return;
            }
            AfterFailure::GiveUp => 1,
            AfterFailure::GiveUpAll(rest) => 1 + u64::from(rest),
        };
        self.counts.failed += given_up;
        *self.report.failed_by_cause.entry(ended.cause()).or_default() += given_up;
        self.report.first_failure.get_or_insert_with(|| ended.to_string());
    }

    /// See [`Ledger::settle`]; what is settled goes to the collector.
    pub(super) fn settle(&mut self, read_until_ns: u64, read_up: bool) {
        let early = self.settle_early && self.everyone_has_everything();
        let until_ns = if early { u64::MAX } else { read_until_ns };
        let unsent = &mut self.unsent_settled;
        self.ledger.settle(until_ns, read_up, |post| unsent.push_back(post));
        while let Some(post) = self.unsent_settled.pop_front() {
            match self.settled.try_send(post) {
                Ok(()) => {}
                Err(TrySendError::Full(post)) => {
                    self.unsent_settled.push_front(post);
                    return;
                }
                Err(TrySendError::Disconnected(_)) => {}
            }
        }
    }

    /// As many deliveries of the pass as the live subscribers can have. (Where one that was lost stands among them for
    /// another, a pair is missing.) Somebody has to be left: a pass that nobody waits for would be settled before
    /// [`super::Engine::begin`] returns.
    fn everyone_has_everything(&self) -> bool {
        let live = self.report.established - self.counts.lost;
        live > 0 && self.counts.deliveries >= live * self.pass_posts
    }

    /// Does what it was told; `Some` when that is to finish, at once if true.
    pub(super) fn obey(&mut self) -> Option<bool> {
        let mut finish = None;
        while let Ok(command) = self.inbox.try_recv() {
            match command {
                Command::Begin { number, pass, first_judged, begun } => {
                    self.pass_number = number;
                    self.pass_run = pass.run;
                    self.pass_posts = pass.offsets_ns.len() as u64;
                    self.arrivals.begin(pass.base_ns);
                    self.arrived = Arrived::new();
                    self.first_judged = first_judged;
                    self.ledger.begin(pass);
                    self.unsent_settled.clear();
                    self.counts.deliveries = 0;
                    self.publish();
                    // Who began the pass waits for it.
                    let _ = begun.send(());
                }
                Command::Cut { posts } => self.ledger.cut(posts),
                Command::Count { first, missing_until, faults } => {
                    // There is room for every shard's answer; who does not want it any more is gone.
                    let _ = faults.try_send(self.ledger.faults(first, missing_until));
                }
                Command::Glance { glance } => {
                    // As above.
                    let _ = glance.try_send(self.glance());
                }
                Command::Finish { abort } => finish = Some(abort),
            }
        }
        finish
    }

    fn glance(&mut self) -> Glance {
        Glance {
            arrived: std::mem::replace(&mut self.arrived, Arrived::new()),
            tally: self.ledger.tally(self.first_judged),
            receive_delay: self.arrivals.receive_delay.total().clone(),
            kernel_stamps: self.kernel_stamps && self.arrivals.unstamped == 0,
            clock_jump_ns: self.arrivals.clock_jump_ns,
        }
    }

    /// Counts what came over a connection, of whatever it was.
    #[inline]
    pub(super) fn received(&mut self, bytes: usize) {
        self.counts.received_bytes += bytes as u64;
    }

    pub(super) fn publish(&self) {
        let counters = &self.counters;
        counters.established.store(self.report.established, Ordering::Relaxed);
        counters.failed.store(self.counts.failed, Ordering::Relaxed);
        counters.lost.store(self.counts.lost, Ordering::Relaxed);
        counters.heard.store(self.counts.heard, Ordering::Relaxed);
        counters.deliveries.store(self.counts.deliveries, Ordering::Relaxed);
        counters.received_bytes.store(self.counts.received_bytes, Ordering::Relaxed);
        counters.outstanding.store(self.ledger.outstanding(), Ordering::Relaxed);
        let settled = self.ledger.next_deadline_ns().is_none() && self.unsent_settled.is_empty();
        counters.settled_pass.store(if settled { self.pass_number } else { 0 }, Ordering::Release);
    }

    /// Everything that it saw.
    pub(super) fn finish(self) -> EngineReport {
        EngineReport {
            ledgers: vec![self.ledger.report(self.first_judged)],
            connections: self.report,
            receive_delay: self.arrivals.receive_delay,
            kernel_stamps: self.kernel_stamps && self.arrivals.unstamped == 0,
            shared_reads: self.arrivals.shared_reads,
            addresses: self.addresses,
            clock_jump_ns: self.arrivals.clock_jump_ns,
        }
    }
}
