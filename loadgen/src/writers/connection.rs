//! One writer's HTTP connection, which knows when a request's first byte went to the kernel.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use feedmark_core::socketio::excerpt;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};

use super::WritersConfig;
use crate::clock::RunClock;
use crate::limits::{Shortage, shortage};
use crate::source::Source;

/// Greatest reply that is read.
const REPLY_BYTES_MAX: usize = 1 << 20;
/// How a reply says that deliveries of its post were refused, because their subscribers' buffers were full.
const REFUSED_BUFFER_FULL: &str = "x-feedmark-refused-buffer-full";
/// No byte of the request has been written.
const NOT_YET: u64 = 0;

/// An acknowledgement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reply {
    /// Run time of its last byte.
    pub(super) complete_ns: u64,
    /// Deliveries refused for a full buffer, if the target says so; 0 if it does not.
    pub(super) refused_by_full_buffer: u64,
}

/// Why a post was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// A reply with a status that is not 2xx.
    #[error("status {status}")]
    Status {
        /// HTTP status.
        status: u16,
        /// Start of the reply's body.
        body: String,
        /// Run time of the complete reply.
        complete_ns: u64,
    },
    /// The connection could not be made, or broke before the reply.
    #[error("{0}")]
    Connection(String),
    /// The generator itself has no descriptor, port or memory left for another connection.
    #[error("{0}")]
    Shortage(&'static Shortage),
    /// A reply larger than feedmark reads.
    #[error("reply larger than {REPLY_BYTES_MAX} bytes")]
    ReplyTooLarge,
    /// No reply within the post timeout.
    #[error("no reply within the post timeout")]
    Timeout,
    /// No reply when the run ended.
    #[error("no reply by the end of the run")]
    Abandoned,
    /// Never sent: the most posts were in flight until the run ended.
    #[error("not sent: the most posts were in flight until the end of the run")]
    NotSent,
}

/// A keep-alive connection of one writer.
pub(super) struct Connection {
    requests: SendRequest<Full<Bytes>>,
    first_byte_ns: Arc<AtomicU64>,
    clock: RunClock,
    used_ns: u64,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// [`PostError::Connection`] with what the system said.
    pub(super) async fn open(config: &WritersConfig, clock: RunClock) -> Result<Self, PostError> {
        let connection_error = |error: &dyn std::error::Error| PostError::Connection(describe(error));
        let stream = connect(config.target).await.map_err(|error| {
            shortage(&error).map_or_else(|| connection_error(&error), PostError::Shortage)
        })?;
        stream.set_nodelay(true).map_err(|error| connection_error(&error))?;
        let first_byte_ns = Arc::new(AtomicU64::new(NOT_YET));
        let stamped = Stamped { stream, first_byte_ns: Arc::clone(&first_byte_ns), clock };
        let (requests, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stamped))
            .await
            .map_err(|error| connection_error(&error))?;
        // It ends with the connection; what goes wrong reaches the request that suffers from it.
        tokio::spawn(async move { drop(driver.await) });
        Ok(Self { requests, first_byte_ns, clock, used_ns: clock.now_ns() })
    }

    /// Open, and not idle for so long that the target may just be closing it.
    pub(super) fn is_usable(&self, now_ns: u64, idle_ns_max: u64) -> bool {
        !self.requests.is_closed() && now_ns.saturating_sub(self.used_ns) <= idle_ns_max
    }

    /// Run time at which the first byte of the latest request was handed to the kernel.
    pub(super) fn first_byte_ns(&self) -> Option<u64> {
        match self.first_byte_ns.load(Ordering::Relaxed) {
            NOT_YET => None,
            at_ns => Some(at_ns),
        }
    }

    /// Posts and reads the whole reply.
    ///
    /// # Errors
    /// [`PostError::Status`] for a reply that is not 2xx, else what went wrong.
    pub(super) async fn post(&mut self, config: &WritersConfig, body: String) -> Result<Reply, PostError> {
        self.first_byte_ns.store(NOT_YET, Ordering::Relaxed);
        let connection_error = |error: hyper::Error| PostError::Connection(describe(&error));
        self.requests.ready().await.map_err(connection_error)?;
        let response = self.requests.send_request(request(config, body)).await.map_err(connection_error)?;
        let status = response.status();
        let refused =
            response.headers().get(REFUSED_BUFFER_FULL).and_then(|value| value.to_str().ok()?.parse().ok());
        let reply = Limited::new(response.into_body(), REPLY_BYTES_MAX).collect().await;
        let complete_ns = self.clock.now_ns();
        self.used_ns = complete_ns;
        let reply = reply.map_err(|error| match error.downcast::<hyper::Error>() {
            Ok(error) => connection_error(*error),
            Err(_) => PostError::ReplyTooLarge,
        })?;
        if status.is_success() {
            return Ok(Reply { complete_ns, refused_by_full_buffer: refused.unwrap_or_default() });
        }
        let body = excerpt(&reply.to_bytes());
        Err(PostError::Status { status: status.as_u16(), body, complete_ns })
    }
}

async fn connect(target: SocketAddr) -> io::Result<TcpStream> {
    let mut source = Source::default();
    loop {
        let socket = if target.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        let bound = source.address().map_or(Ok(()), |address| socket.bind(address));
        let outcome = match bound {
            Ok(()) => socket.connect(target).await,
            Err(error) => Err(error),
        };
        match outcome {
            Err(error) if source.move_on(target, &error) => {}
            outcome => return outcome,
        }
    }
}

/// # Panics
/// Never: path and headers were checked when the scenario was resolved.
fn request(config: &WritersConfig, body: String) -> Request<Full<Bytes>> {
    let mut request = Request::post(&config.path).header("host", &config.host);
    let own_type = config.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    if !own_type {
        request = request.header("content-type", "application/json");
    }
    for (name, value) in &config.headers {
        request = request.header(name, value);
    }
    request.body(Full::new(Bytes::from(body))).expect("the scenario checked path and headers")
}

/// The innermost cause: what the system said, without the layers around it.
fn describe(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// A stream that notes when the first byte of a request went to the kernel.
struct Stamped {
    stream: TcpStream,
    first_byte_ns: Arc<AtomicU64>,
    clock: RunClock,
}

impl Stamped {
    /// The stamp is taken before the write: afterwards the target may have answered already.
    fn stamp(&self, before_ns: u64, written: &Poll<io::Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(bytes)) if *bytes > 0) {
            // Only the first write after a reset counts.
            let _ =
                self.first_byte_ns.compare_exchange(NOT_YET, before_ns, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

impl AsyncRead for Stamped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stamped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let before_ns = self.clock.now_ns();
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.stamp(before_ns, &written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let before_ns = self.clock.now_ns();
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.stamp(before_ns, &written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
