//! One reactor thread: one epoll loop, one read buffer, a slab of connections, one shard.

use std::io;
use std::time::Duration;

use feedmark_core::session::{Session, SessionEvent, SessionSpec};
use mio::event::Event;
use mio::{Events, Interest, Poll, Token, Waker};

use super::connection::{Connection, Dialer, Ended, StepTimes};
use super::connector::Attempt;
use super::receive::{Receiver, descriptor, stamp_receives};
use super::shard::Shard;
use super::{EngineConfig, EngineReport};
use crate::clock::RunClock;

/// Events taken from the kernel at a time.
const EVENTS_PER_WAIT: usize = 1024;
/// Reads of one connection before the others get their turn.
const READS_PER_TURN: usize = 16;
/// Pause before the kernel is asked again when it reported less than [`FEW_EVENTS`]: to be woken costs more than to
/// read a frame, and the kernel's stamps say when it came.
const PAUSE_NS: u64 = 500_000;
/// See [`PAUSE_NS`].
const FEW_EVENTS: usize = 64;
/// How often heartbeats and connect timeouts are looked at.
const SWEEP_NS: u64 = 500_000_000;
/// How long the targets may take to answer our close.
const CLOSE_WITHIN_NS: u64 = 1_000_000_000;
/// A reactor that never catches up goes by what it must have read by now all the same: what lies
/// unread for longer than this counts as late or silent, and shows as receive delay.
const UNREAD_NS_MAX: u64 = 1_000_000_000;
/// Bytes of unfinished messages that all connections of a reactor may hold together.
const BUFFERED_BYTES_MAX: usize = 256 << 20;
const WAKER: Token = Token(usize::MAX);

pub(super) struct Reactor {
    config: EngineConfig,
    session: SessionSpec,
    clock: RunClock,
    poll: Poll,
    connections: Vec<Option<Box<Connection>>>,
    /// Connections in it.
    open: u64,
    dialer: Dialer,
    receiver: Receiver,
    out: Vec<u8>,
    shard: Shard,
    /// The latest reading of the clock.
    seen_ns: u64,
    next_sweep_ns: u64,
    /// Held by sessions for frames that are not whole yet.
    buffered_bytes: usize,
    /// Set once we say goodbye: what the target closes then is not lost.
    closing_until_ns: Option<u64>,
}

impl Reactor {
    pub(super) fn new(
        config: EngineConfig,
        session: SessionSpec,
        subscribers: u32,
        clock: RunClock,
        shard: Shard,
    ) -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let reactor = Self {
            dialer: Dialer::new(config.target),
            session,
            clock,
            poll,
            connections: (0..subscribers).map(|_| None).collect(),
            open: 0,
            receiver: Receiver::new(),
            out: Vec::new(),
            shard,
            seen_ns: clock.now_ns(),
            next_sweep_ns: 0,
            buffered_bytes: 0,
            closing_until_ns: None,
            config,
        };
        Ok((reactor, waker))
    }

    /// Runs until told to finish.
    pub(super) fn run(mut self) -> EngineReport {
        let mut events = Events::with_capacity(EVENTS_PER_WAIT);
        loop {
            // What had arrived by now is among the events that the kernel gives next.
            let asked_ns = self.clock.now_ns();
            let sleep_ns = self.sleep_ns(asked_ns);
            match self.poll.poll(&mut events, Some(Duration::from_nanos(sleep_ns))) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => events.clear(),
                outcome => outcome.expect("epoll_wait on our own descriptor"),
            }
            self.seen_ns = self.clock.now_ns();
            self.shard.arrivals.renew_pairing(self.seen_ns);
            let mut drained = true;
            let mut taken = 0;
            for event in &events {
                taken += 1;
                if event.token() != WAKER {
                    drained &= self.on_event(event);
                }
            }
            drained &= taken < EVENTS_PER_WAIT;
            self.shard.arrivals.read_up(asked_ns, drained);
            self.connect_more();
            let read_until_ns = if drained { asked_ns } else { asked_ns.saturating_sub(UNREAD_NS_MAX) };
            // Only after reading: the heartbeat that a late reactor misses may lie in its own kernel.
            self.sweep(read_until_ns);
            self.shard.settle(read_until_ns, drained);
            if let Some(abort) = self.shard.obey() {
                self.say_goodbye(abort);
            }
            self.shard.publish();
            if self.is_finished(asked_ns) {
                return self.shard.finish();
            }
            if self.may_pause() && (1..FEW_EVENTS).contains(&taken) {
                self.clock.sleep_until(self.seen_ns + PAUSE_NS);
            }
        }
    }

    fn sleep_ns(&self, now_ns: u64) -> u64 {
        let wake_ns = match self.closing_until_ns {
            Some(until_ns) => until_ns,
            None => self.shard.connector.wake_ns().unwrap_or(u64::MAX),
        };
        wake_ns.saturating_sub(now_ns).min(self.shard.arrivals.sleep_ns_max(now_ns))
    }

    /// Nothing is timed by when it is read.
    fn may_pause(&self) -> bool {
        self.config.kernel_stamps
            && self.shard.arrivals.unstamped == 0
            && self.shard.is_connected()
            && self.closing_until_ns.is_none()
    }

    /// Handles one readiness event; false if the socket may hold more than was read.
    fn on_event(&mut self, event: &Event) -> bool {
        let index = event.token().0;
        let Some(mut connection) = self.connections[index].take() else { return true };
        match self.drive(&mut connection, event) {
            Ok(drained) => {
                self.connections[index] = Some(connection);
                drained
            }
            Err(ended) => {
                self.end(*connection, &ended);
                true
            }
        }
    }

    fn drive(&mut self, connection: &mut Connection, event: &Event) -> Result<bool, Ended> {
        if connection.session.is_none() {
            if !event.is_writable() && !event.is_error() {
                return Ok(true);
            }
            self.on_tcp_connected(connection)?;
        } else if event.is_writable() && !connection.unsent.is_empty() {
            connection.flush()?;
        }
        if event.is_readable() || event.is_read_closed() {
            return self.read(connection, event.is_read_closed());
        }
        Ok(true)
    }

    fn on_tcp_connected(&mut self, connection: &mut Connection) -> Result<(), Ended> {
        if let Some(error) = connection.stream.take_error()? {
            return Err(error.into());
        }
        connection.times.tcp_ns = self.clock.now_ns();
        if self.config.kernel_stamps {
            // Where the kernel cannot, stamps are missing and the report says `ts=user`.
            let _ = stamp_receives(&connection.stream);
        }
        self.out.clear();
        let mask_seed = connection.attempt.subscriber.wrapping_mul(0x9e37_79b9);
        connection.session = Some(Session::start(&self.session, mask_seed, &mut self.out));
        connection.send(&self.out)
    }

    /// Reads what the socket holds; false if it may hold more.
    ///
    /// Readiness is edge-triggered: a read that did not fill the buffer emptied the socket, and what
    /// comes later is another edge (epoll(7)), so that a delivery costs one read and not two.
    fn read(&mut self, connection: &mut Connection, read_closed: bool) -> Result<bool, Ended> {
        for _ in 0..READS_PER_TURN {
            let asked_ns = self.seen_ns;
            let received = match self.receiver.receive(descriptor(&connection.stream)) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    connection.emptied_ns = asked_ns;
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            if received.bytes.is_empty() {
                let explained = connection.session.as_mut().and_then(Session::finish);
                return Err(explained.map_or(Ended::EndOfStream, Ended::Session));
            }
            let now_ns = self.clock.now_ns();
            self.seen_ns = now_ns;
            let more = received.filled;
            let shard = &mut self.shard;
            shard.received(received.bytes.len());
            let read = shard.arrivals.read(received.stamp_realtime_ns, now_ns, connection.emptied_ns);
            let Some(session) = connection.session.as_mut() else { return Ok(true) };
            let subscriber = connection.attempt.subscriber;
            let (mut became_live, mut frames) = (false, 0);
            // The judged delivery after which nothing has been read yet: its intended time.
            let mut last_ns = None;
            let buffered_before = session.buffered_bytes();
            self.out.clear();
            let on_event = |event: SessionEvent<'_>| match event {
                SessionEvent::Frame => {
                    frames += 1;
                    if let Some(intended_ns) = last_ns.take() {
                        shard.arrivals.before_others(&read, intended_ns);
                    }
                }
                SessionEvent::Post(payload) => {
                    let Some(marker) = shard.finder.find(payload) else { return };
                    last_ns = shard.arrive(subscriber, marker, &read);
                }
                SessionEvent::Upgraded => connection.times.upgraded_ns = now_ns,
                SessionEvent::Connected => became_live = true,
            };
            let spec = &self.session;
            let outcome = session.receive(spec, received.bytes, now_ns, &mut self.out, on_event);
            let ended_with_it = !more && session.buffered_bytes() == 0;
            if let Some(intended_ns) = last_ns {
                match ended_with_it {
                    true => shard.arrivals.last_in_read(&read),
                    false => shard.arrivals.before_others(&read, intended_ns),
                }
            }
            if frames == 1 && ended_with_it {
                shard.arrivals.was_alone(&read);
            }
            self.buffered_bytes = self.buffered_bytes + session.buffered_bytes() - buffered_before;
            if became_live {
                self.on_live(connection, now_ns);
            }
            if !self.out.is_empty() {
                let sent = connection.send(&self.out);
                outcome?;
                sent?;
            } else {
                outcome?;
            }
            if self.buffered_bytes > BUFFERED_BYTES_MAX {
                return Err(Ended::TooMuchUnfinished);
            }
            if !more && !read_closed {
                connection.emptied_ns = asked_ns;
                return Ok(true);
            }
        }
        // Others first; the edge is gone, so ask the kernel for another one.
        let token = Token(connection.attempt.subscriber as usize);
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().reregister(&mut connection.stream, token, interest)?;
        Ok(false)
    }

    fn on_live(&mut self, connection: &Connection, now_ns: u64) {
        let StepTimes { started_ns, tcp_ns, upgraded_ns } = connection.times;
        let address = connection.stream.local_addr().ok();
        self.shard.live(connection.attempt.subscriber, started_ns, now_ns, address);
        let times = &mut self.shard.report.times;
        times.tcp.saturating_record(tcp_ns - started_ns);
        times.upgrade.saturating_record(upgraded_ns - tcp_ns);
        times.socketio.saturating_record(now_ns - upgraded_ns);
    }

    fn connect_more(&mut self) {
        while self.closing_until_ns.is_none() {
            let now_ns = self.clock.now_ns();
            let Some(attempt) = self.shard.connector.next(now_ns) else { return };
            if let Err(error) = self.open(attempt, now_ns) {
                self.shard.fail(attempt, &error.into(), self.clock.now_ns());
            }
        }
    }

    fn open(&mut self, attempt: Attempt, now_ns: u64) -> io::Result<()> {
        let mut stream = self.dialer.dial()?;
        let token = Token(attempt.subscriber as usize);
        self.poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let times = StepTimes { started_ns: now_ns, ..StepTimes::default() };
        let connection =
            Connection { stream, session: None, attempt, times, unsent: Vec::new(), emptied_ns: now_ns };
        self.connections[attempt.subscriber as usize] = Some(Box::new(connection));
        self.open += 1;
        Ok(())
    }

    /// A connection is over: a live one is lost, an attempt failed, a goodbye was answered.
    fn end(&mut self, mut connection: Connection, ended: &Ended) {
        self.open -= 1;
        self.buffered_bytes -= connection.session.as_ref().map_or(0, Session::buffered_bytes);
        // The descriptor is closed with the stream, which takes it out of epoll in any case.
        let _ = self.poll.registry().deregister(&mut connection.stream);
        if self.closing_until_ns.is_some() {
            return;
        }
        if connection.is_live() {
            self.shard.lose(connection.attempt.subscriber, ended, self.clock.now_ns());
        } else {
            self.shard.fail(connection.attempt, ended, self.clock.now_ns());
        }
    }

    /// Ends what has been silent for too long, by the time up to which everything has been read.
    fn sweep(&mut self, read_until_ns: u64) {
        if read_until_ns < self.next_sweep_ns {
            return;
        }
        self.next_sweep_ns = read_until_ns + SWEEP_NS;
        for index in 0..self.connections.len() {
            let Some(connection) = &self.connections[index] else { continue };
            let waited_ns = read_until_ns.saturating_sub(connection.times.started_ns);
            let too_long = waited_ns > self.config.connect_timeout_ns;
            let ended = match &connection.session {
                None if too_long => Ended::TcpTimeout,
                Some(session) if session.is_live() && read_until_ns > session.expires_ns() => {
                    Ended::Heartbeat
                }
                Some(session) if !session.is_live() && too_long => Ended::Handshake(session.waiting_for()),
                _ => continue,
            };
            if let Some(connection) = self.connections[index].take() {
                self.end(*connection, &ended);
            }
        }
    }

    fn say_goodbye(&mut self, abort: bool) {
        let within_ns = if abort { 0 } else { CLOSE_WITHIN_NS };
        self.closing_until_ns = Some(self.clock.now_ns() + within_ns);
        for connection in self.connections.iter_mut().flatten() {
            let Some(session) = connection.session.as_mut() else { continue };
            self.out.clear();
            session.close(&mut self.out);
            // Who cannot take a goodbye is gone already.
            let _ = connection.send(&self.out);
        }
    }

    fn is_finished(&self, now_ns: u64) -> bool {
        self.closing_until_ns.is_some_and(|until_ns| self.open == 0 || now_ns >= until_ns)
    }
}
