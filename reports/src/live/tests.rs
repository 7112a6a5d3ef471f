//! What is scraped and pushed, in the formats that are, and the Grafana dashboard beside them.

use std::path::Path;

use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prometheus_client::encoding::prometheus_protobuf::prometheus_data_model::MetricFamily;
use prost::Message as _;

use super::metrics::{Family, Samples, families};
use super::prometheus::Exposition;
use super::*;
use crate::run_result::{Deliveries, Posts};
use crate::sample;

/// A run in its steady phase, of which everything is known.
pub(crate) fn running() -> LiveSnapshot {
    let mut histogram = new_histogram();
    for ms in 1..=1_000 {
        histogram.record(ms * 100_000).unwrap();
    }
    let process = ProcessNow { cpu_s: 2.5, cpu_cores: 0.5, memory_bytes: 40_000_000 };
    LiveSnapshot {
        at_ns: 12_000_000_000,
        run: Some(RunWords {
            run_id: "7f3a9c0d".to_owned(),
            target: "http://127.0.0.1:3000".to_owned(),
            scenario: "50 subscribers, \"quoted\" \\ 20 posts/s".to_owned(),
            subscribers: 50,
            rate_per_s: 20.0,
            warmup_ns: 5_000_000_000,
            duration_ns: 30_000_000_000,
            deadline_ns: 10_000_000_000,
        }),
        phase: PhaseNow { name: "steady", done: 0.25, left_ns: Some(22_000_000_000), line: String::new() },
        connections: ConnectionsNow { established: 50, connected: 48, failed: 0, lost: 2 },
        posts: PostsNow { scheduled: 700, sent: 240, acknowledged: 238, failed: 1 },
        deliveries: 11_900,
        delivery: DeliverySoFar::of(&histogram),
        delivery_histogram: Arc::new(histogram),
        latest: Some(Point { send_lag_ns: Some(190_000), hiccup_ns: Some(1_250_000), ..Point::default() }),
        ledger: LedgerSoFar { owed: 2_000, delivered: 1_990, late: 3, missing: 7, ..LedgerSoFar::default() },
        checks: sample::run().validity,
        generator: Some(process),
        target: Some(process),
        ..LiveSnapshot::new()
    }
}

#[test]
fn a_scrape_in_text() {
    let text = String::from_utf8(Exposition::Text.render(&running())).unwrap();
    insta::assert_snapshot!(text);
}

#[test]
fn nothing_is_known_before_the_start_and_the_verdict_after_the_end() {
    let text = |run: &LiveSnapshot| String::from_utf8(Exposition::Text.render(run)).unwrap();
    let before = text(&LiveSnapshot::new());
    assert!(before.contains("feedmark_delivery_latency_seconds_count 0\n"), "{before}");
    assert!(!before.contains("feedmark_run_info") && !before.contains("feedmark_verdict"), "{before}");
    let mut run = running();
    run.conclusion = Some(Conclusion {
        status: Status::Fail,
        sentences: Vec::new(),
        folder: "runs/1".to_owned(),
        has_report: false,
    });
    let after = text(&run);
    assert!(after.contains("feedmark_verdict{status=\"FAIL\"} 1.0\n"), "{after}");
    assert!(after.contains("feedmark_verdict{status=\"PASS\"} 0.0\n"), "{after}");
}

#[test]
fn a_scraper_that_asks_for_protobuf_gets_native_buckets_too() {
    let prometheus = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
                      application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.2";
    assert_eq!(Exposition::accepted(prometheus), Exposition::Protobuf);
    assert_eq!(Exposition::accepted("*/*"), Exposition::Text);
    let bytes = Exposition::Protobuf.render(&running());
    let (mut rest, mut read) = (&bytes[..], Vec::new());
    while !rest.is_empty() {
        read.push(MetricFamily::decode_length_delimited(&mut rest).unwrap());
    }
    assert_eq!(read.len(), families(&running()).len());
    let latency = read.iter().find(|family| family.name == "feedmark_delivery_latency_seconds").unwrap();
    let histogram = latency.metric[0].histogram.as_ref().unwrap();
    assert_eq!((histogram.sample_count, histogram.schema), (1_000, distribution::SCHEMA));
    assert_eq!(histogram.bucket.last().map(|last| last.cumulative_count), Some(1_000));
    let native: i64 = histogram
        .positive_delta
        .iter()
        .scan(0, |count, delta| {
            *count += delta;
            Some(*count)
        })
        .sum();
    assert_eq!(native, 1_000);
}

#[test]
fn a_push_says_what_a_scrape_says() {
    let times = otlp::Times { start_ns: 1, now_ns: 2 };
    let request = ExportMetricsServiceRequest::decode(&otlp::request(&running(), times)[..]).unwrap();
    let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
    let all = families(&running());
    assert_eq!(metrics.len(), all.len());
    for (metric, family) in metrics.iter().zip(&all) {
        assert_eq!(metric.name, family.full_name());
        // What Prometheus takes for a ratio, it names so.
        assert_eq!(metric.unit == "1", metric.name.ends_with("_ratio"), "{}", metric.name);
        match (metric.data.as_ref().unwrap(), &family.samples) {
            (Data::Sum(sum), Samples::Counter(samples)) => {
                assert!(sum.is_monotonic);
                assert_eq!(sum.data_points.len(), samples.len());
            }
            (Data::Gauge(gauge), Samples::Gauge(samples)) => {
                assert_eq!(gauge.data_points.len(), samples.len());
            }
            (Data::Gauge(gauge), Samples::Info(labels)) => {
                assert_eq!(gauge.data_points[0].attributes.len(), labels.len());
            }
            (Data::Histogram(histogram), Samples::Histogram(distribution)) => {
                let point = &histogram.data_points[0];
                assert_eq!((point.count, &point.bucket_counts[..]), (1_000, &distribution.fixed[..]));
                assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
            }
            other => panic!("{}: {other:?}", metric.name),
        }
    }
}

/// A target that stopped answering, and somebody who did not wait for the end: the result has fewer posts than were seen.
#[test]
fn no_counter_falls_when_the_result_is_there() {
    let counters = |run: &LiveSnapshot| -> Vec<(String, Vec<f64>)> {
        let value = |family: &Family| match &family.samples {
            Samples::Counter(samples) => Some(samples.iter().map(|(_, value)| *value).collect()),
            _ => None,
        };
        families(run).iter().filter_map(|family| Some((family.full_name(), value(family)?))).collect()
    };
    let mut run = running();
    run.posts = PostsNow { scheduled: 700, sent: 600, acknowledged: 10, failed: 90 };
    run.ledger = LedgerSoFar { duplicate: 4, reordered: 3, unexpected: 2, ..run.ledger };
    let before = counters(&run);
    let mut result = sample::run();
    result.posts =
        Posts { scheduled: 500, sent: 10, acknowledged: 9, failed: 20, dropped: 500, ..Posts::default() };
    (result.warmup.posts, result.deliveries) = (Posts::default(), Deliveries::default());
    run.settle(&result);
    for ((name, seen), (_, settled)) in before.iter().zip(counters(&run)) {
        assert!(
            seen.iter().zip(&settled).all(|(seen, settled)| settled >= seen),
            "{name}: {seen:?}, then {settled:?}"
        );
    }
    assert!(run.posts.sent <= run.posts.scheduled, "{:?}", run.posts);
    result.posts.acknowledged = 30;
    result.deliveries = Deliveries { owed: 5_000, delivered: 4_995, missing: 5, ..Deliveries::default() };
    run.settle(&result);
    assert_eq!((run.posts.acknowledged, run.ledger.owed, run.ledger.missing), (30, 5_000, 5));
}

#[test]
fn a_collector_that_refuses_points_says_so() {
    let reply = |rejected_data_points| {
        let error_message = "too \u{1b}[31m many".to_owned();
        let partial_success = Some(ExportMetricsPartialSuccess { rejected_data_points, error_message });
        ExportMetricsServiceResponse { partial_success }.encode_to_vec()
    };
    assert_eq!(otlp::refused(&reply(3)), Some((3, "too \u{fffd}[31m many".to_owned())));
    assert_eq!([&reply(0)[..], b"", b"<html>"].map(otlp::refused), [None, None, None]);
}

/// Every name that the Grafana dashboard asks for is one that a scrape can give.
#[test]
fn grafana_asks_for_names_that_exist() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/grafana/feedmark.json");
    let dashboard = std::fs::read_to_string(path).unwrap();
    let mut run = running();
    run.conclusion = Some(Conclusion {
        status: Status::Pass,
        sentences: Vec::new(),
        folder: String::new(),
        has_report: false,
    });
    let scrape = String::from_utf8(Exposition::Text.render(&run)).unwrap();
    // A native histogram goes by the name of its family.
    let is_native = |name: &str| scrape.contains(&format!("# TYPE {name} histogram\n"));
    let is_in_text = |name: &str| scrape.lines().any(|line| line.split(['{', ' ']).next() == Some(name));
    let exists = |name: &str| is_in_text(name) || is_native(name);
    let is_of_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let mut asked = 0;
    for (at, _) in dashboard.match_indices("feedmark_") {
        let name = dashboard[at..].split(|c| !is_of_name(c)).next().unwrap_or_default();
        assert!(exists(name), "{name} is no metric of /metrics");
        asked += 1;
    }
    assert!(asked > families(&run).len(), "the dashboard asks for {asked} names only");
}

#[test]
fn who_has_seen_some_notes_gets_the_others() {
    let mut snapshot = LiveSnapshot::new();
    for number in 0..NOTES_MAX + 5 {
        snapshot.note(1, &number.to_string());
    }
    let texts =
        |seen| -> Vec<&str> { snapshot.notes_since(seen).iter().map(|note| note.text.as_str()).collect() };
    assert_eq!(texts(103), ["103", "104"]);
    assert_eq!((texts(0).len(), texts(0)[0]), (NOTES_MAX, "5"));
    assert_eq!(texts(105), [""; 0]);
}
