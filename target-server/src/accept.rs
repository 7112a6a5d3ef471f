//! Taking connections and serving HTTP/1.1 on them, upgrades to WebSocket included.
//!
//! Invariant: an error of `accept` neither ends the server nor makes it spin.
//! Must not know: what is served.

use std::{convert::Infallible, error::Error, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderValue, header},
};
use hyper::{
    body::Incoming,
    rt::{Read, Write},
    server::conn::http1,
    service::{HttpService, service_fn},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::IntCounter;
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use crate::faults::Faults;

/// Rest after an error that more calls would only repeat, such as no descriptor left.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);
/// At most one log line per this time about such errors.
const ACCEPT_LOG_INTERVAL: Duration = Duration::from_secs(1);
/// How long a connection may take for a request's head; also how long one may idle between requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// A request's head may be this long.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Takes and serves connections until dropped.
pub(crate) struct Acceptor {
    pub(crate) listener: TcpListener,
    pub(crate) router: Router,
    pub(crate) errors: IntCounter,
    /// How long a peer may take no byte before the kernel gives it up.
    pub(crate) stall_timeout: Duration,
    /// Every connection, until it ends or becomes a WebSocket.
    pub(crate) connections: TaskTracker,
    /// Cancelled, connections answer what they are answering and end.
    pub(crate) stopping: CancellationToken,
    /// Between the connections and the server when it may misbehave; else there is nothing between them.
    pub(crate) faults: Option<Arc<Faults>>,
}

impl Acceptor {
    /// Never returns; every connection is a task of its own.
    pub(crate) async fn run(&self) -> Infallible {
        let mut logged: Option<Instant> = None;
        let mut unlogged = 0_u64;
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    if let Some(faults) = &self.faults {
                        faults.stall().await;
                    }
                    self.serve(stream, peer);
                }
                // The peer gave up before it was accepted; the next one may be fine.
                Err(why) if is_of_the_peer(&why) => {}
                Err(why) => {
                    self.errors.inc();
                    unlogged += 1;
                    if logged.is_none_or(|at| at.elapsed() >= ACCEPT_LOG_INTERVAL) {
                        tracing::warn!(%why, errors = unlogged, "cannot accept connections: trying again");
                        logged = Some(Instant::now());
                        unlogged = 0;
                    }
                    tokio::time::sleep(ACCEPT_BACKOFF).await;
                }
            }
        }
    }

    fn serve(&self, stream: TcpStream, peer: SocketAddr) {
        if let Err(why) = tune(&stream, self.stall_timeout) {
            tracing::debug!(%why, "a connection was gone before it could be tuned");
            return;
        }
        let router = self.router.clone();
        match &self.faults {
            None => {
                let service = service_fn(move |request: Request<Incoming>| {
                    router.clone().oneshot(unpinned(request).map(Body::new))
                });
                self.drive(TokioIo::new(stream), service);
            }
            Some(faults) => {
                let faults = Arc::clone(faults);
                let (stream, socket) = faults.wrap(stream, peer);
                let service = service_fn(move |request: Request<Incoming>| {
                    let (faults, socket) = (Arc::clone(&faults), Arc::clone(&socket));
                    let router = router.clone();
                    async move { faults.answer(unpinned(request).map(Body::new), router, &socket).await }
                });
                self.drive(TokioIo::new(stream), service);
            }
        }
    }

    /// Serves HTTP on the connection in a task of its own.
    fn drive<I, S>(&self, io: I, service: S)
    where
        I: Read + Write + Unpin + Send + 'static,
        S: HttpService<Incoming, ResBody = Body, Future: Send> + Send + 'static,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(io, service)
            .with_upgrades();
        let stopping = self.stopping.clone();
        self.connections.spawn(async move {
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stopping.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(why) = ended {
                tracing::debug!(%why, "connection ended with an error");
            }
        });
    }
}

/// A copy of the head of an upgrade request. A socket keeps its request's head as long as it lives, and the parsed head
/// the buffer that it was read into: 8 KB for every subscriber.
fn unpinned(mut request: Request<Incoming>) -> Request<Incoming> {
    if request.headers().contains_key(header::UPGRADE) {
        for value in request.headers_mut().values_mut() {
            *value = HeaderValue::from_bytes(value.as_bytes()).expect("it is the value of a header");
        }
        // One that does not read the same again stays as it is.
        if let Ok(uri) = request.uri().to_string().parse() {
            *request.uri_mut() = uri;
        }
    }
    request
}

fn is_of_the_peer(why: &io::Error) -> bool {
    matches!(why.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

/// No delay for small packets, and an end to peers that stopped reading: the library below keeps their sockets until
/// a write fails, which without this can be never.
fn tune(stream: &TcpStream, stall_timeout: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    SockRef::from(stream).set_tcp_user_timeout(Some(stall_timeout))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_is_prompt_and_ends_when_its_peer_stalls() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let stall_timeout = Duration::from_secs(7);
        tune(&stream, stall_timeout).unwrap();
        assert!(stream.nodelay().unwrap());
        #[cfg(target_os = "linux")]
        assert_eq!(SockRef::from(&stream).tcp_user_timeout().unwrap(), Some(stall_timeout));
    }
}
