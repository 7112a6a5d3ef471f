//! Reading the feed and changing it, on both stores.

use reqwest::Method;
use serde_json::{Value, json};
use target_server::Config;

use crate::bed::{Bed, memory, sqlite, words};

fn on_both_stores(test: impl Fn(Bed)) {
    let folder = tempfile::tempdir().unwrap();
    test(Bed::start(memory()));
    test(Bed::start(sqlite(&folder)));
}

#[test]
fn a_post_lives_from_create_to_delete() {
    on_both_stores(|bed| {
        let (token, user) = bed.login("a@example.com");
        let send = |method, path: &str, body: &Value| {
            let response = bed.request(method, path).bearer_auth(&token).json(body).send().unwrap();
            (response.status().as_u16(), response.json::<Value>().unwrap())
        };
        let body = json!({"title": " first post ", "content": "some content", "imageUrl": "images/a.png"});
        let (status, created) = send(Method::POST, "/feed/post", &body);
        assert_eq!(status, 201);
        let creator = json!({"_id": user, "name": "Ada"});
        assert_eq!(created["message"], "Post created successfully!");
        assert_eq!(created["creator"], creator);
        let post = &created["post"];
        assert_eq!(post["title"], "first post");
        assert_eq!(post["content"], "some content");
        assert_eq!(post["imageUrl"], "images/a.png");
        assert_eq!(post["creator"], creator);
        let created_at: jiff::Timestamp = post["createdAt"].as_str().unwrap().parse().unwrap();
        assert_eq!(post["updatedAt"], post["createdAt"]);

        let path = format!("/feed/post/{}", post["_id"].as_str().unwrap());
        let fetched: Value = bed.get(&path).send().unwrap().json().unwrap();
        assert_eq!(fetched, json!({"message": "Post fetched.", "post": post}));

        let (status, updated) = send(Method::PUT, &path, &words("second title"));
        assert_eq!((status, &updated["message"]), (200, &json!("Post updated!")));
        assert_eq!(updated["post"]["title"], "second title");
        assert_eq!(updated["post"]["imageUrl"], "images/a.png", "an image that is not mentioned stays");
        assert_eq!(updated["post"]["createdAt"], post["createdAt"]);
        assert!(
            updated["post"]["updatedAt"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap() >= created_at
        );
        assert_eq!(bed.get(&path).send().unwrap().json::<Value>().unwrap()["post"], updated["post"]);

        let mut without = words("second title");
        without["imageUrl"] = Value::Null;
        assert_eq!(send(Method::PUT, &path, &without).1["post"]["imageUrl"], Value::Null);

        let (status, deleted) = send(Method::DELETE, &path, &json!({}));
        assert_eq!((status, deleted), (200, json!({"message": "Deleted post."})));
        assert_eq!(bed.get(&path).send().unwrap().status(), 404);
        assert_eq!(send(Method::DELETE, &path, &json!({})).0, 404);
        assert_eq!(send(Method::PUT, &path, &words("third title")).0, 404);
        assert_eq!(bed.page("")["totalItems"], 0);
        for action in ["create", "delete"] {
            assert_eq!(bed.metric(&format!("feed_posts_total{{action=\"{action}\"}}")), 1.0, "{action}");
        }
        assert_eq!(bed.metric("feed_posts_total{action=\"update\"}"), 2.0);
    });
}

#[test]
fn only_the_creator_changes_or_deletes() {
    on_both_stores(|bed| {
        let (mine, _) = bed.login("a@example.com");
        let (theirs, _) = bed.login("b@example.com");
        let created: Value = bed
            .request(Method::POST, "/feed/post")
            .bearer_auth(&mine)
            .json(&words("my own post"))
            .send()
            .unwrap()
            .json()
            .unwrap();
        let path = format!("/feed/post/{}", created["post"]["_id"].as_str().unwrap());
        for method in [Method::PUT, Method::DELETE] {
            let response =
                bed.request(method, &path).bearer_auth(&theirs).json(&words("not my post")).send().unwrap();
            assert_eq!(response.status(), 403);
            assert!(response.json::<Value>().unwrap()["message"].is_string());
        }
        assert_eq!(bed.get(&path).send().unwrap().json::<Value>().unwrap()["post"], created["post"]);
    });
}

#[test]
fn the_feed_is_paged_newest_first() {
    on_both_stores(|bed| {
        assert_eq!(bed.page(""), json!({"message": "Fetched posts.", "posts": [], "totalItems": 0}));
        for n in 1..=5 {
            assert_eq!(bed.post(&format!("post {n}")).status(), 201);
        }
        let titles = |query: &str| -> Vec<String> {
            let page = bed.page(query);
            assert_eq!(page["totalItems"], 5, "{query}");
            let titles = page["posts"]
                .as_array()
                .unwrap()
                .iter()
                .map(|post| post["title"].as_str().unwrap().to_owned());
            titles.collect()
        };
        assert_eq!(titles(""), ["post 5", "post 4"]);
        assert_eq!(titles("?page=1"), ["post 5", "post 4"]);
        assert_eq!(titles("?page=2"), ["post 3", "post 2"]);
        assert_eq!(titles("?page=3"), ["post 1"]);
        assert!(titles("?page=4").is_empty());
        assert!(titles("?page=18446744073709551615").is_empty());
        assert_eq!(titles("?per_page=100").len(), 5);
        assert_eq!(titles("?page=2&per_page=4"), ["post 1"]);
    });
}

#[test]
fn a_page_that_cannot_be_is_422_and_named() {
    let bed = Bed::start(memory());
    for (query, field, value) in [
        ("page=0", "page", "0"),
        ("page=-1", "page", "-1"),
        ("page=", "page", ""),
        ("page=two", "page", "two"),
        ("page=1.5", "page", "1.5"),
        ("page=18446744073709551616", "page", "18446744073709551616"),
        ("per_page=0", "per_page", "0"),
        ("per_page=101", "per_page", "101"),
    ] {
        let response = bed.get(&format!("/feed/posts?{query}")).send().unwrap();
        assert_eq!(response.status(), 422, "{query}");
        let answer: Value = response.json().unwrap();
        assert_eq!(answer["data"][0]["field"], field, "{query}");
        assert_eq!(answer["data"][0]["value"], value, "{query}");
    }
}

#[test]
fn a_refused_post_names_every_field() {
    let bed = Bed::start(memory());
    let long = "x".repeat(201);
    for (body, fields) in [
        (json!({}), vec!["title", "content"]),
        (json!({"title": "1234", "content": " 1234 "}), vec!["title", "content"]),
        (json!({"title": long, "content": "x".repeat(100_001)}), vec!["title", "content"]),
        (json!({"title": "12345", "content": "12345", "imageUrl": ""}), vec!["imageUrl"]),
        (json!({"title": "12345", "content": "12345", "imageUrl": "u".repeat(2001)}), vec!["imageUrl"]),
        (json!({"title": null, "content": 7, "imageUrl": false}), vec!["title", "content", "imageUrl"]),
    ] {
        let response = bed.request(Method::POST, "/feed/post").json(&body).send().unwrap();
        assert_eq!(response.status(), 422);
        let answer: Value = response.json().unwrap();
        let named: Vec<_> =
            answer["data"].as_array().unwrap().iter().map(|problem| &problem["field"]).collect();
        assert_eq!(named, fields);
    }
    assert_eq!(bed.metric("feed_store_writes_total"), 0.0);
    assert_eq!(bed.page("")["totalItems"], 0);
}

#[test]
fn any_text_comes_back_as_it_went_in() {
    on_both_stores(|bed| {
        for text in
            ["'; DROP TABLE posts; --", "nul \u{0} inside", "<b>&amp;</b>", "héllo 👩‍👩‍👧 \u{202e}", "\"quoted\\"]
        {
            let body = json!({"title": text, "content": text});
            let response = bed.request(Method::POST, "/feed/post").json(&body).send().unwrap();
            assert_eq!(response.status(), 201, "{text:?}");
            assert_eq!(bed.page("?per_page=1")["posts"][0]["title"], text);
            assert_eq!(bed.page("?per_page=1")["posts"][0]["content"], text);
        }
    });
}

#[test]
fn open_posting_is_a_choice() {
    let closed = Bed::start(Config { open_posting: false, ..memory() });
    assert_eq!(closed.post("a title").status(), 401);
    on_both_stores(|open| {
        let response = open.post("a title");
        assert_eq!(response.status(), 201);
        let answer: Value = response.json().unwrap();
        assert_eq!(answer["creator"]["name"], "anonymous");
        let (token, user) = open.login("a@example.com");
        let own = open
            .request(Method::POST, "/feed/post")
            .bearer_auth(token)
            .json(&words("a title"))
            .send()
            .unwrap();
        assert_eq!(own.json::<Value>().unwrap()["creator"]["_id"], user, "a token still counts");
        let bad = open
            .request(Method::POST, "/feed/post")
            .bearer_auth("bad")
            .json(&words("a title"))
            .send()
            .unwrap();
        assert_eq!(bad.status(), 401, "and so does a bad one");
        let path = format!("/feed/post/{}", answer["post"]["_id"].as_str().unwrap());
        assert_eq!(open.request(Method::DELETE, &path).send().unwrap().status(), 401);
    });
}
