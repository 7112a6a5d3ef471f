//! A made-up run for tests: 1,000 subscribers, 20 posts/s for 30 s, nothing lost.

pub(crate) mod arbitrary;

use std::collections::BTreeMap;

use crate::quantile::new_histogram;
use crate::run_result::*;
use crate::{LatencySummary, RunResult, Status, Verdict};

const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;
pub(crate) const POSTS: u64 = 600;
pub(crate) const SUBSCRIBERS: u64 = 1_000;

/// `count` values, evenly from `least` to `greatest`, in ns.
pub(crate) fn latency(count: u64, least: u64, greatest: u64, beyond: u64, effective: f64) -> LatencySummary {
    let mut histogram = new_histogram();
    for i in 0..count {
        let value = least + (greatest - least) * i / (count - 1).max(1);
        histogram.record(value.max(1)).unwrap();
    }
    LatencySummary::new(&histogram, beyond, effective)
}

/// A healthy run.
pub(crate) fn run() -> RunResult {
    let per_post = |least, greatest| latency(POSTS, least, greatest, 0, POSTS as f64);
    let connect = |least, greatest| latency(SUBSCRIBERS, least, greatest, 0, SUBSCRIBERS as f64);
    let posts = Posts { scheduled: POSTS, sent: POSTS, acknowledged: POSTS, ..Posts::default() };
    let owed = POSTS * SUBSCRIBERS;
    RunResult {
        schema_version: SCHEMA_VERSION,
        feedmark_version: "0.1.0".to_owned(),
        run_id: "7f3a9c0d".to_owned(),
        started_at: "2026-03-01T12:00:00.25Z".to_owned(),
        verdict: Verdict { status: Status::Pass, reasons: Vec::new() },
        interrupted: false,
        scenario: scenario(),
        scenario_hash: "0f".repeat(32),
        seed: 42,
        host: Host {
            os: "Linux 6.18.0".to_owned(),
            cpu: "a CPU".to_owned(),
            cpus: 2,
            memory_bytes: 8_000_000_000,
            open_files_max: 1_048_576,
        },
        timestamps: Timestamps::Kernel,
        stamp_ambiguous: 0,
        clock_jump_ns_max: 0,
        phases: ["connect", "probe", "warm-up", "steady", "drain"]
            .iter()
            .zip([(0, 1), (1, 2), (2, 7), (7, 37), (37, 47)])
            .map(|(name, (start, end))| Phase {
                name: (*name).to_owned(),
                start_ns: start * S,
                end_ns: end * S,
            })
            .collect(),
        posts,
        deliveries: Deliveries { owed, delivered: owed, ..Deliveries::default() },
        warmup: Warmup::default(),
        connections: Connections {
            requested: SUBSCRIBERS,
            established: SUBSCRIBERS,
            lost: 0,
            failed: 0,
            retries: 0,
            lost_by_cause: BTreeMap::new(),
            failed_by_cause: BTreeMap::new(),
            duration_ns: 412 * MS,
            connect_ns: ConnectTimes {
                tcp: connect(40_000, 900_000),
                upgrade: connect(300_000, 8 * MS),
                socketio: connect(200_000, 6 * MS),
                total: connect(600_000, 14 * MS),
            },
        },
        latency_ns: Latencies {
            delivery: latency(owed, 2 * MS, 13 * MS, 0, POSTS as f64),
            first_delivery: per_post(2 * MS, 4 * MS),
            full_fanout: per_post(8 * MS, 18_230_000),
            spread: per_post(6 * MS, 14 * MS),
            send_lag: per_post(20_000, 310_000),
            service_time: per_post(2 * MS, 5 * MS),
            response_time: per_post(2_100_000, 5_200_000),
            receive_delay: latency(owed, 5_000, 2_400_000, 0, POSTS as f64),
        },
        resources: Resources {
            generator: process(4.312, Some(7.187), 14_234_567),
            target: Some(process(5.04, Some(8.4), 61_800_000)),
        },
    }
}

fn scenario() -> ScenarioRecord {
    ScenarioRecord {
        url: None,
        subscribers: SUBSCRIBERS as u32,
        rate_per_s: 20.0,
        duration_ns: 30 * S,
        warmup_ns: 5 * S,
        deadline_ns: 10 * S,
        arrivals: ArrivalLaw::Poisson,
        in_flight_max: 256,
        post_path: "/feed/post".to_owned(),
        body: r#"{"title":"{{marker}}","content":"{{seq}}"}"#.to_owned(),
        header_names: vec!["authorization".to_owned()],
        event: "posts".to_owned(),
        namespace: "/".to_owned(),
        socket_path: "/socket.io/".to_owned(),
        auth: false,
        connect_rate_per_s: None,
        threads: 1,
        post_timeout_ns: 10_000_000_000,
        connect_timeout_ns: 10_000_000_000,
        message_bytes_max: 1 << 20,
        kernel_stamps: true,
        target_args: Vec::new(),
    }
}

fn process(cpu_s: f64, per_million: Option<f64>, peak_memory_bytes: u64) -> ProcessUse {
    let sample = |at_ns, cpu_s| ProcessSample { at_ns, cpu_s, memory_bytes: peak_memory_bytes / 2 };
    ProcessUse {
        cpu_s,
        cpu_s_per_million_deliveries: per_million,
        peak_memory_bytes,
        samples: vec![sample(0, 0.1), sample(S, 0.3)],
    }
}

/// The same scenario with losses: 10 % of the posts refused, some pairs late or missing.
pub(crate) fn lossy() -> RunResult {
    let mut run = run();
    let (owed, missing, late) = (600_000, 60_990, 10);
    let causes = [("post_failed", 60_000), ("unknown", 900), ("subscriber_disconnected", 90)];
    run.verdict = Verdict {
        status: Status::Fail,
        reasons: vec![
            "60,990 of 600,000 deliveries are missing".to_owned(),
            "60 of 600 posts failed, most of them with status 503".to_owned(),
            "12 subscribers lost their connection".to_owned(),
        ],
    };
    run.scenario.url = Some("http://feed.example.test:8080".to_owned());
    run.deliveries = Deliveries {
        owed,
        delivered: owed - missing - late,
        late,
        missing,
        duplicate: 7,
        reordered: 2,
        unexpected: 1,
        unexpected_other_run: 0,
        not_owed: 1_240,
        missing_by_cause: causes.iter().map(|(cause, n)| ((*cause).to_owned(), *n)).collect(),
        worst_subscribers: (0..10)
            .map(|i| SubscriberMisses { subscriber: 17 + i, missing: 90 - u64::from(i), late: 1 })
            .collect(),
        subscribers_with_misses: 1_000,
        ..Deliveries::default()
    };
    run.posts.acknowledged = 540;
    run.posts.failed = 60;
    run.posts.waited_at_cap = 31;
    run.posts.failures = BTreeMap::from([("status 503".to_owned(), 57), ("reset by peer".to_owned(), 3)]);
    run.connections.lost = 12;
    run.connections.retries = 1;
    run.connections.lost_by_cause = BTreeMap::from([("closed by the target".to_owned(), 12)]);
    run.latency_ns.delivery = latency(owed - missing - late, 2 * MS, 9_800 * MS, missing + late, 600.0);
    run.latency_ns.full_fanout = latency(500, 8 * MS, 9_800 * MS, 100, 600.0);
    run.resources.target = None;
    run
}
