//! A connection as the stream of the server, the wire and the log share it.
//!
//! Invariant: a WebSocket ends once, for the first reason that anybody gave; `closed` is logged when its descriptor is
//! given back, which is when the peer learns of it.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::task::AtomicWaker;
use socket2::SockRef;
use tokio::net::TcpStream;

use super::{
    fault::Ending,
    truth::{Event, Truth, WhyClosed},
};
use crate::clock;

/// See the module.
pub(crate) struct Socket {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    /// Set when the 101 is on its way.
    number: OnceLock<u64>,
    ended: OnceLock<WhyClosed>,
    /// Whoever reads or writes next is told that the connection broke.
    is_cut: AtomicBool,
    pub(super) reader: AtomicWaker,
    /// The kernel takes no more at present, so the server shall write no more.
    is_blocked: AtomicBool,
    writer: AtomicWaker,
    /// Bytes handed to the wire and not yet to the kernel.
    pub(super) waiting_bytes: AtomicUsize,
    /// The answer to a post that is about to be written.
    reply: Mutex<Option<Reply>>,
    truth: Truth,
}

/// An answer to `POST /feed/post`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reply {
    pub(super) post: Option<u64>,
    pub(super) status: u16,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, peer: SocketAddr, truth: Truth) -> Self {
        Self {
            stream,
            peer,
            number: OnceLock::new(),
            ended: OnceLock::new(),
            is_cut: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            is_blocked: AtomicBool::new(false),
            writer: AtomicWaker::new(),
            waiting_bytes: AtomicUsize::new(0),
            reply: Mutex::new(None),
            truth,
        }
    }

    /// The next head that goes out is that of the 101.
    pub(super) fn upgrade(&self, number: u64) {
        // A connection is upgraded once.
        let _ = self.number.set(number);
    }

    pub(super) fn number(&self) -> Option<u64> {
        self.number.get().copied()
    }

    /// Why it ends, unless something else was first.
    pub(super) fn ends(&self, why: WhyClosed) {
        let _ = self.ended.set(why);
    }

    /// Ends it now: the server sees a broken connection and lets go, the peer sees it when the last one has.
    pub(super) fn cut(&self, why: WhyClosed, ending: Ending) {
        self.ends(why);
        if ending == Ending::Reset {
            self.reset_on_close();
        }
        self.is_cut.store(true, Ordering::Release);
        self.reader.wake();
        self.writer.wake();
    }

    pub(super) fn set_blocked(&self, is_blocked: bool) {
        self.is_blocked.store(is_blocked, Ordering::Release);
        if !is_blocked {
            self.writer.wake();
        }
    }

    /// Ready when the kernel takes more, or never will.
    pub(super) fn poll_unblocked(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_blocked.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        self.writer.register(cx.waker());
        let is_over = !self.is_blocked.load(Ordering::Acquire) || self.is_cut();
        if is_over { Poll::Ready(()) } else { Poll::Pending }
    }

    pub(super) fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Acquire)
    }

    /// Closing sends RST and nothing else.
    pub(super) fn reset_on_close(&self) {
        if let Err(why) = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)) {
            tracing::debug!(%why, "a connection was gone before it could be reset");
        }
    }

    /// Takes `TCP_NODELAY` away: small writes wait until earlier ones are acknowledged.
    pub(super) fn delay(&self) -> io::Result<()> {
        self.stream.set_nodelay(false)
    }

    pub(super) fn expect_reply(&self, reply: Reply) {
        *self.reply.lock().unwrap_or_else(PoisonError::into_inner) = Some(reply);
    }

    pub(super) fn take_reply(&self) -> Option<Reply> {
        self.reply.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let Some(s) = self.number() else { return };
        let why = self.ended.get().copied().unwrap_or(WhyClosed::Server);
        self.truth.report(|| Event::Closed { s, at: clock::monotonic_ns(), why });
    }
}
