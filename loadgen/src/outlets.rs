//! Where a run can be watched from outside while it goes on: a page for browsers, metrics for Prometheus and for
//! OpenTelemetry. All off unless asked for.
//!
//! They see the snapshots that every live view sees, and work on threads that go last.
//! Invariant: what cannot be opened is an error before anything is measured; nothing that happens later fails a run.

pub mod address;
pub mod dashboard;
pub mod otlp;
pub mod prometheus;
pub mod server;

use std::future::Future;
use std::net::TcpListener;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

use axum::Router;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::live::{Live, Snapshots};
use crate::urgency::go_last;
use address::{Address, ListenError};
use otlp::{Collector, Headers};

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The live page, at this address.
    pub dashboard: Option<Address>,
    /// `/metrics`, at this address.
    pub prometheus: Option<Address>,
    /// Pushes to this collector, with these headers.
    pub otlp: Option<(Collector, Headers)>,
}

/// Why an outlet cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OutletError {
    /// No place to listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// No thread, or no address.
    #[error("cannot serve live views: {0}")]
    System(#[from] std::io::Error),
}

/// The open outlets.
#[derive(Default)]
pub struct Outlets {
    /// What people need to get there: their URLs.
    pub opened: Vec<String>,
    /// There is a page that people may want to read on.
    pub has_page: bool,
    /// Serves until it is dropped.
    served: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    pusher: Option<JoinHandle<Option<String>>>,
}

impl Outlets {
    /// Opens what is wanted for the run that `live` tells of.
    ///
    /// # Errors
    /// If an address is taken, or not this host's.
    pub fn open(wanted: Wanted, live: &mut Live) -> Result<Self, OutletError> {
        let snapshots = live.subscribe();
        let mut outlets = Self::default();
        let mut routers = Vec::new();
        if let Some(address) = wanted.dashboard {
            let listener = address.listen("--dashboard")?;
            let address = listener.local_addr()?;
            let path = dashboard::path(address);
            outlets.opened.push(format!("dashboard: {}", address::url(address, &path)));
            outlets.has_page = true;
            routers.push((listener, dashboard::router(&path, snapshots.clone())));
        }
        if let Some(address) = wanted.prometheus {
            let listener = address.listen("--prometheus")?;
            outlets.opened.push(format!("metrics: {}", address::url(listener.local_addr()?, "/metrics")));
            routers.push((listener, prometheus::router(snapshots.clone())));
        }
        if !routers.is_empty() {
            outlets.served = Some(serve(routers)?);
        }
        if let Some((collector, headers)) = wanted.otlp {
            // The collector is told of once.
            let (tell, told) = sync_channel(1);
            live.hear(told);
            outlets.pusher =
                Some(start("otlp", otlp::push(collector, headers, live.clock(), snapshots, tell))?);
        }
        Ok(outlets)
    }

    /// The run is over: waits for the last push, and gives what is still to be told.
    pub fn finish(&mut self) -> Option<String> {
        // A pusher that panicked does not push any more.
        self.pusher.take()?.join().unwrap_or_default()
    }
}

impl Drop for Outlets {
    fn drop(&mut self) {
        if let Some((serving, thread)) = self.served.take() {
            drop(serving);
            // One that panicked does not serve any more.
            let _ = thread.join();
        }
    }
}

fn serve(routers: Vec<(TcpListener, Router)>) -> std::io::Result<(oneshot::Sender<()>, JoinHandle<()>)> {
    let (serving, over) = oneshot::channel();
    let thread = start("outlets", async {
        for (listener, router) in routers {
            tokio::spawn(server::serve(listener, router));
        }
        // Nothing is ever sent: it ends when the other half is dropped.
        let _ = over.await;
    })?;
    Ok((serving, thread))
}

/// A thread that goes last.
fn start<T: Send + 'static>(
    name: &str,
    work: impl Future<Output = T> + Send + 'static,
) -> std::io::Result<JoinHandle<T>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name(name.into()).spawn(move || {
        go_last();
        runtime.block_on(work)
    })
}

/// Waits for the end of the run.
async fn ended(snapshots: &mut Snapshots) {
    while snapshots.changed().await.is_ok() {}
}
