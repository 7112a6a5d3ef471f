//! Targets that are not there, not what was meant, or refuse: one message that names the place and
//! the remedy, the documented exit code, and an end in bounded time.

use std::fs;
use std::net::TcpListener;

use crate::interop::{node_server, with_node};
use crate::support::{Bed, DOOMED, Finished, Server};

fn doomed(args: &[&str]) -> Finished {
    let bed = Bed::new();
    let finished = bed.run(&[&DOOMED, args]);
    assert_eq!(finished.stdout, "");
    assert!(!bed.out().exists(), "a run without results leaves no folder");
    finished
}

#[test]
fn nothing_listens() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{free}");
    doomed(&["--url", &url]).refuses(1, &["cannot reach", &url, "is the target running"]);
}

#[test]
fn the_host_is_unknown() {
    doomed(&["--url", "http://nowhere.invalid:3000"])
        .refuses(1, &["cannot find the host", "http://nowhere.invalid:3000:", "--url"]);
}

#[test]
fn a_password_in_the_url_is_refused_and_not_shown() {
    let finished = doomed(&["--url", "http://me:secret@127.0.0.1:3000"]);
    finished.refuses(2, &["user and password", "--header"]);
    assert!(!finished.stderr.contains("secret"), "{}", finished.stderr);
}

#[test]
fn the_post_path_is_wrong() {
    let bed = Bed::new();
    let server = Server::reference(&bed, &["--open"]);
    doomed(&["--url", &server.url, "--post-path", "/no/such"])
        .refuses(1, &["/no/such", &server.url, "status 404", "check --post-path"]);
}

#[test]
fn posting_is_refused() {
    let bed = Bed::new();
    let server = Server::reference(&bed, &[]);
    doomed(&["--url", &server.url]).refuses(1, &["/feed/post", "status 401", "Authorization: Bearer"]);
    doomed(&["--url", &server.url, "-H", "Authorization: Bearer nonsense"]).refuses(1, &["status 401"]);
}

#[test]
fn the_body_is_not_what_the_target_wants() {
    let bed = Bed::new();
    let server = Server::reference(&bed, &["--open", "--max-payload", "2KB"]);
    for (body, parts) in [
        (r#"{"title":"{{marker}}"}"#, &["status 422", "content", "check --body"][..]),
        ("{{marker}}", &["status 4", "check --body"]),
        (r#"{"title":"{{marker}}","content":"{{text:4000}}"}"#, &["status 413", "smaller --body"]),
    ] {
        doomed(&["--url", &server.url, "--body", body]).refuses(1, parts);
    }
}

#[test]
fn the_socket_path_is_wrong() {
    let bed = Bed::new();
    let server = Server::reference(&bed, &["--open"]);
    doomed(&["--url", &server.url, "--socket-path", "/no/such/"])
        .refuses(1, &["no subscriber could connect", &server.url, "status 404", "--socket-path"]);
}

#[test]
fn the_socketio_connect_is_refused() {
    let bed = Bed::new();
    let server = Server::reference(&bed, &["--open", "--socket-auth"]);
    doomed(&["--url", &server.url]).refuses(1, &["refused the Socket.IO connect", "--auth"]);
    with_node(|| {
        let server = node_server(&bed, &["--open", "--auth", "secret"]);
        for args in [&[][..], &["--auth", r#"{"token":"wrong"}"#]] {
            let finished = doomed(&[&["--url", &server.url], args].concat());
            finished.refuses(1, &["refused the Socket.IO connect", "Not authenticated.", "--auth"]);
            assert!(!finished.stderr.contains("wrong"), "{}", finished.stderr);
        }
    });
}

#[test]
fn the_namespace_does_not_exist() {
    let bed = Bed::new();
    let mut servers = vec![Server::reference(&bed, &["--open"])];
    with_node(|| servers.push(node_server(&bed, &["--open"])));
    for server in servers {
        doomed(&["--url", &server.url, "--namespace", "/nowhere"])
            .refuses(1, &["refused the Socket.IO connect", "Invalid namespace", "--namespace"]);
    }
}

#[test]
fn the_event_has_another_name() {
    let bed = Bed::new();
    let server = Server::reference(&bed, &["--open"]);
    doomed(&["--url", &server.url, "--event", "news"])
        .refuses(1, &["none of 5 subscribers", "event `news`", "namespace `/`", "--event"]);
}

#[test]
fn the_process_to_watch_does_not_exist() {
    let bed = Bed::new();
    let server = Server::reference(&bed, &["--open"]);
    doomed(&["--url", &server.url, "--target-pid", "999999999"]).refuses(1, &["999999999", "--target-pid"]);
}

#[test]
fn the_output_folder_has_results() {
    let bed = Bed::new();
    fs::create_dir(bed.out()).unwrap();
    fs::write(bed.out().join("run.json"), "mine").unwrap();
    bed.run(&[&DOOMED]).refuses(2, &["out", "is not empty", "choose another --out"]);
    assert_eq!(fs::read_to_string(bed.out().join("run.json")).unwrap(), "mine");
}

#[test]
fn the_output_folder_cannot_be_made() {
    let bed = Bed::new();
    bed.write("out", "a file");
    bed.run(&[&DOOMED]).refuses(1, &["the output folder out", "choose another --out"]);
    bed.feedmark(&["run", "--out", "/proc/no-such"])
        .refuses(1, &["the output folder /proc/no-such", "choose another --out"]);
    // Nobody, not even root, writes there.
    bed.feedmark(&["run", "--out", "/sys/kernel"]).refuses(2, &["/sys/kernel", "choose another --out"]);
}
