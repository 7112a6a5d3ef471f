//! The page at `/`: the feed for people, in plain HTML and our own script.
//!
//! Invariant: nothing of it comes from elsewhere, and no text of a post becomes code: [`POLICY`] forbids both.
//! Must not know: the API. The page is a client of it like any other.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::{
    Router,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use super::App;

/// Own files and the own server alone; no inline script or style, and no text where the browser expects markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Path, media type, body.
const FILES: [(&str, &str, &str); 10] = [
    ("/", HTML, include_str!("../page/index.html")),
    ("/page/style.css", CSS, include_str!("../page/style.css")),
    ("/page/icon.svg", SVG, include_str!("../page/icon.svg")),
    ("/page/main.js", JS, include_str!("../page/main.js")),
    ("/page/api.js", JS, include_str!("../page/api.js")),
    ("/page/cards.js", JS, include_str!("../page/cards.js")),
    ("/page/form.js", JS, include_str!("../page/form.js")),
    ("/page/live.js", JS, include_str!("../page/live.js")),
    ("/page/session.js", JS, include_str!("../page/session.js")),
    ("/page/view.js", JS, include_str!("../page/view.js")),
];

/// The routes of the page's files.
pub(super) fn router() -> Router<App> {
    FILES.into_iter().fold(Router::new(), |router, (path, media_type, body)| {
        let tag = tag(body);
        router.route(path, get(async move |headers: HeaderMap| answer(&headers, media_type, body, &tag)))
    })
}

/// The entity tag of these bytes (RFC 9110, 8.8.3).
fn tag(body: &str) -> String {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

/// The browser asks every time, so that a new version of the server is never mixed with files of an old one.
fn answer(asked: &HeaderMap, media_type: &'static str, body: &'static str, tag: &str) -> Response {
    let headers = [
        (header::ETAG, HeaderValue::from_str(tag).expect("a tag is hexadecimal digits in quotes")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    if has(asked, tag) {
        (StatusCode::NOT_MODIFIED, headers).into_response()
    } else {
        (headers, [(header::CONTENT_TYPE, media_type)], body).into_response()
    }
}

/// Whether `if-none-match` names what there is; weak tags count, `*` names anything (RFC 9110, 13.1.2).
fn has(asked: &HeaderMap, tag: &str) -> bool {
    let lists = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|list| list.to_str().ok());
    let mut named = lists.flat_map(|list| list.split(',')).map(str::trim);
    named.any(|named| named == "*" || named.trim_start_matches("W/") == tag)
}
