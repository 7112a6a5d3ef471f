//! Subscribers that stop reading: refused, counted, cut off; the others hear everything.

use std::{thread, time::Duration};

use reqwest::Method;
use serde_json::json;
use socket2::{Domain, Socket, Type};
use target_server::Config;

use crate::{
    bed::{Bed, header, memory},
    subscriber::Subscriber,
    truth::monotonic_ns,
};

/// So many posts of this size overflow what the kernel buffers for one connection.
const POSTS_MAX: usize = 400;
const CONTENT_CHARS: usize = 90_000;

/// A connected subscriber with a small receive window, to be left unread.
fn stalled(bed: &Bed) -> Subscriber {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&bed.address.into()).unwrap();
    Subscriber::connect_with("40", socket.into()).unwrap()
}

/// Posts until one is refused: (posts, enqueued, refused).
fn post_until_refused(bed: &Bed) -> (usize, u64, u64) {
    let body = json!({"title": "a large post", "content": "x".repeat(CONTENT_CHARS)});
    let mut enqueued = 0;
    for posts in 1..=POSTS_MAX {
        let response = bed.request(Method::POST, "/feed/post").json(&body).send().unwrap();
        assert_eq!(response.status(), 201);
        enqueued += header(&response, "x-feedmark-enqueued");
        let refused = header(&response, "x-feedmark-refused");
        assert_eq!(header(&response, "x-feedmark-refused-buffer-full"), refused);
        if refused > 0 {
            return (posts, enqueued, refused);
        }
    }
    panic!("{POSTS_MAX} posts and none refused");
}

#[test]
fn what_a_full_buffer_refuses_is_counted_and_the_others_hear_everything() {
    let bed = Bed::start(Config { socket_buffer_packets: 4, ..memory() });
    let mut healthy = bed.subscribe();
    let _stalled = stalled(&bed);
    bed.await_metric("feed_sockets_connected", 2.0);
    let listening = thread::spawn(move || {
        let large = |event: &serde_json::Value| event["post"]["title"] == "a large post";
        (0..).map(|_| healthy.event()).take_while(large).count()
    });
    let (posts, enqueued, refused) = post_until_refused(&bed);
    assert_eq!(refused, 1, "only the one that stopped reading");
    assert_eq!(enqueued, 2 * posts as u64 - 1, "every other delivery is in a queue");
    assert_eq!(bed.metric("feed_deliveries_refused_total{cause=\"buffer_full\"}"), 1.0);
    assert_eq!(bed.metric("feed_deliveries_refused_total{cause=\"closed\"}"), 0.0);
    assert_eq!(bed.metric("feed_deliveries_enqueued_total"), enqueued as f64);
    bed.post("the last one");
    assert_eq!(listening.join().unwrap(), posts);
}

#[test]
fn a_subscriber_that_stops_reading_delays_nobody() {
    const POSTS: usize = 31;
    let bed = Bed::start(Config { socket_buffer_packets: 4, ..memory() });
    let mut healthy = bed.subscribe();
    bed.await_metric("feed_sockets_connected", 1.0);
    let mut median = || {
        let mut took: Vec<Duration> = (0..POSTS)
            .map(|post| {
                let title = format!("a small post {post}");
                let posted_ns = monotonic_ns();
                bed.post(&title);
                while healthy.event()["post"]["title"] != *title {}
                Duration::from_nanos(monotonic_ns() - posted_ns)
            })
            .collect();
        took.sort_unstable();
        took[POSTS / 2]
    };
    let alone = median();
    let _stalled = stalled(&bed);
    bed.await_metric("feed_sockets_connected", 2.0);
    post_until_refused(&bed);
    let beside = median();
    assert_eq!(bed.metric("feed_sockets_connected"), 2.0, "cut off too early to see what it does to others");
    assert!(beside < 3 * alone + Duration::from_millis(10), "{alone:?} alone, {beside:?} beside it");
}

#[test]
fn a_subscriber_that_never_reads_again_is_cut_off() {
    let heartbeat = Duration::from_millis(500);
    let bed = Bed::start(Config {
        socket_buffer_packets: 4,
        ping_interval: heartbeat,
        ping_timeout: heartbeat,
        ..memory()
    });
    let _stalled = stalled(&bed);
    bed.await_metric("feed_sockets_connected", 1.0);
    post_until_refused(&bed);
    let full_ns = monotonic_ns();
    bed.await_metric("feed_sockets_connected", 0.0);
    let lingered = Duration::from_nanos(monotonic_ns() - full_ns);
    // As the README says; the rest is for a busy machine.
    assert!(lingered < 2 * heartbeat + Duration::from_secs(3), "{lingered:?}");
    assert_eq!(header(&bed.post("for nobody"), "x-feedmark-refused"), 0, "a ghost would still refuse");
}

#[test]
fn a_subscriber_that_does_not_answer_the_heartbeat_is_disconnected() {
    let heartbeat = Duration::from_millis(100);
    let bed = Bed::start(Config { ping_interval: heartbeat, ping_timeout: heartbeat, ..memory() });
    let silent = bed.subscribe();
    bed.await_metric("feed_sockets_total", 1.0);
    bed.await_metric("feed_sockets_connected", 0.0);
    drop(silent);
}
