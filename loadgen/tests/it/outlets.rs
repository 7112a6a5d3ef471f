//! A run watched from outside: scraped, pushed, and opened in a browser.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::interop::{python, script};
use crate::support::{Bed, FEEDMARK, Process, SHORT, Server, eventually, finish};

/// Longer than any test would wait.
const LONG: [&str; 10] = ["-c", "50", "-r", "20/s", "-d", "10m", "--warmup", "0s", "--deadline", "1s"];
const MESSAGE: &str = "the dashboard stays open: Ctrl-C ends it";

/// The rest of the line that begins like this on stderr, once it is there.
fn announced(bed: &Bed, head: &str) -> String {
    eventually(head, || bed.said("stderr").lines().find_map(|line| Some(line.strip_prefix(head)?.to_owned())))
}

/// The host of a URL, and its path.
fn parts(url: &str) -> (&str, String) {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    (host, format!("/{path}"))
}

fn open(url: &str, headers: &str) -> TcpStream {
    let (host, path) = parts(url);
    let mut stream = TcpStream::connect(host).unwrap();
    let host = if headers.contains("Host: ") { String::new() } else { format!("Host: {host}\r\n") };
    write!(stream, "GET {path} HTTP/1.1\r\n{host}{headers}Connection: close\r\n\r\n").unwrap();
    stream
}

fn get(url: &str, headers: &str) -> String {
    let mut answer = String::new();
    open(url, headers).read_to_string(&mut answer).unwrap();
    answer
}

/// Reads until this has come.
fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let (mut read, mut buffer) = (String::new(), [0; 4096]);
    while !read.contains(wanted) {
        let length = stream.read(&mut buffer).unwrap();
        assert!(length > 0, "no `{wanted}` in {read}");
        read.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    read
}

/// A scrape as the OpenMetrics parser of Prometheus's own Python client has it.
fn scraped(bed: &Bed, url: &str) -> Value {
    let answer = get(url, "");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
    let mut command = bed.command(&python("prometheus_client"));
    command.arg(script("read_metrics.py")).stdin(std::fs::File::open(bed.write("scrape", body)).unwrap());
    serde_json::from_str(&command.output().map(|output| String::from_utf8(output.stdout).unwrap()).unwrap())
        .unwrap()
}

fn sample<'a>(families: &'a Value, family: &str, name: &str) -> Option<&'a Value> {
    let samples = families[family]["samples"].as_array()?;
    samples.iter().find(|sample| sample[0] == name).map(|sample| &sample[2])
}

#[test]
fn a_running_run_is_scraped() {
    let bed = Bed::new();
    let process = bed.start(&[&LONG, &["--prometheus", "0"]]);
    let url = announced(&bed, "metrics: ");
    assert!(url.starts_with("http://127.0.0.1:") && url.ends_with("/metrics"), "{url}");
    let families = eventually("a delivery is counted", || {
        let families = scraped(&bed, &url);
        let count =
            sample(&families, "feedmark_delivery_latency_seconds", "feedmark_delivery_latency_seconds_count");
        count.and_then(Value::as_f64).filter(|count| *count > 0.0).map(|_| families)
    });
    assert_eq!(families["feedmark_delivery_latency_seconds"]["type"], "histogram");
    assert_eq!(
        sample(&families, "feedmark_subscribers_connected", "feedmark_subscribers_connected"),
        Some(&50.0.into())
    );
    assert_eq!(families["feedmark_process_cpu_seconds"]["samples"].as_array().unwrap().len(), 2);
    process.signal(Signal::SIGINT);
    assert_eq!(process.wait().code(), Some(130), "{}", bed.said("stderr"));
    assert!(TcpStream::connect(parts(&url).0).is_err(), "nothing is served after the run");
}

#[test]
fn a_port_in_use_is_an_error_before_anything_is_measured() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["--prometheus", "--dashboard"] {
        let bed = Bed::new();
        bed.write("rows.csv", "of another run\n");
        bed.run(&[&LONG, &[flag, &address, "--csv", "rows.csv"]])
            .refuses(1, &[flag, &address, "choose another port"]);
        assert!(!bed.out().exists());
        assert_eq!(std::fs::read_to_string(bed.path().join("rows.csv")).unwrap(), "of another run\n");
    }
    let no_address = Bed::new().run(&[&LONG, &["--dashboard", "feed.toml"]]);
    no_address.ended_with(2);
    assert!(
        no_address.stderr.contains("`feed.toml` is not an address to listen at"),
        "{}",
        no_address.stderr
    );
}

#[test]
fn two_kinds_of_lines_are_two_files() {
    let refused = Bed::new().run(&[&LONG, &["--csv", "rows", "--jsonl", "rows"]]);
    refused.refuses(2, &["--csv and --jsonl: rows is named twice", "a file of its own"]);
}

#[test]
fn a_collector_gets_what_the_run_says() {
    let bed = Bed::new();
    let mut command = bed.command(&python("opentelemetry.proto"));
    let pushes = bed.path().join("pushes");
    command.arg(script("otlp_collector.py")).arg(&pushes);
    let collector = Server::spawn(command);
    let mut command = bed.command(FEEDMARK);
    command.args(["run", "--out", "out", "--otlp", &collector.url]).args(SHORT);
    command.env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20abc");
    let finished = finish(command);
    finished.is_healthy();
    collector.finish();
    let pushes = std::fs::read_to_string(pushes).unwrap();
    let last: Value = serde_json::from_str(pushes.lines().last().unwrap()).unwrap();
    assert_eq!(last["path"], "/v1/metrics");
    assert_eq!(last["headers"]["authorization"], "Basic abc");
    let result = bed.result();
    assert_eq!(last["resource"]["service.instance.id"], result.run_id.as_str());
    let metric = |name: &str| &last["metrics"][name]["points"][0]["value"];
    let deliveries = &result.deliveries;
    assert_eq!(metric("feedmark_delivery_latency_seconds")["count"], deliveries.delivered);
    assert_eq!(metric("feedmark_pairs_owed_total").as_f64(), Some(deliveries.owed as f64));
    let posts = result.posts.acknowledged + result.warmup.posts.acknowledged;
    assert_eq!(metric("feedmark_posts_acknowledged_total").as_f64(), Some(posts as f64));
    assert!(!finished.stderr.contains("--otlp"), "{}", finished.stderr);
}

#[test]
fn a_collector_that_is_down_is_told_of_once_and_fails_nothing() {
    let down = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let bed = Bed::new();
    let finished = bed.run(&[&SHORT, &["--otlp", &format!("http://{down}")]]);
    finished.is_healthy();
    let told = finished.stderr.matches("metrics do not reach http://").count();
    assert_eq!(told, 1, "{}", finished.stderr);
    let mut command = bed.command(FEEDMARK);
    command.args(["run", "--otlp", "http://127.0.0.1:1"]).env("OTEL_EXPORTER_OTLP_HEADERS", "secret");
    let refused = finish(command);
    refused.refuses(2, &["OTEL_EXPORTER_OTLP_HEADERS", "name=value"]);
    assert!(!refused.stderr.contains("secret"));
}

/// The page is there from the start, follows the run, and stays until somebody ends it.
#[test]
fn a_page_follows_the_run_and_stays() {
    let bed = Bed::new();
    let mut process = bed.start(&[&SHORT, &["--dashboard", "127.0.0.1:0"]]);
    let url = announced(&bed, "dashboard: ");
    let page = get(&url, "");
    assert!(page.starts_with("HTTP/1.1 200 OK") && page.contains("</html>"), "{page}");
    assert!(!page.contains("report.html"), "{page}");
    assert!(get(&url, "Host: evil.example\r\n").starts_with("HTTP/1.1 403"));
    let mut events = open(&format!("{url}events"), "");
    assert!(read_until(&mut events, "data: ").contains("text/event-stream"));
    read_until(&mut events, ">drain<");
    eventually("it stays", || bed.said("stderr").contains(MESSAGE).then_some(()));
    assert!(bed.said("stdout").contains("results: "));
    let result = bed.result();
    let word = result.verdict.status.word();
    let page = get(&url, "");
    assert!(page.contains(&format!(">{word}<")) && page.contains("href=\"report.html\""), "{page}");
    let report = get(&format!("{url}report.html"), "");
    assert!(report.starts_with("HTTP/1.1 200 OK") && report.contains(&result.run_id), "{}", &report[..200]);
    assert!(read_until(&mut open(&format!("{url}events"), ""), "\n\n").contains(&format!(">{word}<")));
    assert_eq!(process.has_ended(), None);
    process.signal(Signal::SIGINT);
    assert_eq!(process.wait().code(), Some(i32::from(result.verdict.status.exit_code())));
}

#[test]
fn a_page_leads_to_no_report_where_there_is_none() {
    let bed = Bed::new();
    let process = bed.start(&[&SHORT, &["--dashboard", "127.0.0.1:0", "--no-report"]]);
    let url = announced(&bed, "dashboard: ");
    eventually("it stays", || bed.said("stderr").contains(MESSAGE).then_some(()));
    let page = get(&url, "");
    assert!(page.contains(&format!(">{}<", bed.result().verdict.status.word())), "{page}");
    assert!(!page.contains("report.html"), "{page}");
    process.signal(Signal::SIGINT);
    process.wait();
}

/// Where others can connect, nobody gets in without the address that was told.
#[test]
fn a_page_for_others_is_behind_a_token() {
    let bed = Bed::new();
    let _process: Process = bed.start(&[&LONG, &["--dashboard", "0.0.0.0:0"]]);
    let told = announced(&bed, "dashboard: ");
    let (url, elsewhere) = told.split_once(' ').unwrap();
    assert!(url.starts_with("http://127.0.0.1:") && elsewhere.contains("this host's name"), "{told}");
    let (host, path) = parts(url);
    assert_eq!(path.len(), "/".len() + 32 + "/".len(), "{url}");
    let status = |path: &str| get(&format!("http://{host}{path}"), "")[9..12].to_owned();
    assert_eq!(status(&path), "200");
    assert_eq!(status(&path[..33]), "303", "without its last slash");
    let digit = if path.ends_with("0/") { '1' } else { '0' };
    let wrong = format!("{}{digit}", &path[..32]);
    let wrong_at = |name: &str| format!("{wrong}/{name}");
    for other in [wrong.clone(), wrong_at(""), wrong_at("events"), wrong_at("report.html")] {
        assert_eq!(status(&other), "404", "{other}");
    }
    for other in ["/", "/events", "/report.html"] {
        assert_eq!(status(other), "404", "{other}");
    }
}
