//! The floor: the cheapest honest subscriber of a Socket.IO feed, with which the generator's CPU time is compared.
//!
//! It connects N subscribers over WebSocket, and then one thread does `epoll_wait` (edge-triggered) and `recv` into one
//! shared buffer. It counts the reads that returned data and their bytes, and nothing else: no frames, no posts, no
//! clocks, no ledger. What it needs beyond that to stay connected is a pong for every ping.
//!
//! On stdout: `ready` when all are connected, and one line of JSON at the end. On stdin: a line starts the
//! count anew (so that it can begin with the posts), and the end of stdin ends the run.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Parser;
use memchr::memmem;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, Usage, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use url::Url;

/// One buffer for every subscriber: what is read is not kept.
const READ_BUFFER_BYTES: usize = 64 * 1024;
/// Events taken by one `epoll_wait`.
const EVENTS_MAX: usize = 1024;
/// Fewer sockets than this are worth a pause, if there is one.
const FEW_EVENTS: usize = 64;
/// Longest wait for one answer of the handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer of the handshake.
const HANDSHAKE_BYTES_MAX: usize = 16 * 1024;

/// A text frame with the Engine.IO packet `2`, as a server sends it. These bytes cannot occur inside a post: JSON
/// escapes 0x01.
const PING: &[u8] = b"\x81\x012";
/// A text frame with the packet `3`, masked with zeros.
const PONG: &[u8] = b"\x81\x81\0\0\0\x003";
/// A text frame with the packet `40`: CONNECT to the main namespace.
const CONNECT: &[u8] = b"\x81\x82\0\0\0\x0040";

/// Tokens of what is not a subscriber; subscribers have their index.
const STDIN: u64 = u64::MAX;
const TIMER: u64 = u64::MAX - 1;

/// The floor: bare epoll + recv subscribers of a Socket.IO feed that account for nothing.
#[derive(Parser)]
struct Options {
    /// The feed server, for example http://127.0.0.1:8080
    #[arg(long)]
    url: Url,
    /// Subscribers to connect
    #[arg(short = 'c', long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    subscribers: u32,
    /// End after this many seconds, even if stdin stays open
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: Option<u32>,
    /// Rest this long before the next wait if the last one found less than 64 sockets, as feedmark's readers do
    /// (500); 0 is the bare loop
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 0)]
    pause: u32,
}

/// What the run is about: what came in, and what that cost.
struct Count {
    recv_calls: u64,
    bytes: u64,
    at_start: Usage,
}

impl Count {
    fn from_now() -> anyhow::Result<Self> {
        let at_start = getrusage(UsageWho::RUSAGE_SELF).context("getrusage")?;
        Ok(Self { recv_calls: 0, bytes: 0, at_start })
    }
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(lost) => fail(&format!("{lost} subscribers were closed by the server; this run is no floor")),
        Err(error) => fail(&format!("{error:#}")),
    }
}

fn fail(message: &str) -> ExitCode {
    // Nobody is left to tell if stderr is closed.
    let _ = writeln!(io::stderr(), "floor: {message}");
    ExitCode::FAILURE
}

/// The whole run; returns how many subscribers were lost.
fn run(options: &Options) -> anyhow::Result<u64> {
    allow_open_files(u64::from(options.subscribers) + 16)?;
    let mut subscribers = Vec::with_capacity(options.subscribers as usize);
    for index in 0..options.subscribers {
        let stream = connect(&options.url).with_context(|| format!("subscriber {index}"))?;
        subscribers.push(stream);
    }

    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).context("epoll_create")?;
    for (index, stream) in subscribers.iter().enumerate() {
        let interest = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        epoll.add(stream, EpollEvent::new(interest, index as u64)).context("epoll_ctl")?;
    }
    let _timer = watch_for_the_end(&epoll, options.seconds)?;

    writeln!(io::stdout(), "ready").context("stdout")?;
    receive(&epoll, &subscribers, Duration::from_micros(options.pause.into()))
}

/// The measured part.
fn receive(epoll: &Epoll, subscribers: &[TcpStream], pause: Duration) -> anyhow::Result<u64> {
    let mut buffer = vec![0; READ_BUFFER_BYTES];
    let mut events = [EpollEvent::empty(); EVENTS_MAX];
    let mut count = Count::from_now()?;
    let mut lost = 0;
    loop {
        let ready = match epoll.wait(&mut events, EpollTimeout::NONE) {
            Ok(ready) => ready,
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error).context("epoll_wait"),
        };
        for event in &events[..ready] {
            match event.data() {
                TIMER => return report(subscribers.len(), &count, lost).map(|()| lost),
                STDIN => match io::stdin().read(&mut buffer).context("stdin")? {
                    0 => return report(subscribers.len(), &count, lost).map(|()| lost),
                    _ => count = Count::from_now()?,
                },
                index => {
                    let stream = &subscribers[index as usize];
                    let open = drain(stream, &mut buffer, &mut count);
                    // A close that came together with data: no later edge will tell of it.
                    if !open || event.events().contains(EpollFlags::EPOLLRDHUP) {
                        epoll.delete(stream).context("epoll_ctl")?;
                        lost += 1;
                    }
                }
            }
        }
        if ready < FEW_EVENTS && !pause.is_zero() {
            std::thread::sleep(pause);
        }
    }
}

/// Reads what has arrived; false if the subscriber is lost. A read that does not fill the buffer has emptied the
/// socket (epoll(7)), so that it needs no second call to see `EAGAIN`.
fn drain(mut stream: &TcpStream, buffer: &mut [u8], count: &mut Count) -> bool {
    loop {
        match stream.read(buffer) {
            Ok(0) => return false,
            Ok(length) => {
                count.recv_calls += 1;
                count.bytes += length as u64;
                let read = &buffer[..length];
                if !is_one_event(read) && (is_close(read) || !answer_pings(stream, read)) {
                    return false;
                }
                if length < buffer.len() {
                    return true;
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
            Err(_) => return false,
        }
    }
}

/// True if a read is exactly one text frame of 126 to 65,535 bytes, as nearly every read is: such a frame is no ping, and
/// the four bytes of its header say so more cheaply than a search of the payload.
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

/// The end is the end of stdin, or the timer if there is one.
fn watch_for_the_end(epoll: &Epoll, seconds: Option<u32>) -> anyhow::Result<Option<TimerFd>> {
    let timer = match seconds {
        None => None,
        Some(seconds) => {
            let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC).context("timerfd")?;
            let after = Expiration::OneShot(TimeSpec::seconds(i64::from(seconds)));
            timer.set(after, TimerSetTimeFlags::empty()).context("timerfd")?;
            epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER)).context("epoll_ctl")?;
            Some(timer)
        }
    };
    match epoll.add(io::stdin(), EpollEvent::new(EpollFlags::EPOLLIN, STDIN)) {
        Ok(()) => Ok(timer),
        // epoll refuses files and /dev/null: they have no end to wait for.
        Err(Errno::EPERM) if timer.is_some() => Ok(timer),
        Err(Errno::EPERM) => {
            bail!("stdin is a file; give a pipe or terminal that ends the run, or --seconds")
        }
        Err(error) => Err(error).context("epoll_ctl on stdin"),
    }
}

fn report(subscribers: usize, count: &Count, lost: u64) -> anyhow::Result<()> {
    let now = getrusage(UsageWho::RUSAGE_SELF).context("getrusage")?;
    let seconds = |time: nix::sys::time::TimeVal| time.num_microseconds() as f64 / 1e6;
    // The process's own peak: getrusage's would include the parent's memory from before exec.
    let status = procfs::process::Process::myself()
        .and_then(|process| process.status())
        .context("/proc/self/status")?;
    writeln!(
        io::stdout(),
        "{{\"subscribers\": {subscribers}, \"recv_calls\": {}, \"bytes\": {}, \"cpu_user_s\": {:.6}, \
         \"cpu_system_s\": {:.6}, \"max_rss_bytes\": {}, \"lost\": {lost}}}",
        count.recv_calls,
        count.bytes,
        seconds(now.user_time() - count.at_start.user_time()),
        seconds(now.system_time() - count.at_start.system_time()),
        status.vmhwm.unwrap_or(0) * 1024,
    )
    .context("stdout")
}

/// Raises the soft limit on open files, as far as the hard one allows.
fn allow_open_files(needed: u64) -> anyhow::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("getrlimit")?;
    ensure!(needed <= hard, "{needed} open files needed, {hard} allowed; raise the hard limit (ulimit -Hn)");
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(needed), hard).context("setrlimit")
}

/// One subscriber, step by step: TCP, HTTP upgrade, Engine.IO open, Socket.IO CONNECT. Not measured.
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
