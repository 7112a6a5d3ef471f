//! The floor: the cheapest honest subscriber of a Socket.IO feed, with which the generator's CPU time is compared.
//!
//! It connects N subscribers over WebSocket, and then one thread does `epoll_wait` (edge-triggered) and `recv` into one
//! shared buffer. It counts the reads that returned data and their bytes, and nothing else: no frames, no posts, no
//! clocks, no ledger. What it needs beyond that to stay connected is a pong for every ping.
//!
//! On stdout: `ready` when all are connected, and one line of JSON at the end. On stdin: a line starts the
//! count anew (so that it can begin with the posts), and the end of stdin ends the run.

use std::io::{self, IoSliceMut, Read};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use feedmark_benches::commands::{Command, Commands};
use feedmark_benches::count::Count;
use feedmark_benches::subscriber;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{MsgFlags, recvmsg};
use nix::sys::time::TimeSpec;

/// One buffer for every subscriber: what is read is not kept.
const READ_BUFFER_BYTES: usize = 64 * 1024;
/// Fewer sockets than this are worth a pause, if there is one.
const FEW_EVENTS: usize = 64;

/// The floor: bare epoll + recv subscribers of a Socket.IO feed that account for nothing.
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    subscribers: subscriber::Options,
    /// Rest this long before the next wait if the last one found less than 64 sockets, as feedmark's readers do
    /// (500); 0 is the bare loop
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 0)]
    pause: u32,
    /// Sockets taken by one epoll_wait
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    events: u32,
    /// Set SO_BUSY_POLL on every socket
    #[arg(long, value_name = "MICROSECONDS")]
    busy_poll: Option<u32>,
}

fn main() -> ExitCode {
    feedmark_benches::exit_code("floor", run(&Options::parse()))
}

/// The whole run; returns how many subscribers were lost.
fn run(options: &Options) -> anyhow::Result<u64> {
    let subscribers = options.subscribers.connect()?;
    if let Some(microseconds) = options.busy_poll {
        subscriber::busy_poll(&subscribers, microseconds)?;
    }
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).context("epoll_create")?;
    for (index, stream) in subscribers.iter().enumerate() {
        let interest = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        epoll.add(stream, EpollEvent::new(interest, index as u64)).context("epoll_ctl")?;
    }
    let commands = Commands::listen(options.subscribers.seconds)?;
    epoll.add(&commands, EpollEvent::new(EpollFlags::EPOLLIN, Commands::TOKEN)).context("epoll_ctl")?;
    receive(options, &epoll, &subscribers, &commands)
}

/// The measured part.
fn receive(
    options: &Options,
    epoll: &Epoll,
    subscribers: &[TcpStream],
    commands: &Commands,
) -> anyhow::Result<u64> {
    let pause = Duration::from_micros(options.pause.into());
    let mut reader = Reader::new(options.subscribers.stamps);
    let mut events = vec![EpollEvent::empty(); options.events as usize];
    let mut count = Count::start()?;
    loop {
        let ready = match epoll.wait(&mut events, EpollTimeout::NONE) {
            Ok(ready) => ready,
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error).context("epoll_wait"),
        };
        count.waits += 1;
        for event in &events[..ready] {
            match event.data() {
                Commands::TOKEN => match commands.take()? {
                    Command::End => return count.report(subscribers.len()),
                    Command::Restart => count.restart()?,
                },
                index => {
                    let stream = &subscribers[index as usize];
                    let open = reader.drain(stream, &mut count);
                    // A close that came together with data: no later edge will tell of it.
                    if !open || event.events().contains(EpollFlags::EPOLLRDHUP) {
                        epoll.delete(stream).context("epoll_ctl")?;
                        count.lose();
                    }
                }
            }
        }
        if ready < FEW_EVENTS && !pause.is_zero() {
            std::thread::sleep(pause);
        }
    }
}

/// One buffer for all, and room for the stamp of a read if stamps are wanted.
struct Reader {
    buffer: Vec<u8>,
    control: Option<Vec<u8>>,
}

impl Reader {
    fn new(stamps: bool) -> Self {
        Self { buffer: vec![0; READ_BUFFER_BYTES], control: stamps.then(|| nix::cmsg_space!(TimeSpec)) }
    }

    /// Reads what has arrived; false if the subscriber is lost. A read that does not fill the buffer has emptied the
    /// socket (epoll(7)), so that it needs no second call to see `EAGAIN`.
    fn drain(&mut self, stream: &TcpStream, count: &mut Count) -> bool {
        loop {
            match self.read(stream, count) {
                Ok(0) => return false,
                Ok(length) => {
                    if !count.read(stream, &self.buffer[..length]) {
                        return false;
                    }
                    if length < self.buffer.len() {
                        return true;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            }
        }
    }

    fn read(&mut self, mut stream: &TcpStream, count: &mut Count) -> io::Result<usize> {
        let Some(control) = &mut self.control else { return stream.read(&mut self.buffer) };
        let mut parts = [IoSliceMut::new(&mut self.buffer)];
        let message = recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(control), MsgFlags::empty())?;
        count.stamped += u64::from(message.cmsgs()?.next().is_some());
        Ok(message.bytes)
    }
}
