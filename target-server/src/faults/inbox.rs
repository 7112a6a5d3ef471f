//! What the server's tasks tell the wire.
//!
//! Bounded by what tells: a socket with more than its share waiting is cut, and there are as many sockets as
//! descriptors.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::{plan::Plan, socket::Socket, splitter::Piece};

/// One thing to know.
pub(super) enum Say {
    /// A plan comes into force, or its first post was taken.
    Plan(Arc<Plan>),
    /// A socket is upgraded: its bytes come this way from now on.
    Open(u64, Arc<Socket>),
    /// The server wrote this to the socket.
    Piece { socket: u64, piece: Piece, ready_ns: u64 },
    /// The server writes no more to the socket.
    Finish { socket: u64, ready_ns: u64 },
    /// The server let go of the socket.
    Gone { socket: u64, ready_ns: u64 },
}

/// See the module.
pub(super) struct Inbox {
    state: Mutex<State>,
    /// Rung when the wire sleeps.
    bell: EventFd,
}

#[derive(Default)]
struct State {
    said: Vec<Say>,
    is_asleep: bool,
    is_stopping: bool,
}

impl Inbox {
    pub(super) fn new() -> io::Result<Self> {
        let bell = EventFd::from_value_and_flags(0, EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        Ok(Self { state: Mutex::default(), bell })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn say(&self, what: impl IntoIterator<Item = Say>) {
        let mut state = self.lock();
        state.said.extend(what);
        self.wake(state);
    }

    /// The wire shall end.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.is_stopping = true;
        self.wake(state);
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let was_asleep = std::mem::take(&mut state.is_asleep);
        drop(state);
        if was_asleep {
            // Full, it rings already.
            let _ = self.bell.write(1);
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.lock().is_stopping
    }

    /// Exchanges what was said for the empty `said`.
    pub(super) fn take(&self, said: &mut Vec<Say>) {
        std::mem::swap(&mut self.lock().said, said);
    }

    /// Whether the wire may sleep: nothing was said. From now on the bell rings, until [`Inbox::awake`].
    pub(super) fn falls_asleep(&self) -> bool {
        let mut state = self.lock();
        state.is_asleep = state.said.is_empty();
        state.is_asleep
    }

    pub(super) fn awake(&self) {
        self.lock().is_asleep = false;
        // Nothing to read when it did not ring.
        let _ = self.bell.read();
    }

    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}
