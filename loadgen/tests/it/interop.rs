//! Software that nobody of feedmark wrote: the Socket.IO server and client of npm, and the HDR readers
//! of PyPI and npm.

use std::path::Path;
use std::process::Command;

use crate::support::{Bed, SHORT, Server, finish};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/interop");
const INSTALL: &str = "run scripts/test, which installs them";

/// Runs what needs the packages of npm.
///
/// # Panics
/// If they are not installed: a test that is left out by itself holds nothing.
pub(crate) fn with_node(test: impl FnOnce()) {
    let installed = Path::new(SCRIPTS).join("node_modules/socket.io").exists();
    assert!(installed, "the packages of {SCRIPTS} are missing: {INSTALL}");
    test();
}

pub(crate) fn script(name: &str) -> String {
    format!("{SCRIPTS}/{name}")
}

/// The feed server of Express and socket.io.
pub(crate) fn node_server(bed: &Bed, args: &[&str]) -> Server {
    let mut command = bed.command("node");
    command.args([&script("server.mjs"), "--port", "0", "--stop-on-stdin-eof"]).args(args);
    Server::spawn(command)
}

/// A Python that has the packages of requirements.txt, such as this one.
pub(crate) fn python(module: &str) -> String {
    let python = std::env::var("FEEDMARK_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let imported = Command::new(&python).args(["-c", &format!("import {module}")]).output();
    let installed = imported.is_ok_and(|output| output.status.success());
    assert!(installed, "{python} has no module {module}: {INSTALL}");
    python
}

/// 100 subscribers on the server, counts equal to the pair.
fn drive(server: &Server, args: &[&str]) {
    let bed = Bed::new();
    let finished =
        bed.run(&[&SHORT, &["-c", "100", "--url", &server.url, "--target-pid", &server.pid()], args]);
    finished.is_healthy();
    let result = bed.result();
    assert_eq!((result.connections.established, result.connections.lost), (100, 0));
    assert!(result.posts.scheduled > 20);
    assert_eq!(result.posts.acknowledged, result.posts.scheduled);
    let deliveries = &result.deliveries;
    assert_eq!(deliveries.owed, 100 * result.posts.scheduled);
    assert_eq!((deliveries.delivered, deliveries.residual), (deliveries.owed, 0));
    assert_eq!((deliveries.duplicate, deliveries.reordered, deliveries.unexpected), (0, 0, 0));
    assert!(result.resources.target.is_some_and(|target| target.peak_memory_bytes > 0));
}

#[test]
fn feedmark_drives_socketio_of_npm() {
    with_node(|| drive(&node_server(&Bed::new(), &["--open"]), &[]));
}

#[test]
fn feedmark_drives_socketio_of_npm_with_every_name_changed() {
    with_node(|| {
        let names = ["--namespace", "/feed", "--auth", "secret", "--event", "news", "--path", "/rt/"];
        let server = node_server(&Bed::new(), &[&["--open"], &names[..]].concat());
        let auth = r#"{"token":"secret"}"#;
        drive(&server, &["--namespace", "/feed", "--auth", auth, "--event", "news", "--socket-path", "/rt/"]);
    });
}

/// The heartbeats of another stack are answered: three of them in each second.
#[test]
fn feedmark_keeps_up_the_heartbeat_of_socketio_of_npm() {
    with_node(|| {
        let heartbeat = ["--open", "--ping-interval", "300", "--ping-timeout", "1000"];
        drive(&node_server(&Bed::new(), &heartbeat), &[]);
    });
}

#[test]
fn socketio_client_of_npm_reads_the_reference_feed() {
    with_node(|| {
        let bed = Bed::new();
        let server = Server::reference(&bed, &[]);
        for transport in ["websocket", "upgrade", "polling"] {
            let mut command = bed.command("node");
            command.args([&script("page.mjs"), "--transport", transport, &server.url]);
            finish(command).ended_with(0);
        }
    });
}

#[test]
fn readers_of_pypi_and_npm_read_the_same_counts_per_bucket() {
    let python = python("hdrh");
    with_node(|| {
        let bed = Bed::new();
        bed.run(&[&SHORT]).is_healthy();
        for (program, reader) in [(python.as_str(), "read_hdr.py"), ("node", "read_hdr.mjs")] {
            let read = || {
                let mut command = bed.command(program);
                command.arg(script(reader)).arg(bed.out());
                finish(command)
            };
            let finished = read();
            finished.ended_with(0);
            assert!(finished.stdout.contains("ok"), "{reader}: {}", finished.stdout);
            // And a reader that would pass anything is no proof: a log without its last second is not equal.
            let log = std::fs::read_to_string(bed.out().join("run.hlog")).unwrap();
            let cut: String = log
                .lines()
                .filter(|line| !line.starts_with("Tag=delivery"))
                .map(|line| format!("{line}\n"))
                .collect();
            std::fs::write(bed.out().join("run.hlog"), cut).unwrap();
            read().ended_with(1);
            std::fs::write(bed.out().join("run.hlog"), log).unwrap();
        }
    });
}
