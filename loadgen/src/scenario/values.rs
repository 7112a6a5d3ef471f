//! Values that only their setting can check. What may be a secret stands in no error.

use std::collections::BTreeMap;

use target_server::Fault;
use url::Url;

use super::{ScenarioError, wrong};
use crate::target_watch::Place;
use crate::target_watch::metrics::{MetricsAt, SERIES_MAX, Wish};

pub(super) fn parse_url(text: &str) -> Result<Url, ScenarioError> {
    let url = Url::parse(text)
        .map_err(|error| wrong("url", format!("`{text}` is no URL ({error}): write http://host:port")))?;
    match url.scheme() {
        "http" | "ws" => {}
        "https" | "wss" => {
            return Err(wrong(
                "url",
                format!(
                    "`{text}` needs TLS, which feedmark does not speak yet: use the http port behind the proxy"
                ),
            ));
        }
        _ => {
            return Err(wrong(
                "url",
                format!("`{text}` does not begin with `http://`: write http://host:port"),
            ));
        }
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(
            "url",
            "user and password in a url are not sent: use --header 'Authorization: Basic ...'",
        ));
    }
    if url.host().is_none() {
        return Err(wrong("url", format!("`{text}` names no host: write http://host:port")));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() {
        return Err(wrong(
            "url",
            format!(
                "`{text}` has a path: give host and port only, and the paths by post_path and socket_path"
            ),
        ));
    }
    Ok(url)
}

/// A process or a group, not both.
pub(super) fn place(pid: Option<i32>, group: Option<String>) -> Result<Option<Place>, ScenarioError> {
    match (pid, group) {
        (Some(_), Some(_)) => {
            Err(wrong("target_cgroup", "the target is watched by its target_pid already: drop one"))
        }
        (Some(pid), None) => Ok(Some(Place::Process(pid))),
        (None, Some(path)) if path.starts_with('/') => Ok(Some(Place::Group(path))),
        (None, Some(path)) => Err(wrong(
            "target_cgroup",
            format!("`{}` is no path: write it as /proc/PID/cgroup does, from `/` on", path.escape_debug()),
        )),
        (None, None) => Ok(None),
    }
}

/// A path on the target, or a URL.
pub(super) fn parse_metrics(text: &str) -> Result<MetricsAt, ScenarioError> {
    let bad = |what: &str| {
        Err(wrong(
            "target_metrics",
            format!("{what}: write a path on the target, such as /metrics, or a URL"),
        ))
    };
    if text.starts_with('/') {
        return Ok(MetricsAt::Target(text.to_owned()));
    }
    let Ok(url) = Url::parse(text) else { return bad(&format!("`{}` is no URL", text.escape_debug())) };
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return bad(&format!("`{}` is no http:// or https:// URL", text.escape_debug()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return bad("user and password in a url are not sent");
    }
    Ok(MetricsAt::Url(url))
}

pub(super) fn parse_series(wishes: Vec<String>) -> Result<Vec<Wish>, ScenarioError> {
    if wishes.len() > SERIES_MAX {
        return Err(wrong("series", format!("{} are more than {SERIES_MAX}: drop some", wishes.len())));
    }
    wishes.iter().map(|wish| wish.parse().map_err(|problem: String| wrong("series", problem))).collect()
}

pub(super) fn absolute(
    setting: &'static str,
    value: Option<String>,
    default: &'static str,
) -> Result<String, ScenarioError> {
    let value = value.unwrap_or_else(|| default.to_owned());
    let printable = value.bytes().all(|byte| byte.is_ascii_graphic());
    if value.starts_with('/') && printable {
        Ok(value)
    } else {
        Err(wrong(
            setting,
            format!("`{}` is no path: it starts with `/` and has no spaces", value.escape_debug()),
        ))
    }
}

pub(super) fn at_least_one(setting: &'static str, value: u16) -> Result<u16, ScenarioError> {
    if value == 0 { Err(wrong(setting, "`0` is not enough: at least 1")) } else { Ok(value) }
}

/// Headers that the protocol sets itself.
const RESERVED_HEADERS: [&str; 9] = [
    "host",
    "upgrade",
    "connection",
    "content-length",
    "transfer-encoding",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-extensions",
    "sec-websocket-accept",
];

pub(super) fn parse_header(line: &str) -> Result<(String, String), ScenarioError> {
    // The value may be a secret: an error shows the name only.
    let Some((name, value)) = line.split_once(':') else {
        return Err(wrong("header", "a header is written `Name: value`; one of those given has no colon"));
    };
    let (name, value) = (name.trim(), value.trim());
    if hyper::header::HeaderName::try_from(name).is_err() {
        return Err(wrong("header", format!("`{}` is no header name", name.escape_debug())));
    }
    if hyper::header::HeaderValue::try_from(value).is_err() {
        return Err(wrong(
            "header",
            format!("the value of `{name}` has characters that HTTP does not allow"),
        ));
    }
    if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(wrong("header", format!("`{name}` is set by the protocol: drop it")));
    }
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) fn parse_fault(text: &str) -> Result<String, ScenarioError> {
    text.parse::<Fault>().map(|_| text.to_owned()).map_err(|problem| wrong("fault", problem.to_string()))
}

pub(super) fn parse_auth(text: &str) -> Result<String, ScenarioError> {
    // The payload may be a secret: the error does not show it.
    serde_json::from_str::<BTreeMap<String, serde_json::Value>>(text)
        .map(|_| text.to_owned())
        .map_err(|_| wrong("auth", "the payload is no JSON object: write '{\"token\":\"...\"}'"))
}
