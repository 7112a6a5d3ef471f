//! The null target: the smallest correct server of the protocol, to find the floor of a host.
//!
//! It accepts, answers handshakes, and for every POST writes one frame, encoded once, to every
//! subscriber, before it answers the POST: no storage, no framework, one thread, the same `mio` style
//! as the engine. POSTs that arrive together share one write per subscriber, so that it can supply more than a
//! reader can take. What a run measures against it is the host, the kernel and the generator.
//!
//! Invariants: whatever a client sends is bounded and answered or disconnected; a subscriber that
//! does not read is disconnected, and the others do not wait for it.

mod connection;

use std::collections::BTreeSet;
use std::io;
use std::mem::take;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::clock::RunClock;
use connection::{Connection, Request, text_frame};

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);
const EVENTS_PER_WAIT: usize = 1024;
const READ_BUFFER_BYTES: usize = 64 * 1024;
/// Frames that are written together at most, but for the last of them.
const FRAMES_BYTES_MAX: usize = 64 * 1024;
/// Time between two heartbeats, as the Engine.IO open packet says.
const PING_EVERY_NS: u64 = 25_000_000_000;
/// How often the clock is looked at when nothing happens.
const TICK: Duration = Duration::from_secs(1);

/// A null target that listens.
pub struct NullTarget {
    poll: Poll,
    listener: TcpListener,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    subscribers: BTreeSet<usize>,
    /// Frames to be broadcast, and who posted them and waits for a reply.
    frames: Vec<u8>,
    posters: Vec<usize>,
    stopped: Arc<AtomicBool>,
}

/// Stops a null target from another thread.
pub struct Stopper {
    waker: Waker,
    stopped: Arc<AtomicBool>,
}

impl Stopper {
    /// The target's `run` returns soon.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        // A loop that is gone needs no waking.
        let _ = self.waker.wake();
    }
}

impl NullTarget {
    /// Listens on `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// As `bind(2)` and `epoll_create(2)`.
    pub fn listen(address: SocketAddr) -> io::Result<(Self, Stopper)> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind(address)?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let stopped = Arc::new(AtomicBool::new(false));
        let stopper = Stopper { waker: Waker::new(poll.registry(), WAKER)?, stopped: Arc::clone(&stopped) };
        let target = Self {
            poll,
            listener,
            connections: Vec::new(),
            free: Vec::new(),
            subscribers: BTreeSet::new(),
            frames: Vec::new(),
            posters: Vec::new(),
            stopped,
        };
        Ok((target, stopper))
    }

    /// Where it listens.
    ///
    /// # Errors
    /// As `getsockname(2)`.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until stopped.
    ///
    /// # Errors
    /// When `epoll_wait(2)` fails; what clients do is never an error.
    pub fn run(mut self, clock: RunClock) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_PER_WAIT);
        let mut buffer = vec![0; READ_BUFFER_BYTES];
        let mut next_ping_ns = clock.now_ns() + PING_EVERY_NS;
        while !self.stopped.load(Ordering::Acquire) {
            match self.poll.poll(&mut events, Some(TICK)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                outcome => outcome?,
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(),
                    WAKER => {}
                    Token(index) => {
                        let mut writable = event.is_writable();
                        while self.serve(index, writable, &mut buffer) {
                            self.deliver();
                            writable = false;
                        }
                    }
                }
            }
            self.deliver();
            if clock.now_ns() >= next_ping_ns {
                next_ping_ns += PING_EVERY_NS;
                self.broadcast(&text_frame(b"2"));
            }
        }
        Ok(())
    }

    fn accept(&mut self) {
        // Until there is none left, or none can be taken: then the next edge tries again.
        while let Ok((mut stream, _)) = self.listener.accept() {
            let index = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            let interest = Interest::READABLE | Interest::WRITABLE;
            let ready = stream.set_nodelay(true).is_ok()
                && self.poll.registry().register(&mut stream, Token(index), interest).is_ok();
            if ready {
                self.connections[index] = Some(Connection::new(stream));
            } else {
                self.free.push(index);
            }
        }
    }

    /// What one connection has to say, and what waits to be said to it; true if it may have more to say once
    /// the frames are delivered.
    fn serve(&mut self, index: usize, writable: bool, buffer: &mut [u8]) -> bool {
        let Some(mut connection) = self.connections.get_mut(index).and_then(Option::take) else {
            return false;
        };
        let mut open = !writable || connection.flush().is_ok();
        let mut more = true;
        while open && more && self.frames.len() < FRAMES_BYTES_MAX {
            match connection.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => more = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => open = false,
                Ok(()) => open = self.answer(index, &mut connection),
            }
        }
        if open {
            self.connections[index] = Some(connection);
        } else {
            self.subscribers.remove(&index);
            self.posters.retain(|&poster| poster != index);
            self.free.push(index);
        }
        open && more
    }

    /// Takes every whole request; false when the connection is over.
    fn answer(&mut self, index: usize, connection: &mut Connection) -> bool {
        loop {
            match connection.next_request() {
                Request::Incomplete => return true,
                Request::Over => return false,
                Request::Subscribed => {
                    self.subscribers.insert(index);
                }
                Request::Posted(body) => {
                    let event = [br#"42["posts",{"action":"create","post":"#, &body[..], b"}]"].concat();
                    self.frames.extend_from_slice(&text_frame(&event));
                    self.posters.push(index);
                }
                Request::Answered => {}
            }
        }
    }

    /// Broadcasts what was posted, then answers the posters.
    fn deliver(&mut self) {
        if self.posters.is_empty() {
            return;
        }
        let frames = take(&mut self.frames).into();
        self.broadcast(&frames);
        for poster in take(&mut self.posters) {
            // One that is gone or cannot be answered has its end told by the next event.
            let _ = self.connections[poster].as_mut().map(Connection::acknowledge);
        }
    }

    /// Frames to every subscriber; who cannot take them and has too much waiting is dropped.
    fn broadcast(&mut self, frames: &Arc<[u8]>) {
        let (connections, free) = (&mut self.connections, &mut self.free);
        self.subscribers.retain(|&index| {
            let Some(connection) = &mut connections[index] else { return true };
            let sent = connection.send(frames).is_ok();
            if !sent {
                connections[index] = None;
                free.push(index);
            }
            sent
        });
    }
}
