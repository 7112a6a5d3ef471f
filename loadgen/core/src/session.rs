//! One subscriber's session, without I/O: bytes in, bytes out, what happened in between.
//!
//! HTTP upgrade -> Engine.IO open -> Socket.IO CONNECT -> live -> closed. Everything that happens to
//! a connection is a state here, so that property tests and fuzzers drive it without a socket.
//!
//! Invariants: the outcome does not depend on how the byte stream was split (but for how much of an
//! answer that is no WebSocket an error can quote); a session owns a buffer only while a frame (or a
//! fragmented message) is split across reads; nothing the target sends makes it panic or hold back
//! more than [`SessionSpec::message_bytes_max`] and one frame header, or one HTTP head.

use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::frame::{self, Frame, FrameError};
use crate::socketio::{self, Packet, Selector, excerpt};

/// Greatest head of an HTTP response.
const HTTP_HEAD_BYTES_MAX: usize = 16 * 1024;
/// Most header fields of an HTTP response.
const HTTP_HEADERS_MAX: usize = 64;
/// Body of a refused upgrade that is waited for, to be quoted.
const REFUSAL_BODY_BYTES_MAX: usize = 800;
const NS_PER_MS: u64 = 1_000_000;

/// What all sessions of a run have in common.
#[derive(Debug, Clone)]
pub struct SessionSpec {
    request_before_key: String,
    request_after_key: String,
    selector: Selector,
    connect_packet: Vec<u8>,
    /// Greatest WebSocket message accepted.
    pub message_bytes_max: usize,
}

impl SessionSpec {
    /// `host` is the Host header, `path` the Socket.IO endpoint (`/socket.io/`), `headers` are added
    /// to the upgrade request, `auth_json` is the payload of CONNECT.
    pub fn new(
        host: &str,
        path: &str,
        headers: &[(String, String)],
        selector: Selector,
        auth_json: Option<&str>,
        message_bytes_max: usize,
    ) -> Self {
        let joint = if path.contains('?') { '&' } else { '?' };
        let request_before_key = format!(
            "GET {path}{joint}EIO=4&transport=websocket HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
        );
        let mut request_after_key = String::from("\r\n");
        for (name, value) in headers {
            request_after_key.push_str(&format!("{name}: {value}\r\n"));
        }
        request_after_key.push_str("\r\n");
        let connect_packet = selector.connect_packet(auth_json);
        Self { request_before_key, request_after_key, selector, connect_packet, message_bytes_max }
    }
}

/// What a session tells its owner while it reads.
#[derive(Debug, PartialEq, Eq)]
pub enum SessionEvent<'a> {
    /// The HTTP upgrade is done.
    Upgraded,
    /// The Socket.IO CONNECT is confirmed: the subscriber is live.
    Connected,
    /// An event of the wanted name, or a binary attachment of one: search it for the marker.
    Post(&'a [u8]),
    /// A whole frame was read, of whatever kind; what was in it follows.
    Frame,
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The answer to the upgrade request was not HTTP.
    #[error("the target did not answer the upgrade in HTTP ({0:?}): is this the right port?")]
    NotHttp(String),
    /// HTTP, but not 101.
    #[error("the target refused the WebSocket upgrade with status {status} {body:?}: {}", upgrade_hint(*status))]
    UpgradeRefused {
        /// HTTP status.
        status: u16,
        /// Start of the body.
        body: String,
    },
    /// 101 without a matching `Sec-WebSocket-Accept` (RFC 6455 section 4.1).
    #[error(
        "the target answered 101 with a wrong sec-websocket-accept: a proxy in between, or no WebSocket server"
    )]
    WrongAccept,
    /// The first message was not an Engine.IO open packet.
    #[error(
        "the target speaks WebSocket but not Engine.IO v4 (its first message: {0:?}): is --socket-path right?"
    )]
    NotEngineIo(String),
    /// A packet out of place or out of protocol.
    #[error("the target broke the Socket.IO protocol with {0:?}")]
    Protocol(String),
    /// A frame that a server must not send.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A message of fragments grew too large.
    #[error("the target sent a message of more than {0} bytes (--max-message)")]
    OversizedMessage(usize),
    /// CONNECT_ERROR.
    #[error("the target refused the Socket.IO connect: {0:?}: check --auth and --namespace")]
    ConnectRefused(String),
    /// Socket.IO DISCONNECT or Engine.IO close.
    #[error("the target disconnected the subscriber")]
    Disconnected,
    /// WebSocket close, with its code (1005: none given, RFC 6455 section 7.4.1).
    #[error("the target closed the connection with code {code} {reason:?}")]
    Closed {
        /// Status code.
        code: u16,
        /// Reason, shortened.
        reason: String,
    },
}

impl SessionError {
    /// A short name to count by.
    pub fn cause(&self) -> String {
        match self {
            Self::NotHttp(_) => "not HTTP".into(),
            Self::UpgradeRefused { status, .. } => format!("upgrade refused with status {status}"),
            Self::WrongAccept => "wrong sec-websocket-accept".into(),
            Self::NotEngineIo(_) => "not Engine.IO v4".into(),
            Self::Protocol(_) => "protocol error".into(),
            Self::Frame(_) => "bad frame".into(),
            Self::OversizedMessage(_) => "oversized message".into(),
            Self::ConnectRefused(_) => "connect refused by the target".into(),
            Self::Disconnected => "disconnected by the target".into(),
            Self::Closed { code, .. } => format!("closed by the target with code {code}"),
        }
    }
}

fn upgrade_hint(status: u16) -> &'static str {
    match status {
        300..=399 => "give the final URL, redirects are not followed",
        401 | 403 => "check --header and --auth",
        404 => "check --url and --socket-path",
        429 | 503 => "the target limits connections: lower --connect-rate",
        _ => "is a Socket.IO v4 server behind --url and --socket-path?",
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Upgrading,
    Opening,
    Connecting,
    Live,
    Closing,
}

/// One subscriber's connection, from the upgrade request to the close.
#[derive(Debug)]
pub struct Session {
    state: State,
    /// Answer expected to our key; freed when it came, so that `None` means upgraded.
    accept_key: Option<Box<str>>,
    /// Start of a frame whose rest has not been read.
    partial: Vec<u8>,
    /// Payload of a fragmented message so far, and whether it is text.
    fragments: Option<Box<(Data, Vec<u8>)>>,
    /// Binary frames still to come that belong to an event.
    attachments: u32,
    attachments_wanted: bool,
    heartbeat_ns: u64,
    /// Without another ping until then the target is dead.
    expires_ns: u64,
    mask: u32,
}

impl Session {
    /// Starts a session: writes the upgrade request to `out`.
    pub fn start(spec: &SessionSpec, mask_seed: u32, out: &mut Vec<u8>) -> Self {
        let key = generate_key();
        out.extend_from_slice(spec.request_before_key.as_bytes());
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(spec.request_after_key.as_bytes());
        Self {
            state: State::Upgrading,
            accept_key: Some(derive_accept_key(key.as_bytes()).into()),
            partial: Vec::new(),
            fragments: None,
            attachments: 0,
            attachments_wanted: false,
            heartbeat_ns: 0,
            expires_ns: u64::MAX,
            mask: mask_seed | 1,
        }
    }

    /// The subscriber is live.
    pub fn is_live(&self) -> bool {
        self.state == State::Live
    }

    /// The step that a session which does not get on is stuck in.
    pub fn waiting_for(&self) -> &'static str {
        match self.state {
            State::Upgrading => "the answer to the WebSocket upgrade",
            State::Opening => "the Engine.IO open packet",
            State::Connecting => "the confirmation of the Socket.IO connect",
            State::Live => "events",
            State::Closing => "the close",
        }
    }

    /// Run time at which a silent target counts as dead (Engine.IO: ping interval + ping timeout).
    pub fn expires_ns(&self) -> u64 {
        self.expires_ns
    }

    /// Bytes held back until the rest of their frame or message comes.
    pub fn buffered_bytes(&self) -> usize {
        self.partial.len() + self.fragments.as_ref().map_or(0, |message| message.1.len())
    }

    /// Takes bytes that the target sent; replies go to `out`, findings to `on_event`.
    ///
    /// # Errors
    /// The session is over. What stands in `out` (a close frame) may still be sent.
    pub fn receive(
        &mut self,
        spec: &SessionSpec,
        bytes: &[u8],
        now_ns: u64,
        out: &mut Vec<u8>,
        mut on_event: impl FnMut(SessionEvent<'_>),
    ) -> Result<(), SessionError> {
        if self.partial.is_empty() {
            let used = self.consume(spec, bytes, now_ns, out, &mut on_event)?;
            if used < bytes.len() {
                self.partial = bytes[used..].to_vec();
            }
        } else {
            let mut buffer = std::mem::take(&mut self.partial);
            buffer.extend_from_slice(bytes);
            let used = self.consume(spec, &buffer, now_ns, out, &mut on_event)?;
            if used < buffer.len() {
                buffer.drain(..used);
                self.partial = buffer;
            }
        }
        Ok(())
    }

    /// The target ended the stream: what it had said until then, if that explains the end.
    pub fn finish(&mut self) -> Option<SessionError> {
        let bytes = std::mem::take(&mut self.partial);
        if self.state == State::Upgrading { self.read_upgrade(&bytes, true).err() } else { None }
    }

    /// Says goodbye: the close frame goes to `out`; the target answers with its own. What else it
    /// sends until then is read and dropped.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        if matches!(self.state, State::Opening | State::Connecting | State::Live) {
            const NORMAL: [u8; 2] = 1000u16.to_be_bytes();
            self.send(out, OpCode::Control(Control::Close), &NORMAL);
        }
        self.state = State::Closing;
        self.attachments = 0;
    }

    fn consume(
        &mut self,
        spec: &SessionSpec,
        bytes: &[u8],
        now_ns: u64,
        out: &mut Vec<u8>,
        on_event: &mut impl FnMut(SessionEvent<'_>),
    ) -> Result<usize, SessionError> {
        let mut used = 0;
        if self.state == State::Upgrading {
            let Some(head) = self.read_upgrade(bytes, false)? else { return Ok(0) };
            used = head;
            self.state = State::Opening;
            on_event(SessionEvent::Upgraded);
        }
        if self.accept_key.is_some() {
            // Closed before the upgrade: what comes is no frames.
            return Ok(bytes.len());
        }
        while let Some(frame) = self.next_frame(spec, &bytes[used..])? {
            used += frame.bytes;
            on_event(SessionEvent::Frame);
            self.on_frame(spec, &frame, now_ns, out, on_event)?;
        }
        Ok(used)
    }

    /// The first whole frame; one that would make its message too large is refused by its header.
    fn next_frame<'a>(&self, spec: &SessionSpec, bytes: &'a [u8]) -> Result<Option<Frame<'a>>, SessionError> {
        let Some(message) = &self.fragments else {
            return Ok(frame::parse(bytes, spec.message_bytes_max)?);
        };
        frame::parse(bytes, spec.message_bytes_max - message.1.len()).map_err(|error| match error {
            FrameError::Oversized { .. } => SessionError::OversizedMessage(spec.message_bytes_max),
            error => error.into(),
        })
    }

    /// The length of the response head, if it is there whole and says 101. A refusal is reported
    /// with its body: as much as its content-length announces, or came before the `is_end`.
    fn read_upgrade(&mut self, bytes: &[u8], is_end: bool) -> Result<Option<usize>, SessionError> {
        let mut headers = [httparse::EMPTY_HEADER; HTTP_HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        let head = match response.parse(bytes) {
            Ok(httparse::Status::Complete(head)) if head <= HTTP_HEAD_BYTES_MAX => head,
            Ok(httparse::Status::Partial) if bytes.len() <= HTTP_HEAD_BYTES_MAX => return Ok(None),
            Ok(_) | Err(_) => return Err(SessionError::NotHttp(excerpt(bytes))),
        };
        let header = |name: &str| {
            let field = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name))?;
            str::from_utf8(field.value.trim_ascii()).ok()
        };
        let status = response.code.unwrap_or_default();
        if status != 101 {
            let came = &bytes[head..];
            let length = header("content-length").and_then(|length| length.parse().ok());
            let due = length.unwrap_or(came.len()).min(REFUSAL_BODY_BYTES_MAX);
            if came.len() < due && !is_end {
                return Ok(None);
            }
            return Err(SessionError::UpgradeRefused { status, body: excerpt(&came[..due.min(came.len())]) });
        }
        if header("sec-websocket-accept") != self.accept_key.as_deref() {
            return Err(SessionError::WrongAccept);
        }
        self.accept_key = None;
        Ok(Some(head))
    }

    fn on_frame(
        &mut self,
        spec: &SessionSpec,
        frame: &Frame<'_>,
        now_ns: u64,
        out: &mut Vec<u8>,
        on_event: &mut impl FnMut(SessionEvent<'_>),
    ) -> Result<(), SessionError> {
        match (frame.opcode, frame.is_final) {
            (OpCode::Control(Control::Ping), _) => {
                self.send(out, OpCode::Control(Control::Pong), frame.payload);
                Ok(())
            }
            (OpCode::Control(Control::Close), _) => Err(self.on_close(frame.payload, out)),
            (OpCode::Control(_), _) => Ok(()),
            (OpCode::Data(Data::Continue), is_final) => {
                let Some(mut message) = self.fragments.take() else {
                    return Err(SessionError::Protocol("a continuation frame without a message".into()));
                };
                message.1.extend_from_slice(frame.payload);
                if is_final {
                    return self.on_message(spec, message.0, &message.1, now_ns, out, on_event);
                }
                self.fragments = Some(message);
                Ok(())
            }
            (OpCode::Data(_), _) if self.fragments.is_some() => {
                Err(SessionError::Protocol("a new message inside a fragmented one".into()))
            }
            (OpCode::Data(kind), true) => self.on_message(spec, kind, frame.payload, now_ns, out, on_event),
            (OpCode::Data(kind), false) => {
                self.fragments = Some(Box::new((kind, frame.payload.to_vec())));
                Ok(())
            }
        }
    }

    /// Answers a close frame as RFC 6455 section 5.5.1 asks, unless we closed first.
    fn on_close(&mut self, payload: &[u8], out: &mut Vec<u8>) -> SessionError {
        const NO_STATUS: u16 = 1005;
        let code = payload.first_chunk().map_or(NO_STATUS, |code| u16::from_be_bytes(*code));
        if self.state != State::Closing {
            // A body of one byte is no status code: it is not given back.
            let status = payload.get(..2).unwrap_or_default();
            self.send(out, OpCode::Control(Control::Close), status);
        }
        SessionError::Closed { code, reason: excerpt(payload.get(2..).unwrap_or_default()) }
    }

    fn on_message(
        &mut self,
        spec: &SessionSpec,
        kind: Data,
        payload: &[u8],
        now_ns: u64,
        out: &mut Vec<u8>,
        on_event: &mut impl FnMut(SessionEvent<'_>),
    ) -> Result<(), SessionError> {
        if kind == Data::Binary {
            return self.on_attachment(payload, on_event);
        }
        if self.attachments > 0 {
            return Err(SessionError::Protocol("text where a binary attachment was due".into()));
        }
        let packet = socketio::parse(payload, &spec.selector);
        match (self.state, packet) {
            (State::Opening, Packet::Open(open)) => {
                self.heartbeat_ns =
                    (u64::from(open.ping_interval) + u64::from(open.ping_timeout)) * NS_PER_MS;
                self.expires_ns = now_ns.saturating_add(self.heartbeat_ns);
                self.state = State::Connecting;
                self.send(out, OpCode::Data(Data::Text), &spec.connect_packet);
            }
            (State::Opening, _) => return Err(SessionError::NotEngineIo(excerpt(payload))),
            (State::Closing, _) | (_, Packet::Ignored) => {}
            (_, Packet::Ping(probe)) => {
                self.expires_ns = now_ns.saturating_add(self.heartbeat_ns);
                let pong = [b"3", probe].concat();
                self.send(out, OpCode::Data(Data::Text), &pong);
            }
            (_, Packet::Close | Packet::Disconnected) => return Err(SessionError::Disconnected),
            (State::Connecting, Packet::Connected) => {
                self.state = State::Live;
                on_event(SessionEvent::Connected);
            }
            (_, Packet::ConnectError(message)) => return Err(SessionError::ConnectRefused(message)),
            (_, Packet::Event { wanted, attachments }) => {
                self.attachments = attachments;
                self.attachments_wanted = wanted;
                if wanted {
                    on_event(SessionEvent::Post(payload));
                }
            }
            (_, Packet::Open(_) | Packet::Connected | Packet::Malformed) => {
                return Err(SessionError::Protocol(excerpt(payload)));
            }
        }
        Ok(())
    }

    fn on_attachment(
        &mut self,
        payload: &[u8],
        on_event: &mut impl FnMut(SessionEvent<'_>),
    ) -> Result<(), SessionError> {
        if self.state == State::Closing {
            return Ok(());
        }
        if self.attachments == 0 {
            return Err(SessionError::Protocol("a binary message that no event announced".into()));
        }
        self.attachments -= 1;
        if self.attachments_wanted {
            on_event(SessionEvent::Post(payload));
        }
        Ok(())
    }

    fn send(&mut self, out: &mut Vec<u8>, opcode: OpCode, payload: &[u8]) {
        // xorshift32 (Marsaglia, 2003): the mask keeps proxies from mistaking frames, no secret depends on it.
        self.mask ^= self.mask << 13;
        self.mask ^= self.mask >> 17;
        self.mask ^= self.mask << 5;
        frame::write_masked(out, opcode, payload, self.mask.to_be_bytes());
    }
}
