//! One subscriber's socket and what it is waiting for.

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use feedmark_core::session::{Session, SessionError};
use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

use super::connector::Attempt;

/// Replies (pongs) that may wait for a target that does not read.
const UNSENT_BYTES_MAX: usize = 256 * 1024;

/// A connection attempt or a live connection.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    /// `None` until TCP is connected.
    pub(super) session: Option<Session>,
    pub(super) attempt: Attempt,
    pub(super) times: StepTimes,
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
    #[error("the target closed the TCP connection")]
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
                io::ErrorKind::AddrNotAvailable => "out of local ports".into(),
                _ if is_out_of_descriptors(error) => "out of file descriptors".into(),
                _ => error.to_string(),
            },
            Self::Handshake(_) | Self::TcpTimeout => "connect timeout".into(),
            Self::Heartbeat => "heartbeat timeout".into(),
            Self::NotReading => "target does not read".into(),
        }
    }
}

fn describe_io(error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::ConnectionRefused => "is the target running, and is this its port?",
        io::ErrorKind::ConnectionReset => "the target dropped the connection: see its log",
        io::ErrorKind::AddrNotAvailable => {
            "out of local ports: widen net.ipv4.ip_local_port_range or use fewer subscribers"
        }
        _ if is_out_of_descriptors(error) => {
            "out of file descriptors: raise the limit (ulimit -n) or use fewer subscribers"
        }
        _ => return error.to_string(),
    };
    format!("{error}: {remedy}")
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(nix::libc::EMFILE | nix::libc::ENFILE))
}

/// Opens sockets; on loopback it moves on to the next source address when local ports run short.
pub(super) struct Dialer {
    target: SocketAddr,
    /// Last two octets of the source address in use; 0 lets the kernel choose.
    source: u16,
}

/// Loopback addresses used as sources, each with a whole range of ports.
const SOURCES_MAX: u16 = 250;

impl Dialer {
    pub(super) fn new(target: SocketAddr) -> Self {
        Self { target, source: 0 }
    }

    /// Starts to connect.
    ///
    /// # Errors
    /// As `socket(2)` and `connect(2)`; `AddrNotAvailable` when every source address is used up.
    pub(super) fn dial(&mut self) -> io::Result<TcpStream> {
        loop {
            match self.dial_from(self.source) {
                Err(error) if self.can_move_on(&error) => self.source += 1,
                outcome => return outcome,
            }
        }
    }

    fn can_move_on(&self, error: &io::Error) -> bool {
        let out_of_ports = matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse);
        let on_loopback = matches!(self.target.ip(), IpAddr::V4(ip) if ip.is_loopback());
        out_of_ports && on_loopback && self.source < SOURCES_MAX
    }

    fn dial_from(&self, source: u16) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(self.target), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if source > 0 {
            let [_, _, high, low] = (u32::from(Ipv4Addr::LOCALHOST) + u32::from(source)).to_be_bytes();
            let address = SocketAddr::from((Ipv4Addr::new(127, 0, high, low), 0));
            socket.bind(&address.into())?;
        }
        match socket.connect(&self.target.into()) {
            Err(error) if error.raw_os_error() != Some(nix::libc::EINPROGRESS) => Err(error),
            _ => Ok(TcpStream::from_std(socket.into())),
        }
    }
}
