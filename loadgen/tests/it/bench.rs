//! `feedmark::bench`: one post at a time, and how long until everyone has it.

use std::time::Duration;

use feedmark::bench::{Fanout, FanoutError};
use feedmark::clock::RunClock;
use feedmark::settings::Settings;
use feedmark::units::Subscribers;

use crate::support::{Bed, Server, eventually};

const DEADLINE: Duration = Duration::from_secs(3);

/// Few subscribers, and a deadline that a test can wait for.
fn settings(url: &str) -> Settings {
    Settings {
        url: Some(url.to_owned()),
        subscribers: Some(Subscribers::new(20)),
        threads: Some(2),
        deadline: Some("3s".parse().unwrap()),
        ..Settings::default()
    }
}

fn open_server(bed: &Bed, args: &[&str]) -> Server {
    Server::reference(bed, &[&["--open"], args].concat())
}

/// What it says when it cannot connect; it would be a mistake if it could.
fn refusal(settings: Settings) -> String {
    Fanout::connect(settings).err().expect("it cannot connect").to_string()
}

#[test]
fn a_post_takes_as_long_as_its_last_delivery() {
    const DELAY: Duration = Duration::from_millis(200);
    let bed = Bed::new();
    // The one of the connect, one as it is, one that waits.
    let server = open_server(&bed, &["--fault", "kind=delay,law=fixed,by=200ms,posts=2..3"]);
    let mut fanout = Fanout::connect(settings(&server.url)).unwrap();
    let clock = RunClock::start();
    let mut post = || {
        let start_ns = clock.now_ns();
        let took = fanout.post().unwrap();
        let elapsed = Duration::from_nanos(clock.now_ns() - start_ns);
        assert!(took <= elapsed && elapsed < DEADLINE, "{took:?}, and nobody waited longer than {elapsed:?}");
        took
    };
    let (undelayed, delayed) = (post(), post());
    assert!(undelayed > Duration::ZERO && delayed >= DELAY, "{undelayed:?}, {delayed:?}");
}

#[test]
fn a_post_that_somebody_missed_has_no_time_and_the_next_one_has() {
    let bed = Bed::new();
    let server = open_server(&bed, &["--fault", "kind=drop,posts=1..2,max=3"]);
    let mut fanout = Fanout::connect(settings(&server.url)).unwrap();
    let error = fanout.post().unwrap_err();
    assert!(matches!(error, FanoutError::Missing { missing: 3, subscribers: 20, .. }), "{error}");
    assert!(error.to_string().contains("`posts`"), "{error}");
    fanout.post().unwrap();
}

#[test]
fn a_subscriber_that_was_lost_is_missed() {
    let bed = Bed::new();
    let server = open_server(&bed, &["--fault", "kind=kill,at=500ms,max=2"]);
    let mut fanout = Fanout::connect(settings(&server.url)).unwrap();
    let all_lost = |outcome| matches!(outcome, Err(FanoutError::Lost { lost: 2, subscribers: 20, .. }));
    assert!(std::iter::repeat_with(|| fanout.post()).take(10_000).any(all_lost));
}

#[test]
fn what_cannot_be_measured_is_refused_with_a_remedy() {
    let bed = Bed::new();
    let server = Server::reference(&bed, &[]);
    assert!(refusal(settings(&server.url)).contains("--header"), "a server that wants a token");
    assert!(refusal(Settings { url: None, ..settings("") }).starts_with("url: none is given"));
    let url = server.url.clone();
    server.finish();
    assert!(refusal(settings(&url)).contains("is the target running"), "a server that has gone");
}

#[test]
fn the_connections_end_with_it() {
    let bed = Bed::new();
    let server = open_server(&bed, &[]);
    let sockets_of = || {
        let pid: i32 = server.pid().parse().unwrap();
        let fds = procfs::process::Process::new(pid).unwrap().fd().unwrap();
        fds.flatten().filter(|fd| matches!(fd.target, procfs::process::FDTarget::Socket(_))).count()
    };
    let before = sockets_of();
    let fanout = Fanout::connect(settings(&server.url)).unwrap();
    assert!(sockets_of() >= before + 20);
    drop(fanout);
    eventually("the server has nobody any more", || (sockets_of() == before).then_some(()));
}
