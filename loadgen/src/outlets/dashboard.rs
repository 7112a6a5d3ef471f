//! The live page: drawn when it is opened, then again once a second, pushed as a server-sent event.
//!
//! Invariant: viewers cost a bounded number of connections; who does not read misses snapshots, and is dropped in the end
//! (`server`), and never holds anybody up.

use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use feedmark_reports::html::live;
use feedmark_reports::live::LiveSnapshot;
use futures_util::stream::unfold;
use tokio::sync::Semaphore;

use crate::live::Snapshots;

/// Pages that are open at the same time.
const VIEWERS_MAX: usize = 16;
/// Time between two drawings: what is drawn are seconds.
const DRAW_EVERY: Duration = Duration::from_secs(1);
/// The report in a run folder.
const REPORT: &str = "report.html";
/// Hexadecimal digits of the token, four bits each.
const TOKEN_DIGITS: usize = 32;

/// In no frame of another page, and no address with a token handed on; what may run, the page says itself.
const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, "frame-ancestors 'none'"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
];

struct Dashboard {
    snapshots: Snapshots,
    room: Arc<Semaphore>,
    /// The latest drawing and what it is of: every viewer gets the same.
    drawn: Mutex<Option<(Arc<LiveSnapshot>, Arc<str>)>>,
}

/// Where the page is, below the root: behind a token that nobody can guess, unless only this host gets there.
pub fn path(address: SocketAddr) -> String {
    if address.ip().is_loopback() {
        return "/".to_owned();
    }
    let digits = TOKEN_DIGITS;
    format!("/{:0digits$x}/", rand::random::<u128>())
}

/// Serves the page of `snapshots` at `path`.
pub fn router(path: &str, snapshots: Snapshots) -> Router {
    let room = Arc::new(Semaphore::new(VIEWERS_MAX));
    let dashboard = Arc::new(Dashboard { snapshots, room, drawn: Mutex::default() });
    let at = |name: &str| format!("{path}{name}");
    let page_path = path.to_owned();
    // Who leaves out the last slash gets there, too.
    let router = match path.trim_end_matches('/') {
        "" => Router::new(),
        bare => Router::new().route(bare, get(move || async move { (HEADERS, Redirect::to(&page_path)) })),
    };
    router
        .route(path, get(page))
        .route(&at("events"), get(events))
        .route(&at(REPORT), get(report))
        .with_state(dashboard)
}

impl Dashboard {
    fn latest(&self) -> Arc<LiveSnapshot> {
        Arc::clone(&self.snapshots.borrow())
    }

    fn draw(&self, snapshot: Arc<LiveSnapshot>) -> Arc<str> {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        match &*drawn {
            Some((of, text)) if Arc::ptr_eq(of, &snapshot) => Arc::clone(text),
            _ => {
                let text: Arc<str> = live::body(&snapshot).into();
                *drawn = Some((snapshot, Arc::clone(&text)));
                text
            }
        }
    }
}

async fn page(State(dashboard): State<Arc<Dashboard>>) -> impl IntoResponse {
    let body = dashboard.draw(dashboard.latest());
    (HEADERS, Html(live::page(&body)))
}

async fn events(State(dashboard): State<Arc<Dashboard>>) -> Response {
    let Ok(place) = Arc::clone(&dashboard.room).try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many pages are open: close one\n").into_response();
    };
    let snapshots = dashboard.snapshots.clone();
    // The first event is what is; the others are what becomes of it.
    let drawings =
        unfold((dashboard, snapshots, place, true), |(dashboard, mut snapshots, place, first)| async move {
            if !first {
                tokio::time::sleep(DRAW_EVERY).await;
                if snapshots.changed().await.is_err() {
                    // The run is over, and the page stays what it is.
                    pending::<()>().await;
                }
            }
            let snapshot = Arc::clone(&snapshots.borrow_and_update());
            let event = Event::default().data(&*dashboard.draw(snapshot));
            Some((Ok::<_, Infallible>(event), (dashboard, snapshots, place, false)))
        });
    (HEADERS, Sse::new(drawings).keep_alive(KeepAlive::default())).into_response()
}

/// The report of the finished run, which carries its own style and script.
async fn report(State(dashboard): State<Arc<Dashboard>>) -> Response {
    let snapshot = dashboard.latest();
    let folder = snapshot.conclusion.as_ref().map(|conclusion| conclusion.folder.as_str());
    // It is read on a thread that has nothing better to do.
    match folder.map(|folder| std::fs::read(Path::new(folder).join(REPORT))) {
        Some(Ok(page)) => (HEADERS, Html(page)).into_response(),
        _ => (StatusCode::NOT_FOUND, "there is no report.html in the run folder\n").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use tokio::runtime::Builder;
    use tokio::sync::watch;

    use super::*;
    use crate::outlets::address::Address;
    use crate::outlets::server::serve;

    /// Asks for the events, and gives the status with the connection.
    fn ask(address: SocketAddr) -> (String, TcpStream) {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        (String::from_utf8_lossy(&head[9..]).into_owned(), stream)
    }

    #[test]
    fn so_many_pages_and_no_more() {
        let (_snapshots, latest) = watch::channel(Arc::new(LiveSnapshot::new()));
        let listener = Address::loopback(0).listen("--test").unwrap();
        let address = listener.local_addr().unwrap();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(serve(listener, router("/", latest)));
        let mut viewers: Vec<(String, TcpStream)> = (0..VIEWERS_MAX).map(|_| ask(address)).collect();
        assert!(viewers.iter().all(|(status, _)| status == "200"));
        assert_eq!(ask(address).0, "503");
        // Who goes away makes room; the server sees it when it next looks.
        viewers.pop();
        while ask(address).0 == "503" {
            std::thread::yield_now();
        }
    }

    #[test]
    fn only_loopback_needs_no_token() {
        let path_at = |address: &str| path(address.parse().unwrap());
        assert_eq!([path_at("127.0.0.1:80"), path_at("[::1]:80")], ["/", "/"]);
        let (one, other) = (path_at("0.0.0.0:80"), path_at("192.0.2.1:80"));
        assert!(one.len() == TOKEN_DIGITS + 2 && other.len() == one.len() && one != other, "{one} {other}");
    }
}
