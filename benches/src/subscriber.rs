//! Subscribers of a floor program: how they connect, and what they have to answer.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use memchr::memmem;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use socket2::SockRef;
use url::Url;

/// Longest wait for one answer of the handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer of the handshake.
const HANDSHAKE_BYTES_MAX: usize = 16 * 1024;
/// Open files beside the subscribers.
const OTHER_FILES: u64 = 16;

/// A text frame with the Engine.IO packet `2`, as a server sends it. These bytes cannot occur inside a post: JSON
/// escapes 0x01.
const PING: &[u8] = b"\x81\x012";
/// A text frame with the packet `3`, masked with zeros.
const PONG: &[u8] = b"\x81\x81\0\0\0\x003";
/// A text frame with the packet `40`: CONNECT to the main namespace.
const CONNECT: &[u8] = b"\x81\x82\0\0\0\x0040";

/// Whom to connect to what, and how long: the same for all floor programs.
#[derive(clap::Args)]
pub struct Options {
    /// The feed server, for example http://127.0.0.1:8080
    #[arg(long)]
    pub url: Url,
    /// Subscribers to connect
    #[arg(short = 'c', long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub subscribers: u32,
    /// End after this many seconds, even if stdin stays open
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub seconds: Option<u32>,
    /// Have the kernel stamp what arrives (SO_TIMESTAMPNS), and take the stamp with every read, as feedmark does
    #[arg(long)]
    pub stamps: bool,
}

impl Options {
    /// Connects all subscribers. Not measured.
    ///
    /// # Errors
    /// The first subscriber that could not be connected, and why.
    pub fn connect(&self) -> anyhow::Result<Vec<TcpStream>> {
        allow_open_files(u64::from(self.subscribers) + OTHER_FILES)?;
        (0..self.subscribers)
            .map(|index| {
                let stream = connect(&self.url).with_context(|| format!("subscriber {index}"))?;
                if self.stamps {
                    setsockopt(&stream, sockopt::ReceiveTimestampns, &true).context("SO_TIMESTAMPNS")?;
                }
                Ok(stream)
            })
            .collect()
    }
}

/// Sets SO_BUSY_POLL on every subscriber, and says so on stderr if the kernel has nothing that it could poll for them.
///
/// # Errors
/// What the kernel refuses.
pub fn busy_poll(subscribers: &[TcpStream], microseconds: u32) -> anyhow::Result<()> {
    let mut without = 0;
    for stream in subscribers {
        SockRef::from(stream)
            .set_busy_poll(microseconds)
            .context("SO_BUSY_POLL refused; it needs CAP_NET_ADMIN")?;
        without += usize::from(getsockopt(stream, IncomingNapiId).context("SO_INCOMING_NAPI_ID")? == 0);
    }
    if without > 0 {
        let all = subscribers.len();
        writeln!(
            io::stderr(),
            "floor: {without} of {all} sockets have no NAPI id: nothing to busy-poll (loopback?)"
        )
        .context("stderr")?;
    }
    Ok(())
}

/// Which device queue a socket's packets come from; 0 is none.
#[derive(Clone, Copy)]
struct IncomingNapiId;

nix::getsockopt_impl!(
    IncomingNapiId,
    libc::SOL_SOCKET,
    libc::SO_INCOMING_NAPI_ID,
    u32,
    sockopt::GetStruct<u32>
);

/// Answers what has to be answered in a read; false if the subscriber is lost.
#[inline]
pub fn answer(stream: &TcpStream, read: &[u8]) -> bool {
    is_one_event(read) || (!is_close(read) && answer_pings(stream, read))
}

/// True if a read is exactly one text frame of 126 to 65,535 bytes, as nearly every read is: such a frame is no ping, and
/// the four bytes of its header say so more cheaply than a search of the payload.
#[inline]
fn is_one_event(read: &[u8]) -> bool {
    matches!(read, [0x81, 126, high, low, payload @ ..] if payload.len() == usize::from(u16::from_be_bytes([*high, *low])))
}

/// True if a read is exactly one WebSocket close frame.
fn is_close(read: &[u8]) -> bool {
    matches!(read, [0x88, length, payload @ ..] if payload.len() == usize::from(*length))
}

/// Sends a pong for each ping in a read. A ping that is split between two reads is missed; then the server
/// closes the connection, and the run says so.
fn answer_pings(mut stream: &TcpStream, read: &[u8]) -> bool {
    memmem::find_iter(read, PING).all(|_| stream.write_all(PONG).is_ok())
}

/// Raises the soft limit on open files, as far as the hard one allows.
fn allow_open_files(needed: u64) -> anyhow::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("getrlimit")?;
    ensure!(needed <= hard, "{needed} open files needed, {hard} allowed; raise the hard limit (ulimit -Hn)");
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(needed), hard).context("setrlimit")
}

/// One subscriber, step by step: TCP, HTTP upgrade, Engine.IO open, Socket.IO CONNECT.
fn connect(url: &Url) -> anyhow::Result<TcpStream> {
    ensure!(url.scheme() == "http", "{url}: the floor speaks http only");
    let host = url.host_str().with_context(|| format!("{url}: no host"))?;
    let port = url.port_or_known_default().with_context(|| format!("{url}: no port"))?;
    let address = (host, port).to_socket_addrs()?.next().with_context(|| format!("{url}: no address"))?;
    let mut stream = TcpStream::connect(address)
        .with_context(|| format!("{url}: no connection; is the server running?"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(HANDSHAKE_TIMEOUT))?;
    write!(
        stream,
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ZmVlZG1hcmsgLSBmbG9vcg==\r\n\r\n"
    )?;

    let mut received = Vec::new();
    let head =
        read_until(&mut stream, &mut received, |bytes| memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4))
            .context("no answer to the HTTP upgrade")?;
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    response.parse(&received[..head]).context("the answer to the upgrade is not HTTP")?;
    let status = response.code.unwrap_or(0);
    ensure!(status == 101, "upgrade refused with status {status}; is {url} a Socket.IO server?");
    received.drain(..head);

    stream.write_all(CONNECT)?;
    read_until(&mut stream, &mut received, |bytes| memmem::find(bytes, b"40{"))
        .context("Socket.IO CONNECT not confirmed")?;
    // engineioxide sends its first ping together with the handshake.
    ensure!(answer_pings(&stream, &received), "the server closed the connection");
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Reads until `found` says where its end is.
fn read_until(
    stream: &mut TcpStream,
    received: &mut Vec<u8>,
    found: impl Fn(&[u8]) -> Option<usize>,
) -> anyhow::Result<usize> {
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = found(received) {
            return Ok(end);
        }
        ensure!(received.len() < HANDSHAKE_BYTES_MAX, "more than {HANDSHAKE_BYTES_MAX} bytes came instead");
        match stream.read(&mut buffer)? {
            0 => bail!("the server closed the connection"),
            length => received.extend_from_slice(&buffer[..length]),
        }
    }
}
