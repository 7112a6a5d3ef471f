//! The hot steps of the generator, on what a run against the reference server has: `generator` takes their time,
//! `counts` their instructions.

use feedmark_core::SECOND_NS;
use feedmark_core::ledger::{CONFIRMED_BEFORE_NS, Ledger, Pass};
use feedmark_core::marker::{Marker, MarkerFinder};
use feedmark_core::recorder::Recorder;
use feedmark_core::session::{Session, SessionEvent, SessionSpec};
use feedmark_core::socketio::Selector;
use feedmark_reports::quantile::new_histogram;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::latencies;

/// Subscribers of a run by default.
pub(crate) const SUBSCRIBERS: u32 = 1_000;
/// Frames that one read brings when a reader catches up.
pub(crate) const BATCH_FRAMES: u32 = 100;

const RUN: u32 = 0x7f3a_9c0d;
/// Whatever the clock says.
const NOW_NS: u64 = 60 * SECOND_NS;
const OPEN: &str = r#"0{"sid":"LK1HTUOC3mrHLcEtAAAA","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
const CONNECTED: &str = r#"40{"sid":"yHtUKHmSLoZiPLK9AAAB"}"#;

/// The event that the reference server sends for a post with the default body.
pub(crate) fn event(seq: u32) -> String {
    let marker = marker(seq);
    let words = "to be seen by everyone at once ".repeat(7);
    let content = &words[..200];
    format!(
        r#"42["posts",{{"action":"create","post":{{"_id":"0199f3a2-7c41-7e31-9d52-5f0c3b8a6e1d","title":"{marker}","content":"{content}","imageUrl":null,"creator":{{"_id":"0199f3a2-0000-7000-8000-000000000000","name":"anonymous"}},"createdAt":"2026-03-01T12:00:00.250Z","updatedAt":"2026-03-01T12:00:00.250Z"}}}}]"#
    )
}

fn marker(seq: u32) -> Marker {
    Marker { run: RUN, writer: 3, seq }
}

/// A text frame, unmasked as servers send it.
pub(crate) fn frame(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let header = FrameHeader { is_final: true, opcode: OpCode::Data(Data::Text), ..FrameHeader::default() };
    header.format(text.len() as u64, &mut bytes).expect("a Vec takes any frame");
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// The frames of [`BATCH_FRAMES`] posts, one after the other.
pub(crate) fn batch() -> Vec<u8> {
    (0..BATCH_FRAMES).flat_map(|seq| frame(&event(seq))).collect()
}

/// A subscriber that is connected.
pub(crate) struct Subscriber {
    spec: SessionSpec,
    session: Session,
    out: Vec<u8>,
}

impl Subscriber {
    pub(crate) fn live() -> Self {
        let selector = Selector::new("/", "posts");
        let spec = SessionSpec::new("127.0.0.1:8080", "/socket.io/", &[], selector, None, 1 << 20);
        let mut out = Vec::new();
        let session = Session::start(&spec, 1, &mut out);
        let answer = upgrade_answer(&out);
        let mut subscriber = Self { spec, session, out };
        for bytes in [answer, frame(OPEN), frame(CONNECTED)] {
            subscriber.read(&bytes);
        }
        assert!(subscriber.session.is_live());
        subscriber
    }

    /// Decodes what one read brought; how many posts were whole with it.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> u32 {
        let mut posts = 0;
        self.out.clear();
        let on_event = |event: SessionEvent<'_>| posts += u32::from(matches!(event, SessionEvent::Post(_)));
        let outcome = self.session.receive(&self.spec, bytes, NOW_NS, &mut self.out, on_event);
        outcome.expect("what a server sends");
        posts
    }
}

/// The answer of a WebSocket server to the request.
fn upgrade_answer(request: &[u8]) -> Vec<u8> {
    let request = std::str::from_utf8(request).expect("an ASCII request");
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
    let accept = derive_accept_key(key.expect("a key in the request").as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into()
}

/// Finds the marker of an event.
pub(crate) fn find(finder: &MarkerFinder, event: &[u8]) -> Marker {
    finder.find(event).expect("an event has a marker")
}

/// A ledger whose [`SUBSCRIBERS`] are all owed the one post of its pass.
pub(crate) fn ledger() -> Ledger {
    let mut ledger = Ledger::new(SUBSCRIBERS);
    for subscriber in 0..SUBSCRIBERS {
        ledger.confirm(subscriber, NOW_NS - CONFIRMED_BEFORE_NS);
    }
    ledger.begin(Pass { run: RUN, base_ns: NOW_NS, offsets_ns: [0].into(), deadline_ns: 10 * SECOND_NS });
    ledger
}

/// The post reaches every subscriber, 10 µs after each other.
pub(crate) fn arrive_everywhere(ledger: &mut Ledger) {
    for subscriber in 0..SUBSCRIBERS {
        let arrival_ns = NOW_NS + 1_000_000 + 10_000 * u64::from(subscriber);
        assert!(ledger.arrive(subscriber, marker(0), arrival_ns));
    }
}

/// A ledger that the post has reached everybody of.
pub(crate) fn full_ledger() -> Ledger {
    let mut ledger = ledger();
    arrive_everywhere(&mut ledger);
    ledger
}

/// The deadline of the post has passed; how many had it in time.
pub(crate) fn settle(ledger: &mut Ledger) -> usize {
    let mut delivered = 0;
    ledger.settle(u64::MAX, true, |post| delivered += post.latencies_ns.len());
    delivered
}

/// Delivery latencies of one post.
pub(crate) fn latencies_ns() -> Vec<u64> {
    latencies::latencies_ns(SUBSCRIBERS).collect()
}

/// A recorder of a latency series.
pub(crate) fn recorder() -> Recorder {
    Recorder::new(&new_histogram())
}

/// Records the deliveries of one post of this second.
pub(crate) fn record(recorder: &mut Recorder, second: u64, latencies_ns: &[u64]) {
    for &latency_ns in latencies_ns {
        recorder.record(second * SECOND_NS, latency_ns);
    }
}

/// Two shards of a run of so many seconds.
pub(crate) fn shards(seconds: u64) -> (Recorder, Recorder) {
    let latencies_ns = latencies_ns();
    let shard = || {
        let mut recorder = recorder();
        (0..seconds).for_each(|second| record(&mut recorder, second, &latencies_ns));
        recorder
    };
    (shard(), shard())
}
