//! A session that got as far as the first byte says, and then anything: the rest is the target's
//! bytes, cut into reads by length bytes. Invariants: no panic; what is held back stays within one
//! message and one header (or one HTTP head); one read gives the same outcome as many.

#![no_main]

use feedmark_core::session::{Session, SessionError, SessionEvent, SessionSpec};
use feedmark_core::socketio::Selector;
use libfuzzer_sys::fuzz_target;
use tungstenite::handshake::derive_accept_key;

const MESSAGE_BYTES_MAX: usize = 300;
const HELD_BACK_BYTES_MAX: usize = MESSAGE_BYTES_MAX + 10;
const HTTP_BYTES_MAX: usize = 16 * 1024 + 800;

/// Text messages after the upgrade answer, none of which ends the session.
const HANDSHAKE: [&str; 3] =
    [r#"0{"pingInterval":25000,"pingTimeout":20000}"#, r#"40{"sid":"a"}"#, r#"452-["posts",{}]"#];

type Outcome = (Vec<(u8, Vec<u8>)>, Vec<u8>, Result<(), SessionError>, u64, &'static str);

fn outcome(spec: &SessionSpec, stage: u8, reads: &[&[u8]]) -> Outcome {
    let mut request = Vec::new();
    let mut session = Session::start(spec, 1, &mut request);
    let mut out = Vec::new();
    let mut prefix = Vec::new();
    if stage % 8 > 0 {
        let request = str::from_utf8(&request).expect("our request is ASCII");
        let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
        let accept = derive_accept_key(key.expect("our request has a key").as_bytes());
        prefix = format!("HTTP/1.1 101 X\r\nSec-WebSocket-Accept: {accept}\r\n\r\n").into_bytes();
    }
    for message in &HANDSHAKE[..usize::from(stage % 8).saturating_sub(1).min(3)] {
        prefix.extend([0x81, message.len() as u8]);
        prefix.extend(message.as_bytes());
    }
    session.receive(spec, &prefix, 1, &mut out, |_| ()).expect("the handshake is healthy");
    if stage & 0x80 != 0 {
        session.close(&mut out);
    }
    let bound = if stage % 8 == 0 { HTTP_BYTES_MAX } else { HELD_BACK_BYTES_MAX };
    let mut events = Vec::new();
    let mut result = Ok(());
    for bytes in reads {
        result = session.receive(spec, bytes, 2, &mut out, |event| {
            events.push(match event {
                SessionEvent::Upgraded => (0, Vec::new()),
                SessionEvent::Connected => (1, Vec::new()),
                SessionEvent::Post(bytes) => (2, bytes.to_vec()),
                SessionEvent::Frame => (3, Vec::new()),
            });
        });
        assert!(session.buffered_bytes() <= bound);
        if let Err(error) = &result {
            let _ = (error.to_string(), error.cause());
            break;
        }
    }
    (events, out, result, session.expires_ns(), session.waiting_for())
}

fuzz_target!(|data: &[u8]| {
    let Some((&stage, mut rest)) = data.split_first() else { return };
    let mut reads = Vec::new();
    while let Some((&length, bytes)) = rest.split_first() {
        let (read, after) = bytes.split_at(usize::from(length).min(bytes.len()));
        reads.push(read);
        rest = after;
    }
    let spec =
        SessionSpec::new("h", "/socket.io/", &[], Selector::new("/", "posts"), None, MESSAGE_BYTES_MAX);
    let split = outcome(&spec, stage, &reads);
    let whole = outcome(&spec, stage, &[&reads.concat()]);
    if stage % 8 == 0 {
        // An error before the upgrade quotes what had come by then: the cause is the same.
        let cause = |outcome: &Outcome| outcome.2.as_ref().err().map(SessionError::cause);
        assert_eq!((&split.0, cause(&split)), (&whole.0, cause(&whole)));
    } else {
        assert_eq!(split, whole);
    }
});
