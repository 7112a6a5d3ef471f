//! What holds for any stream and any split of it.

use proptest::prelude::*;
use proptest::sample::Index;
use tungstenite::protocol::frame::coding::OpCode;

use crate::server::{
    BINARY, CLOSE, CONNECTED, CONTINUE, MESSAGE_BYTES_MAX, OPEN, PING, PONG, Subscriber, TEXT, frame, spec,
    text, upgrade_answer,
};

/// Greatest header of a server's frame.
const FRAME_HEADER_BYTES_MAX: usize = 10;
/// Bound of an HTTP head, and of the body of a refusal.
const HTTP_BYTES_MAX: usize = 16 * 1024 + 800;

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..150)
}

/// One message in fragments, cut at these places, with pings between them.
fn fragmented(kind: OpCode, payload: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut from = 0;
    for (index, &end) in cuts.iter().chain([&payload.len()]).enumerate() {
        if index > 0 {
            bytes.extend(frame(PING, true, format!("between {index}").as_bytes()));
        }
        let opcode = if index == 0 { kind } else { CONTINUE };
        bytes.extend(frame(opcode, index == cuts.len(), &payload[from..end]));
        from = end;
    }
    bytes
}

fn cuts(indices: &[Index], length: usize) -> Vec<usize> {
    let mut cuts: Vec<usize> = indices.iter().map(|index| index.index(length + 1)).collect();
    cuts.sort_unstable();
    cuts
}

/// Bytes of one thing that a target may do to a live subscriber; rarely something it must not.
fn step() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => "[ -~]{0,200}".prop_map(|body| text(&format!("42[\"posts\",{body:?}]"))),
        2 => "[a-z]{0,9}".prop_map(|name| text(&format!("42[\"{name}\",1]"))),
        2 => "[a-z]{0,9}".prop_map(|probe| text(&format!("2{probe}"))),
        2 => prop::collection::vec(any::<u8>(), 0..=125).prop_map(|payload| frame(PING, true, &payload)),
        1 => prop::collection::vec(any::<u8>(), 0..=125).prop_map(|payload| frame(PONG, true, &payload)),
        1 => Just(text("6")),
        1 => Just(text("42/other,[\"posts\",1]")),
        1 => Just(text("46/other,1-1[{\"_placeholder\":true,\"num\":0}]")),
        3 => (prop::collection::vec(payload(), 0..4), any::<bool>()).prop_map(|(attachments, wanted)| {
            let name = if wanted { "posts" } else { "other" };
            let mut bytes = text(&format!("45{}-[\"{name}\"]", attachments.len()));
            attachments.iter().for_each(|attachment| bytes.extend(frame(BINARY, true, attachment)));
            bytes
        }),
        3 => ("[ -~]{0,300}", prop::collection::vec(any::<Index>(), 0..4)).prop_map(|(body, indices)| {
            let payload = format!("42[\"posts\",{body:?}]");
            fragmented(TEXT, payload.as_bytes(), &cuts(&indices, payload.len()))
        }),
        1 => prop_oneof![
            Just(text("41")),
            Just(text("1")),
            Just(text("44{\"message\":\"no\"}")),
            Just(text("nonsense")),
            Just(frame(CLOSE, true, b"\x03\xe9going away")),
            Just(frame(TEXT, true, &[b'4'; MESSAGE_BYTES_MAX + 1])),
            payload(),
        ],
    ]
}

/// A whole session after the upgrade.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(step(), 0..12)
        .prop_map(|steps| [vec![text(OPEN), text(CONNECTED)], steps].concat().concat())
}

/// Bytes that look enough like frames to get past the header.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let opcode = prop::sample::select(vec![0u8, 1, 2, 8, 9, 10, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8a]);
    let start = prop::sample::select(vec!["", "0", "1", "2", "40", "42[\"posts\"", "451-[", "44", "4", "9"]);
    let near_frame = (opcode, start, payload(), 0..3u8).prop_map(|(opcode, start, payload, lie)| {
        let body = [start.as_bytes(), &payload].concat();
        let length = (body.len() as u16).wrapping_add(u16::from(lie) * 700);
        let mut bytes = vec![opcode, 126, (length >> 8) as u8, length as u8];
        if length <= 125 {
            bytes = vec![opcode, length as u8];
        }
        bytes.extend(body);
        bytes
    });
    prop_oneof![4 => near_frame, 1 => payload()]
}

/// Every state that a session can be in when bytes come, by its name.
fn states() -> Vec<(&'static str, Subscriber)> {
    let mut fragment = Subscriber::live();
    fragment.read(&frame(TEXT, false, b"42[\"posts\""));
    let mut closing = Subscriber::live();
    closing.read(&text("452-[\"posts\"]"));
    closing.close();
    let mut closed_early = Subscriber::start(spec());
    closed_early.close();
    vec![
        ("upgrading", Subscriber::start(spec())),
        ("opening", Subscriber::after(spec(), &[])),
        ("connecting", Subscriber::after(spec(), &[OPEN])),
        ("live", Subscriber::live()),
        ("attachments due", Subscriber::after(spec(), &[OPEN, CONNECTED, "453-[\"posts\"]"])),
        ("in a fragmented message", fragment),
        ("closing", closing),
        ("closed before the upgrade", closed_early),
    ]
}

proptest! {
    /// However the byte stream is split into reads, byte by byte included, the session reports the
    /// same events, sends the same bytes and ends for the same reason.
    #[test]
    fn any_split_of_the_stream_gives_the_same_outcome(
        stream in stream(),
        indices in prop::collection::vec(any::<Index>(), 0..20),
    ) {
        let outcome = |ends: fn(&[usize], usize) -> Vec<usize>| {
            let mut subscriber = Subscriber::start(spec());
            let bytes = [upgrade_answer(&subscriber.request), stream.clone()].concat();
            let cuts = cuts(&indices, bytes.len());
            subscriber.read_split(&bytes, &ends(&cuts, bytes.len()));
            let state = (subscriber.session.waiting_for(), subscriber.session.expires_ns());
            (subscriber.take_events(), subscriber.out, subscriber.error, state)
        };
        let whole = outcome(|_, _| Vec::new());
        prop_assert_eq!(&outcome(|cuts, _| cuts.to_vec()), &whole);
        prop_assert_eq!(&outcome(|_, length| (0..length).collect()), &whole);
    }

    /// A message in fragments, pings between them, is the same message as in one frame.
    #[test]
    fn fragments_equal_the_whole_message(
        start in prop::sample::select(vec!["42[\"posts\",1", "42[\"other\"", "2", "6", "451-[\"posts\"]", "x"]),
        body in "[ -~]{0,300}",
        indices in prop::collection::vec(any::<Index>(), 0..5),
    ) {
        let payload = format!("{start}{body}");
        let cuts = cuts(&indices, payload.len());
        let mut whole = Subscriber::live();
        whole.read(&text(&payload));
        let mut parts = Subscriber::live();
        parts.read(&fragmented(TEXT, payload.as_bytes(), &cuts));
        prop_assert_eq!(&parts.events, &whole.events);
        prop_assert_eq!(&parts.error, &whole.error);
        let (pongs, others): (Vec<_>, Vec<_>) =
            parts.replies().into_iter().partition(|(opcode, _)| *opcode == PONG);
        prop_assert_eq!(others, whole.replies());
        let expected: Vec<_> =
            (1..=cuts.len()).map(|index| (PONG, format!("between {index}").into_bytes())).collect();
        prop_assert_eq!(pongs, expected);
    }

    /// Any bytes in any state: an answer, never a panic, and never more held back than one message
    /// and one header, or one HTTP head.
    #[test]
    fn garbage_in_any_state_is_survived_within_the_bound(
        reads in prop::collection::vec(garbage(), 1..8),
        indices in prop::collection::vec(any::<Index>(), 0..6),
    ) {
        let bytes = reads.concat();
        let ends = cuts(&indices, bytes.len());
        for (name, mut subscriber) in states() {
            let bound = match name {
                "upgrading" => HTTP_BYTES_MAX,
                _ => MESSAGE_BYTES_MAX + FRAME_HEADER_BYTES_MAX,
            };
            subscriber.read_split(&bytes, &ends);
            prop_assert!(subscriber.buffered_bytes_max <= bound, "{name}: {}", subscriber.buffered_bytes_max);
        }
    }

    /// A target that never finishes anything: large fragments, each cut short of its end.
    #[test]
    fn unfinished_fragments_are_held_back_within_the_bound(
        lengths in prop::collection::vec(0..=MESSAGE_BYTES_MAX, 1..6),
        last_cut: Index,
    ) {
        let mut bytes = Vec::new();
        for (index, &length) in lengths.iter().enumerate() {
            bytes.extend(frame(if index == 0 { TEXT } else { CONTINUE }, false, &vec![b'2'; length]));
        }
        let mut subscriber = Subscriber::live();
        subscriber.read_split(&bytes, &[last_cut.index(bytes.len() + 1)]);
        prop_assert!(subscriber.buffered_bytes_max <= MESSAGE_BYTES_MAX + FRAME_HEADER_BYTES_MAX);
        let too_large = lengths.iter().sum::<usize>() > MESSAGE_BYTES_MAX;
        prop_assert_eq!(subscriber.error.is_some(), too_large);
    }

    /// An HTTP answer of any status, split anywhere, ends the session for the same reason.
    #[test]
    fn a_split_refusal_is_the_same_refusal(
        status in 200..600u16,
        body in "[ -~]{0,60}",
        indices in prop::collection::vec(any::<Index>(), 0..6),
    ) {
        let answer = format!("HTTP/1.1 {status} Whatever\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let error = |ends: &[usize]| {
            let mut subscriber = Subscriber::start(spec());
            subscriber.read_split(answer.as_bytes(), ends);
            subscriber.error
        };
        let whole = error(&[]);
        prop_assert!(whole.is_some());
        prop_assert_eq!(&error(&cuts(&indices, answer.len())), &whole);
        prop_assert_eq!(&error(&(0..answer.len()).collect::<Vec<_>>()), &whole);
    }
}
