//! Targets that speak something else, say nothing, or break the protocol on purpose.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::puppet::{Feed, Puppet, Request, confirm, hang, ignore, text, unreachable};
use crate::support::{Bed, DOOMED, Finished};

fn doomed(url: &str) -> Finished {
    Bed::new().run(&[&DOOMED, &["--url", url, "--connect-timeout", "1s"]])
}

#[test]
fn it_speaks_garbage() {
    let ssh =
        Puppet::new(|stream| stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").and_then(|()| ignore(stream)));
    doomed(&ssh.url())
        .refuses(1, &["did not answer the upgrade in HTTP", "SSH-2.0", "is this the right port?"]);
    let noise = Puppet::new(|stream| {
        stream.write_all(&[0xff, 0x1b, 0x00].repeat(30_000)).and_then(|()| ignore(stream))
    });
    let finished = doomed(&noise.url());
    finished.refuses(1, &["did not answer the upgrade in HTTP"]);
    assert!(finished.stderr.len() < 4000 && !finished.stderr.contains('\u{1b}'), "{}", finished.stderr);
}

#[test]
fn it_is_a_plain_http_server() {
    let http = Puppet::new(|stream| {
        loop {
            Request::read(stream)?;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nwelcome")?;
        }
    });
    doomed(&http.url())
        .refuses(1, &["refused the WebSocket upgrade with status 200", "welcome", "--socket-path"]);
}

#[test]
fn it_redirects() {
    let proxy = Puppet::new(|stream| {
        Request::read(stream)?;
        stream.write_all(b"HTTP/1.1 301 Moved\r\nLocation: https://h/\r\nContent-Length: 0\r\n\r\n")
    });
    doomed(&proxy.url()).refuses(1, &["status 301", "redirects are not followed"]);
}

#[test]
fn it_accepts_the_upgrade_of_another() {
    let proxy = Puppet::new(|stream| {
        Request::read(stream)?;
        let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
        stream.write_all(format!("{head}Sec-WebSocket-Accept: nonsense\r\n\r\n").as_bytes())
    });
    doomed(&proxy.url()).refuses(1, &["wrong sec-websocket-accept", "proxy"]);
}

#[test]
fn it_is_a_websocket_server_without_engineio() {
    let chat = Puppet::websocket(|stream| stream.write_all(&text("hello")).and_then(|()| ignore(stream)));
    doomed(&chat.url()).refuses(1, &["not Engine.IO v4", "hello", "--socket-path"]);
}

#[test]
fn it_does_not_answer_tcp() {
    let (_listener, _queued, address) = unreachable();
    let url = format!("http://{address}");
    doomed(&url).refuses(1, &["cannot reach", &url, "timed out"]);
}

#[test]
fn it_hangs_in_the_handshake() {
    let upgrade = Puppet::new(hang);
    let open = Puppet::websocket(hang);
    let connect = Puppet::websocket(|stream| {
        stream.write_all(&text(r#"0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#))?;
        hang(stream)
    });
    for (puppet, step) in [
        (upgrade, "the answer to the WebSocket upgrade"),
        (open, "the Engine.IO open packet"),
        (connect, "the confirmation of the Socket.IO connect"),
    ] {
        doomed(&puppet.url()).refuses(1, &["no subscriber could connect", step, "--connect-timeout"]);
    }
}

#[test]
fn it_closes_in_the_handshake() {
    let at_once = Puppet::new(|_| Ok(()));
    let after_the_upgrade = Puppet::websocket(|_| Ok(()));
    for puppet in [at_once, after_the_upgrade] {
        let finished = doomed(&puppet.url());
        finished.refuses(1, &["no subscriber could connect"]);
        let said = ["closed the TCP connection", "Connection reset"];
        assert!(said.iter().any(|part| finished.stderr.contains(part)), "{}", finished.stderr);
    }
}

/// Most hang, but one is answered: the others are given up in bounded time, and counted.
#[test]
fn it_serves_one_and_leaves_the_others_waiting() {
    let came = AtomicUsize::new(0);
    let puppet = Puppet::websocket(move |stream| {
        if came.fetch_add(1, Ordering::Relaxed) == 0 {
            confirm(stream)?;
        }
        hang(stream)
    });
    let bed = Bed::new();
    let args = ["-c", "200", "-r", "1/h", "--url", &puppet.url(), "--connect-timeout", "1s"];
    let finished = bed.run(&[&DOOMED, &args]);
    // The probe is a POST, which is not answered with a 2xx here: a target that turned subscribers away has given way.
    finished.ended_with(99);
    let aborted = bed.result().aborted.unwrap();
    let said = format!("ended before the schedule: the probe post to {}/feed/post failed: ", puppet.url());
    assert!(aborted.starts_with(&said), "{aborted}");
    assert_eq!((bed.result().connections.failed, bed.result().posts.scheduled), (199, 0));
    assert!(finished.stderr.contains("connected: 1 subscriber in "), "{}", finished.stderr);
}

/// All subscribers connect, and no post is answered: what was seen until then is kept.
#[test]
fn it_takes_subscribers_and_no_post() {
    let feed = Feed::new(|subscriber, _, _, _| hang(subscriber));
    let bed = Bed::new();
    bed.run(&[&DOOMED, &["--url", &feed.url()]]).ended_with(99);
    let result = bed.result();
    let aborted = result.aborted.unwrap();
    assert!(aborted.contains("failed: no reply within the post timeout"), "{aborted}");
    assert_eq!((result.connections.established, result.posts.scheduled, result.evidence.probes), (5, 0, 1));
}

/// A frame that breaks the protocol ends the subscriber, by name; the run goes on to its end.
#[test]
fn it_sends_frames_that_servers_must_not_send() {
    const MASKED: &[u8] = &[0x81, 0x85, 1, 2, 3, 4, b'h', b'e', b'l', b'l', b'o'];
    const OVERSIZED: &[u8] = &[0x81, 127, 0, 0, 0, 1, 0, 0, 0, 0];
    const RESERVED: &[u8] = &[0xf1, 0];
    for (bad, cause) in [
        (MASKED, "bad frame"),
        (OVERSIZED, "bad frame"),
        (RESERVED, "bad frame"),
        (b"\x81\x011", "disconnected by the target"),
    ] {
        let feed = Feed::new(move |subscriber, index, post, frame| match (index, post) {
            (0, 3) => subscriber.write_all(bad),
            _ => subscriber.write_all(frame),
        });
        let bed = Bed::new();
        let finished = bed.run(&[&DOOMED, &["--url", &feed.url()]]);
        finished.found_fault("1 subscriber lost the connection");
        let result = bed.result();
        assert_eq!(result.connections.lost_by_cause.get(cause), Some(&1), "{:?}", result.connections);
        assert_eq!(result.deliveries.residual, 0);
    }
}

/// Pings that are never read back fill our side; the subscriber is given up before memory grows.
#[test]
fn it_floods_pings_and_never_reads() {
    let feed = Feed::new(|subscriber, index, post, frame| {
        if (index, post) == (0, 3) {
            let mut pings = subscriber.try_clone()?;
            std::thread::spawn(move || while pings.write_all(&[0x89, 0].repeat(8192)).is_ok() {});
        }
        if index == 0 && post >= 3 { Ok(()) } else { subscriber.write_all(frame) }
    });
    let bed = Bed::new();
    bed.run(&[&DOOMED, &["-d", "3s", "--url", &feed.url()]]).found_fault("");
    let result = bed.result();
    assert_eq!(result.deliveries.residual, 0);
    assert!(result.resources.generator.peak_memory_bytes < 64 << 20, "{:?}", result.resources.generator);
    assert_eq!(result.connections.lost + result.deliveries.missing.min(1), 1, "{:?}", result.connections);
}
