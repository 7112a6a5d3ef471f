//! Puts the parts together, and takes them apart again in the right order.

use std::{future::Future, io, path::PathBuf, sync::Arc, time::Duration};

use axum::Router;
use socketioxide::layer::SocketIoLayer;
use tokio::{net::TcpListener, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_http::cors::CorsLayer;

use crate::{
    accept::Acceptor,
    adapter::{CountingAdapter, Recipients},
    config::{Config, ConfigError},
    faults::Faults,
    feed::Publisher,
    metrics::Metrics,
    passwords::Passwords,
    routes::{self, App},
    sockets,
    store::{self, Store, StoreError},
    tokens::Tokens,
};

/// What a shutdown waits for requests in flight, for sockets to be told, and for connections to end: each.
const GRACE: Duration = Duration::from_secs(5);

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A setting is out of its range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store could not be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The metrics could not be registered.
    #[error("cannot set up the metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The truth log cannot be written.
    #[error("cannot write the truth log {path}: {source}; choose another with --truth-log", path = path.display())]
    TruthLog {
        /// As given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The thread that misbehaves on command could not start.
    #[error("cannot start the faults: {0}")]
    Faults(#[source] io::Error),
}

/// Serves the feed on `listener` until `shutdown` resolves, then stops in order: no new connections, requests in
/// flight answered, sockets disconnected, every acknowledged write in the store. Bounded in time.
///
/// # Errors
/// When a setting is out of range or the store cannot be opened; once it serves, it only ends by `shutdown`.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    Server::open(config).await?.run(listener, shutdown).await;
    Ok(())
}

/// A server that can start: its settings are right and its store is open.
pub(crate) struct Server {
    config: Config,
    metrics: Arc<Metrics>,
    store: Arc<dyn Store>,
    faults: Option<Arc<Faults>>,
}

impl Server {
    /// # Errors
    /// When a setting is out of range or the store cannot be opened.
    pub(crate) async fn open(config: Config) -> Result<Self, ServeError> {
        config.check()?;
        let metrics = Arc::new(Metrics::new()?);
        let faults = Faults::open(&config, &metrics)?;
        let store = store::open(&config.store, metrics.store.clone(), faults.clone()).await?;
        Ok(Self { config, metrics, store, faults })
    }

    /// Serves as [`serve`] says.
    pub(crate) async fn run(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) {
        let Self { config, metrics, store, faults } = self;
        let tokens = Arc::new(Tokens::new(config.jwt_secret.as_ref(), config.jwt_ttl));
        let recipients = Recipients::default();
        let (layer, io) =
            sockets::build(&config, recipients.clone(), metrics.sockets_total.clone(), Arc::clone(&tokens));
        let closing = CancellationToken::new();
        let (publisher, publishing) = Publisher::start(
            io.clone(),
            recipients,
            Arc::clone(&store),
            Arc::clone(&metrics),
            faults.clone(),
            closing.clone(),
        );
        let in_flight = TaskTracker::new();
        let app = App {
            io: io.clone(),
            store: Arc::clone(&store),
            publisher,
            metrics: Arc::clone(&metrics),
            tokens,
            passwords: Arc::new(Passwords::new()),
            open_posting: config.open_posting,
            max_payload_bytes: config.max_payload_bytes,
            in_flight: in_flight.clone(),
            admin: config.admin_token.zip(faults.clone()),
        };
        let connections = TaskTracker::new();
        let stopping = CancellationToken::new();
        let acceptor = Acceptor {
            listener,
            router: with_sockets(routes::router(app), layer),
            errors: metrics.accept_errors.clone(),
            stall_timeout: config.ping_interval + config.ping_timeout,
            connections: connections.clone(),
            stopping: stopping.clone(),
            faults: faults.clone(),
        };
        tokio::select! {
            never = acceptor.run() => match never {},
            () = shutdown => tracing::info!("stopping"),
        }
        drop(acceptor);

        // Requests first, so that what they post still reaches the sockets; then the sockets, whose pending polls would
        // keep their connections open; then whatever connections are left.
        stopping.cancel();
        in_flight.close();
        connections.close();
        patiently("requests in flight", in_flight.wait()).await;
        patiently("sockets", io.close()).await;
        patiently("connections", connections.wait()).await;
        closing.cancel();
        patiently("broadcasts", async { drop(publishing.await) }).await;
        // Not bounded: it holds acknowledged writes, and its queue is.
        store.close().await;
        if let Some(faults) = faults {
            faults.end().await;
        }
        tracing::info!("stopped");
    }
}

/// Socket.IO answers under `/socket.io/`, REST elsewhere, both open to pages from anywhere like the course's app.
fn with_sockets(rest: Router, layer: SocketIoLayer<CountingAdapter>) -> Router {
    rest.layer(layer).layer(CorsLayer::permissive())
}

async fn patiently(what: &str, end: impl Future<Output = ()>) {
    if timeout(GRACE, end).await.is_err() {
        tracing::warn!(grace = ?GRACE, "gave up waiting for {what}");
    }
}
