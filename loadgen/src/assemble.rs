//! Observations in, [`RunResult`] out: every sum, quantile and reason of a run is made here, from
//! what the parts saw. Nothing is measured any more.

mod evidence;
mod ledger;
mod per_post;
mod ramp;
mod rows;
mod thresholds;

use std::sync::Arc;

use feedmark_core::recorder::Recorder;
use feedmark_reports::evidence::Floor;
use feedmark_reports::run_result::{
    ConnectTimes, Connections, Host, Phase, Posts, Resources, SCHEMA_VERSION, ScenarioRecord, Timestamps,
    Warmup,
};
use feedmark_reports::target_use::MetricSeries;
use feedmark_reports::{LatencySummary, RunResult, Status, Verdict};
use sha2::{Digest as _, Sha256};

use crate::engine::EngineReport;
use crate::hiccups::Hiccups;
use crate::host_watch::HostReport;
use crate::limits::Limits;
use crate::observer::{Mark, Observed};
use crate::pass::{PassOutcome, Stop, Stopped};
use crate::scenario::Scenario;
use crate::writers::{PostError, PostRecord};
use ledger::LedgerOfRun;
use per_post::PerPost;
pub use rows::{MissRow, Rows};

/// What the parts of a run saw.
pub struct Observations {
    /// The `run` of the markers.
    pub run_id: u32,
    /// Phases as they happened.
    pub phases: Vec<Phase>,
    /// Run time of the first attempt to connect.
    pub connect_start_ns: u64,
    /// Run time of the start of the run, on `CLOCK_MONOTONIC`.
    pub started_monotonic_ns: u64,
    /// Probe posts, and the live subscribers that none of them reached; `None` without a probe.
    pub probes: u32,
    /// See `probes`.
    pub probe_unreached: Option<u64>,
    /// The schedule.
    pub offsets_ns: Arc<[u64]>,
    /// Posts before it warm up.
    pub first_judged: u32,
    /// The measured pass.
    pub pass: PassOutcome,
    /// Ledgers and connections.
    pub engine: EngineReport,
    /// CPU and memory.
    pub observed: Observed,
    /// Start and end of the steady phase, end of the drain.
    pub marks: [Mark; 3],
    /// Bytes that came over the subscribers' connections in the steady phase; 0 where nobody counts them.
    pub received_bytes: u64,
    /// Bytes per second that the interface carries by which a target on another host is reached.
    pub network_limit_bytes_per_s: Option<u64>,
    /// What the target said of itself at `/metrics`.
    pub series: Vec<MetricSeries>,
    /// Lateness of the sleeper beside the threads, in the steady phase.
    pub hiccups: Hiccups,
    /// What disturbed the generator in the steady phase.
    pub disturbances: HostReport,
    /// The floor of this host at this load, if it is known.
    pub floor: Option<Floor>,
    /// Our own server ended before it was stopped: how.
    pub target_ended: Option<String>,
}

/// The latency series of the judged posts.
pub struct SeriesOfRun {
    /// Run time of the start of the schedule, which the intervals count from.
    pub base_ns: u64,
    /// Start of the run, ns since the Unix epoch.
    pub started_realtime_ns: u64,
    /// Delivery latency.
    pub delivery: Recorder,
    /// First delivery.
    pub first: Recorder,
    /// Full fan-out.
    pub full: Recorder,
    /// Full fan-out - first delivery.
    pub spread: Recorder,
    /// Reply complete - intended time.
    pub response: Recorder,
    /// First byte - intended time.
    pub send_lag: Recorder,
    /// Frame's wait in our kernel.
    pub receive_delay: Recorder,
    /// Lateness of the sleepers beside the threads.
    pub hiccups: Recorder,
}

/// RFC 3339 in UTC, to the second.
pub fn rfc3339(realtime_ns: u64) -> String {
    jiff::Timestamp::from_second((realtime_ns / 1_000_000_000) as i64)
        .map_or_else(|_| String::new(), |moment| moment.to_string())
}

/// Makes the result, the latency series behind it, and the rows of the tables.
pub fn assemble(
    scenario: &Scenario,
    limits: &Limits,
    (started_at, started_realtime_ns): (String, u64),
    observations: Observations,
) -> (RunResult, SeriesOfRun, Rows) {
    let ledger = LedgerOfRun::new(&observations);
    let scheduled = observations.pass.scheduled as usize;
    // A run that was ended at once has posts that no ledger has settled.
    let split = (observations.first_judged as usize).min(scheduled);
    let records = &observations.pass.records;
    let (warmup_posts, posts) = (sum_posts(records, 0..split), sum_posts(records, split..scheduled));
    let mut per_post = PerPost::new();
    per_post.record(&observations);
    let record = scenario.record();
    let connections = connections(scenario, &observations);
    let rows = rows::rows(&observations, &ledger);
    let counted = thresholds::counted(scenario, &observations, &ledger);
    let beyond = ledger.steady.late + ledger.steady.missing;
    let evidence = evidence::evidence(scenario, &observations, beyond);
    let (warmup_deliveries, deliveries) = (ledger.warmup, ledger.steady);
    let Observations { run_id, phases, mut pass, engine, observed, marks, hiccups, target_ended, .. } =
        observations;
    let latency_ns = per_post.latencies(&mut pass.delivery, &engine.receive_delay, beyond);
    let ([steady_start, steady_end, drained], delivered) = (&marks, deliveries.delivered);
    let mut result = RunResult {
        schema_version: SCHEMA_VERSION,
        feedmark_version: env!("CARGO_PKG_VERSION").to_owned(),
        run_id: format!("{run_id:08x}"),
        started_at,
        started_monotonic_ns: observations.started_monotonic_ns,
        // Judged below, when the rest is there.
        verdict: Verdict { status: Status::Unresolved, reasons: Vec::new() },
        validity: Vec::new(),
        findings: Vec::new(),
        interrupted: matches!(pass.stopped, Some(Stopped { why: Stop::Interrupted, .. })),
        aborted: match pass.stopped {
            Some(Stopped { why: Stop::Aborted(reason), .. }) => Some(reason),
            _ => None,
        },
        unjudged_posts: u64::from(pass.unjudged),
        target_ended,
        scenario_hash: scenario_hash(&record, scenario.seed),
        scenario: record,
        seed: scenario.seed,
        host: host(limits),
        timestamps: if engine.kernel_stamps { Timestamps::Kernel } else { Timestamps::User },
        stamp_ambiguous: if engine.kernel_stamps { engine.shared_reads.latest.len() } else { 0 },
        clock_jump_ns_max: engine.clock_jump_ns,
        phases,
        posts,
        deliveries,
        warmup: Warmup { posts: warmup_posts, deliveries: warmup_deliveries },
        connections,
        latency_ns,
        fanout: per_post.fanout(),
        evidence,
        resources: Resources {
            generator: observed.generator(steady_start, drained, delivered),
            target: observed.target(steady_start, drained, delivered),
            target_use: observed.target_use(steady_start, steady_end),
            series: observations.series,
            received_bytes: Some(observations.received_bytes).filter(|bytes| *bytes > 0),
            network_limit_bytes_per_s: observations.network_limit_bytes_per_s,
        },
        thresholds: Vec::new(),
    };
    result.thresholds = thresholds::judge(scenario, &result, &counted);
    result.judge();
    let series = SeriesOfRun {
        base_ns: pass.base_ns,
        started_realtime_ns,
        delivery: pass.delivery,
        first: per_post.first,
        full: per_post.full,
        spread: per_post.spread,
        response: per_post.response,
        send_lag: per_post.send_lag,
        receive_delay: engine.receive_delay,
        hiccups: hiccups.recorder,
    };
    (result, series, rows)
}

fn sum_posts(records: &[PostRecord], range: std::ops::Range<usize>) -> Posts {
    let mut posts = Posts { scheduled: range.len() as u64, ..Posts::default() };
    for record in records.iter().filter(|record| range.contains(&(record.seq as usize))) {
        posts.waited_at_cap += u64::from(record.waited_at_cap);
        posts.sent += u64::from(record.sent_ns.is_some());
        match &record.failure {
            None => posts.acknowledged += 1,
            Some(failure) => {
                match failure {
                    PostError::NotSent => posts.dropped += 1,
                    _ => posts.failed += 1,
                }
                *posts.failures.entry(failure.to_string()).or_default() += 1;
            }
        }
    }
    posts
}

fn connections(scenario: &Scenario, observations: &Observations) -> Connections {
    let report = &observations.engine.connections;
    let summary = |histogram| LatencySummary::new(histogram, 0, histogram.len() as f64);
    Connections {
        requested: u64::from(scenario.subscribers),
        established: report.established,
        lost: report.lost_by_cause.values().sum(),
        failed: report.failed_by_cause.values().sum(),
        retries: report.retries,
        lost_by_cause: report.lost_by_cause.clone(),
        failed_by_cause: report.failed_by_cause.clone(),
        duration_ns: report.last_established_ns.saturating_sub(observations.connect_start_ns),
        connect_ns: ConnectTimes {
            tcp: summary(&report.times.tcp),
            upgrade: summary(&report.times.upgrade),
            socketio: summary(&report.times.socketio),
            total: summary(&report.times.total),
        },
        ramp: ramp::ramp(&observations.engine.ledgers, observations.connect_start_ns),
    }
}

fn scenario_hash(record: &ScenarioRecord, seed: u64) -> String {
    // What a run has to keep to changes nothing in what it does.
    let work = ScenarioRecord { thresholds: Vec::new(), ..record.clone() };
    // serde_json keeps the order of the fields, so equal scenarios are equal bytes.
    let canonical = serde_json::json!({ "scenario": work, "seed": seed }).to_string();
    Sha256::digest(canonical.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn host(limits: &Limits) -> Host {
    use procfs::Current as _;
    let first_line = |path: &str| {
        std::fs::read_to_string(path).unwrap_or_default().lines().next().unwrap_or_default().to_owned()
    };
    let cpu = procfs::CpuInfo::current()
        .ok()
        .and_then(|info| info.model_name(0).map(str::to_owned))
        .unwrap_or_else(|| "unknown".to_owned());
    Host {
        os: format!("Linux {}", first_line("/proc/sys/kernel/osrelease")),
        cpu,
        cpus: limits.cpus,
        memory_bytes: procfs::Meminfo::current().map_or(0, |memory| memory.mem_total),
        open_files_max: limits.descriptors_max,
    }
}
