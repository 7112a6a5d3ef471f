//! Ends of a session: each reason once, in the words that the user reads.

use crate::server::{
    BINARY, CLOSE, CONNECTED, CONTINUE, MESSAGE_BYTES_MAX, OPEN, PING, Subscriber, TEXT, frame, spec,
    spec_of, text, upgrade_answer,
};

fn refusal(answer: &str) -> Subscriber {
    let mut subscriber = Subscriber::start(spec());
    subscriber.read(answer.as_bytes());
    subscriber
}

fn assert_ends(subscriber: &Subscriber, message: &str, cause: &str) {
    let error = subscriber.error.as_ref().expect("the session ended");
    assert_eq!((error.to_string().as_str(), error.cause().as_str()), (message, cause));
}

#[test]
fn refused_upgrades_say_what_to_do_next() {
    for (status, hint) in [
        (302, "give the final URL, redirects are not followed"),
        (401, "check --header and --auth"),
        (403, "check --header and --auth"),
        (404, "check --url and --socket-path"),
        (429, "the target limits connections: lower --connect-rate"),
        (503, "the target limits connections: lower --connect-rate"),
        (200, "is a Socket.IO v4 server behind --url and --socket-path?"),
        (500, "is a Socket.IO v4 server behind --url and --socket-path?"),
    ] {
        assert_ends(
            &refusal(&format!("HTTP/1.1 {status} X\r\nContent-Length: 5\r\n\r\nsorry")),
            &format!("the target refused the WebSocket upgrade with status {status} \"sorry\": {hint}"),
            &format!("upgrade refused with status {status}"),
        );
    }
}

#[test]
fn what_is_not_http_is_quoted() {
    for answer in ["SSH-2.0-OpenSSH_9.2\r\n", "\x15\x03\x01\x00\x02", "HTTP/9 101\r\n\r\n"] {
        let quoted: String = answer.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let message =
            format!("the target did not answer the upgrade in HTTP ({quoted:?}): is this the right port?");
        assert_ends(&refusal(answer), &message, "not HTTP");
    }
}

#[test]
fn a_wrong_or_absent_accept_key_is_refused() {
    for header in ["", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", "Sec-WebSocket-Accept:\r\n"]
    {
        let mut subscriber = refusal(&format!("HTTP/1.1 101 X\r\nUpgrade: websocket\r\n{header}\r\n"));
        let message = "the target answered 101 with a wrong sec-websocket-accept: a proxy in between, or no \
                       WebSocket server";
        assert_ends(&subscriber, message, "wrong sec-websocket-accept");
        // It does not become right by repetition.
        subscriber.error = None;
        subscriber.read(b"HTTP/1.1 101 X\r\n\r\n");
        assert_ends(&subscriber, message, "wrong sec-websocket-accept");
        assert_eq!(subscriber.events, []);
    }
}

#[test]
fn a_websocket_that_is_no_engine_io_is_named() {
    for (first, quoted) in [("hello", "hello"), ("0{}", "0{}"), ("40", "40"), ("2", "2"), ("", "")] {
        let mut subscriber = Subscriber::after(spec(), &[]);
        subscriber.read(&text(first));
        let message = format!(
            "the target speaks WebSocket but not Engine.IO v4 (its first message: {quoted:?}): is \
             --socket-path right?"
        );
        assert_ends(&subscriber, &message, "not Engine.IO v4");
    }
}

#[test]
fn each_break_of_the_protocol_is_quoted() {
    let live = [OPEN, CONNECTED];
    for (messages, bytes, quoted) in [
        (&live[..], text("nonsense"), "nonsense"),
        (&live, text(""), ""),
        (&live, text(OPEN), OPEN),
        (&live, text(CONNECTED), CONNECTED),
        (&live[..1], text("47"), "47"),
        (&live, text("4565-[\"posts\"]"), "4565-[\"posts\"]"),
        (&live, frame(BINARY, true, b"x"), "a binary message that no event announced"),
        (&[], frame(BINARY, true, b"x"), "a binary message that no event announced"),
        (&live, frame(CONTINUE, true, b"x"), "a continuation frame without a message"),
        (&live, [frame(TEXT, false, b"4"), text("2")].concat(), "a new message inside a fragmented one"),
        (&live, [text("451-[\"posts\"]"), text("2")].concat(), "text where a binary attachment was due"),
    ] {
        let mut subscriber = Subscriber::after(spec(), messages);
        subscriber.read(&bytes);
        let message = format!("the target broke the Socket.IO protocol with {quoted:?}");
        assert_ends(&subscriber, &message, "protocol error");
    }
}

#[test]
fn frames_that_a_server_must_not_send_are_named() {
    for (bytes, message) in [
        (&[0x81, 0x80, 1, 2, 3, 4][..], "the target sent a masked frame, which RFC 6455 forbids to servers"),
        (
            &[0xc1, 0],
            "the target sent a frame with reserved bits or a reserved opcode, though no extension was agreed",
        ),
        (&[0x89, 126, 0, 200], "the target sent a fragmented or oversized control frame (200 bytes)"),
        (&[0x82, 126, 3, 233], "the target sent a frame of 1001 bytes: the limit is 1000 (--max-message)"),
        (
            &[0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255],
            "the target sent a frame of 18446744073709551615 bytes: the limit is 1000 (--max-message)",
        ),
    ] {
        let mut subscriber = Subscriber::live();
        subscriber.read(bytes);
        assert_ends(&subscriber, message, "bad frame");
        assert_eq!(subscriber.buffered_bytes_max, 0);
    }
}

#[test]
fn a_fragmented_message_is_refused_by_the_header_that_makes_it_too_large() {
    let mut subscriber = Subscriber::live();
    subscriber.read(&frame(TEXT, false, &[b'6'; MESSAGE_BYTES_MAX - 10]));
    subscriber.read(&frame(CONTINUE, false, &[b'6'; 10]));
    // Control frames still pass when not a byte of the message is left.
    subscriber.read(&frame(PING, true, &[0; 125]));
    assert_eq!(subscriber.error, None);
    subscriber.read(&frame(CONTINUE, true, &[b'6'; 1])[..2]);
    let message = "the target sent a message of more than 1000 bytes (--max-message)";
    assert_ends(&subscriber, message, "oversized message");
}

#[test]
fn a_message_of_exactly_the_limit_passes() {
    let mut subscriber = Subscriber::live();
    subscriber.read(&frame(TEXT, true, &[b'6'; MESSAGE_BYTES_MAX]));
    subscriber.read(&frame(TEXT, false, &[b'6'; MESSAGE_BYTES_MAX]));
    subscriber.read(&frame(CONTINUE, true, b""));
    assert_eq!(subscriber.error, None);
}

#[test]
fn a_limit_below_a_control_frame_is_none_for_control_frames() {
    let mut subscriber = Subscriber::after(spec_of("/", None, 100), &[OPEN, CONNECTED]);
    subscriber.read(&frame(PING, true, &[1; 125]));
    assert_eq!(subscriber.error, None);
    assert_eq!(subscriber.replies().len(), 1);
}

#[test]
fn a_refused_connect_gives_the_targets_reason() {
    for (packet, reason) in [
        (r#"44{"message":"who are you?","data":1}"#, "who are you?"),
        ("44\"Invalid namespace\"", "\"Invalid namespace\""),
    ] {
        let mut subscriber = Subscriber::after(spec(), &[OPEN]);
        subscriber.read(&text(packet));
        let message =
            format!("the target refused the Socket.IO connect: {reason:?}: check --auth and --namespace");
        assert_ends(&subscriber, &message, "connect refused by the target");
    }
}

#[test]
fn socket_io_and_engine_io_disconnects_are_one() {
    for packet in ["41", "1"] {
        let mut subscriber = Subscriber::live();
        subscriber.read(&text(packet));
        assert_ends(&subscriber, "the target disconnected the subscriber", "disconnected by the target");
    }
}

#[test]
fn a_close_frame_gives_code_and_reason() {
    for (payload, code, reason) in [
        (&b""[..], 1005, ""),
        (b"\x03", 1005, ""),
        (b"\x03\xe8", 1000, ""),
        (b"\x03\xe9try\nlater", 1001, "try later"),
    ] {
        let mut subscriber = Subscriber::live();
        subscriber.read(&frame(CLOSE, true, payload));
        let message = format!("the target closed the connection with code {code} {reason:?}");
        assert_ends(&subscriber, &message, &format!("closed by the target with code {code}"));
    }
}

#[test]
fn nothing_after_the_end_of_the_session_is_reported() {
    let mut subscriber = Subscriber::live();
    subscriber.read(&[text("41"), text("42[\"posts\",1]")].concat());
    assert_eq!(subscriber.events, []);
}

#[test]
fn an_http_head_is_bounded_however_it_is_split() {
    const HEAD_BYTES_MAX: usize = 16 * 1024;
    for (excess, refused) in [(0, false), (1, true)] {
        for chunk in [1, 1000, usize::MAX] {
            let mut subscriber = Subscriber::start(spec());
            let answer = String::from_utf8(upgrade_answer(&subscriber.request)).unwrap();
            let line =
                format!("X-Padding: {}\r\n\r\n", "x".repeat(HEAD_BYTES_MAX + excess - answer.len() - 13));
            let head = answer.strip_suffix("\r\n").unwrap().to_owned() + &line;
            assert_eq!(head.len(), HEAD_BYTES_MAX + excess);
            head.as_bytes().chunks(chunk.min(head.len())).for_each(|bytes| subscriber.read(bytes));
            let cause = subscriber.error.map(|error| error.cause());
            assert_eq!(cause, refused.then(|| "not HTTP".to_owned()), "{excess} {chunk}");
        }
    }
    let mut endless = Subscriber::start(spec());
    endless.read(b"HTTP/1.1 101 X\r\nX: ");
    (0..100).for_each(|_| endless.read(&[b'x'; 1000]));
    assert_eq!(endless.error.as_ref().map(|error| error.cause()).as_deref(), Some("not HTTP"));
    assert!(endless.buffered_bytes_max <= HEAD_BYTES_MAX, "{}", endless.buffered_bytes_max);
}

#[test]
fn the_body_of_a_refusal_is_waited_for_within_a_bound() {
    let mut subscriber = refusal("HTTP/1.1 404 Not Found\r\nContent-Length: 13\r\n\r\n");
    assert_eq!(subscriber.error, None);
    subscriber.read(b"no such");
    subscriber.read(b" route, and more");
    assert!(subscriber.error.unwrap().to_string().contains("status 404 \"no such route\""));

    let mut long = refusal("HTTP/1.1 404 Not Found\r\nContent-Length: 99999999999999999999\r\n\r\n");
    assert!(long.error.take().is_some(), "a length that is no number is not waited for");
    let mut long = refusal("HTTP/1.1 404 Not Found\r\nContent-Length: 99999999\r\n\r\n");
    (0..800).for_each(|_| long.read(b"x"));
    assert_eq!(long.error.unwrap().cause(), "upgrade refused with status 404");

    let unannounced = refusal("HTTP/1.1 404 Not Found\r\n\r\nwhat came");
    assert!(unannounced.error.unwrap().to_string().contains("\"what came\""));
}

#[test]
fn the_end_of_the_stream_reports_a_refusal_whose_body_was_cut() {
    let mut cut = refusal("HTTP/1.1 404 Not Found\r\nContent-Length: 14\r\n\r\nno such");
    assert_eq!(cut.error, None);
    assert!(cut.session.finish().unwrap().to_string().contains("status 404 \"no such\""));

    for (mut silent, state) in [
        (Subscriber::start(spec()), "upgrading"),
        (refusal("HTTP/1.1 10"), "in the head"),
        (Subscriber::live(), "live"),
    ] {
        assert_eq!(silent.session.finish(), None, "{state}");
        assert_eq!(silent.session.buffered_bytes(), 0);
    }
}
