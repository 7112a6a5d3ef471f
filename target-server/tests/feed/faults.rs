//! Every fault, from outside: what the truth log says is what the subscribers got.

use std::{path::PathBuf, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};
use target_server::{Config, Secret};
use tempfile::TempDir;

use crate::{
    bed::{Bed, eventually, memory, words},
    subscriber::{Ended, Subscriber},
    truth::{Truth, monotonic_ns, ns},
};

const MS: u64 = 1_000_000;
const LAST: &str = "the last one";

fn log_in(folder: &TempDir) -> PathBuf {
    folder.path().join("truth.jsonl.gz")
}

/// A server with these faults and a truth log.
fn faulty(folder: &TempDir, faults: &[&str]) -> Config {
    let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    Config { faults, truth_log: Some(log_in(folder)), ..memory() }
}

/// Subscribers in the order of their numbers.
fn subscribe(bed: &Bed, count: usize) -> Vec<Subscriber> {
    let subscribers = (0..count).map(|_| bed.subscribe()).collect();
    bed.await_metric("feed_sockets_connected", count as f64);
    subscribers
}

/// The titles up to the last post, which nothing may happen to.
fn heard(subscriber: &mut Subscriber) -> Vec<String> {
    let titles = (0..).map(|_| subscriber.titles(1).remove(0));
    titles.take_while(|title| title != LAST).collect()
}

fn post_all(bed: &Bed, posts: usize) {
    (0..posts).for_each(|n| assert_eq!(bed.post(&format!("post {n}")).status(), 201));
    assert_eq!(bed.post(LAST).status(), 201);
}

/// Posts, listens, stops, and holds the log against what each subscriber heard.
fn run(faults: &[&str], subscribers: usize, posts: usize) -> Truth {
    let folder = tempfile::tempdir().unwrap();
    let bed = Bed::start(faulty(&folder, faults));
    let mut listening = subscribe(&bed, subscribers);
    post_all(&bed, posts);
    let heard: Vec<Vec<String>> = listening.iter_mut().map(heard).collect();
    bed.stop().unwrap();
    let truth = Truth::read(&log_in(&folder));
    for (socket, heard) in heard.into_iter().enumerate() {
        let mut written = truth.titles_of(socket as u64);
        assert_eq!(written.pop().as_deref(), Some(LAST));
        assert_eq!(heard, written, "socket {socket}");
    }
    truth
}

fn pairs(events: &[&Value]) -> Vec<(u64, u64)> {
    events.iter().map(|event| (ns(event, "p"), ns(event, "s"))).collect()
}

#[test]
fn without_faults_the_log_tells_everything_and_nothing_happens() {
    let folder = tempfile::tempdir().unwrap();
    let bed = Bed::start(faulty(&folder, &[]));
    let mut listening = subscribe(&bed, 3);
    let ports: Vec<u16> = listening.iter().map(Subscriber::local_port).collect();
    post_all(&bed, 4);
    assert_eq!(bed.request(Method::POST, "/feed/post").json(&json!({})).send().unwrap().status(), 422);
    for one in &mut listening {
        assert_eq!(heard(one), ["post 0", "post 1", "post 2", "post 3"]);
    }
    bed.stop().unwrap();
    let truth = Truth::read(&log_in(&folder));
    assert!(truth.of("clock").len() >= 2);
    assert_eq!(truth.of("faults")[0]["faults"], json!([]));
    let connected = truth.of("connected");
    for (socket, (event, port)) in connected.iter().zip(&ports).enumerate() {
        assert_eq!(
            (ns(event, "s"), event["peer"].as_str()),
            (socket as u64, Some(&*format!("127.0.0.1:{port}")))
        );
        assert!(ns(event, "at") <= ns(event, "done"));
    }
    assert_eq!((connected.len(), truth.of("closed").len()), (3, 3));
    assert!(truth.of("closed").iter().all(|closed| closed["why"] == "server"));
    assert_eq!(truth.of("post").len(), 5);
    let replies: Vec<_> =
        truth.of("reply").iter().map(|reply| (reply["p"].as_u64(), ns(reply, "status"))).collect();
    assert_eq!(replies[..5], [0, 1, 2, 3, 4].map(|post| (Some(post), 201)));
    assert_eq!(replies[5], (None, 422));
    let writes = truth.of("write");
    assert_eq!(writes.len(), 15);
    for write in writes {
        let taken = ns(truth.of("post")[ns(write, "p") as usize], "at");
        assert!(taken <= ns(write, "due") && ns(write, "due") <= ns(write, "at"));
        assert!(ns(write, "at") <= ns(write, "done"));
    }
}

#[test]
fn dropped_pairs_are_missing_and_no_others() {
    let truth = run(&["kind=drop,share=0.2,posts=0..50"], 8, 50);
    let dropped = truth.of("drop");
    assert!((40..120).contains(&dropped.len()), "{} of 400", dropped.len());
    assert!(dropped.iter().all(|drop| drop["why"] == "fault"));
    assert_eq!(truth.of("write").len() + dropped.len(), 8 * 51);
    // The same seed drops the same pairs.
    let again = run(&["kind=drop,share=0.2,posts=0..50"], 8, 50);
    let sorted = |events: &[&Value]| {
        let mut pairs = pairs(events);
        pairs.sort_unstable();
        pairs
    };
    assert_eq!(sorted(&dropped), sorted(&again.of("drop")));
}

#[test]
fn duplicates_come_as_often_as_told() {
    let faults = ["kind=duplicate,share=0.1,posts=0..50", "kind=duplicate,copies=2,max=5,posts=0..50"];
    let truth = run(&faults, 4, 50);
    let copies = |copy: u64| truth.of("write").iter().filter(|write| write["copy"] == copy).count();
    assert_eq!(copies(0), 4 * 51);
    assert!(copies(1) >= 5 && copies(2) >= 5 && copies(4) == 0, "{} {}", copies(1), copies(2));
}

#[test]
fn swapped_posts_come_right_behind_their_next() {
    let truth = run(&["kind=swap,share=0.3,posts=0..40"], 4, 40);
    let swaps = pairs(&truth.of("swap"));
    assert!(swaps.len() >= 20, "{}", swaps.len());
    for (post, socket) in swaps {
        let titles = truth.titles_of(socket);
        let place = |post: u64| {
            let title = if post == 40 { LAST.to_owned() } else { format!("post {post}") };
            titles.iter().position(|one| *one == title).unwrap()
        };
        assert_eq!(place(post), place(post + 1) + 1, "post {post} on socket {socket}");
    }
}

#[test]
fn delays_are_kept_and_told() {
    let faults = [
        "kind=delay,law=fixed,by=30ms,sockets=0.5",
        "kind=delay,law=lognormal,median=5ms,sigma=0.3,posts=0..9",
    ];
    let folder = tempfile::tempdir().unwrap();
    let bed = Bed::start(faulty(&folder, &faults));
    let mut listening = subscribe(&bed, 6);
    post_all(&bed, 9);
    for one in &mut listening {
        assert_eq!(one.titles(10).len(), 10);
    }
    bed.stop().unwrap();
    let truth = Truth::read(&log_in(&folder));
    let is_delayed = |write: &Value| {
        let taken = ns(truth.of("post")[ns(write, "p") as usize], "at");
        assert!(ns(write, "at") >= ns(write, "due"));
        ns(write, "due") - taken >= 30 * MS
    };
    let writes = truth.of("write");
    assert_eq!(writes.len(), 60);
    let of_last = writes.iter().filter(|write| write["p"] == 9);
    let delayed: Vec<u64> = of_last.filter(|write| is_delayed(write)).map(|write| ns(write, "s")).collect();
    assert!((1..6).contains(&delayed.len()), "some sockets, not all: {delayed:?}");
    for write in writes {
        assert!(!delayed.contains(&ns(write, "s")) || is_delayed(write), "{write}");
    }
}

#[test]
fn a_stall_stops_reads_writes_and_replies() {
    let folder = tempfile::tempdir().unwrap();
    let bed = Bed::start(faulty(&folder, &["kind=stall,at=100ms,for=400ms"]));
    let mut listening = subscribe(&bed, 2);
    let answered = |n: usize| {
        let from = monotonic_ns();
        bed.post(&format!("post {n}"));
        monotonic_ns() - from
    };
    let posts = 1 + (0..).position(|n| answered(n) >= 200 * MS).unwrap();
    for one in &mut listening {
        assert_eq!(one.titles(posts).len(), posts);
    }
    bed.stop().unwrap();
    let truth = Truth::read(&log_in(&folder));
    let stalls = truth.of("stall");
    let (at, until) = (ns(stalls[0], "at"), ns(stalls[0], "until"));
    let first = ns(truth.of("post")[0], "at");
    assert_eq!(stalls.len(), 1);
    assert!(at >= first + 100 * MS && until >= first + 500 * MS, "{at} {until}");
    for event in truth.of("write").into_iter().chain(truth.of("reply")) {
        // A millisecond: what had begun before the stall.
        assert!(!(at + MS..first + 500 * MS).contains(&ns(event, "at")), "{event} in {at}..{until}");
    }
}

#[test]
fn stalled_replies_hold_up_the_poster_only() {
    let folder = tempfile::tempdir().unwrap();
    let faults = ["kind=stall-replies,by=300ms,posts=1..2", "kind=stall-replies,at=0s,for=200ms,posts=0..1"];
    let bed = Bed::start(faulty(&folder, &faults));
    let mut listening = subscribe(&bed, 1);
    post_all(&bed, 2);
    assert_eq!(heard(&mut listening[0]), ["post 0", "post 1"]);
    bed.stop().unwrap();
    let truth = Truth::read(&log_in(&folder));
    let took = |post: usize| {
        let (taken, replied) = (ns(truth.of("post")[post], "at"), ns(truth.of("reply")[post], "at"));
        let written = ns(truth.of("write")[post], "done");
        assert!(post == 2 || written < replied, "broadcasts go on");
        (replied - taken) / MS
    };
    assert!((200..300).contains(&took(0)) && (300..400).contains(&took(1)) && took(2) < 200);
}

#[test]
fn paced_sockets_are_served_one_by_one() {
    let truth = run(&["kind=pace,per_socket=2ms,per_post=10ms"], 10, 5);
    let mut end_before = 0;
    for post in 0..=5_u64 {
        let mut due: Vec<u64> = truth
            .of("write")
            .iter()
            .filter(|write| write["p"] == post)
            .map(|write| ns(write, "due"))
            .collect();
        due.sort_unstable();
        assert_eq!(due.len(), 10);
        assert!(due.windows(2).all(|pair| pair[1] - pair[0] == 2 * MS), "{due:?}");
        assert!(due[0] >= end_before + 12 * MS, "behind the post before it");
        end_before = due[9];
    }
}

#[test]
fn flushes_come_at_their_multiples() {
    let truth = run(&["kind=flush,every=20ms,sockets=1"], 3, 6);
    let writes = truth.of("write");
    assert!(
        writes
            .iter()
            .all(|write| ns(write, "due").is_multiple_of(20 * MS) && ns(write, "at") >= ns(write, "due"))
    );
}

#[test]
fn split_frames_wait_for_the_acknowledgement() {
    let folder = tempfile::tempdir().unwrap();
    let bed = Bed::start(faulty(&folder, &["kind=split"]));
    let mut listening = subscribe(&bed, 1);
    let took_40_ms = (0..16).filter(|n| {
        let from = monotonic_ns();
        bed.post(&format!("post {n}"));
        assert_eq!(listening[0].titles(1), [format!("post {n}")]);
        let took = monotonic_ns() - from;
        // The ping may itself wait for an acknowledgement; the pong goes out with this read.
        assert!(listening[0].hears_nothing_for(Duration::from_millis(60)));
        took >= 35 * MS
    });
    let took_40_ms = took_40_ms.count();
    assert!(took_40_ms >= 8, "{took_40_ms} of 16");
}

#[test]
fn killed_connections_end_and_the_others_go_on() {
    for how in ["reset", "close"] {
        let folder = tempfile::tempdir().unwrap();
        let bed = Bed::start(faulty(&folder, &[&format!("kind=kill,at=500ms,share=0.5,max=4,how={how}")]));
        let mut listening = subscribe(&bed, 10);
        bed.post("the first one");
        listening.iter_mut().for_each(|one| assert_eq!(one.titles(1), ["the first one"]));
        bed.await_metric("feed_sockets_connected", 6.0);
        bed.post(LAST);
        let ended: Vec<u64> = (0..)
            .zip(&mut listening)
            .filter_map(|(socket, one)| one.text().is_err_and(|ended| ended == Ended::Gone).then_some(socket))
            .collect();
        assert_eq!(bed.metric("feed_faults_total{kind=\"kill\"}"), 4.0, "{how}");
        bed.stop().unwrap();
        let truth = Truth::read(&log_in(&folder));
        let mut killed = truth.of("closed");
        killed.retain(|closed| closed["why"] == "killed");
        let mut killed: Vec<u64> = killed.into_iter().map(|closed| ns(closed, "s")).collect();
        killed.sort_unstable();
        assert_eq!(killed, ended, "{how}");
    }
}

#[test]
fn refused_posts_are_neither_stored_nor_heard() {
    let folder = tempfile::tempdir().unwrap();
    let faults = ["kind=refuse,status=503,posts=1..2", "kind=refuse,how=reset,posts=2..3"];
    let bed = Bed::start(faulty(&folder, &faults));
    let mut listening = subscribe(&bed, 1);
    assert_eq!(bed.post("post 0").status(), 201);
    assert_eq!(bed.post("refused").status(), 503);
    let reset = bed.request(Method::POST, "/feed/post").json(&words("reset")).send();
    assert!(reset.unwrap_err().is_request());
    assert_eq!(bed.post(LAST).status(), 201);
    assert_eq!(heard(&mut listening[0]), ["post 0"]);
    assert_eq!(bed.page("")["totalItems"], 2);
    bed.stop().unwrap();
    let truth = Truth::read(&log_in(&folder));
    let refused: Vec<_> =
        truth.of("refuse").iter().map(|refuse| (ns(refuse, "p"), refuse["how"].clone())).collect();
    assert_eq!(refused, [(1, json!({"status": 503})), (2, json!("reset"))]);
    let replies: Vec<_> =
        truth.of("reply").iter().map(|reply| (ns(reply, "p"), ns(reply, "status"))).collect();
    assert_eq!(replies, [(0, 201), (1, 503), (3, 201)]);
}

#[test]
fn handshakes_are_slow_where_told() {
    let folder = tempfile::tempdir().unwrap();
    let bed = Bed::start(faulty(&folder, &["kind=slow-handshake,by=300ms,max=1"]));
    let took = || {
        let from = monotonic_ns();
        let subscriber = bed.subscribe();
        (monotonic_ns() - from, subscriber)
    };
    let (slow, quick) = (took(), took());
    assert!(slow.0 >= 300 * MS && quick.0 < 300 * MS);
}

#[test]
fn a_peer_that_leaves_and_one_that_stops_reading_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    // Delayed posts pile up in the wire: beyond its bound the connection is cut.
    let faults = ["kind=delay,law=fixed,by=60s,posts=1..1000"];
    let bed = Bed::start(Config { max_payload_bytes: 100_000, ..faulty(&folder, &faults) });
    let mut listening = subscribe(&bed, 2);
    bed.post("the first one");
    drop(listening.remove(0));
    bed.await_metric("feed_sockets_connected", 1.0);
    let body = json!({"title": "a large post", "content": "x".repeat(90_000)});
    eventually("the socket is cut", || {
        assert_eq!(bed.request(Method::POST, "/feed/post").json(&body).send().unwrap().status(), 201);
        (bed.metric("feed_sockets_connected") == 0.0).then_some(())
    });
    bed.stop().unwrap();
    let truth = Truth::read(&log_in(&folder));
    let why: Vec<_> =
        truth.of("closed").iter().map(|closed| (ns(closed, "s"), closed["why"].clone())).collect();
    assert_eq!(why, [(0, json!("peer")), (1, json!("overflow"))]);
    let dropped = truth.of("drop");
    assert!(dropped.len() >= 40 && dropped.iter().all(|drop| drop["why"] == "closed"));
}

#[test]
fn the_admin_changes_the_faults_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let without = Bed::start(faulty(&folder, &[]));
    assert_eq!(without.get("/admin/faults").bearer_auth("x").send().unwrap().status(), 404);
    drop(without);
    let token = "the admin's own";
    let bed = Bed::start(Config { admin_token: Some(Secret::new(token)), ..faulty(&folder, &[]) });
    let mut subscriber = bed.subscribe();
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let request = || bed.request(method.clone(), "/admin/faults").json(&json!([]));
        assert_eq!(request().send().unwrap().status(), 401, "{method}");
        for wrong in ["", "x", "the admin's own and more", "the admin's owm"] {
            assert_eq!(request().bearer_auth(wrong).send().unwrap().status(), 401, "{method} {wrong}");
        }
    }
    let put = |body: Value| {
        bed.request(Method::PUT, "/admin/faults").bearer_auth(token).json(&body).send().unwrap()
    };
    let show = || bed.get("/admin/faults").bearer_auth(token).send().unwrap().json::<Value>().unwrap();
    let drops = json!([{"kind": "drop"}]);
    assert_eq!(put(drops.clone()).status(), 200);
    assert_eq!(show(), drops);
    for (wrong, says) in [
        (json!([{"kind": "dorp"}]), "kind is dorp"),
        (json!([{"kind": "drop"}, {"kind": "drop", "share": 2}]), "share is 2"),
        (json!({"kind": "drop"}), "send an array"),
    ] {
        let refused = put(wrong);
        assert_eq!(refused.status(), 422);
        let message = refused.json::<Value>().unwrap()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(says), "{message}");
    }
    assert_eq!(show(), drops, "left as they were");
    bed.post("dropped");
    let clear = bed.request(Method::DELETE, "/admin/faults").bearer_auth(token).send().unwrap();
    assert_eq!((clear.status().as_u16(), show()), (204, json!([])));
    bed.post("heard");
    assert_eq!(subscriber.titles(1), ["heard"]);
    assert_eq!(bed.metric("feed_faults_total{kind=\"drop\"}"), 1.0);
    bed.stop().unwrap();
    assert_eq!(Truth::read(&log_in(&folder)).of("faults").len(), 3);
}

#[test]
fn the_times_of_a_new_plan_count_from_its_first_post() {
    let folder = tempfile::tempdir().unwrap();
    let token = "the admin's own";
    let bed = Bed::start(Config { admin_token: Some(Secret::new(token)), ..faulty(&folder, &[]) });
    bed.post("before");
    let faults = json!([{"kind": "stall", "at": "0s", "for": "300ms"}]);
    bed.request(Method::PUT, "/admin/faults").bearer_auth(token).json(&faults).send().unwrap();
    let from = monotonic_ns();
    assert_eq!(bed.post("stalled").status(), 201);
    assert!(monotonic_ns() - from >= 300 * MS);
}

#[test]
fn a_bounded_log_says_what_it_lost() {
    let folder = tempfile::tempdir().unwrap();
    let bed = Bed::start(Config { truth_log_lines_max: 7, ..faulty(&folder, &[]) });
    let _listening = subscribe(&bed, 2);
    post_all(&bed, 9);
    bed.stop().unwrap();
    let truth = Truth::read(&log_in(&folder));
    let end = truth.lines().last().unwrap();
    assert_eq!((end["e"].as_str(), ns(end, "lines"), truth.lines().len()), (Some("end"), 7, 8));
    // 10 posts, 10 replies, 20 writes at least.
    assert!(ns(end, "lost") >= 33, "{end}");
}

#[test]
fn what_the_kernel_does_not_take_at_once_stays_whole_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let bed = Bed::start(faulty(&folder, &[]));
    let mut listening = subscribe(&bed, 1);
    // More than the kernel buffers for one connection, and nobody reads yet.
    for n in 0..100 {
        let body = json!({"title": format!("post {n}"), "content": "x".repeat(90_000)});
        assert_eq!(bed.request(Method::POST, "/feed/post").json(&body).send().unwrap().status(), 201);
    }
    bed.post(LAST);
    let all: Vec<String> = (0..100).map(|n| format!("post {n}")).collect();
    assert_eq!(heard(&mut listening[0]), all);
    bed.stop().unwrap();
    let truth = Truth::read(&log_in(&folder));
    assert_eq!(truth.titles_of(0)[..100], all);
    let waited = |write: &&&Value| ns(write, "done") - ns(write, "at") >= 10 * MS;
    assert!(truth.of("write").iter().any(|write| waited(&write)), "nothing had to wait");
}
