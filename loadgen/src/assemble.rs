//! Observations in, [`RunResult`] out: every sum, quantile and reason of a run is made here, from
//! what the parts saw. Nothing is measured any more.

mod judge;

use std::collections::BTreeMap;
use std::sync::Arc;

use feedmark_core::ledger::{Counts, Misses};
use feedmark_core::recorder::Recorder;
use feedmark_reports::LatencySummary;
use feedmark_reports::RunResult;
use feedmark_reports::quantile::new_histogram;
use feedmark_reports::run_result::{
    ConnectTimes, Connections, Deliveries, Host, Latencies, Phase, Posts, Resources, SCHEMA_VERSION,
    SubscriberMisses, Timestamps, Warmup,
};
use sha2::{Digest as _, Sha256};

use crate::engine::EngineReport;
use crate::limits::Limits;
use crate::observer::{Mark, Observer};
use crate::pass::PassOutcome;
use crate::scenario::Scenario;
use crate::writers::{PostError, PostRecord};

/// Subscribers named in the result because they missed most.
const WORST_SUBSCRIBERS: usize = 10;

/// What the parts of a run saw.
pub struct Observations {
    /// The `run` of the markers.
    pub run_id: u32,
    /// Phases as they happened.
    pub phases: Vec<Phase>,
    /// Run time of the first attempt to connect.
    pub connect_start_ns: u64,
    /// Live subscribers that the probe did not reach; `None` without a probe.
    pub probe_missed: Option<u64>,
    /// The schedule.
    pub offsets_ns: Arc<[u64]>,
    /// Posts before it warm up.
    pub first_judged: u32,
    /// The measured pass.
    pub pass: PassOutcome,
    /// Ledgers and connections.
    pub engine: EngineReport,
    /// CPU and memory.
    pub observer: Observer,
    /// Start of the steady phase, end of the drain.
    pub marks: (Mark, Mark),
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
}

/// RFC 3339 in UTC, to the second.
pub fn rfc3339(realtime_ns: u64) -> String {
    jiff::Timestamp::from_second((realtime_ns / 1_000_000_000) as i64)
        .map_or_else(|_| String::new(), |moment| moment.to_string())
}

/// Makes the result.
pub fn assemble(
    scenario: &Scenario,
    limits: &Limits,
    (started_at, started_realtime_ns): (String, u64),
    observations: Observations,
) -> (RunResult, SeriesOfRun) {
    let Observations { pass, engine, first_judged, .. } = &observations;
    let mut counts = counts_by_post(engine);
    // Shards that were stopped at once may have settled one post more or less.
    counts.truncate(pass.times.len());
    let judged = (*first_judged as usize).min(counts.len());
    let failures = failures_by_seq(&pass.records);
    let mut deliveries = sum_deliveries(&counts[judged..], judged, &failures);
    let foreign: u64 = engine.ledgers.iter().map(|ledger| ledger.foreign).sum();
    deliveries.unexpected += foreign;
    deliveries.unexpected_other_run = foreign;
    add_misses(&mut deliveries, engine);
    let scheduled = pass.scheduled as usize;
    // Not `judged`: a run that was ended at once has posts that no ledger has settled.
    let split = (*first_judged as usize).min(scheduled);
    let warmup = Warmup {
        posts: sum_posts(&pass.records, 0..split),
        deliveries: sum_deliveries(&counts[..judged], 0, &failures),
    };
    let posts = sum_posts(&pass.records, split..scheduled);

    let mut per_post = PerPost::new();
    per_post.record(&observations);
    let record = scenario.record();
    let connections = connections(scenario, &observations);
    let timestamps = if engine.kernel_stamps { Timestamps::Kernel } else { Timestamps::User };
    let Observations { run_id, phases, pass, engine, observer, marks, probe_missed, target_ended, .. } =
        observations;
    let beyond = deliveries.late + deliveries.missing;
    let latency_ns = per_post.latencies(&pass.delivery, &engine.receive_delay, beyond);
    let mut used = observer.finish(&marks.0, &marks.1, deliveries.delivered).into_iter();
    let generator = used.next().expect("the observer watches this process first");
    let mut result = RunResult {
        schema_version: SCHEMA_VERSION,
        feedmark_version: env!("CARGO_PKG_VERSION").to_owned(),
        run_id: format!("{run_id:08x}"),
        started_at,
        verdict: judge::nothing_yet(),
        interrupted: pass.stopped_ns.is_some(),
        scenario_hash: scenario_hash(&record, scenario.seed),
        scenario: record,
        seed: scenario.seed,
        host: host(limits),
        timestamps,
        stamp_ambiguous: engine.stamp_ambiguous,
        clock_jump_ns_max: engine.clock_jump_ns,
        phases,
        posts,
        deliveries,
        warmup,
        connections,
        latency_ns,
        resources: Resources { generator, target: used.next() },
    };
    result.verdict =
        judge::judge(&result, &judge::Circumstances { probe_missed, target_ended, unjudged: pass.unjudged });
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
    };
    (result, series)
}

/// Counts of every settled post over all shards.
fn counts_by_post(engine: &EngineReport) -> Vec<Counts> {
    let posts = engine.ledgers.iter().map(|ledger| ledger.posts.len()).max().unwrap_or(0);
    let mut sums = vec![Counts::default(); posts];
    for ledger in &engine.ledgers {
        for (sum, counts) in sums.iter_mut().zip(&ledger.posts) {
            sum.owed += counts.owed;
            sum.delivered += counts.delivered;
            sum.late += counts.late;
            sum.missing += counts.missing;
            sum.duplicate += counts.duplicate;
            sum.reordered += counts.reordered;
            sum.unexpected += counts.unexpected;
            sum.not_owed += counts.not_owed;
        }
    }
    sums
}

/// Why each post failed that did.
fn failures_by_seq(records: &[PostRecord]) -> BTreeMap<u32, &PostError> {
    records.iter().filter_map(|record| Some((record.seq, record.failure.as_ref()?))).collect()
}

/// The cause of the pairs that a failed post leaves missing.
fn missing_cause(failure: Option<&&PostError>) -> &'static str {
    match failure {
        Some(PostError::Status { .. }) => "post_refused",
        Some(PostError::NotSent) => "post_not_sent",
        Some(_) => "post_failed",
        None => "unknown",
    }
}

fn sum_deliveries(counts: &[Counts], first_seq: usize, failures: &BTreeMap<u32, &PostError>) -> Deliveries {
    let mut sum = Deliveries::default();
    for (seq, post) in (first_seq..).zip(counts) {
        sum.owed += u64::from(post.owed);
        sum.delivered += u64::from(post.delivered);
        sum.late += u64::from(post.late);
        sum.missing += u64::from(post.missing);
        sum.duplicate += u64::from(post.duplicate);
        sum.reordered += u64::from(post.reordered);
        sum.unexpected += u64::from(post.unexpected);
        sum.not_owed += u64::from(post.not_owed);
        if post.missing > 0 {
            let cause = missing_cause(failures.get(&(seq as u32)));
            *sum.missing_by_cause.entry(cause.to_owned()).or_default() += u64::from(post.missing);
        }
    }
    sum.residual = sum.owed as i64 - (sum.delivered + sum.late + sum.missing) as i64;
    assert_eq!(sum.residual, 0, "the ledger does not close");
    assert_eq!(sum.missing, sum.missing_by_cause.values().sum::<u64>(), "missing pairs without a cause");
    sum
}

/// Who missed what, worst first. Subscribers are numbered through the shards.
fn add_misses(deliveries: &mut Deliveries, engine: &EngineReport) {
    let all: Vec<&Misses> = engine.ledgers.iter().flat_map(|ledger| &ledger.misses).collect();
    let mut worst: Vec<SubscriberMisses> = (0..)
        .zip(all)
        .filter(|(_, misses)| misses.missing + misses.late > 0)
        .map(|(subscriber, misses)| SubscriberMisses {
            subscriber,
            missing: u64::from(misses.missing),
            late: u64::from(misses.late),
        })
        .collect();
    deliveries.subscribers_with_misses = worst.len() as u64;
    worst.sort_by_key(|s| (std::cmp::Reverse((s.missing, s.late)), s.subscriber));
    worst.truncate(WORST_SUBSCRIBERS);
    deliveries.worst_subscribers = worst;
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
    assert_eq!(
        posts.scheduled,
        posts.acknowledged + posts.failed + posts.dropped,
        "posts without an outcome"
    );
    posts
}

/// The series that have one value per post.
struct PerPost {
    first: Recorder,
    full: Recorder,
    spread: Recorder,
    send_lag: Recorder,
    service: Recorder,
    response: Recorder,
    /// Judged posts with owed pairs, and those of them that did not reach everyone (or anyone).
    owed: u64,
    incomplete: u64,
    reached_nobody: u64,
    /// Judged posts without a byte sent, and those without a complete reply (the former included).
    unsent: u64,
    unanswered: u64,
}

impl PerPost {
    fn new() -> Self {
        let recorder = || Recorder::new(&new_histogram());
        Self {
            first: recorder(),
            full: recorder(),
            spread: recorder(),
            send_lag: recorder(),
            service: recorder(),
            response: recorder(),
            owed: 0,
            incomplete: 0,
            reached_nobody: 0,
            unsent: 0,
            unanswered: 0,
        }
    }

    fn record(&mut self, observations: &Observations) {
        let Observations { pass, offsets_ns, first_judged, .. } = observations;
        let judged = *first_judged as usize;
        for (seq, times) in pass.times.iter().enumerate().skip(judged).filter(|(_, times)| times.owed > 0) {
            let at_ns = offsets_ns[seq];
            self.owed += 1;
            if times.delivered > 0 {
                self.first.record(at_ns, times.first_ns);
            } else {
                self.reached_nobody += 1;
            }
            if times.delivered == times.owed {
                self.full.record(at_ns, times.last_ns);
                self.spread.record(at_ns, times.last_ns - times.first_ns);
            } else {
                self.incomplete += 1;
            }
        }
        for record in pass.records.iter().filter(|record| record.seq as usize >= judged) {
            let Some(sent_ns) = record.sent_ns else {
                self.unsent += 1;
                self.unanswered += 1;
                continue;
            };
            let at_ns = offsets_ns[record.seq as usize];
            let intended_ns = pass.base_ns + at_ns;
            self.send_lag.record(at_ns, sent_ns.saturating_sub(intended_ns));
            match record.complete_ns {
                Some(complete_ns) => {
                    self.service.record(at_ns, complete_ns - sent_ns);
                    self.response.record(at_ns, complete_ns - intended_ns);
                }
                None => self.unanswered += 1,
            }
        }
    }

    fn latencies(&self, delivery: &Recorder, receive_delay: &Recorder, beyond: u64) -> Latencies {
        let posts = |recorder: &Recorder, beyond: u64| {
            LatencySummary::new(recorder.total(), beyond, (recorder.total().len() + beyond) as f64)
        };
        Latencies {
            // All deliveries of one post share its fate: the post is the sample (METHOD, section 5).
            delivery: LatencySummary::new(delivery.total(), beyond, self.owed as f64),
            first_delivery: posts(&self.first, self.reached_nobody),
            full_fanout: posts(&self.full, self.incomplete),
            spread: posts(&self.spread, self.incomplete),
            send_lag: posts(&self.send_lag, self.unsent),
            service_time: posts(&self.service, self.unanswered - self.unsent),
            response_time: posts(&self.response, self.unanswered),
            receive_delay: LatencySummary::new(receive_delay.total(), 0, self.owed as f64),
        }
    }
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
    }
}

fn scenario_hash(record: &feedmark_reports::run_result::ScenarioRecord, seed: u64) -> String {
    // serde_json keeps the order of the fields, so equal scenarios are equal bytes.
    let canonical = serde_json::json!({ "scenario": record, "seed": seed }).to_string();
    Sha256::digest(canonical.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn host(limits: &Limits) -> Host {
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
