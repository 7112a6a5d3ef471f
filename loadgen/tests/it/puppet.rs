//! Targets that do what no honest server does: a listener of this process, one script per connection.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tungstenite::handshake::derive_accept_key;

/// The handshake of a healthy Engine.IO server.
const OPEN: &str =
    r#"0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;

/// A listening address with a script behind it, until the test ends.
pub(crate) struct Puppet {
    pub(crate) address: SocketAddr,
}

impl Puppet {
    /// Runs `script` on every connection, each on a thread of its own. An error ends that connection.
    pub(crate) fn new(script: impl Fn(&mut TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(script);
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let script = Arc::clone(&script);
                thread::spawn(move || drop(script(&mut stream)));
            }
        });
        Self { address }
    }

    /// Answers every WebSocket upgrade with 101 and hands the connection to `script`.
    pub(crate) fn websocket(
        script: impl Fn(&mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::new(move |stream| {
            let request = Request::read(stream)?;
            request.accept_upgrade(stream)?;
            script(stream)
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// One HTTP request, as far as a puppet cares.
pub(crate) struct Request {
    head: String,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn read(stream: &mut TcpStream) -> io::Result<Self> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let length = stream.read(&mut buffer)?;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            bytes.extend_from_slice(&buffer[..length]);
            let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let mut request = Self { head, body: Vec::new() };
            let due = request.header("content-length").map_or(0, |length| length.parse().unwrap());
            request.body = bytes[end + 4..].to_vec();
            let come = request.body.len();
            request.body.resize(due, 0);
            stream.read_exact(&mut request.body[come.min(due)..])?;
            return Ok(request);
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.into_iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    fn accept_upgrade(&self, stream: &mut TcpStream) -> io::Result<()> {
        let key = derive_accept_key(self.header("sec-websocket-key").unwrap_or_default().as_bytes());
        let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade";
        stream.write_all(format!("{head}\r\nSec-WebSocket-Accept: {key}\r\n\r\n").as_bytes())
    }
}

/// A WebSocket text frame, as a server sends it.
pub(crate) fn text(payload: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match u16::try_from(payload.len()).unwrap() {
        short @ 0..126 => frame.push(short as u8),
        long => frame.extend([&[126], &long.to_be_bytes()[..]].concat()),
    }
    frame.extend_from_slice(payload.as_bytes());
    frame
}

/// Takes a subscriber up to the confirmed Socket.IO CONNECT.
pub(crate) fn confirm(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(&text(OPEN))?;
    stream.read_exact(&mut [0; 8])?;
    stream.write_all(&text(r#"40{"sid":"s"}"#))
}

/// Reads and drops what comes until the peer closes.
pub(crate) fn ignore(stream: &mut TcpStream) -> io::Result<()> {
    io::copy(stream, &mut io::sink()).map(drop)
}

/// Never answers, until the peer gives up.
pub(crate) fn hang(stream: &mut TcpStream) -> io::Result<()> {
    ignore(stream)
}

/// A feed that works, but for what `deliver` does: it gets every subscriber with its index, the index
/// of the post, and the frame that the subscriber is due.
pub(crate) struct Feed {
    puppet: Puppet,
}

impl Feed {
    pub(crate) fn new(
        deliver: impl Fn(&mut TcpStream, usize, usize, &[u8]) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let subscribers: Mutex<Vec<TcpStream>> = Mutex::default();
        let posts = AtomicUsize::new(0);
        let puppet = Puppet::new(move |stream| {
            loop {
                let request = Request::read(stream)?;
                if request.header("sec-websocket-key").is_some() {
                    request.accept_upgrade(stream)?;
                    // Registered before it is confirmed: who is live is also served.
                    let mut other_end = stream.try_clone()?;
                    let mut subscribers = subscribers.lock().unwrap();
                    confirm(&mut other_end)?;
                    subscribers.push(other_end);
                    drop(subscribers);
                    return ignore(stream);
                }
                let frame = text(&format!(r#"42["posts",{}]"#, String::from_utf8_lossy(&request.body)));
                let post = posts.fetch_add(1, Ordering::Relaxed);
                for (index, subscriber) in subscribers.lock().unwrap().iter_mut().enumerate() {
                    // Whether a subscriber is still there is not the poster's business.
                    let _ = deliver(subscriber, index, post, &frame);
                }
                stream.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}")?;
            }
        });
        Self { puppet }
    }

    pub(crate) fn url(&self) -> String {
        self.puppet.url()
    }
}

/// A listener whose queue is full: the kernel drops what wants to connect, as a dead host would.
pub(crate) fn unreachable() -> (socket2::Socket, Vec<socket2::Socket>, SocketAddr) {
    let stream = || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let listener = stream();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let mut queued = Vec::new();
    while TcpStream::connect_timeout(&address, Duration::from_millis(300))
        .map(|held| queued.push(held.into()))
        .is_ok()
    {
        assert!(queued.len() < 100, "the queue never fills");
    }
    (listener, queued, address)
}
