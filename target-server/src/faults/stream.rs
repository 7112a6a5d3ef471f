//! The stream that the HTTP server gets instead of the TCP connection.
//!
//! Before an upgrade it reads and writes the connection itself, and stands still during a stall. From the head of the
//! 101 on, what the server writes goes to the wire in whole pieces; what it reads comes from the connection as before.

use std::{
    io,
    net::Shutdown,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::{
    Faults,
    fault::Ending,
    inbox::Say,
    socket::Socket,
    splitter::{PieceKind, Splitter},
    truth::{Event, WhyClosed},
};
use crate::clock;

/// How the head of an upgrade begins.
const UPGRADE_HEAD: &[u8] = b"HTTP/1.1 101";
/// What keeping a piece costs besides its bytes.
pub(super) const PIECE_OVERHEAD_BYTES: usize = 128;

/// See the module.
pub(crate) struct Stream {
    socket: Arc<Socket>,
    faults: Arc<Faults>,
    /// The rest of the stall that a read or write ran into.
    stall: Option<Pin<Box<Sleep>>>,
    /// Number and splitter of a WebSocket.
    upgraded: Option<(u64, Splitter)>,
}

impl Stream {
    pub(super) fn new(socket: Arc<Socket>, faults: Arc<Faults>) -> Self {
        Self { socket, faults, stall: None, upgraded: None }
    }

    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(stall) = &mut self.stall {
                ready!(stall.as_mut().poll(cx));
                self.stall = None;
            }
            let now_ns = clock::monotonic_ns();
            let Some(until_ns) = self.faults.stalled_until(now_ns) else { return Poll::Ready(()) };
            self.stall = Some(Box::pin(sleep(Duration::from_nanos(until_ns - now_ns))));
        }
    }

    fn poll_direct(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_stall(cx));
        loop {
            ready!(self.socket.stream.poll_write_ready(cx))?;
            let at = clock::monotonic_ns();
            match self.socket.stream.try_write(bytes) {
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
                written => {
                    if let Some(reply) = self.socket.take_reply() {
                        let (p, status) = (reply.post, reply.status);
                        self.faults.truth.report(|| Event::Reply { p, status, at });
                    }
                    return Poll::Ready(written);
                }
            }
        }
    }

    /// Hands the bytes to the wire, unless too much waits there already.
    fn hand_over(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some((socket, splitter)) = &mut self.upgraded else { return Ok(()) };
        let ready_ns = clock::monotonic_ns();
        let (socket, mut said, mut waiting_bytes) = (*socket, Vec::new(), 0);
        let mut is_last = false;
        let split = splitter.push(bytes, |piece| {
            waiting_bytes += piece.bytes.len() + PIECE_OVERHEAD_BYTES;
            is_last |= piece.kind == PieceKind::Close;
            said.push(Say::Piece { socket, piece, ready_ns });
        });
        if is_last {
            self.socket.ends(WhyClosed::Server);
        }
        let before = self.socket.waiting_bytes.fetch_add(waiting_bytes, Ordering::Relaxed);
        let is_too_much = before + waiting_bytes > self.faults.waiting_bytes_max;
        if let Err(why) = split {
            tracing::error!(%why, socket, "a connection is cut");
        } else if is_too_much {
            tracing::warn!(socket, bytes = before, "a connection takes too little: it is cut");
        } else {
            self.faults.inbox.say(said);
            return Ok(());
        }
        self.socket.cut(WhyClosed::Overflow, Ending::Reset);
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // First the waker, then the look: a cut between them is not missed.
        this.socket.reader.register(cx.waker());
        if this.socket.is_cut() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        ready!(this.poll_stall(cx));
        loop {
            ready!(this.socket.stream.poll_read_ready(cx))?;
            let room = buf.initialize_unfilled();
            let wants_any = !room.is_empty();
            match this.socket.stream.try_read(room) {
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
                Ok(bytes) => {
                    if bytes == 0 && wants_any {
                        this.socket.ends(WhyClosed::Peer);
                    }
                    buf.advance(bytes);
                    return Poll::Ready(Ok(()));
                }
                Err(why) => {
                    this.socket.ends(WhyClosed::Peer);
                    return Poll::Ready(Err(why));
                }
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.socket.is_cut() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if this.upgraded.is_none()
            && let Some(socket) = this.socket.number()
        {
            // An answer before it may still be in the same buffer, if the peer did not wait for that.
            match bytes.windows(UPGRADE_HEAD.len()).position(|head| head == UPGRADE_HEAD) {
                Some(0) => {
                    this.upgraded = Some((socket, Splitter::new(this.faults.waiting_bytes_max)));
                    this.faults.inbox.say([Say::Open(socket, Arc::clone(&this.socket))]);
                }
                Some(before) => return this.poll_direct(cx, &bytes[..before]),
                None => {}
            }
        }
        if this.upgraded.is_some() {
            // A subscriber that reads too little holds its own queue up, as it does without the wire.
            ready!(this.socket.poll_unblocked(cx));
            return Poll::Ready(this.hand_over(bytes).map(|()| bytes.len()));
        }
        this.poll_direct(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some((socket, _)) = this.upgraded {
            this.socket.ends(WhyClosed::Server);
            this.faults.inbox.say([Say::Finish { socket, ready_ns: clock::monotonic_ns() }]);
            return Poll::Ready(Ok(()));
        }
        ready!(this.poll_stall(cx));
        Poll::Ready(SockRef::from(&this.socket.stream).shutdown(Shutdown::Write))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some((socket, _)) = self.upgraded {
            self.socket.ends(WhyClosed::Server);
            self.faults.inbox.say([Say::Gone { socket, ready_ns: clock::monotonic_ns() }]);
        }
    }
}
