//! The target of a run: a server that somebody runs, or one as our own child process: the reference server, or
//! the null target.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use feedmark_core::socketio::excerpt;
use tempfile::TempDir;
use url::Url;

/// How long a TCP connection to a target may take before it counts as unreachable.
const REACH_WITHIN: Duration = Duration::from_secs(5);
/// How long a child may take to listen.
const LISTEN_WITHIN: Duration = Duration::from_secs(30);
/// How long it may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// What a child prints when it listens.
const LISTENING: &str = "listening on ";

/// Why there is no target.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The name does not resolve.
    #[error("cannot find the host of {url}: {error}: check --url")]
    Resolve {
        /// As given, without credentials.
        url: String,
        /// What the resolver said.
        error: std::io::Error,
    },
    /// Nothing answers there.
    #[error("cannot reach {url}: {error}: is the target running, and is this its port?")]
    Unreachable {
        /// As given, without credentials.
        url: String,
        /// What the system said of the last address.
        error: std::io::Error,
    },
    /// A child could not be started.
    #[error("cannot start the {kind}: {error}")]
    Start {
        /// Which one.
        kind: &'static str,
        /// What the system said.
        error: std::io::Error,
    },
    /// It ended before it listened.
    #[error("the {kind} did not start ({status}): {said}")]
    Ended {
        /// Which one.
        kind: &'static str,
        /// Exit status, or that it was silent.
        status: String,
        /// The end of its log.
        said: String,
    },
}

/// A target that can be reached.
pub struct Target {
    /// Address that subscribers and writers connect to.
    pub address: SocketAddr,
    /// Host header.
    pub host: String,
    /// What people call it.
    pub name: String,
    server: Option<Server>,
}

/// A server as a child process. It ends when its standard input does, so it cannot outlive us whatever
/// ends us; the reference server then takes its store along.
struct Server {
    kind: &'static str,
    child: Child,
    log: PathBuf,
    _store: Option<TempDir>,
}

const REFERENCE: &str = "reference server";
const NULL: &str = "null target";

impl Target {
    /// A server that somebody runs; no address of it is tried for longer than `connect_timeout`.
    ///
    /// # Errors
    /// If its name does not resolve, or no address of it accepts a connection.
    pub fn at(url: &Url, connect_timeout: Duration) -> Result<Self, TargetError> {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(80);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = url.as_str().trim_end_matches('/').to_owned();
        let resolve_error = |error| TargetError::Resolve { url: name.clone(), error };
        let addresses: Vec<SocketAddr> = (bare, port).to_socket_addrs().map_err(resolve_error)?.collect();
        // The standard library refuses to wait for no time at all.
        let reach_within = connect_timeout.clamp(Duration::from_millis(1), REACH_WITHIN);
        let mut last_error = std::io::Error::from(std::io::ErrorKind::NotFound);
        for address in addresses {
            match TcpStream::connect_timeout(&address, reach_within) {
                Ok(_) => {
                    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
                    return Ok(Self { address, host, name, server: None });
                }
                Err(error) => last_error = error,
            }
        }
        Err(TargetError::Unreachable { url: name, error: last_error })
    }

    /// Starts the reference server with `arguments` and waits until it listens; it logs to `log`.
    ///
    /// # Errors
    /// If it cannot be started, or ends before it listens.
    pub fn start_reference(arguments: &[String], log: &Path) -> Result<Self, TargetError> {
        let store = tempfile::Builder::new()
            .prefix("feedmark-target-")
            .tempdir()
            .map_err(|error| TargetError::Start { kind: REFERENCE, error })?;
        let arrange = |command: &mut Command| {
            command
                .args(["target", "--port", "0", "--open", "--stop-on-stdin-eof", "--db"])
                .arg(store.path().join("feed.db"))
                .arg("--scratch")
                .arg(store.path())
                .args(arguments);
        };
        let (child, line) =
            spawn(arrange, log).map_err(|error| TargetError::Start { kind: REFERENCE, error })?;
        Self::of_child(Server { kind: REFERENCE, child, log: log.to_owned(), _store: Some(store) }, line)
    }

    /// Starts the null target and waits until it listens; it logs to `log`.
    ///
    /// # Errors
    /// If it cannot be started, or ends before it listens.
    pub fn start_null(log: &Path) -> Result<Self, TargetError> {
        let arrange = |command: &mut Command| {
            command.args(["null-target", "--stop-on-stdin-eof"]);
        };
        let (child, line) = spawn(arrange, log).map_err(|error| TargetError::Start { kind: NULL, error })?;
        Self::of_child(Server { kind: NULL, child, log: log.to_owned(), _store: None }, line)
    }

    /// A child that has said where it listens, or has not.
    fn of_child(server: Server, line: Option<String>) -> Result<Self, TargetError> {
        let address = line.as_deref().and_then(|line| {
            let url = Url::parse(line.strip_prefix(LISTENING)?.trim()).ok()?;
            Some((url.socket_addrs(|| None).ok()?.first().copied()?, url))
        });
        let kind = server.kind;
        match address {
            Some((address, url)) => Ok(Self {
                address,
                host: address.to_string(),
                name: format!("{kind} at {}", url.as_str().trim_end_matches('/')),
                server: Some(server),
            }),
            None => {
                let said = end_of_log(&server.log);
                let status = server.stop().map_or_else(|| "silent".to_owned(), |status| status.to_string());
                Err(TargetError::Ended { kind, status, said })
            }
        }
    }

    /// Its process, if it is our child.
    pub fn pid(&self) -> Option<i32> {
        self.server.as_ref().map(|server| server.child.id() as i32)
    }

    /// Our child has ended though nobody stopped it: how, and the end of its log.
    pub fn ended_early(&mut self) -> Option<String> {
        let server = self.server.as_mut()?;
        let status = server.child.try_wait().ok()??;
        Some(format!("the {} ended during the run ({status}): {}", server.kind, end_of_log(&server.log)))
    }

    /// Stops our child, if there is one.
    pub fn stop(self) {
        self.server.map(Server::stop);
    }
}

/// Starts this program as a server, and gives the first line that it prints.
fn spawn(arrange: impl FnOnce(&mut Command), log: &Path) -> std::io::Result<(Child, Option<String>)> {
    let mut command = Command::new(std::env::current_exe()?);
    arrange(&mut command);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(File::create(log)?)
        // A Ctrl-C in the terminal is for us: the server is needed for the drain.
        .process_group(0)
        .spawn()?;
    let (sender, first_line) = sync_channel(1);
    let stdout = child.stdout.take();
    std::thread::Builder::new().name("target-stdout".into()).spawn(move || {
        let mut lines = stdout.map(BufReader::new).into_iter().flat_map(BufRead::lines);
        // Nobody waits any more if it took too long.
        let _ = sender.send(lines.next());
        // The rest is read to its end, so that the server never waits for a reader.
        lines.for_each(drop);
    })?;
    Ok((child, first_line.recv_timeout(LISTEN_WITHIN).ok().flatten().and_then(Result::ok)))
}

impl Server {
    /// Closes its standard input and waits; kills it if it takes too long.
    fn stop(mut self) -> Option<ExitStatus> {
        drop(self.child.stdin.take());
        let pid = nix::unistd::Pid::from_raw(self.child.id() as i32);
        let (sender, ended) = sync_channel(1);
        let mut child = self.child;
        let waiter = std::thread::spawn(move || {
            let status = child.wait().ok();
            // Received unless it was killed in the meantime.
            let _ = sender.send(status);
            status
        });
        ended.recv_timeout(STOP_WITHIN).unwrap_or_else(|_| {
            // It is ours and has not been waited for, so the pid is still its own.
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            waiter.join().ok().flatten()
        })
    }
}

/// The line of a log that tells why its process ended, and where the rest is.
pub(crate) fn end_of_log(log: &Path) -> String {
    const TAIL_BYTES: u64 = 600;
    let tail = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let start = file.metadata()?.len().saturating_sub(TAIL_BYTES);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = tail().unwrap_or_default();
    // Wrong usage is explained in the first of several lines, everything else in the last.
    let lines = || bytes.trim_ascii().split(|&byte| byte == b'\n');
    let telling = lines().find(|line| line.starts_with(b"error: ")).or_else(|| lines().next_back());
    let said = match telling {
        Some([]) | None => "nothing".into(),
        Some(line) => excerpt(line),
    };
    format!("{said} (see {})", log.display())
}
