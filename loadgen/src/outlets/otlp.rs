//! Pushes a run's metrics to an OpenTelemetry collector (OTLP over HTTP, protobuf): every few seconds, and at the end.
//!
//! Every push is cumulative, so the next one makes good for one that was lost and nothing is kept to be sent again.
//! Invariant: a collector that is down, slow or hostile neither disturbs nor fails the run; it is told of once.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use feedmark_reports::live::otlp;
use percent_encoding::percent_decode_str;
use ureq::tls::{RootCerts, TlsConfig};
use url::Url;

use super::ended;
use crate::clock::RunClock;
use crate::live::Snapshots;

/// Time between two pushes.
const PUSH_EVERY: Duration = Duration::from_secs(5);
/// A push that takes longer has failed; the end of a run waits for two of them at most.
const PUSH_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest reply that is read.
const REPLY_BYTES_MAX: u64 = 64 * 1024;
/// Where metrics go below the URL of a collector.
const PATH: &str = "v1/metrics";
/// Headers of every push, `name=value,name=value`, values percent-encoded, as the specification has it.
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

/// A collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector(Url);

impl FromStr for Collector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut url =
            Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https")).ok_or_else(
                || format!("`{text}` is not the URL of a collector: write one such as http://127.0.0.1:4318"),
            )?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(format!("credentials do not belong into the URL of a collector: set {HEADERS}"));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        if !path.ends_with(PATH) {
            url.set_path(&format!("{path}/{PATH}"));
        }
        Ok(Self(url))
    }
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The headers of every push.
#[derive(Debug, Clone, Default)]
pub struct Headers(Vec<(HeaderName, HeaderValue)>);

impl Headers {
    /// Those that the environment asks for.
    ///
    /// # Errors
    /// If it does not say headers; values are not repeated, they may be secrets.
    pub fn of_environment() -> Result<Self, String> {
        let text = std::env::var(HEADERS).unwrap_or_default();
        text.parse().map_err(|number| {
            format!("{HEADERS}: header {number} is not a header: write name=value,name=value with values percent-encoded")
        })
    }
}

impl FromStr for Headers {
    /// The number of the first one that is wrong, from 1.
    type Err = usize;

    fn from_str(text: &str) -> Result<Self, usize> {
        let header = |pair: &str| {
            let (name, value) = pair.split_once('=')?;
            let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
            let mut value = HeaderValue::from_str(&value).ok()?;
            value.set_sensitive(true);
            Some((name.trim().parse().ok()?, value))
        };
        let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
        pairs.zip(1..).map(|(pair, number)| header(pair).ok_or(number)).collect::<Result<_, _>>().map(Self)
    }
}

/// Pushes until the run is over, and then a last time. What goes wrong first is said to `tell`, or given back if that
/// happens when the run is over.
pub(super) async fn push(
    collector: Collector,
    headers: Headers,
    clock: RunClock,
    mut snapshots: Snapshots,
    tell: SyncSender<String>,
) -> Option<String> {
    let start_ns = clock.realtime_ns();
    let agent = agent();
    let mut is_told = false;
    loop {
        let is_over = tokio::time::timeout(PUSH_EVERY, ended(&mut snapshots)).await.is_ok();
        let times = otlp::Times { start_ns, now_ns: clock.realtime_ns() };
        let body = otlp::request(&Arc::clone(&snapshots.borrow()), times);
        // It blocks its thread, which has nothing else to do.
        let failed = send(&agent, &collector, &headers, &body).err();
        let note = failed.map(|error| format!("metrics do not reach {collector} (--otlp): {error}"));
        let note = note.filter(|_| !is_told);
        is_told |= note.is_some();
        if is_over {
            return note;
        }
        // There is room for the one that is sent.
        let _ = note.map(|note| tell.try_send(note));
    }
}

fn agent() -> ureq::Agent {
    // The host's own certificates: a collector is often signed by a company's.
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(PUSH_TIMEOUT))
        .max_redirects(0)
        .user_agent(concat!("feedmark/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls);
    config.build().into()
}

/// Why a push did not arrive.
#[derive(Debug, thiserror::Error)]
enum PushError {
    /// No reply, or one that is no success.
    #[error("{0}")]
    Http(#[from] ureq::Error),
    /// The collector took less than it was given.
    #[error("the collector refused {points} points: {why}")]
    Refused { points: i64, why: String },
}

fn send(agent: &ureq::Agent, collector: &Collector, headers: &Headers, body: &[u8]) -> Result<(), PushError> {
    let mut request = agent.post(collector.0.as_str()).content_type("application/x-protobuf");
    for (name, value) in &headers.0 {
        request = request.header(name, value);
    }
    let mut reply = request.send(body)?;
    let reply = reply.body_mut().with_config().limit(REPLY_BYTES_MAX).read_to_vec()?;
    match otlp::refused(&reply) {
        Some((points, why)) => Err(PushError::Refused { points, why }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_go_below_the_url_of_the_collector() {
        let goes_to = |text: &str| text.parse::<Collector>().map(|collector| collector.to_string());
        for url in ["http://127.0.0.1:4318", "http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/metrics"] {
            assert_eq!(goes_to(url).as_deref(), Ok("http://127.0.0.1:4318/v1/metrics"));
        }
        assert_eq!(goes_to("https://h/otlp/").as_deref(), Ok("https://h/otlp/v1/metrics"));
        for wrong in ["127.0.0.1:4318", "ftp://h", ""] {
            assert!(goes_to(wrong).unwrap_err().contains("write one such as"), "{wrong}");
        }
        let secret = goes_to("http://me:secret@h").unwrap_err();
        assert!(secret.contains(HEADERS) && !secret.contains("secret@"), "{secret}");
    }

    #[test]
    fn headers_are_pairs_with_percent_encoded_values() {
        let headers: Headers = "Authorization=Basic%20abc, x-scope=a=b,".parse().unwrap();
        let text = |(name, value): &(HeaderName, HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
        assert_eq!(
            headers.0.iter().map(text).collect::<Vec<_>>(),
            ["authorization: Basic abc", "x-scope: a=b"]
        );
        assert!("".parse::<Headers>().unwrap().0.is_empty());
        assert_eq!("a=b,no pair".parse::<Headers>().unwrap_err(), 2);
        assert_eq!("a=%0d%0ab".parse::<Headers>().unwrap_err(), 1);
        assert!(!format!("{headers:?}").contains("abc"));
    }
}
