//! Stored, then emitted, then answered; and one order for everyone.

use std::{
    io::Write,
    net::{Shutdown, TcpStream},
    thread,
    time::Duration,
};

use rusqlite::Connection;
use serde_json::Value;
use target_server::Config;

use crate::bed::{Bed, eventually, header, memory, sqlite, words};

const WAITING: &str = "feed_store_writes_waiting";

/// Keeps the server's writer from committing until dropped.
struct Held(Connection);

impl Held {
    fn hold(folder: &tempfile::TempDir) -> Self {
        let connection = Connection::open(folder.path().join("feed.db")).unwrap();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        Self(connection)
    }

    fn release(self) {
        self.0.execute_batch("ROLLBACK").unwrap();
    }
}

fn posts_in(folder: &tempfile::TempDir) -> Vec<String> {
    let connection = Connection::open(folder.path().join("feed.db")).unwrap();
    let mut query = connection.prepare("SELECT title FROM posts ORDER BY seq").unwrap();
    query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn stored_before_emitted_before_answered() {
    let folder = tempfile::tempdir().unwrap();
    let bed = Bed::start(sqlite(&folder));
    let mut subscriber = bed.subscribe();
    bed.await_metric("feed_sockets_connected", 1.0);
    let held = Held::hold(&folder);
    thread::scope(|scope| {
        let answer = scope.spawn(|| bed.post("a title"));
        bed.await_metric(WAITING, 1.0);
        assert!(subscriber.hears_nothing_for(Duration::from_millis(200)), "emitted before it was stored");
        assert!(!answer.is_finished(), "answered before it was stored");
        held.release();
        assert_eq!(subscriber.titles(1), ["a title"]);
        assert_eq!(posts_in(&folder), ["a title"], "heard of, so stored");
        // The answer counts the deliveries, so they came before it.
        assert_eq!(header(&answer.join().unwrap(), "x-feedmark-enqueued"), 1);
    });
}

#[test]
fn posts_that_wait_together_are_committed_together() {
    const POSTERS: usize = 200;
    let folder = tempfile::tempdir().unwrap();
    // A burst longer than the buffer: a subscriber that keeps up must hear all of it.
    let bed = Bed::start_on_one_thread(Config { socket_buffer_packets: 8, ..sqlite(&folder) });
    let mut subscriber = bed.subscribe();
    bed.await_metric("feed_sockets_connected", 1.0);
    let commits_before = bed.metric("feed_store_commits_total");
    let held = Held::hold(&folder);
    thread::scope(|scope| {
        let posters: Vec<_> = (0..POSTERS)
            .map(|n| {
                scope.spawn({
                    let bed = &bed;
                    move || bed.post(&format!("post {n}")).status().as_u16()
                })
            })
            .collect();
        bed.await_metric(WAITING, POSTERS as f64);
        held.release();
        for poster in posters {
            assert_eq!(poster.join().unwrap(), 201);
        }
    });
    assert_eq!(posts_in(&folder).len(), POSTERS);
    assert_eq!(bed.metric("feed_deliveries_refused_total{cause=\"buffer_full\"}"), 0.0);
    assert_eq!(subscriber.titles(POSTERS), posts_in(&folder), "emitted in the order of the commit");
    let commits = bed.metric("feed_store_commits_total") - commits_before;
    assert!(
        commits <= 2.0,
        "{commits} commits for {POSTERS} posts: those that wait behind one belong into the next"
    );
    assert_eq!(bed.metric("feed_store_writes_total"), POSTERS as f64);
    assert_eq!(bed.metric(WAITING), 0.0);
}

#[test]
fn one_failed_write_takes_no_other_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let bed = Bed::start(sqlite(&folder));
    let signup = || {
        let body = serde_json::json!({"email": "a@example.com", "password": "12345", "name": "Ada"});
        bed.request(reqwest::Method::PUT, "/auth/signup").json(&body).send().unwrap().status().as_u16()
    };
    let held = Held::hold(&folder);
    thread::scope(|scope| {
        // A write takes the lock first, so that the rest gathers into one batch behind it.
        let first = scope.spawn(|| bed.post("first post").status().as_u16());
        bed.await_metric(WAITING, 1.0);
        let signups = [scope.spawn(signup), scope.spawn(signup), scope.spawn(signup)];
        bed.await_metric(WAITING, 4.0);
        let last = scope.spawn(|| bed.post("last post").status().as_u16());
        bed.await_metric(WAITING, 5.0);
        held.release();
        let mut statuses = signups.map(|signup| signup.join().unwrap());
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 422, 422]);
        assert_eq!((first.join().unwrap(), last.join().unwrap()), (201, 201));
    });
    assert_eq!(posts_in(&folder), ["first post", "last post"]);
    assert!(bed.metric("feed_store_commits_total") <= 2.0);
}

#[test]
fn concurrent_posters_are_heard_by_all_in_the_order_of_the_feed() {
    const POSTS_EACH: usize = 40;
    let folder = tempfile::tempdir().unwrap();
    for (config, file) in [(memory(), false), (sqlite(&folder), true)] {
        let bed = Bed::start(config);
        let mut subscribers = [bed.subscribe(), bed.subscribe(), bed.subscribe()];
        bed.await_metric("feed_sockets_connected", 3.0);
        let heard: Vec<Vec<String>> = thread::scope(|scope| {
            let listening: Vec<_> =
                subscribers.iter_mut().map(|one| scope.spawn(|| one.titles(2 * POSTS_EACH))).collect();
            for poster in ["left", "right"] {
                let bed = &bed;
                scope.spawn(move || {
                    for n in 0..POSTS_EACH {
                        assert_eq!(bed.post(&format!("{poster} {n}")).status(), 201);
                    }
                });
            }
            listening.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let page = bed.page("?per_page=100");
        assert_eq!(page["totalItems"], 2 * POSTS_EACH);
        let mut feed: Vec<String> = page["posts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|post| post["title"].as_str().unwrap().to_owned())
            .collect();
        feed.reverse();
        for one in &heard {
            assert_eq!(one, &feed);
        }
        if file {
            assert_eq!(posts_in(&folder), feed);
        }
    }
}

#[test]
fn a_poster_that_hangs_up_cannot_keep_its_post_from_being_emitted() {
    let folder = tempfile::tempdir().unwrap();
    let bed = Bed::start(sqlite(&folder));
    let mut subscriber = bed.subscribe();
    let held = Held::hold(&folder);
    let body = words("left behind").to_string();
    let mut poster = TcpStream::connect(bed.address).unwrap();
    let length = body.len();
    write!(
        poster,
        "POST /feed/post HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    bed.await_metric(WAITING, 1.0);
    poster.shutdown(Shutdown::Both).unwrap();
    drop(poster);
    held.release();
    assert_eq!(subscriber.titles(1), ["left behind"]);
    assert_eq!(posts_in(&folder), ["left behind"]);
}

#[test]
fn a_shutdown_answers_what_is_in_flight_and_tells_the_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let mut bed = Bed::start(sqlite(&folder));
    let mut subscriber = bed.subscribe();
    bed.await_metric("feed_sockets_connected", 1.0);
    let held = Held::hold(&folder);
    let posting = thread::spawn({
        let (client, url) = (bed.client.clone(), bed.url("/feed/post"));
        move || client.post(url).json(&words("at the last moment")).send().unwrap()
    });
    bed.await_metric(WAITING, 1.0);
    bed.ask_to_stop();
    eventually("it takes no more connections", || TcpStream::connect(bed.address).is_err().then_some(()));
    held.release();
    let answer = posting.join().unwrap();
    assert_eq!(answer.status(), 201);
    assert_eq!(header(&answer, "x-feedmark-enqueued"), 1);
    let id = answer.json::<Value>().unwrap()["post"]["_id"].clone();
    assert_eq!(subscriber.event()["post"]["_id"], id, "emitted before the sockets were closed");
    assert_eq!(subscriber.text(), Err(crate::subscriber::Ended::Close));
    bed.stop().unwrap();
    assert_eq!(posts_in(&folder), ["at the last moment"]);
}
