//! Any bytes as one Socket.IO packet, for subscribers of the main and of another namespace.
//! Invariants: no panic; attachments within their limit; a packet belongs to one namespace only.

#![no_main]

use std::sync::LazyLock;

use feedmark_core::socketio::{ATTACHMENTS_MAX, Packet, Selector, parse};
use libfuzzer_sys::fuzz_target;

static MAIN: LazyLock<Selector> = LazyLock::new(|| Selector::new("/", "posts"));
static FEED: LazyLock<Selector> = LazyLock::new(|| Selector::new("/feed", "posts"));

fn is_ours(packet: &Packet<'_>) -> bool {
    matches!(
        packet,
        Packet::Connected
            | Packet::ConnectError(_)
            | Packet::Disconnected
            | Packet::Event { wanted: true, .. }
    )
}

fuzz_target!(|text: &[u8]| {
    let (main, feed) = (parse(text, &MAIN), parse(text, &FEED));
    assert!(!(is_ours(&main) && is_ours(&feed)));
    if let Packet::Event { attachments, .. } = main {
        assert!(attachments <= ATTACHMENTS_MAX);
    }
    if let Packet::ConnectError(message) = main {
        assert!(message.chars().count() <= 200 && !message.chars().any(char::is_control));
    }
});
