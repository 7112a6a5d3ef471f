//! T26: the engine against a control program that does nothing but epoll and recvmsg, on the same posts.
//!
//! The same schedule is driven against a target that does nothing but broadcast, in turns: while the control holds the
//! subscribers, and while the engine does. Both see the kernel's stamps. What the host does beside it can only add to
//! a latency, and not to both sides alike, so the quietest turn of each side is compared; while they differ, there may
//! have been none yet.

use std::collections::HashMap;
use std::io::{IoSliceMut, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use feedmark_core::marker::MarkerFinder;
use feedmark_reports::{RunResult, Status};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

use crate::bed::{
    Disturbed, MS_NS, Patience, PostRow, assert_near, ms, quantile_of, reported_ns, row, rows, scaled,
};
use crate::place::Place;
use crate::support::{Bed, FEEDMARK, Server};

const SUBSCRIBERS: usize = 1_000;
/// The control and the engine differ by no more than this share, or this time.
const SHARE: f64 = 0.1;
const WITHIN_NS: f64 = 5.0 * MS_NS;
/// Turns of each side; more, while there is [`Patience`], only if they differ, or one side has none that counts.
const TURNS: usize = 3;

/// Holds subscribers, and notes marker and stamp of every frame.
struct Control {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<(u32, u32, u64)>>,
}

impl Control {
    fn start(address: &str) -> Self {
        let mut sockets: Vec<TcpStream> = (0..SUBSCRIBERS).map(|_| subscribe(address)).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let seen = watch(&mut sockets, &stopped);
            drop(sockets);
            seen
        });
        Self { stop, thread }
    }

    /// (run, sequence, realtime stamp) of every frame.
    fn finish(self) -> Vec<(u32, u32, u64)> {
        self.stop.store(true, Ordering::Release);
        self.thread.join().unwrap()
    }
}

fn subscribe(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    setsockopt(&stream, sockopt::ReceiveTimestampns, &true).unwrap();
    let upgrade = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: control\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(upgrade.as_bytes()).unwrap();
    // Masked with zeros: the text `40`.
    stream.write_all(&[0x81, 0x82, 0, 0, 0, 0, b'4', b'0']).unwrap();
    let mut answer = Vec::new();
    let mut byte = [0; 256];
    while !answer.windows(4).any(|four| four == b"40{\"") {
        let bytes = stream.read(&mut byte).unwrap();
        assert!(bytes > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&byte[..bytes]);
    }
    stream.set_nonblocking(true).unwrap();
    stream
}

fn watch(sockets: &mut [TcpStream], stopped: &AtomicBool) -> Vec<(u32, u32, u64)> {
    let mut poll = Poll::new().unwrap();
    for (index, socket) in sockets.iter().enumerate() {
        poll.registry()
            .register(&mut SourceFd(&socket.as_raw_fd()), Token(index), Interest::READABLE)
            .unwrap();
    }
    let finder = MarkerFinder::default();
    let (mut events, mut seen) = (Events::with_capacity(1_024), Vec::new());
    let (mut buffer, mut control) = (vec![0; 64 * 1024], nix::cmsg_space!(TimeSpec));
    while !stopped.load(Ordering::Acquire) {
        poll.poll(&mut events, Some(Duration::from_millis(50))).unwrap();
        for event in &events {
            let descriptor = sockets[event.token().0].as_raw_fd();
            loop {
                let mut parts = [IoSliceMut::new(&mut buffer)];
                let Ok(message) =
                    recvmsg::<()>(descriptor, &mut parts, Some(&mut control), MsgFlags::empty())
                else {
                    break;
                };
                let stamp = message.cmsgs().unwrap().find_map(|control| match control {
                    ControlMessageOwned::ScmTimestampns(time) => Some(ns(time)),
                    _ => None,
                });
                let bytes = message.bytes;
                let mut rest = &buffer[..bytes];
                while let Some(marker) = finder.find(rest) {
                    seen.push((marker.run, marker.seq, stamp.unwrap()));
                    let at = rest.windows(4).position(|four| four == b"fmk1").unwrap();
                    rest = &rest[at + 4..];
                }
                if bytes == 0 {
                    break;
                }
            }
        }
    }
    seen
}

fn ns(time: TimeSpec) -> u64 {
    time.tv_sec().cast_unsigned() * 1_000_000_000 + time.tv_nsec().cast_unsigned()
}

fn null_target(bed: &Bed) -> Server {
    let mut command = bed.command(FEEDMARK);
    command.args(["null-target", "--stop-on-stdin-eof"]);
    Server::spawn(command)
}

/// One run of the schedule, with this many subscribers of the engine.
fn drive(place: &Place, server: &Server, subscribers: &str, rate: &str) -> RunResult {
    let load = ["-c", subscribers, "-r", rate, "-d", "10s", "--warmup", "1s", "--deadline", "2s"];
    place.run(&[&load, &["--url", &server.url]]);
    place.result()
}

/// p99 of the delivery as the control saw it, in ns; what drives it must not have been disturbed either.
fn control_p99(rate: &str) -> Result<f64, Box<Disturbed>> {
    let place = Place::new(true);
    let server = null_target(&place);
    let control = Control::start(server.url.trim_start_matches("http://"));
    let result = drive(&place, &server, "1", rate);
    let seen = control.finish();
    let realtime_minus_monotonic = ns(clock_gettime(ClockId::CLOCK_REALTIME).unwrap())
        - ns(clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap());
    if result.verdict.status == Status::Invalid {
        return Err(Disturbed::new(result, place));
    }
    let run = u32::from_str_radix(&result.run_id, 16).unwrap();
    let posts: HashMap<u32, PostRow> =
        rows(&place, "posts.csv").into_iter().map(|post: PostRow| (post.seq, post)).collect();
    let mut latencies_ns: Vec<u64> = seen
        .into_iter()
        .filter(|(of, seq, _)| *of == run && posts[seq].phase == "steady")
        .map(|(_, seq, stamp_ns)| {
            let intended_ns = result.started_monotonic_ns + posts[&seq].intended_ns;
            (stamp_ns - realtime_minus_monotonic).saturating_sub(intended_ns)
        })
        .collect();
    assert_eq!(latencies_ns.len(), SUBSCRIBERS * result.posts.scheduled as usize, "the control misses some");
    latencies_ns.sort_unstable();
    Ok(quantile_of(&latencies_ns, 0.99) as f64)
}

/// p99 of the delivery as the engine reports it, in ns.
fn engine_p99(rate: &str) -> Result<f64, Box<Disturbed>> {
    let place = Place::new(true);
    let server = null_target(&place);
    let result = drive(&place, &server, &SUBSCRIBERS.to_string(), rate);
    if result.verdict.status == Status::Invalid {
        return Err(Disturbed::new(result, place));
    }
    assert_eq!(result.deliveries.delivered, result.deliveries.owed);
    assert_eq!(result.deliveries.owed, SUBSCRIBERS as u64 * result.posts.scheduled);
    Ok(reported_ns(&result.latency_ns.delivery, 0.99))
}

/// How far the engine may be from what is expected, in ns.
fn within(expected: f64) -> f64 {
    (SHARE * expected).max(WITHIN_NS)
}

#[test]
fn t26_the_engine_sees_what_a_bare_loop_sees() {
    for rate in scaled(&["20/s", "40/s"][..], &["40/s"]) {
        let (mut expected, mut found) = (f64::INFINITY, f64::INFINITY);
        let mut disturbed = Vec::new();
        let agree =
            |expected: f64, found: f64| expected.is_finite() && (found - expected).abs() <= within(expected);
        let patience = Patience::new();
        for turn in 0.. {
            if turn >= TURNS && (agree(expected, found) || patience.is_over()) {
                break;
            }
            match control_p99(rate) {
                Ok(p99) => expected = p99.min(expected),
                Err(run) => disturbed.push(run),
            }
            match engine_p99(rate) {
                Ok(p99) => found = p99.min(found),
                Err(run) => disturbed.push(run),
            }
        }
        let reasons: Vec<_> = disturbed.iter().map(|run| &run.result.verdict.reasons).collect();
        assert!(expected.is_finite() && found.is_finite(), "nothing to compare: {reasons:#?}");
        assert_near("p99", found, expected, within(expected));
        row(
            &format!("T26 at {rate} x {SUBSCRIBERS}"),
            format!("p99 {}", ms(found)),
            format!("{} of the bare loop", ms(expected)),
        );
    }
}
