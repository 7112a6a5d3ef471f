//! The steps of a healthy session: handshake, heartbeats, events, goodbye.

use feedmark_core::session::{Session, SessionSpec};
use feedmark_core::socketio::Selector;

use crate::server::{
    BINARY, CLOSE, CONNECTED, Event, HEARTBEAT_NS, OPEN, PING, PONG, Subscriber, TEXT, frame, post, spec,
    spec_of, text, upgrade_answer,
};

#[test]
fn the_handshake_goes_step_by_step() {
    let mut subscriber = Subscriber::start(spec());
    let waits = |subscriber: &Subscriber| (subscriber.session.waiting_for(), subscriber.session.is_live());
    assert_eq!(waits(&subscriber), ("the answer to the WebSocket upgrade", false));
    subscriber.upgrade();
    assert_eq!(waits(&subscriber), ("the Engine.IO open packet", false));
    assert_eq!(subscriber.session.expires_ns(), u64::MAX);
    assert_eq!(subscriber.replies(), []);
    subscriber.read(&text(OPEN));
    assert_eq!(waits(&subscriber), ("the confirmation of the Socket.IO connect", false));
    assert_eq!(subscriber.replies(), [(TEXT, b"40".to_vec())]);
    subscriber.read(&text(CONNECTED));
    assert_eq!(waits(&subscriber), ("events", true));
    assert_eq!(subscriber.take_events(), [Event::Upgraded, Event::Connected]);
    subscriber.close();
    assert_eq!(waits(&subscriber), ("the close", false));
}

#[test]
fn the_upgrade_request_is_as_rfc_6455_wants_it() {
    for (path, line) in [
        ("/socket.io/", "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1"),
        ("/s/?token=1", "GET /s/?token=1&EIO=4&transport=websocket HTTP/1.1"),
    ] {
        let headers = [("Authorization".to_owned(), "Bearer x".to_owned())];
        let spec = SessionSpec::new("h:1", path, &headers, Selector::new("/", "posts"), None, 1000);
        let mut out = Vec::new();
        Session::start(&spec, 0, &mut out);
        let request = String::from_utf8(out).unwrap();
        let (head, rest) = request.split_once("\r\n\r\n").unwrap();
        let lines: Vec<&str> = head.split("\r\n").collect();
        assert_eq!((lines[0], rest), (line, ""));
        for field in [
            "Host: h:1",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Authorization: Bearer x",
        ] {
            assert!(lines.contains(&field), "{field} in {request}");
        }
    }
}

#[test]
fn keys_differ_between_sessions() {
    let request = || Subscriber::start(spec()).request;
    assert_ne!(request(), request());
}

#[test]
fn frames_right_behind_the_upgrade_answer_are_read() {
    let mut subscriber = Subscriber::start(spec());
    let answer = upgrade_answer(&subscriber.request);
    subscriber.read(&[answer, text(OPEN), text(CONNECTED), text("42[\"posts\",1]")].concat());
    assert_eq!(subscriber.take_events(), [Event::Upgraded, Event::Connected, post("42[\"posts\",1]")]);
}

#[test]
fn another_namespace_is_joined_with_its_auth_and_hears_only_itself() {
    let mut subscriber = Subscriber::after(spec_of("/feed", Some("{\"t\":1}"), 1000), &[]);
    subscriber.read(&text(OPEN));
    assert_eq!(subscriber.sent_texts(), ["40/feed,{\"t\":1}"]);
    for ignored in ["40{\"sid\":\"x\"}", "42[\"posts\",0]", "41", "44{\"message\":\"not us\"}"] {
        subscriber.read(&text(ignored));
    }
    assert!(!subscriber.session.is_live());
    for message in [
        "40/feed,{\"sid\":\"x\"}",
        "42/feed,[\"posts\",1]",
        "42[\"posts\",2]",
        "42/feeds,[\"posts\",3]",
        "41",
    ] {
        subscriber.read(&text(message));
    }
    assert_eq!(subscriber.take_events(), [Event::Connected, post("42/feed,[\"posts\",1]")]);
    subscriber.read(&text("41/feed,"));
    assert_eq!(subscriber.error.unwrap().cause(), "disconnected by the target");
}

#[test]
fn attachments_of_the_wanted_event_are_posts_too() {
    let mut subscriber = Subscriber::live();
    subscriber.read(&text("452-[\"posts\",{\"_placeholder\":true,\"num\":0}]"));
    subscriber.read(&frame(PING, true, b"in between"));
    subscriber.read(&[frame(BINARY, true, b"one"), frame(BINARY, true, b"two")].concat());
    subscriber.read(&text("450-[\"posts\"]"));
    let announced = post("452-[\"posts\",{\"_placeholder\":true,\"num\":0}]");
    assert_eq!(subscriber.take_events(), [announced, post("one"), post("two"), post("450-[\"posts\"]")]);
    assert_eq!(subscriber.error, None);
}

#[test]
fn attachments_of_other_events_acks_and_namespaces_are_skipped() {
    let packets = ["451-[\"other\"]", "451-/other,[\"posts\"]", "461-7[]"];
    for packet in packets {
        let mut subscriber = Subscriber::live();
        subscriber.read(&[text(packet), frame(BINARY, true, b"skipped"), text("42[\"posts\"]")].concat());
        assert_eq!(subscriber.take_events(), [post("42[\"posts\"]")], "{packet}");
        assert_eq!(subscriber.frames, 3, "{packet}: each frame is told, whatever is in it");
        assert_eq!(subscriber.error, None);
    }
}

#[test]
fn pings_of_both_protocols_are_answered_with_their_payload() {
    let mut subscriber = Subscriber::live();
    subscriber.read(&text("2"));
    subscriber.read(&text("2probe"));
    subscriber.read(&frame(PING, true, b""));
    subscriber.read(&frame(PING, true, &[0xff; 125]));
    subscriber.read(&frame(PONG, true, b"unasked"));
    let expected =
        [(TEXT, b"3".to_vec()), (TEXT, b"3probe".to_vec()), (PONG, Vec::new()), (PONG, vec![0xff; 125])];
    assert_eq!(subscriber.replies(), expected);
    assert_eq!(subscriber.take_events(), []);
}

#[test]
fn only_engine_io_pings_move_the_expiry() {
    let mut subscriber = Subscriber::after(spec(), &[]);
    subscriber.read_at(&text(OPEN), 1000);
    assert_eq!(subscriber.session.expires_ns(), HEARTBEAT_NS + 1000);
    for bytes in [text(CONNECTED), text("42[\"posts\"]"), frame(PING, true, b""), text("6"), text("3")] {
        subscriber.read_at(&bytes, 2000);
        assert_eq!(subscriber.session.expires_ns(), HEARTBEAT_NS + 1000);
    }
    subscriber.read_at(&text("2"), 3000);
    assert_eq!(subscriber.session.expires_ns(), HEARTBEAT_NS + 3000);
    subscriber.read_at(&text("2"), u64::MAX);
    assert_eq!(subscriber.session.expires_ns(), u64::MAX);
}

#[test]
fn the_targets_close_is_answered_with_its_code() {
    for (payload, answer) in
        [(&b"\x03\xe9bye"[..], &b"\x03\xe9"[..]), (b"\x03\xe8", b"\x03\xe8"), (b"", b""), (b"\x03", b"")]
    {
        let mut subscriber = Subscriber::live();
        subscriber.read(&frame(CLOSE, true, payload));
        assert_eq!(subscriber.replies(), [(CLOSE, answer.to_vec())]);
    }
}

#[test]
fn our_close_is_sent_once_and_the_answer_is_not_answered() {
    let mut subscriber = Subscriber::live();
    subscriber.close();
    subscriber.close();
    assert_eq!(subscriber.replies(), [(CLOSE, b"\x03\xe8".to_vec())]);
    subscriber.read(&frame(CLOSE, true, b"\x03\xe8"));
    assert_eq!(subscriber.error.as_ref().unwrap().cause(), "closed by the target with code 1000");
    assert_eq!(subscriber.replies(), []);
}

#[test]
fn whatever_comes_between_our_close_and_the_answer_is_dropped() {
    for before in [&[][..], &[OPEN], &[OPEN, CONNECTED], &[OPEN, CONNECTED, "452-[\"posts\"]"]] {
        let mut subscriber = Subscriber::after(spec(), before);
        subscriber.close();
        subscriber.read(&frame(BINARY, true, b"attachment"));
        for message in ["42[\"posts\",1]", CONNECTED, "41", "1", "2", "nonsense", "451-[\"posts\"]", "6"] {
            subscriber.read(&text(message));
        }
        assert_eq!(subscriber.take_events(), [], "{before:?}");
        assert_eq!(subscriber.error, None, "{before:?}");
        subscriber.out.clear();
        subscriber.read(&frame(PING, true, b"still there?"));
        assert_eq!(subscriber.replies(), [(PONG, b"still there?".to_vec())]);
    }
}

#[test]
fn a_session_closed_before_its_upgrade_drops_the_answer() {
    let mut subscriber = Subscriber::start(spec());
    subscriber.close();
    assert_eq!(subscriber.replies(), []);
    subscriber.upgrade();
    subscriber.read(&text(OPEN));
    assert_eq!((subscriber.take_events(), subscriber.replies()), (vec![], vec![]));
    assert_eq!(subscriber.error, None);
    assert_eq!(subscriber.session.buffered_bytes(), 0);
}
