//! The server as flags: what was typed, what is meant by it, and a process around it.

use std::{
    future::Future,
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

use bytesize::ByteSize;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpSocket, lookup_host},
    signal::unix::{SignalKind, signal},
};
use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

use crate::server::Server;
use crate::{Config, Durability, Fault, Secret, ServeError, StoreKind};

/// Connections that may wait to be accepted; the kernel cuts it to its own limit (`net.core.somaxconn`).
const ACCEPT_BACKLOG: u32 = 4096;
/// How long the runtime may wait for its blocking threads in the end.
const RUNTIME_GRACE: Duration = Duration::from_secs(1);

/// Which store.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreName {
    /// A file, see --db and --durability.
    Sqlite,
    /// Nothing is kept when the server ends.
    Memory,
}

/// The flags of the reference server. Every one can be given as `FEEDMARK_TARGET_…` in the environment.
#[derive(clap::Args, Debug, Clone)]
pub struct ServerArgs {
    /// Address or name to listen on
    #[arg(long, env = "FEEDMARK_TARGET_HOST", default_value = "127.0.0.1")]
    host: String,
    /// Port to listen on; 0 takes any free one, which is printed
    #[arg(long, env = "FEEDMARK_TARGET_PORT", default_value_t = 8080)]
    port: u16,
    /// Threads that serve [default: one per core]
    #[arg(long, env = "FEEDMARK_TARGET_WORKER_THREADS", value_parser = clap::value_parser!(u16).range(1..))]
    worker_threads: Option<u16>,
    /// Where posts and users live
    #[arg(long, env = "FEEDMARK_TARGET_STORE", value_enum, default_value = "sqlite")]
    store: StoreName,
    /// Database file of --store sqlite; made when it is not there
    #[arg(long, env = "FEEDMARK_TARGET_DB", default_value = "feed.db")]
    db: PathBuf,
    /// What an acknowledged post survives
    #[arg(long, env = "FEEDMARK_TARGET_DURABILITY", value_enum, default_value = "full")]
    durability: Durability,
    /// Writes that may share one commit of --store sqlite; 1 turns group commit off
    #[arg(long, env = "FEEDMARK_TARGET_COMMIT_WRITES", value_name = "N", default_value_t = StoreKind::COMMIT_WRITES,
          value_parser = clap::value_parser!(u16).range(1..))]
    commit_writes: u16,
    /// Accept posts without a token, as user "anonymous" (for load tests)
    #[arg(long, env = "FEEDMARK_TARGET_OPEN")]
    open: bool,
    /// Refuse sockets that do not connect with auth {token}
    #[arg(long, env = "FEEDMARK_TARGET_SOCKET_AUTH")]
    socket_auth: bool,
    /// Packets that may wait for one slow subscriber; further ones are refused and counted
    #[arg(long, env = "FEEDMARK_TARGET_SOCKET_BUFFER", default_value_t = Config::default().socket_buffer_packets)]
    socket_buffer: usize,
    /// Time between two heartbeats
    #[arg(long, env = "FEEDMARK_TARGET_PING_INTERVAL", value_parser = humantime::parse_duration, default_value = "25s")]
    ping_interval: Duration,
    /// How long a heartbeat may stay unanswered
    #[arg(long, env = "FEEDMARK_TARGET_PING_TIMEOUT", value_parser = humantime::parse_duration, default_value = "20s")]
    ping_timeout: Duration,
    /// Largest REST body and Socket.IO message taken, such as 64KB or 1MiB
    #[arg(long, env = "FEEDMARK_TARGET_MAX_PAYLOAD", default_value = "1MB")]
    max_payload: ByteSize,
    /// Key of the token signatures [default: a random one per start]
    #[arg(long, env = "FEEDMARK_TARGET_JWT_SECRET", hide_env_values = true)]
    jwt_secret: Option<Secret>,
    /// How long a login lives
    #[arg(long, env = "FEEDMARK_TARGET_JWT_TTL", value_parser = humantime::parse_duration, default_value = "1h")]
    jwt_ttl: Duration,
    /// Misbehave: kind=KIND,key=value,… with KIND delay, stall, stall-replies, drop, duplicate, swap, pace, flush,
    /// split, kill, refuse, slow-handshake or slow-commit; may be given many times
    #[arg(long = "fault", env = "FEEDMARK_TARGET_FAULT", value_name = "SPEC", value_delimiter = ';')]
    faults: Vec<Fault>,
    /// Decides which posts and sockets the faults choose
    #[arg(long, env = "FEEDMARK_TARGET_FAULT_SEED", value_name = "N", default_value_t = Config::default().fault_seed)]
    fault_seed: u64,
    /// Let whoever shows this token read and change the faults at /admin/faults
    #[arg(long, env = "FEEDMARK_TARGET_ADMIN_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    admin_token: Option<Secret>,
    /// Write what really happened, for every post and socket, as compressed JSON lines
    #[arg(long, env = "FEEDMARK_TARGET_TRUTH_LOG", value_name = "FILE")]
    truth_log: Option<PathBuf>,
    /// Lines of the truth log; further ones are counted only
    #[arg(long, env = "FEEDMARK_TARGET_TRUTH_LOG_MAX_LINES", value_name = "N", default_value_t = Config::default().truth_log_lines_max)]
    truth_log_max_lines: u64,
    /// error, warn, info, debug, trace or off, also per module: info,target_server=debug
    #[arg(long, env = "FEEDMARK_TARGET_LOG_LEVEL", default_value = "info")]
    log_level: Targets,
    /// Stop when standard input ends, so that a parent that dies takes the server along
    #[arg(long, env = "FEEDMARK_TARGET_STOP_ON_STDIN_EOF")]
    stop_on_stdin_eof: bool,
}

/// Why the process could not serve.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// No runtime, no signals.
    #[error("cannot start: {0}")]
    Start(#[source] io::Error),
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {host}:{port}: {source}; choose another with --host and --port, 0 for any free port"
    )]
    Bind {
        /// As given.
        host: String,
        /// As given.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// Whoever waits for the address does not get it.
    #[error("cannot print the address: {0}; keep standard output open")]
    Announce(#[source] io::Error),
    /// The server itself.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

impl ServerArgs {
    /// Runs the server until SIGINT, SIGTERM or, if asked, the end of standard input.
    ///
    /// Prints one line on standard output, `listening on http://ADDR:PORT`; everything else goes to standard error.
    ///
    /// # Errors
    /// When it cannot listen or serve.
    pub fn run(self) -> Result<(), CliError> {
        let subscriber = tracing_subscriber::registry().with(self.log_level.clone());
        let lines = tracing_subscriber::fmt::layer().json().with_writer(io::stderr);
        // A process that has logging set up keeps its own.
        let _ = subscriber.with(lines).try_init();
        raise_descriptor_limit();
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        if let Some(threads) = self.worker_threads {
            builder.worker_threads(usize::from(threads));
        }
        let runtime = builder.enable_all().build().map_err(CliError::Start)?;
        let outcome = runtime.block_on(self.listen_and_serve());
        // A read of standard input cannot be taken back, so the runtime does not wait for it.
        runtime.shutdown_timeout(RUNTIME_GRACE);
        outcome
    }

    async fn listen_and_serve(self) -> Result<(), CliError> {
        let stop = stop_requested(self.stop_on_stdin_eof).map_err(CliError::Start)?;
        let cannot_bind = |source| CliError::Bind { host: self.host.clone(), port: self.port, source };
        let listener = listen(&self.host, self.port).await.map_err(cannot_bind)?;
        let address = listener.local_addr().map_err(cannot_bind)?;
        // Announced when nothing can go wrong any more: whoever waits for the line may connect.
        let server = Server::open(self.into_config()).await?;
        announce(address).map_err(CliError::Announce)?;
        server.run(listener, stop).await;
        Ok(())
    }

    /// What is meant by what was typed.
    fn into_config(self) -> Config {
        Config {
            store: match self.store {
                StoreName::Memory => StoreKind::Memory,
                StoreName::Sqlite => StoreKind::Sqlite {
                    path: self.db,
                    durability: self.durability,
                    commit_writes: self.commit_writes,
                },
            },
            open_posting: self.open,
            socket_auth: self.socket_auth,
            socket_buffer_packets: self.socket_buffer,
            ping_interval: self.ping_interval,
            ping_timeout: self.ping_timeout,
            max_payload_bytes: usize::try_from(self.max_payload.as_u64()).unwrap_or(usize::MAX),
            jwt_secret: self.jwt_secret,
            jwt_ttl: self.jwt_ttl,
            faults: self.faults,
            fault_seed: self.fault_seed,
            admin_token: self.admin_token,
            truth_log: self.truth_log,
            truth_log_lines_max: self.truth_log_max_lines,
        }
    }
}

async fn listen(host: &str, port: u16) -> io::Result<TcpListener> {
    let address = lookup_host((host, port)).await?.next();
    let address =
        address.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))?;
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(ACCEPT_BACKLOG)
}

fn announce(address: SocketAddr) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "listening on http://{address}")?;
    stdout.flush()
}

/// The signals are listened for before this returns.
fn stop_requested(on_stdin_eof: bool) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = stdin_ended(), if on_stdin_eof => {}
        }
    })
}

/// An error ends the input as well as its end does.
async fn stdin_ended() {
    let mut stdin = tokio::io::stdin();
    let mut ignored = [0; 512];
    while stdin.read(&mut ignored).await.is_ok_and(|bytes| bytes > 0) {}
}

/// As many sockets as this user may have.
fn raise_descriptor_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < hard { setrlimit(Resource::RLIMIT_NOFILE, hard, hard) } else { Ok(()) }
    });
    if let Err(why) = raised {
        tracing::warn!(%why, "cannot raise the limit of open files: many sockets may not fit");
    }
}
