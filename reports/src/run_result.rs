//! `run.json`: everything that one run measured, in our own types.
//!
//! Field names end in their unit; times are integer nanoseconds, on the run clock unless a name
//! says otherwise. Readers accept any file with their [`SCHEMA_VERSION`].

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::evidence::Evidence;
use crate::target_use::{MetricSeries, TargetUse};
use crate::threshold::Threshold;
use crate::threshold::result::ThresholdResult;
use crate::validity::{Check, Finding};
use crate::{LatencySummary, Verdict};

/// Raised when a field changes its meaning or disappears; additions keep it.
pub const SCHEMA_VERSION: u32 = 1;

/// One run, whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunResult {
    /// Version of this schema that the writer used.
    #[schemars(extend("const" = SCHEMA_VERSION))]
    pub schema_version: u32,
    /// Version of the feedmark that measured.
    pub feedmark_version: String,
    /// Identifies the run; also the `run` part of every marker.
    pub run_id: String,
    /// Start of the run, wall clock, RFC 3339 in UTC.
    pub started_at: String,
    /// `CLOCK_MONOTONIC` of this host at run time 0, ns: other logs of the host can be set beside the run by it.
    pub started_monotonic_ns: u64,
    /// What the run concludes.
    pub verdict: Verdict,
    /// Is the run valid? Every check with its measured value and its limit, in the order V1 to V12.
    pub validity: Vec<Check>,
    /// What the checks found about the target.
    pub findings: Vec<Finding>,
    /// True when a person stopped the run; what was measured until then is in the file.
    pub interrupted: bool,
    /// Why the run ended itself before its time: a threshold that was certain to fail, or a target that took no post beside
    /// its subscribers.
    #[serde(default)]
    pub aborted: Option<String>,
    /// Posts left out of every figure, because a person would not wait for their deadline.
    pub unjudged_posts: u64,
    /// The reference server, started by the run, ended before it was stopped: how.
    pub target_ended: Option<String>,
    /// The resolved scenario, with every default filled in.
    pub scenario: ScenarioRecord,
    /// SHA-256 of the resolved scenario's canonical JSON without its thresholds, in hex: equal hashes ask for equal work.
    pub scenario_hash: String,
    /// Seed of the arrival schedule and of every random choice.
    pub seed: u64,
    /// Where the generator ran.
    pub host: Host,
    /// Which clock stamped the arrivals.
    pub timestamps: Timestamps,
    /// Deliveries of the steady phase that shared a read, and so its one kernel stamp, with a later frame: they
    /// arrived at that stamp or before.
    pub stamp_ambiguous: u64,
    /// Greatest jump of the realtime clock, which the kernel stamps with, against the run clock.
    pub clock_jump_ns_max: u64,
    /// The phases as they happened, in order.
    pub phases: Vec<Phase>,
    /// Posts of the steady phase.
    pub posts: Posts,
    /// Owed pairs of the steady phase.
    pub deliveries: Deliveries,
    /// The same two for the warm-up, which is measured but not judged.
    pub warmup: Warmup,
    /// The subscribers' connections.
    pub connections: Connections,
    /// Latencies of the steady phase.
    pub latency_ns: Latencies,
    /// How the deliveries of a post follow each other.
    pub fanout: Fanout,
    /// What the checks are made from.
    pub evidence: Evidence,
    /// CPU and memory of both sides on the run's time axis.
    pub resources: Resources,
    /// What became of the thresholds, in the order of the scenario.
    #[serde(default)]
    pub thresholds: Vec<ThresholdResult>,
}

/// The resolved scenario. Header and auth values are left out: they may be secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScenarioRecord {
    /// The target; `null` means the reference server that the run started itself.
    pub url: Option<String>,
    /// Subscribers asked for.
    pub subscribers: u32,
    /// Posts per second.
    pub rate_per_s: f64,
    /// Length of the steady phase.
    pub duration_ns: u64,
    /// Length of the warm-up.
    pub warmup_ns: u64,
    /// A delivery after this long is late.
    pub deadline_ns: u64,
    /// Arrival law of the posts.
    pub arrivals: ArrivalLaw,
    /// Most posts in flight.
    pub in_flight_max: u32,
    /// Path (and query) of the POST.
    pub post_path: String,
    /// Template of the POST's body.
    pub body: String,
    /// Names of the extra headers; values are left out.
    pub header_names: Vec<String>,
    /// Socket.IO event that carries a post.
    pub event: String,
    /// Socket.IO namespace.
    pub namespace: String,
    /// Path of the Socket.IO endpoint.
    pub socket_path: String,
    /// What the subscribers connected through; files without it are of the engine.
    #[serde(default)]
    pub driver: Driver,
    /// True when an auth payload was sent with the Socket.IO CONNECT.
    pub auth: bool,
    /// Connections opened per second; `null` means as fast as the target accepts.
    pub connect_rate_per_s: Option<f64>,
    /// Reactor threads.
    pub threads: u32,
    /// A POST without a reply after this long has failed.
    pub post_timeout_ns: u64,
    /// An attempt to connect that took longer has failed.
    pub connect_timeout_ns: u64,
    /// The schedule started after this long even if not everyone was connected; `null` waited for all.
    pub connect_within_ns: Option<u64>,
    /// Greatest WebSocket message accepted.
    pub message_bytes_max: u64,
    /// Kernel receive stamps were asked for.
    pub kernel_stamps: bool,
    /// Arguments of the reference server.
    pub target_args: Vec<String>,
    /// What the reference server did wrong on command.
    pub faults: Vec<String>,
    /// What the run had to keep to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<Threshold>,
}

/// How intended times follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ArrivalLaw {
    /// Independent posters: exponential gaps.
    Poisson,
    /// A metronome: index / rate.
    Constant,
}

impl ArrivalLaw {
    /// Its name, as in `run.json`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Poisson => "poisson",
            Self::Constant => "constant",
        }
    }
}

/// What subscribers connect through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Driver {
    /// feedmark's own engine.
    #[default]
    Engine,
    /// A client object of the `rust_socketio` crate for every subscriber.
    RustSocketio,
}

impl Driver {
    /// Its name, as in `run.json`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::RustSocketio => "rust_socketio",
        }
    }
}

/// Facts of the machine that ran the generator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// Operating system and kernel release.
    pub os: String,
    /// CPU model.
    pub cpu: String,
    /// CPUs that the process may use.
    pub cpus: u32,
    /// Physical memory.
    pub memory_bytes: u64,
    /// Hard limit on open files of the process.
    pub open_files_max: u64,
}

/// Which clock stamped the arrivals (METHOD section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Timestamps {
    /// The kernel's software receive stamp.
    Kernel,
    /// The run clock, read after `read`.
    User,
}

impl Timestamps {
    /// Its name, as in `run.json`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::User => "user",
        }
    }
}

/// A phase as it happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Phase {
    /// connect, probe, warm-up, steady or drain.
    pub name: String,
    /// Start, since the start of the run.
    pub start_ns: u64,
    /// End, since the start of the run.
    pub end_ns: u64,
}

/// Posts: `scheduled = acknowledged + failed + dropped`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Posts {
    /// Posts in the arrival schedule (up to the interruption, if there was one).
    pub scheduled: u64,
    /// Posts of which at least one byte reached the kernel.
    pub sent: u64,
    /// Posts that were answered with a status of 200 to 299.
    pub acknowledged: u64,
    /// Posts that were refused, whose connection failed, or whose reply never came.
    pub failed: u64,
    /// Posts that were never tried: the most posts were in flight until the end of the run.
    pub dropped: u64,
    /// Posts that waited because the most posts were in flight already.
    pub waited_at_cap: u64,
    /// Failed and dropped posts by cause, for example `status 500`.
    pub failures: BTreeMap<String, u64>,
}

/// The ledger: `owed = delivered + late + missing`, `missing` = sum of `missing_by_cause`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deliveries {
    /// Pairs of a post and a subscriber that was connected 1 s before it until its deadline.
    pub owed: u64,
    /// Owed pairs that arrived within the deadline.
    pub delivered: u64,
    /// Owed pairs that arrived after the deadline.
    pub late: u64,
    /// Owed pairs that never arrived.
    pub missing: u64,
    /// owed - delivered - late - missing; 0, or the instrument is broken.
    pub residual: i64,
    /// Extra copies of an owed pair.
    pub duplicate: u64,
    /// First copies with a lower sequence than one already seen from the same writer.
    pub reordered: u64,
    /// Deliveries that nobody was owed.
    pub unexpected: u64,
    /// Of these, markers of other runs, or of posts that were not due.
    pub unexpected_other_run: u64,
    /// Pairs that were not owed because the subscriber was not connected for long enough.
    pub not_owed: u64,
    /// Pairs not owed, by cause: `never_connected`, `connected_late`, `connection_lost`.
    pub not_owed_by_cause: BTreeMap<String, u64>,
    /// Missing pairs by cause: `post_refused` (a status that is not 2xx), `post_failed` (no reply), `post_not_sent`,
    /// `refused_by_full_buffer` (as the replies to the posts tell), `generator_busy` (it had not read everything by the
    /// deadline), `unknown`.
    pub missing_by_cause: BTreeMap<String, u64>,
    /// The subscribers that missed most, worst first (at most 10).
    pub worst_subscribers: Vec<SubscriberMisses>,
    /// Subscribers with at least one missing or late pair.
    pub subscribers_with_misses: u64,
}

/// How much one subscriber missed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubscriberMisses {
    /// Index of the subscriber, from 0.
    pub subscriber: u32,
    /// Owed pairs that never arrived.
    pub missing: u64,
    /// Owed pairs that arrived after the deadline.
    pub late: u64,
}

/// What the warm-up did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Warmup {
    /// Posts of the warm-up.
    pub posts: Posts,
    /// Owed pairs of the warm-up.
    pub deliveries: Deliveries,
}

/// Connections: `requested = established + failed` (of a run that was not interrupted).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Connections {
    /// Subscribers asked for.
    pub requested: u64,
    /// Subscribers whose Socket.IO CONNECT was confirmed.
    pub established: u64,
    /// Established subscribers that lost their connection before the end of the drain.
    pub lost: u64,
    /// Subscribers that could not connect within the allowed attempts.
    pub failed: u64,
    /// Attempts beyond the first.
    pub retries: u64,
    /// Lost connections by cause.
    pub lost_by_cause: BTreeMap<String, u64>,
    /// Failed subscribers by the cause of their last attempt.
    pub failed_by_cause: BTreeMap<String, u64>,
    /// First attempt to the last confirmation.
    pub duration_ns: u64,
    /// Time of each step of a successful attempt.
    pub connect_ns: ConnectTimes,
    /// How many were connected, from the first attempt to the end: the moments at which that changed, thinned out to
    /// no more than a few hundred.
    #[serde(default)]
    pub ramp: Vec<ConnectedAt>,
}

/// How many subscribers were connected from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectedAt {
    /// Since the start of the run.
    pub at_ns: u64,
    /// Subscribers connected.
    pub connected: u64,
}

/// Time of each step of a successful connection attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectTimes {
    /// TCP handshake.
    pub tcp: LatencySummary,
    /// HTTP upgrade request to the 101.
    pub upgrade: LatencySummary,
    /// From the 101 to the confirmed Socket.IO CONNECT.
    pub socketio: LatencySummary,
    /// All of it.
    pub total: LatencySummary,
}

/// Latencies (METHOD section 1 defines each).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latencies {
    /// Arrival - intended time, over owed pairs.
    pub delivery: LatencySummary,
    /// Arrival of the first owed delivery of a post - intended time.
    pub first_delivery: LatencySummary,
    /// Arrival of the last owed delivery of a post - intended time.
    pub full_fanout: LatencySummary,
    /// Full fan-out - first delivery.
    pub spread: LatencySummary,
    /// First byte of the POST handed to the kernel - intended time, less the time to open a connection where one was
    /// needed, of posts that found a writer free: the generator's own lateness.
    pub send_lag: LatencySummary,
    /// The same of posts that waited because the most posts were in flight: the target's back-pressure.
    pub send_lag_at_cap: LatencySummary,
    /// POST's response complete - actual send.
    pub service_time: LatencySummary,
    /// POST's response complete - intended time.
    pub response_time: LatencySummary,
    /// Processing - kernel receive stamp: the frame's wait in the generator's own kernel.
    pub receive_delay: LatencySummary,
}

/// How the deliveries of a post follow each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fanout {
    /// Least-squares slope of arrival over arrival rank: the serial cost of one more subscriber. Median over the posts.
    pub slope_ns_per_rank: Option<f64>,
    /// Time since the intended time by which 50 % of a post's owed pairs were served, over the posts.
    pub reach_50: LatencySummary,
    /// 90 %.
    pub reach_90: LatencySummary,
    /// 99 %.
    pub reach_99: LatencySummary,
}

/// CPU and memory of both sides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resources {
    /// The load generator.
    pub generator: ProcessUse,
    /// The target, where its process is on this host and known: with all that it started, and pages that several processes
    /// share counted for each.
    pub target: Option<ProcessUse>,
    /// What else the target used, and what it may use.
    #[serde(default)]
    pub target_use: Option<TargetUse>,
    /// What the target said of itself at `/metrics`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub series: Vec<MetricSeries>,
    /// Bytes that came over the subscribers' connections in the steady phase.
    #[serde(default)]
    pub received_bytes: Option<u64>,
    /// Bytes per second that the interface carries by which a target on another host is reached.
    #[serde(default)]
    pub network_limit_bytes_per_s: Option<u64>,
}

/// What one process used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessUse {
    /// CPU time of the steady phase, user and system.
    pub cpu_s: f64,
    /// CPU time of the steady phase per million deliveries, where there were any.
    pub cpu_s_per_million_deliveries: Option<f64>,
    /// Peak resident memory of the whole run.
    pub peak_memory_bytes: u64,
    /// Samples on the run's time axis.
    pub samples: Vec<ProcessSample>,
}

/// One sample of a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessSample {
    /// Since the start of the run.
    pub at_ns: u64,
    /// CPU time since the process started, user and system.
    pub cpu_s: f64,
    /// Resident memory.
    pub memory_bytes: u64,
}
