//! What the target says of deliveries that it refused itself, because a subscriber's buffer was full.
//!
//! Read from its `/metrics` (Prometheus text), where it has one: the reference server's counter. A target without
//! it is no error: then nobody knows.
//! Invariant: whoever asks waits for a second at most, whatever the target does.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// The counter that is read.
const REFUSED: &str = r#"feed_deliveries_refused_total{cause="buffer_full"}"#;
/// Longest wait for the answer, and for any step of it.
const PATIENCE: Duration = Duration::from_secs(1);
/// Greatest answer that is read.
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// Deliveries refused since the target started; `None` where it does not say.
pub fn refused_by_full_buffer(target: SocketAddr, host: &str) -> Option<u64> {
    let host = host.to_owned();
    let (sender, answer) = sync_channel(1);
    // A target that dribbles its answer keeps this thread busy and nobody else.
    let asking = std::thread::Builder::new().name("metrics".into()).spawn(move || {
        let _ = sender.send(ask(target, &host));
    });
    asking.ok()?;
    answer.recv_timeout(PATIENCE).ok().flatten()
}

fn ask(target: SocketAddr, host: &str) -> Option<u64> {
    let mut stream = TcpStream::connect_timeout(&target, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    // HTTP/1.0: the answer ends with the connection and is not chunked (RFC 1945).
    stream.write_all(format!("GET /metrics HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, text) = answer.split_once("\r\n\r\n")?;
    head.split(' ').nth(1).filter(|status| *status == "200")?;
    counter(text)
}

/// The value of [`REFUSED`] in Prometheus text.
fn counter(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(REFUSED))?;
    let value: f64 = line.split_whitespace().next()?.parse().ok()?;
    (value.is_finite() && value >= 0.0).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_its_counter_among_others() {
        let text = "# TYPE feed_deliveries_refused_total counter\n\
            feed_deliveries_refused_total{cause=\"closed\"} 7\nfeed_deliveries_refused_total{cause=\"buffer_full\"} 42\n";
        assert_eq!(counter(text), Some(42));
        assert_eq!(counter(&text.replace("42", "1.5e3 1700000000")), Some(1500));
        for odd in ["NaN", "-1", "+Inf", "", "many"] {
            assert_eq!(counter(&text.replace("42", odd)), None, "{odd}");
        }
        assert_eq!(counter("feed_posts_total 3"), None);
    }
}
