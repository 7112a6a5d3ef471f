//! One client of the null target: an HTTP connection that may become a Socket.IO session.

use std::collections::VecDeque;
use std::io::{self, Cursor, Read as _, Write as _};
use std::sync::Arc;

use mio::net::TcpStream;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// Greatest request, head and body.
const REQUEST_BYTES_MAX: usize = 1 << 20;
/// Greatest frame of a client: they send handshakes, pongs and closes.
const CLIENT_FRAME_BYTES_MAX: u64 = 64 * 1024;
const HEADERS_MAX: usize = 64;
/// Frames that may wait for a subscriber that does not read.
const WAITING_FRAMES_MAX: usize = 4096;
const OPEN: &[u8] =
    br#"0{"sid":"null-target-session-0","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
const CONNECTED: &[u8] = br#"40{"sid":"null-target-socket-0"}"#;
const CREATED: &[u8] =
    b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: 40\r\n\r\n\
    {\"message\":\"Post created successfully!\"}";
const NOT_FOUND: &[u8] = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";

/// What a client wants next.
pub(super) enum Request {
    /// Nothing whole yet.
    Incomplete,
    /// Nothing any more: it closed, or is not a client of this protocol.
    Over,
    /// Answered already.
    Answered,
    /// Its Socket.IO connect is confirmed.
    Subscribed,
    /// A POST with this body, to be acknowledged.
    Posted(Vec<u8>),
}

/// One client.
pub(super) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    is_socket: bool,
    /// Frames that the socket did not take, and how much of the first it took.
    waiting: VecDeque<Arc<[u8]>>,
    sent_of_first: usize,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        let (received, waiting) = (Vec::new(), VecDeque::new());
        Self { stream, received, is_socket: false, waiting, sent_of_first: 0 }
    }

    /// Reads once.
    ///
    /// # Errors
    /// As `read(2)`; `UnexpectedEof` at the end of the stream, `InvalidData` when too much is unanswered.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        match self.stream.read(buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            length if self.received.len() + length > REQUEST_BYTES_MAX => {
                Err(io::ErrorKind::InvalidData.into())
            }
            length => {
                self.received.extend_from_slice(&buffer[..length]);
                Ok(())
            }
        }
    }

    /// The next whole request; handshakes and heartbeats are answered here.
    pub(super) fn next_request(&mut self) -> Request {
        if self.received.is_empty() {
            // Most of the time: a connection owns a buffer only while a request is not whole.
            self.received = Vec::new();
            return Request::Incomplete;
        }
        if self.is_socket { self.next_frame() } else { self.next_http() }
    }

    fn next_http(&mut self) -> Request {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut headers);
        let head = match request.parse(&self.received) {
            Ok(httparse::Status::Complete(head)) => head,
            Ok(httparse::Status::Partial) => return Request::Incomplete,
            Err(_) => return Request::Over,
        };
        let value =
            |name: &str| request.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value);
        let body_bytes = match value("content-length").map(std::str::from_utf8) {
            None => 0,
            Some(text) => match text.ok().and_then(|text| text.trim().parse::<usize>().ok()) {
                Some(bytes) if bytes <= REQUEST_BYTES_MAX => bytes,
                _ => return Request::Over,
            },
        };
        let Some(body) = self.received.get(head..head + body_bytes) else { return Request::Incomplete };
        let reply = match (request.method, value("sec-websocket-key")) {
            (Some("POST"), _) => {
                let posted = Request::Posted(body.to_vec());
                self.received.drain(..head + body_bytes);
                return posted;
            }
            (Some("GET"), Some(key)) => {
                self.is_socket = true;
                let upgraded = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
                     sec-websocket-accept: {}\r\n\r\n",
                    derive_accept_key(key)
                );
                [upgraded.as_bytes(), &text_frame(OPEN)].concat()
            }
            _ => NOT_FOUND.to_vec(),
        };
        self.received.drain(..head + body_bytes);
        self.reply(&reply, Request::Answered)
    }

    fn next_frame(&mut self) -> Request {
        let mut cursor = Cursor::new(&self.received[..]);
        let (header, length) = match FrameHeader::parse(&mut cursor) {
            Ok(Some((header, length))) if length <= CLIENT_FRAME_BYTES_MAX => (header, length as usize),
            Ok(None) => return Request::Incomplete,
            Ok(Some(_)) | Err(_) => return Request::Over,
        };
        // RFC 6455 section 5.1: a client must mask.
        let Some(mask) = header.mask else { return Request::Over };
        let start = cursor.position() as usize;
        let Some(masked) = self.received.get(start..start + length) else { return Request::Incomplete };
        let payload: Vec<u8> = masked.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        self.received.drain(..start + length);
        match header.opcode {
            OpCode::Data(Data::Text) if payload.starts_with(b"40") => {
                self.reply(&text_frame(CONNECTED), Request::Subscribed)
            }
            OpCode::Control(Control::Ping) => {
                let pong = server_frame(OpCode::Control(Control::Pong), &payload);
                self.reply(&pong, Request::Answered)
            }
            OpCode::Control(Control::Close) => {
                self.reply(&server_frame(OpCode::Control(Control::Close), &payload), Request::Over)
            }
            // Heartbeats and everything that a subscriber has no reason to send.
            _ => Request::Answered,
        }
    }

    fn reply(&mut self, bytes: &[u8], then: Request) -> Request {
        if self.send(&bytes.into()).is_ok() { then } else { Request::Over }
    }

    /// Answers a POST.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub(super) fn acknowledge(&mut self) -> io::Result<()> {
        self.send(&CREATED.into())
    }

    /// Sends what the socket takes and keeps the rest.
    ///
    /// # Errors
    /// As `write(2)`; `OutOfMemory` when too much is kept already.
    pub(super) fn send(&mut self, bytes: &Arc<[u8]>) -> io::Result<()> {
        if self.waiting.is_empty() {
            // The usual case without a detour: the socket takes it all.
            match self.stream.write(bytes) {
                Ok(sent) if sent == bytes.len() => return Ok(()),
                Ok(sent) => self.sent_of_first = sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.sent_of_first = 0,
                Err(error) => return Err(error),
            }
        }
        if self.waiting.len() >= WAITING_FRAMES_MAX {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.waiting.push_back(Arc::clone(bytes));
        Ok(())
    }

    /// Sends what was kept, as far as the socket takes it.
    ///
    /// # Errors
    /// As `write(2)`.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while let Some(first) = self.waiting.front() {
            match self.stream.write(&first[self.sent_of_first..]) {
                Ok(sent) => self.sent_of_first += sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if self.sent_of_first == first.len() {
                self.waiting.pop_front();
                self.sent_of_first = 0;
            }
        }
        Ok(())
    }
}

/// An unmasked text frame, as servers send it.
pub(super) fn text_frame(payload: &[u8]) -> Arc<[u8]> {
    server_frame(OpCode::Data(Data::Text), payload)
}

fn server_frame(opcode: OpCode, payload: &[u8]) -> Arc<[u8]> {
    let mut frame = Vec::with_capacity(payload.len() + 10);
    let header = FrameHeader { is_final: true, opcode, ..FrameHeader::default() };
    // A Vec takes any number of bytes.
    let _ = header.format(payload.len() as u64, &mut frame);
    frame.extend_from_slice(payload);
    frame.into()
}
