//! Signing up, logging in, tokens, status.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use target_server::Config;

use crate::bed::{Bed, PASSWORD, SECRET, memory, sqlite, words};

#[test]
fn a_user_signs_up_logs_in_and_changes_the_status() {
    let folder = tempfile::tempdir().unwrap();
    for config in [memory(), sqlite(&folder)] {
        let bed = Bed::start(config);
        let (token, id) = bed.login("Ada@Example.com");
        let status =
            || -> Value { bed.get("/auth/status").bearer_auth(&token).send().unwrap().json().unwrap() };
        assert_eq!(status(), json!({"status": "I am new!"}));
        let patched = bed
            .request(Method::PATCH, "/auth/status")
            .bearer_auth(&token)
            .json(&json!({"status": "  busy "}))
            .send()
            .unwrap();
        assert_eq!(patched.status(), 200);
        assert_eq!(patched.json::<Value>().unwrap(), json!({"message": "User status updated"}));
        assert_eq!(status(), json!({"status": "busy"}));

        let lower = json!({"email": "ada@example.com", "password": PASSWORD});
        let again: Value =
            bed.request(Method::POST, "/auth/login").json(&lower).send().unwrap().json().unwrap();
        assert_eq!(again["userId"], id);
    }
}

#[test]
fn signup_answers_201_with_the_id() {
    let bed = Bed::start(memory());
    let body = json!({"email": "a@example.com", "password": PASSWORD, "name": "Ada"});
    let response = bed.request(Method::PUT, "/auth/signup").json(&body).send().unwrap();
    assert_eq!(response.status(), 201);
    let answer: Value = response.json().unwrap();
    assert_eq!(answer["message"], "User created!");
    assert!(answer["userId"].as_str().is_some_and(|id| !id.is_empty()));
}

#[test]
fn an_address_is_taken_once() {
    let folder = tempfile::tempdir().unwrap();
    for config in [memory(), sqlite(&folder)] {
        let bed = Bed::start(config);
        bed.login("a@example.com");
        let body = json!({"email": "A@example.com ", "password": PASSWORD, "name": "Eve"});
        let response = bed.request(Method::PUT, "/auth/signup").json(&body).send().unwrap();
        assert_eq!(response.status(), 422);
        let answer: Value = response.json().unwrap();
        assert_eq!(answer["data"][0]["field"], "email");
        assert_eq!(answer["data"][0]["value"], "a@example.com");
    }
}

#[test]
fn a_refused_signup_names_every_field() {
    let bed = Bed::start(memory());
    for (body, fields) in [
        (json!({}), vec!["email", "password", "name"]),
        (json!({"email": "nobody", "password": "1234", "name": "  "}), vec!["email", "password", "name"]),
        (json!({"email": 1, "password": [], "name": {}}), vec!["email", "password", "name"]),
        (json!({"email": "a@example.com", "password": "12345", "name": ""}), vec!["name"]),
        (json!({"email": "a@example.com", "password": "12345", "name": "n".repeat(101)}), vec!["name"]),
        (json!({"email": "a@example.com", "password": "p".repeat(201), "name": "n"}), vec!["password"]),
    ] {
        let response = bed.request(Method::PUT, "/auth/signup").json(&body).send().unwrap();
        assert_eq!(response.status(), 422, "{body}");
        let answer: Value = response.json().unwrap();
        let named: Vec<_> =
            answer["data"].as_array().unwrap().iter().map(|problem| &problem["field"]).collect();
        assert_eq!(named, fields, "{body}");
        assert!(!answer.to_string().contains("1234"), "a password is echoed: {answer}");
    }
}

#[test]
fn a_wrong_password_and_an_unknown_address_look_the_same() {
    let bed = Bed::start(memory());
    bed.login("a@example.com");
    let login = |email: &str, password: &str| {
        let body = json!({"email": email, "password": password});
        let response = bed.request(Method::POST, "/auth/login").json(&body).send().unwrap();
        (response.status().as_u16(), response.json::<Value>().unwrap())
    };
    let wrong = login("a@example.com", "hunter3");
    assert_eq!(wrong.0, 401);
    assert_eq!(wrong, login("b@example.com", PASSWORD));
    assert_eq!(wrong, login("anonymous@feedmark.invalid", "!!!!!"));
    assert_eq!(login("a@example.com", PASSWORD).0, 200);
}

#[test]
fn without_a_valid_token_it_is_401() {
    let bed = Bed::start(Config { open_posting: false, ..memory() });
    let (valid, id) = bed.login("a@example.com");
    let expired = token(SECRET, &json!({"userId": id, "email": "a@example.com", "exp": 1_000_000_000}));
    let foreign =
        token("another secret", &json!({"userId": id, "email": "a@example.com", "exp": 9_999_999_999_u64}));
    let endless = token(SECRET, &json!({"userId": id, "email": "a@example.com"}));
    let nobody = token(SECRET, &json!({"userId": "nobody", "email": "", "exp": 9_999_999_999_u64}));
    for (authorization, says) in [
        (None, "not authenticated"),
        (Some("Bearer".to_owned()), "not authenticated"),
        (Some(format!("Basic {valid}")), "not authenticated"),
        (Some("Bearer nonsense".to_owned()), "not one of ours"),
        (Some(format!("Bearer {expired}")), "expired"),
        (Some(format!("Bearer {foreign}")), "not one of ours"),
        (Some(format!("Bearer {endless}")), "not one of ours"),
        (Some(format!("Bearer {nobody}")), "no user has the id nobody"),
    ] {
        for (method, path) in [
            (Method::GET, "/auth/status"),
            (Method::PATCH, "/auth/status"),
            (Method::POST, "/feed/post"),
            (Method::PUT, "/feed/post/x"),
            (Method::DELETE, "/feed/post/x"),
        ] {
            if says.contains("nobody") && path == "/feed/post/x" {
                continue; // The post is looked for first.
            }
            let mut request = bed.request(method.clone(), path);
            if let Some(authorization) = &authorization {
                request = request.header("authorization", authorization);
            }
            let mut body = words("a title");
            body["status"] = json!("fine");
            let response = request.json(&body).send().unwrap();
            assert_eq!(response.status(), 401, "{method} {path} {authorization:?}");
            assert_eq!(response.headers()["www-authenticate"], "Bearer");
            let message = response.json::<Value>().unwrap()["message"].to_string();
            assert!(message.contains(says), "{method} {path}: {message}");
        }
    }
    let lower = format!("bearer {valid}");
    assert_eq!(bed.get("/auth/status").header("authorization", lower).send().unwrap().status(), 200);
}

#[test]
fn a_login_lives_as_long_as_it_was_told() {
    let bed = Bed::start(Config { jwt_ttl: Duration::from_secs(600), ..memory() });
    let (token, _) = bed.login("a@example.com");
    let key = jsonwebtoken::DecodingKey::from_secret(SECRET.as_bytes());
    let claims =
        jsonwebtoken::decode::<Value>(&token, &key, &jsonwebtoken::Validation::default()).unwrap().claims;
    let left = claims["exp"].as_u64().unwrap() - jsonwebtoken::get_current_timestamp();
    assert!((590..=600).contains(&left), "{left} s");
}

fn token(secret: &str, claims: &Value) -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), claims, &key).unwrap()
}
