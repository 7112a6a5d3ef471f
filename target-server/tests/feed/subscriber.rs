//! A Socket.IO subscriber over WebSocket, small and blocking: Engine.IO v4 and Socket.IO v5 by hand on tungstenite.

use std::{
    io,
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;
use tungstenite::{Message, WebSocket, client::client};

use crate::bed::PATIENCE;

pub(crate) struct Subscriber {
    socket: WebSocket<TcpStream>,
    /// The id that `?socket_id=` takes.
    pub(crate) id: String,
}

/// What a subscriber sees when its connection ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Engine.IO close packet.
    Close,
    /// The transport went away without a word.
    Gone,
}

impl Subscriber {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::connect_with("40", TcpStream::connect(address).unwrap()).unwrap()
    }

    /// Sends `connect` as the CONNECT packet; an error is the CONNECT_ERROR that came back.
    pub(crate) fn connect_with(connect: &str, stream: TcpStream) -> Result<Self, Value> {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let url = format!("ws://{}/socket.io/?EIO=4&transport=websocket", stream.peer_addr().unwrap());
        let (socket, _) = client(url, stream).unwrap();
        let mut subscriber = Self { socket, id: String::new() };
        let open = subscriber.text().unwrap();
        assert!(open.starts_with("0{"), "{open}");
        subscriber.send(connect);
        let answer = subscriber.text().unwrap();
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        match answer.split_at(2) {
            ("40", body) => {
                json(body)["sid"].as_str().unwrap().clone_into(&mut subscriber.id);
                Ok(subscriber)
            }
            ("44", body) => Err(json(body)),
            _ => panic!("neither CONNECT nor CONNECT_ERROR: {answer}"),
        }
    }

    pub(crate) fn send(&mut self, packet: &str) {
        self.socket.send(Message::text(packet)).unwrap();
    }

    /// The next packet that is not a ping, with pings answered.
    pub(crate) fn text(&mut self) -> Result<String, Ended> {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) if text == "1" => return Err(Ended::Close),
                Ok(Message::Text(text)) if text == "2" => {
                    if self.socket.send(Message::text("3")).is_err() {
                        return Err(Ended::Gone);
                    }
                }
                Ok(Message::Text(text)) => return Ok(text.to_string()),
                Ok(Message::Close(_) | Message::Ping(_)) => {}
                Ok(other) => panic!("unexpected {other:?}"),
                Err(tungstenite::Error::Io(e)) if is_timeout(&e) => panic!("nothing within {PATIENCE:?}"),
                Err(_) => return Err(Ended::Gone),
            }
        }
    }

    /// The packet of the next `posts` event, and the event.
    pub(crate) fn event_packet(&mut self) -> (String, Value) {
        let packet = self.text().unwrap();
        let body = packet.strip_prefix("42").unwrap_or_else(|| panic!("not an event: {packet}"));
        let event: Value = serde_json::from_str(body).unwrap();
        assert_eq!(event[0], "posts");
        (packet.clone(), event[1].clone())
    }

    pub(crate) fn event(&mut self) -> Value {
        self.event_packet().1
    }

    /// The titles of the next `count` events.
    pub(crate) fn titles(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.event()["post"]["title"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        self.socket.get_ref()
    }

    pub(crate) fn local_port(&self) -> u16 {
        self.stream().local_addr().unwrap().port()
    }

    /// Whether nothing but pings comes for this long.
    pub(crate) fn hears_nothing_for(&mut self, time: Duration) -> bool {
        self.socket.get_ref().set_read_timeout(Some(time)).unwrap();
        let quiet = loop {
            match self.socket.read() {
                Ok(Message::Text(text)) if text == "2" => self.send("3"),
                Ok(Message::Ping(_)) => {}
                Err(tungstenite::Error::Io(e)) if is_timeout(&e) => break true,
                _ => break false,
            }
        };
        self.socket.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
        quiet
    }
}

fn is_timeout(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
