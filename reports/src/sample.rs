//! A made-up run for tests and benchmarks: 1,000 subscribers, 20 posts/s for 30 s, nothing lost.

#[cfg(test)]
pub(crate) mod arbitrary;

use std::collections::BTreeMap;

use crate::evidence::{Drift, Evidence, Floor, Hiccups, ThreadUse};
use crate::quantile::new_histogram;
use crate::run_result::*;
use crate::target_use::{
    Bucket, BusiestThread, Meaning, MetricSample, MetricSeries, TargetSample, TargetUse,
};
use crate::{LatencySummary, Quantile, RunResult, Status, Verdict};

const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;
pub(crate) const POSTS: u64 = 600;
pub(crate) const SUBSCRIBERS: u64 = 1_000;

/// `count` values, evenly from `least` to `greatest`, in ns.
pub(crate) fn latency(count: u64, least: u64, greatest: u64, beyond: u64, effective: f64) -> LatencySummary {
    let mut histogram = new_histogram();
    for i in 0..count {
        let value = least + (greatest - least) * i / (count - 1).max(1);
        histogram.record(value.max(1)).expect("a latency of at most an hour");
    }
    LatencySummary::new(&histogram, beyond, effective)
}

/// A healthy run.
pub fn run() -> RunResult {
    let per_post = |least, greatest| latency(POSTS, least, greatest, 0, POSTS as f64);
    let connect = |least, greatest| latency(SUBSCRIBERS, least, greatest, 0, SUBSCRIBERS as f64);
    let posts = Posts { scheduled: POSTS, sent: POSTS, acknowledged: POSTS, ..Posts::default() };
    let owed = POSTS * SUBSCRIBERS;
    let mut run = RunResult {
        schema_version: SCHEMA_VERSION,
        feedmark_version: "0.1.0".to_owned(),
        run_id: "7f3a9c0d".to_owned(),
        started_at: "2026-03-01T12:00:00.25Z".to_owned(),
        started_monotonic_ns: 12_345 * S,
        verdict: Verdict { status: Status::Unresolved, reasons: Vec::new() },
        validity: Vec::new(),
        findings: Vec::new(),
        interrupted: false,
        aborted: None,
        unjudged_posts: 0,
        target_ended: None,
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
            ramp: (0..=4)
                .map(|step| ConnectedAt { at_ns: step * 103 * MS, connected: step * SUBSCRIBERS / 4 })
                .collect(),
        },
        latency_ns: Latencies {
            delivery: latency(owed, 2 * MS, 13 * MS, 0, POSTS as f64),
            first_delivery: per_post(2 * MS, 4 * MS),
            full_fanout: per_post(8 * MS, 18_230_000),
            spread: per_post(6 * MS, 14 * MS),
            send_lag: per_post(20_000, 310_000),
            send_lag_at_cap: LatencySummary::new(&new_histogram(), 0, 0.0),
            service_time: per_post(2 * MS, 5 * MS),
            response_time: per_post(2_100_000, 5_200_000),
            receive_delay: latency(owed, 5_000, 900_000, 0, POSTS as f64),
        },
        fanout: Fanout {
            slope_ns_per_rank: Some(9_876.5),
            reach_50: per_post(4 * MS, 8 * MS),
            reach_90: per_post(7 * MS, 14 * MS),
            reach_99: per_post(8 * MS, 17 * MS),
        },
        evidence: evidence(),
        resources: Resources {
            generator: process(4.312, Some(7.187), 14_234_567),
            target: Some(process(5.04, Some(8.4), 61_800_000)),
            target_use: Some(target_use()),
            series: vec![commits()],
            received_bytes: Some(200_000_000),
            network_limit_bytes_per_s: None,
        },
        thresholds: Vec::new(),
    };
    run.judge();
    run
}

/// Nothing that a check would trip on.
fn evidence() -> Evidence {
    let group = |group: &str| Hiccups {
        group: group.to_owned(),
        late_ns: latency(30_000, 40_000, 2 * MS, 0, 30_000.0),
    };
    Evidence {
        achieved_rate_ratio: Some(1.0002),
        arrival_a2: Some(0.9),
        arrival_a2_scheduled: Some(0.88),
        gap_error: None,
        real_time_priority: true,
        hiccups: vec![group("reactors"), group("all others")],
        threads: vec![ThreadUse {
            name: "reactor-0".to_owned(),
            cpu_s: 6.2,
            cpu_share_max: 0.31,
            at_ns: 12 * S,
            run_delay_share_max: Some(0.02),
        }],
        steal_share_max: Some(0.001),
        host_cpu_share: Some(0.31),
        throttled_ns: Some(0),
        cpu_pressure_share_max: Some(0.2),
        outstanding_mean: Some(150.0),
        delivery_earliest_ns: latency(POSTS * SUBSCRIBERS, 1_990_000, 12_990_000, 0, POSTS as f64),
        probes: 1,
        probe_unreached: Some(0),
        block_medians_ns: vec![Some(7_500_000); 10],
        drift: Some(Drift { relative: 0.01, p: 0.7, slope_s_per_s: 1e-6 }),
        warmup_windows_ns: vec![Some(7_400_000), Some(7_500_000), Some(7_600_000)],
        warmup_spread: Some(0.027),
        steady_spread_max: Some(0.04),
        floor: Some(Floor {
            measured_at: "2026-03-01T11:00:00Z".to_owned(),
            p50: Quantile::Ns(800_000),
            p90: Quantile::Ns(1_500_000),
            p99: Quantile::Ns(2_100_000),
            delivery: Some(latency(30_000, 300_000, 2_200_000, 0, 300.0)),
        }),
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
        driver: Driver::Engine,
        auth: false,
        connect_rate_per_s: None,
        threads: 1,
        post_timeout_ns: 10_000_000_000,
        connect_timeout_ns: 10_000_000_000,
        connect_within_ns: None,
        message_bytes_max: 1 << 20,
        kernel_stamps: true,
        target_args: Vec::new(),
        faults: Vec::new(),
        thresholds: Vec::new(),
    }
}

fn process(cpu_s: f64, per_million: Option<f64>, peak_memory_bytes: u64) -> ProcessUse {
    let sample = |second: u64| ProcessSample {
        at_ns: second * S,
        cpu_s: 0.1 + cpu_s * second as f64 / 40.0,
        memory_bytes: peak_memory_bytes / 2,
    };
    ProcessUse {
        cpu_s,
        cpu_s_per_million_deliveries: per_million,
        peak_memory_bytes,
        samples: (0..=47).map(sample).collect(),
    }
}

/// One process with a thousand subscribers, nothing used up.
fn target_use() -> TargetUse {
    let sample = |second: u64| TargetSample {
        at_ns: second * S,
        busiest_thread_share: Some(0.11),
        throttled_ns: Some(0),
        descriptors: Some(1_031),
        descriptors_limit: Some(1_048_576),
        group_memory_bytes: None,
        kernel_memory_bytes: None,
        socket_buffer_bytes: Some(400_000),
    };
    TargetUse {
        processes_max: 1,
        processes_left_out_max: 0,
        cpus: Some(2),
        memory_limit_bytes: None,
        memory_is_shared: false,
        memory_kills: Some(0),
        busiest_thread: Some(BusiestThread { name: "tokio-rt-worker".to_owned(), cpu_share: 0.1 }),
        samples: (0..=47).map(sample).collect(),
    }
}

/// 20 commits a second, nearly all of them within 2 ms.
fn commits() -> MetricSeries {
    MetricSeries {
        selector: "feed_store_commit_seconds".to_owned(),
        meaning: Some(Meaning::CommitTime),
        is_counter: true,
        samples: (0..=47)
            .map(|second| MetricSample { at_ns: second * S, value: 0.03 * second as f64 })
            .collect(),
        buckets: vec![Bucket { at_most: 0.001, count: 500.0 }, Bucket { at_most: 0.002, count: 598.0 }],
        observations: Some(600.0),
    }
}

/// The same scenario with losses: 10 % of the posts refused, some pairs late or missing.
#[cfg(test)]
pub(crate) fn lossy() -> RunResult {
    let mut run = run();
    let (owed, missing, late) = (600_000, 60_990, 10);
    let causes = [("post_failed", 60_000), ("unknown", 900), ("refused_by_full_buffer", 90)];
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
        not_owed_by_cause: BTreeMap::from([("connection_lost".to_owned(), 1_240)]),
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
    run.resources.target_use = None;
    run.resources.series = Vec::new();
    run.judge();
    run
}
