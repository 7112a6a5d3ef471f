//! One WebSocket on the wire: what waits to be written, and the writing.
//!
//! Invariant: bytes go out in the order in which they are queued, and a frame is whole or the last thing on its
//! connection.

use std::{
    collections::VecDeque,
    io::ErrorKind,
    net::Shutdown,
    os::fd::AsRawFd,
    sync::{Arc, atomic::Ordering},
};

use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, send},
};
use socket2::SockRef;

use super::{
    socket::Socket,
    splitter::Piece,
    stream::PIECE_OVERHEAD_BYTES,
    truth::{Event, Truth, WhyDropped},
};
use crate::clock;

/// A piece with what is to be said about it.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) piece: Piece,
    pub(super) role: Role,
    /// Header and payload in a write each, and the kernel may wait between them.
    pub(super) is_split: bool,
    written: usize,
    /// When the first write of it was tried.
    at_ns: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Role {
    Post {
        number: u64,
        copy: u32,
        due_ns: u64,
    },
    /// The answer to CONNECT.
    Connect,
    Other,
}

impl Frame {
    pub(super) fn new(piece: Piece, role: Role, is_split: bool) -> Self {
        Self { piece, role, is_split, written: 0, at_ns: None }
    }

    pub(super) fn bytes(&self) -> usize {
        self.piece.bytes.len() + PIECE_OVERHEAD_BYTES
    }

    /// Says that it did not go out.
    pub(super) fn report_drop(&self, socket: u64, why: WhyDropped, truth: &Truth) {
        if let Role::Post { number, copy, .. } = self.role {
            truth.report(|| Event::Drop { p: number, s: socket, copy, at: clock::monotonic_ns(), why });
        }
    }
}

/// Posts of a socket that wait for its next one.
pub(super) struct Held {
    /// Tells one holding from the next.
    pub(super) ticket: u64,
    pub(super) due_ns: u64,
    pub(super) frames: Vec<Frame>,
}

/// See the module.
pub(super) struct Connection {
    pub(super) number: u64,
    pub(super) socket: Arc<Socket>,
    pub(super) held: Option<Held>,
    out: VecDeque<Frame>,
    /// `TCP_NODELAY` was taken away: for good, since giving it back would push out what waits.
    has_delay: bool,
    /// The server writes no more.
    pub(super) finishes: bool,
    /// The server let go of it.
    pub(super) is_gone: bool,
}

/// Whether a connection goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    GoOn,
    /// The kernel takes no more at present.
    Blocked,
    /// Everything is written, and nobody writes any more.
    Done,
    /// The connection broke.
    Broken,
}

impl Connection {
    pub(super) fn new(number: u64, socket: Arc<Socket>) -> Self {
        Self {
            number,
            socket,
            held: None,
            out: VecDeque::new(),
            has_delay: false,
            finishes: false,
            is_gone: false,
        }
    }

    pub(super) fn queue(&mut self, frame: Frame) {
        self.out.push_back(frame);
    }

    /// Writes as much as the kernel takes.
    pub(super) fn write(&mut self, truth: &Truth) -> Next {
        while let Some(frame) = self.out.front_mut() {
            if frame.is_split && !self.has_delay {
                self.has_delay = self.socket.delay().is_ok();
            }
            let at_ns = *frame.at_ns.get_or_insert_with(clock::monotonic_ns);
            let in_header = frame.is_split && frame.written < frame.piece.payload_at;
            let end = if in_header { frame.piece.payload_at } else { frame.piece.bytes.len() };
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            match send(self.socket.stream.as_raw_fd(), &frame.piece.bytes[frame.written..end], flags) {
                Ok(bytes) => frame.written += bytes,
                Err(Errno::EAGAIN) => return Next::Blocked,
                Err(Errno::EINTR) => continue,
                Err(_) => return Next::Broken,
            }
            if frame.written < frame.piece.bytes.len() {
                continue;
            }
            let role = frame.role;
            self.socket.waiting_bytes.fetch_sub(frame.bytes(), Ordering::Relaxed);
            self.out.pop_front();
            self.report(role, at_ns, truth);
        }
        if self.is_gone {
            return Next::Done;
        }
        if self.finishes
            && let Err(why) = SockRef::from(&*self.socket).shutdown(Shutdown::Write)
            && why.kind() != ErrorKind::NotConnected
        {
            tracing::debug!(%why, "a connection could not be finished");
        }
        Next::GoOn
    }

    fn report(&self, role: Role, at: u64, truth: &Truth) {
        let s = self.number;
        match role {
            Role::Post { number: p, copy, due_ns: due } => {
                truth.report(|| Event::Write { p, s, copy, due, at, done: clock::monotonic_ns() });
            }
            Role::Connect => truth.report(|| {
                let peer = self.socket.peer.to_string();
                Event::Connected { s, peer, at, done: clock::monotonic_ns() }
            }),
            Role::Other => {}
        }
    }

    /// Says what did not go out any more.
    pub(super) fn report_unwritten(&self, truth: &Truth) {
        let held = self.held.iter().flat_map(|held| &held.frames);
        for frame in self.out.iter().chain(held) {
            frame.report_drop(self.number, WhyDropped::Closed, truth);
        }
    }
}
