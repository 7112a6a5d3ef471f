//! One subscriber's socket and what it is waiting for.

use std::io::{self, Write as _};
use std::net::SocketAddr;

use feedmark_core::session::{Session, SessionError};
use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

use super::connector::Attempt;
use crate::limits::{describe_system, shortage};
use crate::source::{LocalPorts, Source};

/// Replies (pongs) that may wait for a target that does not read.
const UNSENT_BYTES_MAX: usize = 256 * 1024;

/// A connection attempt or a live connection.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    /// `None` until TCP is connected.
    pub(super) session: Option<Session>,
    pub(super) attempt: Attempt,
    pub(super) times: StepTimes,
    /// Run time at which its socket was last known to be empty.
    pub(super) emptied_ns: u64,
    /// Bytes that the socket did not take at once.
    pub(super) unsent: Vec<u8>,
}

/// Run times of the steps of an attempt.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct StepTimes {
    pub(super) started_ns: u64,
    pub(super) tcp_ns: u64,
    pub(super) upgraded_ns: u64,
}

impl Connection {
    /// Established: its Socket.IO CONNECT is confirmed.
    pub(super) fn is_live(&self) -> bool {
        self.session.as_ref().is_some_and(Session::is_live)
    }

    /// Sends what the socket takes at once and keeps the rest for when it is writable.
    ///
    /// # Errors
    /// As `write(2)`; [`Ended::NotReading`] when too much is kept already.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        if self.unsent.len() + bytes.len() > UNSENT_BYTES_MAX {
            return Err(Ended::NotReading);
        }
        self.unsent.extend_from_slice(bytes);
        self.flush()
    }

    /// Sends what was kept.
    ///
    /// # Errors
    /// As `write(2)`.
    pub(super) fn flush(&mut self) -> Result<(), Ended> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.unsent = Vec::new();
        Ok(())
    }
}

/// Why a connection ended or an attempt failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(
        "the target closed the TCP connection before the subscriber was connected: check --socket-path, and \
         that Socket.IO is on this port"
    )]
    EndOfStream,
    #[error("{}", describe_io(.0))]
    Io(#[from] io::Error),
    #[error(
        "no answer within the connect timeout: the target accepted TCP but {0} never came (--connect-timeout)"
    )]
    Handshake(&'static str),
    #[error(
        "no TCP connection within the connect timeout: the target's host does not answer (--connect-timeout)"
    )]
    TcpTimeout,
    #[error("the target stopped sending heartbeats")]
    Heartbeat,
    #[error("the target makes the subscriber answer but does not read the answers")]
    NotReading,
    #[error("the target has begun more messages than it finishes: see --max-message")]
    TooMuchUnfinished,
    #[cfg(feature = "rust_socketio")]
    #[error("rust_socketio says {0:?}: `--driver engine` may know more")]
    Client(String),
    #[cfg(feature = "rust_socketio")]
    #[error("rust_socketio was not connected within the connect timeout (--connect-timeout)")]
    ClientTimeout,
}

impl Ended {
    /// A short name to count by.
    pub(super) fn cause(&self) -> String {
        match self {
            Self::Session(error) => error.cause(),
            Self::EndOfStream => "connection closed".into(),
            Self::Io(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused => "connection refused".into(),
                io::ErrorKind::ConnectionReset => "connection reset".into(),
                io::ErrorKind::BrokenPipe => "connection closed".into(),
                _ => shortage(error).map_or_else(|| error.to_string(), |shortage| shortage.name.into()),
            },
            Self::Handshake(_) | Self::TcpTimeout => "connect timeout".into(),
            Self::Heartbeat => "heartbeat timeout".into(),
            Self::NotReading => "target does not read".into(),
            Self::TooMuchUnfinished => "unfinished messages".into(),
            #[cfg(feature = "rust_socketio")]
            Self::Client(said) => format!("rust_socketio: {said}"),
            #[cfg(feature = "rust_socketio")]
            Self::ClientTimeout => "connect timeout".into(),
        }
    }
}

fn describe_io(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("{error}: is the target running, and is this its port?"),
        io::ErrorKind::ConnectionReset => format!("{error}: the target dropped the connection: see its log"),
        _ => describe_system(error),
    }
}

/// Opens sockets; on loopback it moves on to the next source address when local ports run short.
pub(super) struct Dialer {
    target: SocketAddr,
    source: Source,
    local_ports: Option<LocalPorts>,
}

impl Dialer {
    pub(super) fn new(target: SocketAddr) -> Self {
        Self { target, source: Source::default(), local_ports: LocalPorts::read() }
    }

    /// Starts to connect.
    ///
    /// # Errors
    /// As `socket(2)` and `connect(2)`; `AddrNotAvailable` when every source address is used up.
    pub(super) fn dial(&mut self) -> io::Result<TcpStream> {
        loop {
            match self.dial_from(self.source.address()) {
                Err(error) if self.source.move_on(self.target, &error) => {}
                outcome => return outcome,
            }
        }
    }

    fn dial_from(&self, source: Option<SocketAddr>) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(self.target), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(ports) = self.local_ports {
            // An older kernel finds a port, too, only later.
            let _ = ports.open_to(&socket);
        }
        if let Some(source) = source {
            socket.bind(&source.into())?;
        }
        match socket.connect(&self.target.into()) {
            Err(error) if error.raw_os_error() != Some(nix::libc::EINPROGRESS) => Err(error),
            _ => Ok(TcpStream::from_std(socket.into())),
        }
    }
}
