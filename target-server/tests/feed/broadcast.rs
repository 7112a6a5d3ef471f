//! Who gets what, over WebSocket and polling.

use std::net::TcpStream;

use reqwest::Method;
use serde_json::{Value, json};
use target_server::Config;

use crate::{
    bed::{Bed, header, memory, words},
    subscriber::Subscriber,
};

#[test]
fn everyone_hears_of_every_change() {
    let bed = Bed::start(memory());
    let (token, _) = bed.login("a@example.com");
    let mut subscribers = [bed.subscribe(), bed.subscribe()];
    bed.await_metric("feed_sockets_connected", 2.0);
    let send = |method, path: &str| {
        let response = bed.request(method, path).bearer_auth(&token).json(&words("a title")).send().unwrap();
        assert_eq!(
            (header(&response, "x-feedmark-enqueued"), header(&response, "x-feedmark-refused")),
            (2, 0)
        );
        response.json::<Value>().unwrap()
    };
    let created = send(Method::POST, "/feed/post");
    let path = format!("/feed/post/{}", created["post"]["_id"].as_str().unwrap());
    let updated = send(Method::PUT, &path);
    send(Method::DELETE, &path);
    let mut bytes = 0;
    for subscriber in &mut subscribers {
        for (action, post) in [("create", &created), ("update", &updated), ("delete", &updated)] {
            let (packet, event) = subscriber.event_packet();
            assert_eq!(event, json!({"action": action, "post": post["post"]}));
            bytes += packet.len();
        }
    }
    assert_eq!(bed.metric("feed_broadcast_bytes_total"), bytes as f64);
    assert_eq!(bed.metric("feed_emits_total"), 3.0);
    assert_eq!(bed.metric("feed_deliveries_enqueued_total"), 6.0);
}

#[test]
fn a_failed_change_is_not_heard_of() {
    let bed = Bed::start(memory());
    let mut subscriber = bed.subscribe();
    let (token, _) = bed.login("a@example.com");
    let gone = bed.request(Method::DELETE, "/feed/post/none").bearer_auth(&token).send().unwrap();
    assert_eq!(gone.status(), 404);
    assert_eq!(bed.post("1234").status(), 422);
    assert_eq!(bed.post("the only one").status(), 201);
    assert_eq!(subscriber.titles(1), ["the only one"]);
    assert_eq!(bed.metric("feed_emits_total"), 1.0);
}

#[test]
fn others_leaves_the_posters_own_socket_out() {
    let bed = Bed::start(memory());
    let (token, _) = bed.login("a@example.com");
    let mut own = bed.subscribe();
    let mut other = bed.subscribe();
    bed.await_metric("feed_sockets_connected", 2.0);
    let post = |title: &str, query: &str| {
        let request = bed.request(Method::POST, &format!("/feed/post{query}")).json(&words(title));
        request.header("x-feedmark-socket-id", &own.id).send().unwrap()
    };
    let in_query = post("in the query", &format!("?audience=others&socket_id={}", own.id));
    assert_eq!(header(&in_query, "x-feedmark-enqueued"), 1);
    let in_header = post("in the header", "?audience=others");
    assert_eq!(header(&in_header, "x-feedmark-enqueued"), 1);
    let to_all = post("for everyone", "?audience=everyone");
    assert_eq!(header(&to_all, "x-feedmark-enqueued"), 2);
    let by_default = post("by default", "");
    assert_eq!(header(&by_default, "x-feedmark-enqueued"), 2);
    let mine: Value = bed
        .request(Method::POST, "/feed/post")
        .bearer_auth(&token)
        .json(&words("my own post"))
        .send()
        .unwrap()
        .json()
        .unwrap();
    let path =
        format!("/feed/post/{}?audience=others&socket_id={}", mine["post"]["_id"].as_str().unwrap(), own.id);
    let edited = bed.request(Method::PUT, &path).bearer_auth(&token).json(&words("my edit")).send().unwrap();
    assert_eq!(header(&edited, "x-feedmark-enqueued"), 1);
    let deleted = bed.request(Method::DELETE, &path).bearer_auth(&token).send().unwrap();
    assert_eq!(header(&deleted, "x-feedmark-enqueued"), 1);

    assert_eq!(own.titles(3), ["for everyone", "by default", "my own post"]);
    let all =
        ["in the query", "in the header", "for everyone", "by default", "my own post", "my edit", "my edit"];
    assert_eq!(other.titles(7), all);
}

#[test]
fn an_audience_that_cannot_be_is_422_and_nothing_is_stored() {
    let bed = Bed::start(memory());
    for (query, field) in [
        ("audience=others", "socket_id"),
        ("audience=others&socket_id=", "socket_id"),
        ("audience=others&socket_id=nonsense", "socket_id"),
        ("audience=others&socket_id=AAAAAAAAAAAAAAAA", "socket_id"),
        ("audience=nobody", "audience"),
    ] {
        let path = format!("/feed/post?{query}");
        let response = bed.request(Method::POST, &path).json(&words("a title")).send().unwrap();
        assert_eq!(response.status(), 422, "{query}");
        assert_eq!(response.json::<Value>().unwrap()["data"][0]["field"], field, "{query}");
    }
    assert_eq!(bed.page("")["totalItems"], 0);
}

#[test]
fn a_socket_that_left_is_not_counted() {
    let bed = Bed::start(memory());
    let staying = bed.subscribe();
    let leaving = bed.subscribe();
    bed.await_metric("feed_sockets_connected", 2.0);
    drop(leaving);
    bed.await_metric("feed_sockets_connected", 1.0);
    assert_eq!(header(&bed.post("a title"), "x-feedmark-enqueued"), 1);
    drop(staying);
    bed.await_metric("feed_sockets_connected", 0.0);
    assert_eq!(header(&bed.post("a title"), "x-feedmark-enqueued"), 0);
    assert_eq!(bed.metric("feed_sockets_total"), 2.0);
}

#[test]
fn polling_hears_the_same() {
    let bed = Bed::start(Config { socket_buffer_packets: 2, ..memory() });
    let get = |sid: &str| {
        bed.get(&format!("/socket.io/?EIO=4&transport=polling{sid}")).send().unwrap().text().unwrap()
    };
    let open: Value = serde_json::from_str(get("").strip_prefix('0').unwrap()).unwrap();
    let sid = format!("&sid={}", open["sid"].as_str().unwrap());
    let path = format!("/socket.io/?EIO=4&transport=polling{sid}");
    let connect = bed.request(Method::POST, &path).body("40").send().unwrap();
    assert_eq!(connect.text().unwrap(), "ok");
    // Packets of one answer are apart by a record separator; pings come along.
    let await_packet = |start: &str| loop {
        if let Some(packet) = get(&sid).split('\u{1e}').find(|packet| packet.starts_with(start)) {
            break packet.to_owned();
        }
    };
    await_packet("40{");
    bed.post("over polling");
    let packet = await_packet("42");
    let start = r#"42["posts",{"action":"create","post":{"_id":"#;
    assert!(packet.starts_with(start) && packet.contains("over polling"), "{packet}");
}

#[test]
fn socket_auth_is_a_choice() {
    let bed = Bed::start(Config { socket_auth: true, ..memory() });
    let (token, _) = bed.login("a@example.com");
    let connect = |packet: &str| {
        let stream = TcpStream::connect(bed.address).unwrap();
        Subscriber::connect_with(packet, stream)
            .map(|_| ())
            .map_err(|e| e["message"].as_str().unwrap().to_owned())
    };
    for (packet, says) in [
        ("40", "not authenticated"),
        ("40{}", "not authenticated"),
        (r#"40{"token":7}"#, "not authenticated"),
        (r#"40{"token":"nonsense"}"#, "not one of ours"),
    ] {
        let refusal = connect(packet).unwrap_err();
        assert!(refusal.contains(says), "{packet}: {refusal}");
    }
    bed.await_metric("feed_sockets_connected", 0.0);
    assert_eq!(connect(&format!(r#"40{{"token":"{token}"}}"#)), Ok(()));
    bed.await_metric("feed_sockets_total", 1.0);
}

#[test]
fn another_namespace_is_refused() {
    let bed = Bed::start(memory());
    let stream = TcpStream::connect(bed.address).unwrap();
    let answer = std::panic::catch_unwind(|| Subscriber::connect_with("40/other,", stream));
    // "44/other,{...}" is a CONNECT_ERROR of that namespace, which the helper does not take for a connection.
    assert!(!matches!(answer, Ok(Ok(_))));
    assert_eq!(bed.metric("feed_sockets_total"), 0.0);
}

#[test]
fn a_page_from_anywhere_may_call() {
    let bed = Bed::start(memory());
    let preflight = bed
        .request(Method::OPTIONS, "/feed/post")
        .header("origin", "http://localhost:3000")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type")
        .send()
        .unwrap();
    assert_eq!(preflight.status(), 200);
    assert_eq!(preflight.headers()["access-control-allow-origin"], "*");
    for path in ["/feed/posts", "/socket.io/?EIO=4&transport=polling", "/nowhere"] {
        let response = bed.get(path).header("origin", "http://localhost:3000").send().unwrap();
        assert_eq!(response.headers()["access-control-allow-origin"], "*", "{path}");
    }
}
