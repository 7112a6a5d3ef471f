//! HTTP for the outlets: few connections, short heads, and names that only mean this host.
//!
//! Invariant: nothing that a peer sends or fails to read costs more than a bounded piece of memory and time.
//! Must not know: what is served.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Connections of one outlet at the same time; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 64;
/// How long a connection may take for a request's head; also how long one may idle between requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// A request's head may be this long.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// A peer that takes no byte for this long is given up.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Rest after an error of `accept` that more calls would only repeat, such as no descriptor left.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// Serves an outlet until the runtime ends.
pub async fn serve(listener: StdListener, router: Router) -> std::io::Result<Infallible> {
    let local = listener.local_addr()?;
    let listener = TcpListener::from_std(listener)?;
    let router = router.layer(middleware::from_fn(move |request, next| only_this_host(local, request, next)));
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let permit = Arc::clone(&room).acquire_owned().await.expect("it is never closed");
        match listener.accept().await {
            Ok((stream, _)) => {
                let service = TowerToHyperService::new(router.clone());
                tokio::spawn(async move {
                    if tune(&stream, STALL_TIMEOUT).is_ok() {
                        // What a peer does wrong ends its connection and concerns nobody else.
                        let _ = http1::Builder::new()
                            .timer(TokioTimer::new())
                            .header_read_timeout(HEAD_TIMEOUT)
                            .max_buf_size(HEAD_BYTES_MAX)
                            .serve_connection(TokioIo::new(stream), service)
                            .await;
                    }
                    drop(permit);
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_BACKOFF).await,
        }
    }
}

/// No delay for small events, and an end to peers that stopped reading.
fn tune(stream: &TcpStream, stall: Duration) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_user_timeout(Some(stall))
}

/// Refuses requests to loopback by a name that somebody's DNS made mean this host (DNS rebinding): a page of another
/// site could read the answers.
async fn only_this_host(local: SocketAddr, request: Request, next: Next) -> Response {
    if !local.ip().is_loopback() || names_this_host(request.headers()) {
        return next.run(request).await;
    }
    (StatusCode::FORBIDDEN, "this host is called localhost or by its address here\n").into_response()
}

fn names_this_host(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = host.and_then(|host| host.parse::<Authority>().ok());
    authority.is_some_and(|authority| {
        let name = authority.host();
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use axum::routing::get;
    use tokio::io::AsyncWriteExt as _;
    use tokio::runtime::{Builder, Runtime};

    use super::*;
    use crate::outlets::address::Address;

    fn served() -> (Runtime, SocketAddr) {
        let listener = Address::loopback(0).listen("--test").unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(|| async { "served" }));
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(serve(listener, router));
        (runtime, address)
    }

    fn answer(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        // A server that closes on rubbish may reset the connection.
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    #[test]
    fn only_names_of_this_host_are_served() {
        let (_runtime, address) = served();
        let status = |host: &str| {
            let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            answer(address, &request).split(' ').nth(1).unwrap_or_default().to_owned()
        };
        for mine in ["127.0.0.1", "localhost:80", "LOCALHOST", "[::1]:9", "192.0.2.7"] {
            assert_eq!(status(mine), "200", "{mine}");
        }
        for other in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", ""] {
            assert_ne!(status(other), "200", "{other}");
        }
        let none = answer(address, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
        assert!(none.starts_with("HTTP/1.1 403"), "{none}");
    }

    #[test]
    fn rubbish_ends_its_own_connection() {
        let (_runtime, address) = served();
        let long =
            format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(2 * HEAD_BYTES_MAX));
        for rubbish in ["\0\0\0\r\n\r\n", "GET\r\n\r\n", &long] {
            assert!(!answer(address, rubbish).contains("served"));
        }
        let fine = answer(address, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        assert!(fine.ends_with("served"), "{fine}");
    }

    #[test]
    fn a_server_ends_with_its_runtime_whoever_is_connected() {
        let (runtime, address) = served();
        let _idle: Vec<TcpStream> =
            (0..2 * CONNECTIONS_MAX).map(|_| TcpStream::connect(address).unwrap()).collect();
        drop(runtime);
        assert!(TcpStream::connect(address).is_err());
    }

    #[test]
    fn a_peer_that_stops_reading_is_given_up() {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let connecting = tokio::net::TcpStream::connect(listener.local_addr().unwrap());
            let (peer, accepted) = tokio::join!(connecting, listener.accept());
            let (peer, (mut stream, _)) = (peer.unwrap(), accepted.unwrap());
            tune(&stream, Duration::from_secs(1)).unwrap();
            let given_up = async {
                loop {
                    if let Err(error) = stream.write_all(&[0; HEAD_BYTES_MAX]).await {
                        break error;
                    }
                }
            };
            let error = tokio::time::timeout(Duration::from_secs(60), given_up).await.unwrap();
            assert_eq!(error.kind(), std::io::ErrorKind::TimedOut, "{error}");
            drop(peer);
        });
    }
}
