//! A command of the user's that is a server, started for one run, and stopped with everything of its process group.
//!
//! Invariant: only processes of the group that was started here are ever signalled.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use feedmark_reports::gate::PORT;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use procfs::net::TcpState;
use procfs::process::{FDTarget, Process};
use tempfile::TempDir;

use super::{FreshRun, cpus};
use crate::clock::RunClock;
use crate::interrupt;
use crate::target::end_of_log;

/// Stands for an empty folder that goes with the server.
const SCRATCH: &str = "{scratch}";
/// How long a server may take to answer.
const READY_WITHIN_NS: u64 = 30_000_000_000;
/// How long it may take to stop.
const STOP_WITHIN_NS: u64 = 10_000_000_000;
/// How often it is looked at meanwhile.
const LOOK_EVERY_NS: u64 = 20_000_000;
/// How long one attempt to get an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// It could not be started.
    #[error("cannot start `{command}`: {error}")]
    Start {
        /// The command.
        command: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// It ended before it answered.
    #[error("`{command}` ended before it answered on port {port} ({status}): {said}")]
    Ended {
        /// The command.
        command: String,
        /// The port it was given.
        port: u16,
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        said: String,
    },
    /// It never answered.
    #[error(
        "`{command}` did not answer HTTP on 127.0.0.1:{port} within {} s: does it listen there? It said: {said}",
        READY_WITHIN_NS / 1_000_000_000
    )]
    Silent {
        /// The command.
        command: String,
        /// The port it was given.
        port: u16,
        /// The end of its log.
        said: String,
    },
    /// Somebody stopped us meanwhile.
    #[error("interrupted")]
    Interrupted,
}

/// A server that answers.
pub(super) struct Server {
    child: Child,
    port: u16,
    log: PathBuf,
    clock: RunClock,
    _scratch: TempDir,
}

impl Server {
    /// Starts the run's target in a shell, and waits until it answers; it logs beside the run.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub(super) fn start(wanted: &FreshRun<'_>, clock: RunClock) -> Result<Self, ServerError> {
        let command = wanted.target;
        let start_error = |error| ServerError::Start { command: command.to_owned(), error };
        let port = free_port().map_err(start_error)?;
        let scratch = tempfile::Builder::new().prefix("feedmark-server-").tempdir().map_err(start_error)?;
        let log = wanted.folder.join(format!("{}-server.log", wanted.label));
        let mut shell = shell(&fill(command, port, scratch.path()), &log).map_err(start_error)?;
        let child = match wanted.cores {
            None => shell.spawn(),
            Some(cores) => {
                cpus::of_target(cores).map_err(Into::into).and_then(|held| cpus::spawn_on(&held, &mut shell))
            }
        };
        let child = child.map_err(start_error)?;
        let mut server = Self { child, port, log, clock, _scratch: scratch };
        server.await_answer(command)?;
        Ok(server)
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    fn await_answer(&mut self, command: &str) -> Result<(), ServerError> {
        let until_ns = self.clock.now_ns() + READY_WITHIN_NS;
        let command = command.to_owned();
        while !answers(self.address()) {
            let port = self.port;
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(ServerError::Ended { command, port, status, said: end_of_log(&self.log) });
            }
            if interrupt::stop_asked() {
                return Err(ServerError::Interrupted);
            }
            if self.clock.now_ns() > until_ns {
                return Err(ServerError::Silent { command, port, said: end_of_log(&self.log) });
            }
            self.clock.sleep_until(self.clock.now_ns() + LOOK_EVERY_NS);
        }
        Ok(())
    }

    /// The process of its group that listens on the port, of several the first.
    pub(super) fn listener(&self) -> Option<i32> {
        let sockets = procfs::net::tcp().into_iter().chain(procfs::net::tcp6()).flatten();
        let listening: Vec<u64> = sockets
            .filter(|socket| socket.state == TcpState::Listen && socket.local_address.port() == self.port)
            .map(|socket| socket.inode)
            .collect();
        let listens = |process: &Process| {
            process.fd().into_iter().flatten().flatten().any(
                |descriptor| matches!(descriptor.target, FDTarget::Socket(inode) if listening.contains(&inode)),
            )
        };
        self.living().find(listens).map(|process| process.pid)
    }

    /// It ended though nobody stopped it: how, and the end of its log.
    pub(super) fn ended_early(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok()??;
        Some(format!("the server ended during the run ({status}): {}", end_of_log(&self.log)))
    }

    /// Processes of the group; those that only wait to be reaped do not count.
    fn living(&self) -> impl Iterator<Item = Process> {
        let group = self.group().as_raw();
        procfs::process::all_processes()
            .into_iter()
            .flatten()
            .flatten()
            .filter(move |process| process.stat().is_ok_and(|stat| stat.pgrp == group && stat.state != 'Z'))
    }

    fn group(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for Server {
    /// SIGTERM to the group, SIGKILL for what is still there after a while.
    fn drop(&mut self) {
        let until_ns = self.clock.now_ns() + STOP_WITHIN_NS;
        let _ = killpg(self.group(), Signal::SIGTERM);
        while self.living().next().is_some() {
            if self.clock.now_ns() > until_ns {
                let _ = killpg(self.group(), Signal::SIGKILL);
                break;
            }
            self.clock.sleep_until(self.clock.now_ns() + LOOK_EVERY_NS);
        }
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on. Somebody else may take it before the server does, which then says so.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn fill(command: &str, port: u16, scratch: &Path) -> String {
    command.replace(PORT, &port.to_string()).replace(SCRATCH, &scratch.display().to_string())
}

fn shell(command: &str, log: &Path) -> std::io::Result<Command> {
    let log = File::create(log)?;
    let mut shell = Command::new("sh");
    shell
        .args(["-c", command])
        // Ours, and silent: a server that ends with its standard input cannot outlive us, whatever ends us.
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        // A group of its own, so that all of it can be stopped, and a Ctrl-C in the terminal leaves it to us.
        .process_group(0);
    Ok(shell)
}

/// It accepts, and says something to a request; what, does not matter.
fn answers(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<usize> {
        let mut stream = TcpStream::connect_timeout(&address, ANSWER_WITHIN)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        stream.write_all(
            format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes(),
        )?;
        stream.read(&mut [0; 64])
    };
    ask().is_ok_and(|bytes| bytes > 0)
}
