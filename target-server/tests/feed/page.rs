//! The page at `/` as a browser gets it; what it does is tested in a browser (`scripts/browser`).

use std::collections::BTreeSet;

use reqwest::{Method, blocking::Response};

use crate::bed::{Bed, memory};

const FILES: [(&str, &str); 10] = [
    ("/", "text/html; charset=utf-8"),
    ("/page/style.css", "text/css; charset=utf-8"),
    ("/page/icon.svg", "image/svg+xml"),
    ("/page/main.js", "text/javascript; charset=utf-8"),
    ("/page/api.js", "text/javascript; charset=utf-8"),
    ("/page/cards.js", "text/javascript; charset=utf-8"),
    ("/page/form.js", "text/javascript; charset=utf-8"),
    ("/page/live.js", "text/javascript; charset=utf-8"),
    ("/page/session.js", "text/javascript; charset=utf-8"),
    ("/page/view.js", "text/javascript; charset=utf-8"),
];

fn text<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers()[name].to_str().unwrap()
}

#[test]
fn every_file_has_its_type_and_the_policy() {
    let bed = Bed::start(memory());
    for (path, media_type) in FILES {
        let got = bed.get(path).send().unwrap();
        assert_eq!(got.status(), 200, "{path}");
        assert_eq!(text(&got, "content-type"), media_type, "{path}");
        assert_eq!(text(&got, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(text(&got, "referrer-policy"), "no-referrer", "{path}");
        let policy: BTreeSet<&str> = text(&got, "content-security-policy").split("; ").collect();
        for rule in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"]
        {
            assert!(policy.contains(rule), "{path}: {policy:?} lacks {rule}");
        }
        assert!(!policy.iter().any(|rule| rule.contains("unsafe")), "{path}: {policy:?}");

        let length = got.content_length();
        let head = bed.request(Method::HEAD, path).send().unwrap();
        assert_eq!((head.status().as_u16(), text(&head, "content-type")), (200, media_type), "{path}");
        let declared: u64 = text(&head, "content-length").parse().unwrap();
        assert_eq!(Some(declared), length, "{path}");
    }
}

/// What the page asks for is what is served, and nothing comes from elsewhere.
#[test]
fn the_page_refers_to_its_own_files_alone() {
    let bed = Bed::start(memory());
    let mut named = BTreeSet::from(["/".to_owned()]);
    for (path, _) in FILES {
        let body = bed.get(path).send().unwrap().text().unwrap();
        for quoted in body.split('"').skip(1).step_by(2) {
            if quoted.starts_with("/page/") {
                named.insert(quoted.to_owned());
            }
            let foreign = quoted.contains("//") && quoted != "http://www.w3.org/2000/svg";
            assert!(!foreign, "{path} refers to {quoted}");
        }
    }
    assert_eq!(named, FILES.iter().map(|(path, _)| (*path).to_owned()).collect());
}

#[test]
fn what_a_browser_has_is_not_sent_again() {
    let bed = Bed::start(memory());
    let mut tags = BTreeSet::new();
    for (path, _) in FILES {
        let first = bed.get(path).send().unwrap();
        assert_eq!(text(&first, "cache-control"), "no-cache", "{path}");
        let tag = text(&first, "etag").to_owned();
        let again = |named: &str| bed.get(path).header("if-none-match", named).send().unwrap();
        for named in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            let got = again(&named);
            assert_eq!(got.status(), 304, "{path} {named}");
            assert_eq!(text(&got, "etag"), tag, "{path} {named}");
            assert!(got.headers().contains_key("content-security-policy"), "{path} {named}");
            assert_eq!(got.text().unwrap(), "", "{path} {named}");
        }
        assert_eq!(again("\"other\"").status(), 200, "{path}");
        tags.insert(tag);
    }
    assert_eq!(tags.len(), FILES.len(), "each file has a tag of its own");
}
