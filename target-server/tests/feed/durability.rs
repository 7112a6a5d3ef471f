//! What a restart finds.

use std::thread;

use nix::sys::signal::Signal;
use reqwest::Method;
use rusqlite::Connection;
use serde_json::{Value, json};
use target_server::{Config, Durability, ServeError, StoreError, StoreKind};

use crate::{
    bed::{Bed, PASSWORD, eventually, memory, sqlite},
    process::Process,
};

#[test]
fn a_stopped_server_leaves_one_tidy_file() {
    let folder = tempfile::tempdir().unwrap();
    let bed = Bed::start(sqlite(&folder));
    bed.login("a@example.com");
    bed.post("kept over a restart");
    bed.stop().unwrap();
    let files: Vec<_> = folder.path().read_dir().unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(files, ["feed.db"], "the log is folded into the file");

    let again = Bed::start(sqlite(&folder));
    assert_eq!(again.page("")["posts"][0]["title"], "kept over a restart");
    let body = json!({"email": "a@example.com", "password": PASSWORD});
    assert_eq!(again.request(Method::POST, "/auth/login").json(&body).send().unwrap().status(), 200);
}

#[test]
fn memory_forgets() {
    let bed = Bed::start(memory());
    bed.post("a short life");
    bed.stop().unwrap();
    assert_eq!(Bed::start(memory()).page("")["totalItems"], 0);
}

#[test]
fn every_durability_serves() {
    for durability in [Durability::Full, Durability::Normal, Durability::Off] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("feed.db");
        let bed = Bed::start(Config { store: StoreKind::sqlite(path, durability), ..memory() });
        assert_eq!(bed.post("a title").status(), 201, "{durability:?}");
        assert_eq!(bed.page("")["totalItems"], 1, "{durability:?}");
    }
}

#[test]
fn with_one_write_a_commit_nobody_shares_one() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path(), &["--open", "--db", "feed.db", "--commit-writes", "1"]);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..5).for_each(|_| assert!(server.try_post("a title").is_some())));
        }
    });
    let [writes, commits] =
        ["feed_store_writes_total", "feed_store_commits_total"].map(|name| server.metric(name));
    assert_eq!(writes, commits);
    assert!(writes.is_some_and(|writes| writes >= 40.0), "{writes:?}");
}

#[test]
fn what_was_answered_201_is_there_after_kill_9() {
    for durability in ["full", "normal", "off"] {
        let folder = tempfile::tempdir().unwrap();
        let args = ["--open", "--db", "feed.db", "--durability", durability];
        let server = Process::start(folder.path(), &args);
        // Killed in the middle of posting: every poster goes on until it gets no answer.
        let acknowledged: Vec<Value> = thread::scope(|scope| {
            let posters: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| std::iter::from_fn(|| server.try_post("a title")).collect::<Vec<_>>())
                })
                .collect();
            let writes = || server.metric("feed_store_writes_total").filter(|writes| *writes >= 50.0);
            eventually("enough is stored", writes);
            server.signal(Signal::SIGKILL);
            posters.into_iter().flat_map(|poster| poster.join().unwrap()).collect()
        });
        drop(server);
        let again = Process::start(folder.path(), &args);
        let found: Vec<Value> = (1..)
            .map(|page| again.get(&format!("/feed/posts?per_page=100&page={page}"))["posts"].take())
            .map_while(|mut posts| posts.as_array_mut().map(std::mem::take).filter(|posts| !posts.is_empty()))
            .flatten()
            .map(|mut post| post["_id"].take())
            .collect();
        assert!(acknowledged.len() >= 40, "{}", acknowledged.len());
        for id in &acknowledged {
            assert!(found.contains(id), "{id} is lost at durability {durability}");
        }
    }
}

#[test]
fn a_database_of_a_newer_version_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    Bed::start(sqlite(&folder)).stop().unwrap();
    let path = folder.path().join("feed.db");
    let version = |set: Option<u32>| -> u32 {
        let connection = Connection::open(&path).unwrap();
        if let Some(version) = set {
            connection.pragma_update(None, "user_version", version).unwrap();
        }
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
    };
    let known = version(None);
    version(Some(known + 1));
    let refused = Bed::try_start(sqlite(&folder)).err().unwrap();
    assert!(matches!(refused, ServeError::Store(StoreError::NewerDatabase { .. })), "{refused:?}");
    let says = refused.to_string();
    assert!(says.contains("feed.db") && says.contains("--db"), "{says}");
    assert!(says.contains(&format!("version {}", known + 1)), "{says}");
    assert_eq!(version(None), known + 1);
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("feed.db");
    let text = "something that somebody wrote and wants to keep, long enough to be looked at ".repeat(20);
    std::fs::write(&path, &text).unwrap();
    let refused = Bed::try_start(sqlite(&folder)).err().unwrap();
    assert!(matches!(refused, ServeError::Store(StoreError::Open { .. })), "{refused:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn settings_out_of_range_are_refused() {
    for (config, says) in [
        (Config { socket_buffer_packets: 1, ..memory() }, "socket buffer is 1"),
        (Config { ping_interval: std::time::Duration::ZERO, ..memory() }, "ping interval is 0s"),
        (Config { max_payload_bytes: 0, ..memory() }, "max payload is 0"),
    ] {
        let refused = Bed::try_start(config).err().unwrap();
        assert!(refused.to_string().contains(says), "{refused}");
    }
}
