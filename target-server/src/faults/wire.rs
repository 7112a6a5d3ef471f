//! The wire: one thread that writes everything that goes out on WebSockets, when it is due.
//!
//! What the server's tasks write arrives in the inbox as whole pieces. The plan says what becomes of a piece; what is to
//! go out lies in a heap, ordered by the time at which it is due and, at the same time, by its arrival. The thread sleeps
//! to the next time by an interruptible sleep of nanosecond grain, and spins the last stretch when pacing.
//!
//! Invariant: on one socket, frames that nothing delays keep their order.
//! Invariant: during a stall nothing is written.
//! Must not know: HTTP, the store, what a post says.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    io,
    os::fd::AsFd,
    sync::{Arc, atomic::Ordering},
    thread::{self, JoinHandle},
    time::Duration,
};

use nix::{
    poll::{PollFd, PollFlags, ppoll},
    sys::{prctl, time::TimeSpec},
};

use super::{
    connection::{Connection, Frame, Held, Next, Role},
    fault::{Ending, Kind},
    inbox::{Inbox, Say},
    pacer::Pacer,
    plan::Plan,
    posts::{Finder, Posts, Taken},
    socket::Socket,
    splitter::{Piece, PieceKind},
    truth::{Event, Truth, WhyClosed, WhyDropped},
};
use crate::{clock, metrics::FaultCounters};

/// A swapped post waits so long for the next one of its socket.
const SWAP_PATIENCE_NS: u64 = 5_000_000_000;
/// When pacing, the last stretch before a due time is spun away: a sleep ends late by tens of microseconds.
const SPIN_NS: u64 = 60_000;
/// How long a wire that shall end waits for the sockets to end.
const STOP_GRACE_NS: u64 = 1_000_000_000;
/// A sleeping wire looks at least so often whether it shall end.
const LOOK_NS: u64 = 50_000_000;

/// What the wire starts with.
pub(super) struct Start {
    pub(super) inbox: Arc<Inbox>,
    pub(super) posts: Arc<Posts>,
    pub(super) truth: Truth,
    pub(super) counters: FaultCounters,
    pub(super) plan: Arc<Plan>,
}

impl Start {
    pub(super) fn spawn(self) -> io::Result<JoinHandle<()>> {
        let Self { inbox, posts, truth, counters, plan } = self;
        let wire = Wire {
            inbox,
            finder: Finder::new(posts),
            truth,
            counters,
            plan,
            pacer: Pacer::default(),
            connections: BTreeMap::new(),
            blocked: BTreeSet::new(),
            items: BinaryHeap::new(),
            sequence: 0,
        };
        thread::Builder::new().name("wire".to_owned()).spawn(move || wire.run())
    }
}

struct Wire {
    inbox: Arc<Inbox>,
    finder: Finder,
    truth: Truth,
    counters: FaultCounters,
    /// The plan whose stalls and kills count.
    plan: Arc<Plan>,
    pacer: Pacer,
    connections: BTreeMap<u64, Connection>,
    /// Those of which the kernel takes no more at present.
    blocked: BTreeSet<u64>,
    items: BinaryHeap<Reverse<Item>>,
    /// Of the next item.
    sequence: u64,
}

/// Something to do at a time.
struct Item {
    due_ns: u64,
    sequence: u64,
    /// The time is to be met by the microsecond.
    is_paced: bool,
    task: Task,
}

enum Task {
    Send {
        socket: u64,
        frame: Frame,
    },
    /// Nothing came behind a swapped post.
    Release {
        socket: u64,
        ticket: u64,
    },
    Finish {
        socket: u64,
    },
    Gone {
        socket: u64,
    },
    /// A stall begins, even if there is nothing to write.
    Wake,
    Kill(Arc<Plan>, usize),
}

impl Ord for Item {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due_ns, self.sequence).cmp(&(other.due_ns, other.sequence))
    }
}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Item {}

impl Wire {
    fn run(mut self) {
        if let Err(why) = prctl::set_timerslack(1) {
            tracing::warn!(%why, "sleeps may end late by the system's slack");
        }
        let mut said = Vec::new();
        let mut stop_by_ns = None;
        loop {
            self.inbox.take(&mut said);
            said.drain(..).for_each(|what| self.hear(what));
            self.do_what_is_due();
            if self.inbox.is_stopping() {
                let now_ns = clock::monotonic_ns();
                let by_ns = *stop_by_ns.get_or_insert(now_ns + STOP_GRACE_NS);
                if self.connections.is_empty() || now_ns >= by_ns {
                    break;
                }
            }
            self.rest();
        }
        self.end();
    }

    fn hear(&mut self, what: Say) {
        match what {
            Say::Plan(plan) => self.follow(plan),
            Say::Open(number, socket) => self.open(number, socket),
            Say::Piece { socket, piece, ready_ns } => self.piece(socket, piece, ready_ns),
            Say::Finish { socket, ready_ns } => self.schedule(ready_ns, false, Task::Finish { socket }),
            Say::Gone { socket, ready_ns } => self.schedule(ready_ns, false, Task::Gone { socket }),
        }
    }

    fn follow(&mut self, plan: Arc<Plan>) {
        let stalls = plan.stalls().map(|at_ns| (at_ns, Task::Wake));
        let kills = plan.kills().map(|(at_ns, fault)| (at_ns, Task::Kill(Arc::clone(&plan), fault)));
        let tasks: Vec<_> = stalls.chain(kills).collect();
        tasks.into_iter().for_each(|(at_ns, task)| self.schedule(at_ns, false, task));
        self.plan = plan;
    }

    fn open(&mut self, number: u64, socket: Arc<Socket>) {
        self.connections.insert(number, Connection::new(number, socket));
    }

    fn schedule(&mut self, due_ns: u64, is_paced: bool, task: Task) {
        self.items.push(Reverse(Item { due_ns, sequence: self.sequence, is_paced, task }));
        self.sequence += 1;
    }

    fn piece(&mut self, socket: u64, piece: Piece, ready_ns: u64) {
        let post = if piece.kind == PieceKind::Text { self.finder.find(piece.payload()) } else { None };
        if let Some(post) = post {
            return self.post(socket, &post, piece, ready_ns);
        }
        let is_connect = piece.kind == PieceKind::Text && piece.payload().starts_with(b"40{");
        let role = if is_connect { Role::Connect } else { Role::Other };
        self.schedule(ready_ns, false, Task::Send { socket, frame: Frame::new(piece, role, false) });
    }

    fn post(&mut self, socket: u64, post: &Taken, piece: Piece, ready_ns: u64) {
        let sockets = self.connections.len() as u64;
        let Some(connection) = self.connections.get_mut(&socket) else {
            let role = Role::Post { number: post.number, copy: 0, due_ns: ready_ns };
            return Frame::new(piece, role, false).report_drop(socket, WhyDropped::Closed, &self.truth);
        };
        let fate = post.plan.fate(post.number, post.at_ns, socket, connection.held.is_none());
        fate.kinds.iter().for_each(|kind| self.counters.count(kind));
        let pace = if fate.dropped { None } else { post.plan.pace(post.number, post.at_ns) };
        let mut due_ns = match pace {
            Some(pace) => {
                self.counters.count(Kind::Pace);
                self.pacer.due(post.number, pace, sockets, ready_ns)
            }
            None => ready_ns,
        };
        due_ns = due_ns.saturating_add(fate.delay_ns);
        if let Some(every_ns) = fate.flush_ns {
            due_ns = due_ns.checked_next_multiple_of(every_ns).unwrap_or(u64::MAX);
        }
        let frame = |piece, copy, due_ns| {
            Frame::new(piece, Role::Post { number: post.number, copy, due_ns }, fate.split)
        };
        if fate.dropped {
            let frame = frame(piece, 0, due_ns);
            connection.socket.waiting_bytes.fetch_sub(frame.bytes(), Ordering::Relaxed);
            return frame.report_drop(socket, WhyDropped::Fault, &self.truth);
        }
        let mut frames = vec![frame(piece, 0, due_ns)];
        for copy in 1..=fate.copies {
            let frame = frame(frames[0].piece.clone(), copy, due_ns);
            connection.socket.waiting_bytes.fetch_add(frame.bytes(), Ordering::Relaxed);
            frames.push(frame);
        }
        if fate.split {
            // A kernel that only receives acknowledges at once. One that answers delays, and a ping is answered.
            let ping = Frame::new(Piece::ping(), Role::Other, false);
            connection.socket.waiting_bytes.fetch_add(ping.bytes(), Ordering::Relaxed);
            frames.push(ping);
        }
        if fate.swapped {
            let ticket = self.sequence;
            connection.held = Some(Held { ticket, due_ns, frames });
            self.truth.report(|| Event::Swap { p: post.number, s: socket, at: clock::monotonic_ns() });
            let release_ns = due_ns.saturating_add(SWAP_PATIENCE_NS);
            return self.schedule(release_ns, false, Task::Release { socket, ticket });
        }
        let held = connection.held.take();
        for frame in frames {
            self.schedule(due_ns, pace.is_some(), Task::Send { socket, frame });
        }
        if let Some(held) = held {
            self.release(socket, held, due_ns);
        }
    }

    /// Sends what waited, right behind what is due at `due_ns`.
    fn release(&mut self, socket: u64, held: Held, due_ns: u64) {
        let due_ns = due_ns.max(held.due_ns);
        for mut frame in held.frames {
            if let Role::Post { due_ns: due, .. } = &mut frame.role {
                *due = due_ns;
            }
            self.schedule(due_ns, false, Task::Send { socket, frame });
        }
    }

    fn do_what_is_due(&mut self) {
        loop {
            let now_ns = clock::monotonic_ns();
            if self.plan.stalled_until(now_ns).is_some() && !self.inbox.is_stopping() {
                self.stall(now_ns);
            }
            if self.items.peek().is_none_or(|Reverse(next)| next.due_ns > now_ns) {
                break;
            }
            let Some(Reverse(item)) = self.items.pop() else { break };
            match item.task {
                Task::Send { socket, frame } => self.send(socket, frame),
                Task::Release { socket, ticket } => {
                    let connection = self.connections.get_mut(&socket);
                    let held = connection.and_then(|one| one.held.take_if(|held| held.ticket == ticket));
                    if let Some(held) = held {
                        self.release(socket, held, item.due_ns);
                    }
                }
                Task::Finish { socket } => self.change(socket, |connection| connection.finishes = true),
                Task::Gone { socket } => self.change(socket, |connection| connection.is_gone = true),
                Task::Wake => {}
                Task::Kill(plan, fault) => self.kill(&plan, fault),
            }
        }
    }

    fn send(&mut self, socket: u64, frame: Frame) {
        match self.connections.get_mut(&socket) {
            // What a server holds back for a socket that it has let go of never goes out.
            Some(connection) if !connection.is_gone => {
                connection.queue(frame);
                if !self.blocked.contains(&socket) {
                    self.write(socket);
                }
            }
            _ => frame.report_drop(socket, WhyDropped::Closed, &self.truth),
        }
    }

    fn change(&mut self, socket: u64, change: impl FnOnce(&mut Connection)) {
        if let Some(connection) = self.connections.get_mut(&socket) {
            change(connection);
            self.write(socket);
        }
    }

    fn write(&mut self, socket: u64) {
        let Some(connection) = self.connections.get_mut(&socket) else { return };
        match connection.write(&self.truth) {
            Next::GoOn => {
                if self.blocked.remove(&socket) {
                    connection.socket.set_blocked(false);
                }
            }
            Next::Blocked => {
                connection.socket.set_blocked(true);
                self.blocked.insert(socket);
            }
            Next::Done => self.remove(socket),
            Next::Broken => {
                connection.socket.cut(WhyClosed::Peer, Ending::Close);
                self.remove(socket);
            }
        }
    }

    fn remove(&mut self, socket: u64) {
        self.blocked.remove(&socket);
        if let Some(connection) = self.connections.remove(&socket) {
            connection.report_unwritten(&self.truth);
        }
    }

    fn stall(&self, at: u64) {
        self.counters.count(Kind::Stall);
        let mut now_ns = at;
        while let Some(until_ns) = self.plan.stalled_until(now_ns)
            && !self.inbox.is_stopping()
        {
            thread::sleep(Duration::from_nanos((until_ns - now_ns).min(LOOK_NS)));
            now_ns = clock::monotonic_ns();
        }
        self.truth.report(|| Event::Stall { at, until: now_ns });
    }

    fn kill(&mut self, plan: &Arc<Plan>, fault: usize) {
        if !Arc::ptr_eq(plan, &self.plan) {
            return;
        }
        let numbers: Vec<u64> = self.connections.keys().copied().collect();
        for number in numbers {
            if let Some(ending) = plan.kill(fault, number)
                && let Some(connection) = self.connections.get(&number)
            {
                self.counters.count(Kind::Kill);
                connection.socket.cut(WhyClosed::Killed, ending);
                self.remove(number);
            }
        }
    }

    /// Until something is due, said, or can be written again.
    fn rest(&mut self) {
        let now_ns = clock::monotonic_ns();
        let next = self.items.peek().map(|Reverse(item)| (item.due_ns, item.is_paced));
        let wake_ns = match next {
            Some((due_ns, true)) if due_ns <= now_ns + SPIN_NS => {
                while clock::monotonic_ns() < due_ns {
                    std::hint::spin_loop();
                }
                return;
            }
            Some((due_ns, true)) => due_ns - SPIN_NS,
            Some((due_ns, false)) => due_ns,
            None => u64::MAX,
        };
        let writable = self.sleep(wake_ns.saturating_sub(now_ns));
        // In a stall they wait; they are still writable after it.
        if self.plan.stalled_until(clock::monotonic_ns()).is_none() {
            writable.into_iter().for_each(|socket| self.write(socket));
        }
    }

    /// Sleeps at most so long; the blocked sockets that can be written again.
    fn sleep(&self, time_ns: u64) -> Vec<u64> {
        if time_ns == 0 || !self.inbox.falls_asleep() {
            return Vec::new();
        }
        let time_ns = if self.inbox.is_stopping() { time_ns.min(LOOK_NS) } else { time_ns };
        let blocked: Vec<&Connection> =
            self.blocked.iter().filter_map(|socket| self.connections.get(socket)).collect();
        let mut ready = vec![PollFd::new(self.inbox.bell(), PollFlags::POLLIN)];
        ready.extend(blocked.iter().map(|one| PollFd::new(one.socket.as_fd(), PollFlags::POLLOUT)));
        // Without an end when nothing is due.
        let timeout = (time_ns < NEVER_NS).then(|| TimeSpec::from(Duration::from_nanos(time_ns)));
        let polled = ppoll(&mut ready, timeout, None);
        self.inbox.awake();
        if polled.is_err() {
            return Vec::new();
        }
        let is_ready = |fd: &PollFd<'_>| fd.any().unwrap_or(true);
        let writable = blocked.iter().zip(&ready[1..]).filter(|(_, fd)| is_ready(fd));
        writable.map(|(connection, _)| connection.number).collect()
    }

    /// Whatever is left does not go out any more.
    fn end(self) {
        for connection in self.connections.values() {
            connection.report_unwritten(&self.truth);
            connection.socket.cut(WhyClosed::Server, Ending::Close);
        }
        for Reverse(item) in self.items {
            if let Task::Send { socket, frame } = item.task {
                frame.report_drop(socket, WhyDropped::Closed, &self.truth);
            }
        }
    }
}

/// A hundred years.
const NEVER_NS: u64 = 100 * 365 * 24 * 60 * 60 * 1_000_000_000;
