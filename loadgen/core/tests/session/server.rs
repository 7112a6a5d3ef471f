//! The target's side of a session, in memory: bytes to send, and what came back.

use feedmark_core::session::{Session, SessionError, SessionEvent, SessionSpec};
use feedmark_core::socketio::Selector;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

pub(crate) const TEXT: OpCode = OpCode::Data(Data::Text);
pub(crate) const BINARY: OpCode = OpCode::Data(Data::Binary);
pub(crate) const CONTINUE: OpCode = OpCode::Data(Data::Continue);
pub(crate) const PING: OpCode = OpCode::Control(Control::Ping);
pub(crate) const PONG: OpCode = OpCode::Control(Control::Pong);
pub(crate) const CLOSE: OpCode = OpCode::Control(Control::Close);

pub(crate) const OPEN: &str =
    r#"0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
pub(crate) const CONNECTED: &str = r#"40{"sid":"b"}"#;
/// Ping interval + ping timeout of [`OPEN`].
pub(crate) const HEARTBEAT_NS: u64 = 45_000_000_000;
pub(crate) const MESSAGE_BYTES_MAX: usize = 1000;

/// The event "posts" in the main namespace.
pub(crate) fn spec() -> SessionSpec {
    spec_of("/", None, MESSAGE_BYTES_MAX)
}

pub(crate) fn spec_of(namespace: &str, auth_json: Option<&str>, message_bytes_max: usize) -> SessionSpec {
    let selector = Selector::new(namespace, "posts");
    SessionSpec::new("target:80", "/socket.io/", &[], selector, auth_json, message_bytes_max)
}

/// One frame as a server sends it.
pub(crate) fn frame(opcode: OpCode, is_final: bool, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let header = FrameHeader { is_final, opcode, ..FrameHeader::default() };
    header.format(payload.len() as u64, &mut bytes).expect("a Vec takes any frame");
    bytes.extend_from_slice(payload);
    bytes
}

pub(crate) fn text(payload: &str) -> Vec<u8> {
    frame(TEXT, true, payload.as_bytes())
}

/// The answer that a WebSocket server gives to the request in `out`.
pub(crate) fn upgrade_answer(out: &[u8]) -> Vec<u8> {
    let request = std::str::from_utf8(out).expect("an ASCII request");
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
    let accept = derive_accept_key(key.expect("a key in the request").as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into()
}

/// Masked frames of a client, unmasked: opcode and payload.
pub(crate) fn unmask(mut out: &[u8]) -> Vec<(OpCode, Vec<u8>)> {
    let mut frames = Vec::new();
    while !out.is_empty() {
        let mut cursor = std::io::Cursor::new(out);
        let (header, length) =
            FrameHeader::parse(&mut cursor).expect("a sound frame").expect("a whole header");
        let mask = header.mask.expect("clients mask");
        assert!(header.is_final && !header.rsv1);
        let start = cursor.position() as usize;
        let payload = &out[start..start + length as usize];
        frames.push((header.opcode, payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m).collect()));
        out = &out[start + length as usize..];
    }
    frames
}

/// [`SessionEvent`] that outlives the read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Upgraded,
    Connected,
    Post(Vec<u8>),
}

/// A session and all that it said so far.
pub(crate) struct Subscriber {
    pub(crate) spec: SessionSpec,
    pub(crate) session: Session,
    pub(crate) request: Vec<u8>,
    pub(crate) out: Vec<u8>,
    pub(crate) events: Vec<Event>,
    /// Whole frames read.
    pub(crate) frames: u32,
    pub(crate) error: Option<SessionError>,
    /// The most that it held back between two reads.
    pub(crate) buffered_bytes_max: usize,
}

impl Subscriber {
    pub(crate) fn start(spec: SessionSpec) -> Self {
        let mut request = Vec::new();
        let session = Session::start(&spec, 7, &mut request);
        let (out, events) = (Vec::new(), Vec::new());
        Self { spec, session, request, out, events, frames: 0, error: None, buffered_bytes_max: 0 }
    }

    /// One that got as far as these messages bring it; what it said until then is forgotten.
    pub(crate) fn after(spec: SessionSpec, messages: &[&str]) -> Self {
        let mut subscriber = Self::start(spec);
        subscriber.upgrade();
        for message in messages {
            subscriber.read(&text(message));
        }
        assert_eq!(subscriber.error, None);
        subscriber.out.clear();
        subscriber.events.clear();
        subscriber.frames = 0;
        subscriber
    }

    pub(crate) fn live() -> Self {
        Self::after(spec(), &[OPEN, CONNECTED])
    }

    pub(crate) fn upgrade(&mut self) {
        self.read(&upgrade_answer(&self.request));
    }

    pub(crate) fn read(&mut self, bytes: &[u8]) {
        self.read_at(bytes, 0);
    }

    /// One read, unless the session is over.
    pub(crate) fn read_at(&mut self, bytes: &[u8], now_ns: u64) {
        if self.error.is_some() {
            return;
        }
        let (events, frames) = (&mut self.events, &mut self.frames);
        let result = self.session.receive(&self.spec, bytes, now_ns, &mut self.out, |event| {
            events.push(match event {
                SessionEvent::Upgraded => Event::Upgraded,
                SessionEvent::Connected => Event::Connected,
                SessionEvent::Post(bytes) => Event::Post(bytes.to_vec()),
                SessionEvent::Frame => {
                    *frames += 1;
                    return;
                }
            });
        });
        self.error = result.err();
        self.buffered_bytes_max = self.buffered_bytes_max.max(self.session.buffered_bytes());
    }

    /// The bytes in reads that end at these offsets, and one for the rest.
    pub(crate) fn read_split(&mut self, bytes: &[u8], ends: &[usize]) {
        let mut from = 0;
        for &end in ends.iter().chain([&bytes.len()]) {
            self.read(&bytes[from..end]);
            from = end;
        }
    }

    pub(crate) fn close(&mut self) {
        self.session.close(&mut self.out);
    }

    /// What it sent since it was last asked.
    pub(crate) fn replies(&mut self) -> Vec<(OpCode, Vec<u8>)> {
        unmask(&std::mem::take(&mut self.out))
    }

    pub(crate) fn sent_texts(&mut self) -> Vec<String> {
        let texts = self.replies().into_iter().filter(|(opcode, _)| *opcode == TEXT);
        texts.map(|(_, payload)| String::from_utf8(payload).expect("text in UTF-8")).collect()
    }

    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}

pub(crate) fn post(payload: &str) -> Event {
    Event::Post(payload.as_bytes().to_vec())
}
