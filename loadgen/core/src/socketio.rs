//! Engine.IO v4 and Socket.IO v5 packets, read as far as a subscriber needs them.
//!
//! An event is matched by name on its bytes; its JSON is never parsed. Only the two packets of the
//! handshake that carry JSON (open, CONNECT_ERROR) are decoded.
//! Protocols: <https://socket.io/docs/v4/engine-io-protocol/>, <https://socket.io/docs/v4/socket-io-protocol/>.

use serde::Deserialize;

/// Most binary attachments of one event.
pub const ATTACHMENTS_MAX: u32 = 64;

/// The names that select the packets of one subscriber.
#[derive(Debug, Clone)]
pub struct Selector {
    /// `/name,`, or nothing for the main namespace.
    namespace_prefix: Vec<u8>,
    /// The event's name as a JSON string, quotes included.
    event_json: Vec<u8>,
}

impl Selector {
    /// Selects `event` in `namespace`; `/` is the main namespace.
    pub fn new(namespace: &str, event: &str) -> Self {
        let namespace_prefix = match namespace.trim_start_matches('/') {
            "" => Vec::new(),
            name => format!("/{name},").into_bytes(),
        };
        let event_json = serde_json::Value::from(event).to_string().into_bytes();
        Self { namespace_prefix, event_json }
    }

    /// The CONNECT packet (Engine.IO message type included), with an auth payload in JSON if given.
    pub fn connect_packet(&self, auth_json: Option<&str>) -> Vec<u8> {
        [b"40", &self.namespace_prefix[..], auth_json.unwrap_or_default().as_bytes()].concat()
    }
}

/// The Engine.IO handshake, `0{...}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Open {
    /// The target pings this often, in ms.
    pub ping_interval: u32,
    /// and waits this long for the pong, in ms.
    pub ping_timeout: u32,
}

/// One packet, as far as a subscriber cares.
#[derive(Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Engine.IO open.
    Open(Open),
    /// Engine.IO close.
    Close,
    /// Engine.IO ping with its payload, to be sent back.
    Ping(&'a [u8]),
    /// CONNECT confirmed in our namespace.
    Connected,
    /// CONNECT_ERROR with the target's message.
    ConnectError(String),
    /// DISCONNECT from our namespace.
    Disconnected,
    /// An event of our namespace, the wanted one or another, followed by this many binary frames.
    Event {
        /// It has the wanted name.
        wanted: bool,
        /// Binary frames that belong to it.
        attachments: u32,
    },
    /// Anything that a subscriber may ignore: noop, acks, other namespaces.
    Ignored,
    /// Not a packet of these protocols.
    Malformed,
}

/// Reads one text frame.
pub fn parse<'a>(text: &'a [u8], selector: &Selector) -> Packet<'a> {
    let Some((&kind, rest)) = text.split_first() else { return Packet::Malformed };
    match kind {
        b'0' => serde_json::from_slice(rest).map_or(Packet::Malformed, Packet::Open),
        b'1' => Packet::Close,
        b'2' => Packet::Ping(rest),
        b'3' | b'6' => Packet::Ignored,
        b'4' => parse_message(rest, selector),
        _ => Packet::Malformed,
    }
}

fn parse_message<'a>(message: &[u8], selector: &Selector) -> Packet<'a> {
    let Some((&kind, rest)) = message.split_first() else { return Packet::Malformed };
    let (attachments, rest) = match kind {
        b'5' | b'6' => match split_attachments(rest) {
            Some(split) => split,
            None => return Packet::Malformed,
        },
        _ => (0, rest),
    };
    let Some(rest) = strip_namespace(rest, &selector.namespace_prefix) else {
        return match kind {
            // Attachments follow in any case, and must not be taken for ours.
            b'5' | b'6' => Packet::Event { wanted: false, attachments },
            _ => Packet::Ignored,
        };
    };
    match kind {
        b'0' => Packet::Connected,
        b'1' => Packet::Disconnected,
        b'2' | b'5' => Packet::Event { wanted: has_name(rest, &selector.event_json), attachments },
        b'3' => Packet::Ignored,
        b'6' => Packet::Event { wanted: false, attachments },
        b'4' => Packet::ConnectError(error_message(rest)),
        _ => Packet::Malformed,
    }
}

/// `N-` in front of a binary packet.
fn split_attachments(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let digits = bytes.iter().take(4).take_while(|b| b.is_ascii_digit()).count();
    let count: u32 = std::str::from_utf8(&bytes[..digits]).ok()?.parse().ok()?;
    (count <= ATTACHMENTS_MAX && bytes.get(digits) == Some(&b'-')).then(|| (count, &bytes[digits + 1..]))
}

/// What follows the namespace, if the packet is of ours. The main namespace has no prefix.
fn strip_namespace<'a>(bytes: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    if bytes.first() != Some(&b'/') {
        return prefix.is_empty().then_some(bytes);
    }
    if prefix.is_empty() {
        return None;
    }
    match bytes.strip_prefix(prefix) {
        // A packet without a payload may leave the comma out.
        None => (*bytes == prefix[..prefix.len() - 1]).then_some(&[][..]),
        rest => rest,
    }
}

/// The event's name, past an ack id, is the wanted one.
fn has_name(bytes: &[u8], event_json: &[u8]) -> bool {
    let id_digits = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    bytes[id_digits..]
        .strip_prefix(b"[")
        .map(<[u8]>::trim_ascii_start)
        .and_then(|array| array.strip_prefix(event_json))
        .is_some_and(|after| matches!(after.trim_ascii_start().first(), Some(b',' | b']')))
}

/// The `message` of a CONNECT_ERROR, or its whole payload, shortened.
fn error_message(payload: &[u8]) -> String {
    #[derive(Deserialize)]
    struct ConnectError {
        message: String,
    }
    let text = serde_json::from_slice::<ConnectError>(payload)
        .map_or_else(|_| String::from_utf8_lossy(payload).into_owned(), |error| error.message);
    excerpt(text.as_bytes())
}

/// At most 200 characters of what the target said, without control characters, and without the brackets with which a
/// command to GitHub's runner begins: it obeys them anywhere in a line of the log.
pub fn excerpt(bytes: &[u8]) -> String {
    let printable: String = String::from_utf8_lossy(&bytes[..bytes.len().min(800)])
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(200)
        .collect();
    printable.replace("##[", "##(")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn main_posts(text: &str) -> Packet<'_> {
        // The selector does not outlive this function; the packets borrow only from the text.
        parse(text.as_bytes(), &Selector::new("/", "posts"))
    }

    const fn event(wanted: bool, attachments: u32) -> Packet<'static> {
        Packet::Event { wanted, attachments }
    }

    #[test]
    fn packets_of_the_main_namespace() {
        let open = r#"0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
        for (text, packet) in [
            (open, Packet::Open(Open { ping_interval: 25_000, ping_timeout: 20_000 })),
            ("0{}", Packet::Malformed),
            ("", Packet::Malformed),
            ("9", Packet::Malformed),
            ("4", Packet::Malformed),
            ("47", Packet::Malformed),
            ("1", Packet::Close),
            ("2", Packet::Ping(b"")),
            ("2probe", Packet::Ping(b"probe")),
            ("6", Packet::Ignored),
            (r#"40{"sid":"x"}"#, Packet::Connected),
            ("41", Packet::Disconnected),
            (r#"44{"message":"not authorized"}"#, Packet::ConnectError("not authorized".into())),
            ("44nonsense", Packet::ConnectError("nonsense".into())),
            (r#"42["posts",{"a":1}]"#, event(true, 0)),
            (r#"42["posts"]"#, event(true, 0)),
            (r#"4212["posts",1]"#, event(true, 0)),
            (r#"42[ "posts" ,1]"#, event(true, 0)),
            (r#"42["posts2",1]"#, event(false, 0)),
            (r#"42["pos",1]"#, event(false, 0)),
            (r#"42{"posts":1}"#, event(false, 0)),
            (r#"42/other,["posts",1]"#, Packet::Ignored),
            ("43[1]", Packet::Ignored),
            (r#"451-["posts",{"_placeholder":true,"num":0}]"#, event(true, 1)),
            (r#"4599-["posts"]"#, Packet::Malformed),
            (r#"45["posts"]"#, Packet::Malformed),
            (r#"452-/other,["posts"]"#, event(false, 2)),
        ] {
            assert_eq!(main_posts(text), packet, "{text}");
        }
    }

    #[test]
    fn an_excerpt_commands_neither_terminal_nor_runner() {
        assert_eq!(excerpt(b"a\x1b[31m\r\n##[error]b"), "a [31m  ##(error]b");
        assert_eq!(excerpt("\u{65e5}".repeat(300).as_bytes()).chars().count(), 200);
    }

    #[test]
    fn packets_of_another_namespace() {
        let selector = Selector::new("/feed", "new \"post\"");
        for (text, packet) in [
            (r#"40/feed,{"sid":"x"}"#, Packet::Connected),
            ("40/feed", Packet::Connected),
            (r#"40{"sid":"x"}"#, Packet::Ignored),
            (r#"40/feeder,{"sid":"x"}"#, Packet::Ignored),
            ("41/feed,", Packet::Disconnected),
            (r#"42/feed,["new \"post\"",1]"#, event(true, 0)),
            (r#"42/feed,7["new \"post\"",1]"#, event(true, 0)),
            (r#"42["new \"post\"",1]"#, Packet::Ignored),
        ] {
            assert_eq!(parse(text.as_bytes(), &selector), packet, "{text}");
        }
        assert_eq!(selector.connect_packet(Some("{\"t\":1}")), b"40/feed,{\"t\":1}");
        assert_eq!(Selector::new("/", "e").connect_packet(None), b"40");
    }

    proptest! {
        /// Any bytes at all: an answer, never a panic.
        #[test]
        fn hostile_bytes(bytes in prop::collection::vec(any::<u8>(), 0..80), ns in "/?[a-z]{0,4}") {
            let _ = parse(&bytes, &Selector::new(&ns, "posts"));
        }

        /// Packets that begin like the real ones.
        #[test]
        fn hostile_packets(text in "4[0-6][0-9]{0,6}-?(/[a-z]{0,3},?)?[0-9]{0,12}\\[?\"?posts\"?.{0,10}") {
            let _ = parse(text.as_bytes(), &Selector::new("/", "posts"));
        }
    }
}
