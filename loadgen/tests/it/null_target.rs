//! The null target: correct enough to be measured, and not to be upset.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::support::{Bed, FEEDMARK, PATIENCE, SHORT, Server};

fn null_target(bed: &Bed) -> Server {
    let mut command = bed.command(FEEDMARK);
    command.args(["null-target", "--stop-on-stdin-eof"]);
    Server::spawn(command)
}

#[test]
fn the_null_target_delivers_everything_once_and_in_order() {
    let bed = Bed::new();
    let server = null_target(&bed);
    bed.run(&[&["--url", &server.url, "--target-pid", &server.pid()], &SHORT]).is_healthy();
    let result = bed.result();
    let deliveries = &result.deliveries;
    assert!(deliveries.owed > 0 && deliveries.owed == 50 * result.posts.scheduled);
    assert_eq!(deliveries.delivered, deliveries.owed);
    assert_eq!((deliveries.duplicate, deliveries.reordered, deliveries.unexpected), (0, 0, 0));
    assert_eq!((result.connections.lost, result.posts.failed), (0, 0));
    assert!(result.resources.target.is_some_and(|target| target.cpu_s > 0.0));
}

#[test]
fn clients_that_talk_nonsense_are_dropped_and_the_others_served() {
    let bed = Bed::new();
    let server = null_target(&bed);
    let address = server.url.trim_start_matches("http://");
    let headers = "a: b\r\n".repeat(200);
    for nonsense in [
        "\0\x01\x02 nonsense\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\n{headers}\r\n"),
        "POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n".to_owned(),
        "POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n".to_owned(),
        // Unmasked, which a client must not send (RFC 6455 section 5.1).
        "GET / HTTP/1.1\r\nsec-websocket-key: x\r\n\r\n\u{1}\u{5}hello".to_owned(),
        "x".repeat(2 << 20),
    ] {
        let mut client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        // It may be cut off before it has said everything.
        let _ = client.write_all(nonsense.as_bytes());
        // The end, or a reset: but an end, and not a wait for more.
        let end = client.read_to_end(&mut Vec::new());
        assert!(end.is_ok() || end.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset));
    }
    bed.run(&[&["--url", &server.url], &SHORT]).is_healthy();
}
