//! `feedmark calibrate`: what this host can resolve. A run against the null target, the most that the two manage
//! together, and what of the host decides both.
//!
//! Invariant: the floor is that of an ordinary run ([`crate::run::run`]), and only of one that passed.

pub mod advice;
pub mod host;
mod saturate;
pub mod schema;

use std::io;

use feedmark_reports::evidence::{Floor, Hiccups};
use feedmark_reports::run_result::Host;
use feedmark_reports::{LatencySummary, Quantile, RunResult, Status, Verdict};
use schemars::JsonSchema;
use serde::Serialize;

use crate::floor::{Load, Store, StoreError, StoredFloor};
use crate::interrupt;
use crate::limits::Limits;
use crate::live::Live;
use crate::run::{self, RunError};
use crate::scenario::Scenario;
use crate::target::{Target, TargetError};
use crate::target_watch::Place;
use advice::Advice;
use host::{ClockFacts, HostLimits, Sleeps};

/// Raised when a field changes its meaning or disappears; additions keep it.
const SCHEMA_VERSION: u32 = 1;
/// Posts in flight, to see what the subscribers can take.
pub(crate) const IN_FLIGHT_TOGETHER: u16 = 64;

/// What this host can resolve.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Calibration {
    /// Version of this shape.
    #[schemars(extend("const" = SCHEMA_VERSION))]
    pub schema_version: u32,
    /// Version of the feedmark that measured.
    pub feedmark_version: String,
    /// Start of the run, RFC 3339.
    pub measured_at: String,
    /// The host.
    pub host: Host,
    /// The load that was asked for.
    pub load: Load,
    /// Of the run against the null target.
    pub verdict: Verdict,
    /// A person stopped it.
    pub interrupted: bool,
    /// Posts of the steady phase.
    pub posts: u64,
    /// Delivery latency from a target that does nothing: the floor.
    pub delivery: QuantilesNs,
    /// A delivery this long or longer is not limited by the floor (METHOD V11), at the highest quantile that the
    /// posts support; `null` unless the run passed.
    pub resolves: Option<Resolves>,
    /// The most that null target and subscribers managed together, one post after the other: a write and a read
    /// for each delivery; `null` if it could not be seen.
    pub deliveries_per_s_max: Option<f64>,
    /// The same with 64 posts in flight, of which the target writes together what arrives together: what the
    /// subscribers can take; `null` if it could not be seen.
    pub deliveries_per_s_together_max: Option<f64>,
    /// First byte of the POST - intended time.
    pub send_lag: QuantilesNs,
    /// Wait of a frame in our kernel.
    pub receive_delay: QuantilesNs,
    /// Lateness of the sleepers beside the threads, each a histogram.
    pub hiccups: Vec<Hiccups>,
    /// The clock.
    pub clock: ClockFacts,
    /// The kernel stamped every delivery.
    pub kernel_stamps: bool,
    /// How late an absolute-time sleep wakes.
    pub sleep: Sleeps,
    /// Limits of the host.
    pub limits: HostLimits,
    /// Most subscribers that the limit on open files allows.
    pub subscribers_max: u64,
    /// What to change, as commands.
    pub advice: Vec<Advice>,
    /// File that the floor was stored in; `null` if it was not.
    pub stored_in: Option<String>,
}

/// Quantiles of a latency series; `null` where the samples cannot support one.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub struct QuantilesNs {
    /// Quantile 0.5.
    pub p50_ns: Quantile,
    /// Quantile 0.9.
    pub p90_ns: Quantile,
    /// Quantile 0.99.
    pub p99_ns: Quantile,
    /// Greatest value.
    pub max_ns: Quantile,
}

impl QuantilesNs {
    fn of(summary: &LatencySummary) -> Self {
        Self { p50_ns: summary.p50, p90_ns: summary.p90, p99_ns: summary.p99, max_ns: summary.max }
    }
}

/// From where on a quantile of the delivery says more about the target than about the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Resolves {
    /// The quantile as it is shown.
    pub quantile: &'static str,
    /// Its least value.
    pub delivery_ns: u64,
}

/// Why there is no calibration.
#[derive(Debug, thiserror::Error)]
pub enum CalibrateError {
    /// The run could not be made.
    #[error(transparent)]
    Run(#[from] RunError),
    /// There is no place for the floor.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system does not give what it takes.
    #[error("cannot calibrate: {0}")]
    System(#[from] io::Error),
    /// The null target did not last.
    #[error("{0}")]
    TargetEnded(String),
}

impl CalibrateError {
    /// 2 for what was asked wrongly, 1 for what could not be done.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Run(error) => error.exit_code(),
            Self::Store(StoreError::NoPlace) => 2,
            _ => 1,
        }
    }
}

impl From<TargetError> for CalibrateError {
    fn from(error: TargetError) -> Self {
        Self::Run(error.into())
    }
}

/// Measures, and stores the floor if the run passed. The scenario's target is replaced by a null target.
///
/// # Errors
/// If there is nowhere to store the floor, or nothing could be measured.
pub fn calibrate(scenario: &Scenario, store: &Store, live: &mut Live) -> Result<Calibration, CalibrateError> {
    let host_limits = HostLimits::read();
    // Before the null target starts, which inherits what this raises.
    let needs = Limits::read_and_raise()?.check(scenario).map_err(RunError::from)?;
    // A floor that could not be stored would be known too late.
    store.prepare()?;
    store.floors()?;

    let clock = live.clock();
    let (clock_facts, sleep) = (ClockFacts::measure(clock), Sleeps::measure(clock));
    let folder = tempfile::Builder::new().prefix("feedmark-calibrate-").tempdir()?;
    let mut target = Target::start_null(&folder.path().join("null-target.log"))?;
    let scenario = against(scenario, &target)?;
    let run =
        run::run(&scenario, Some(&folder.path().join("run")), Some(store), live).map(|run| run.result)?;
    let passed = match run.verdict.status {
        Status::Pass => Some(to_store(&scenario, &run)),
        _ => None,
    };
    let mut saturate = |in_flight| match interrupt::stop_asked() {
        true => Ok(None),
        false => saturate::deliveries_per_s_max(in_flight, &scenario, &target, live),
    };
    let deliveries_per_s_max = saturate(1)?;
    let deliveries_per_s_together_max = saturate(IN_FLIGHT_TOGETHER)?;
    let ended = target.ended_early();
    target.stop();
    if let Some(how) = ended {
        return Err(CalibrateError::TargetEnded(how));
    }
    if let Some(floor) = passed.clone() {
        store.add(floor)?;
    }
    let subscribers = u64::from(scenario.subscribers);
    let beside = needs.descriptors - subscribers;
    Ok(Calibration {
        schema_version: SCHEMA_VERSION,
        feedmark_version: run.feedmark_version.clone(),
        measured_at: run.started_at.clone(),
        load: load_of(&scenario, &run),
        interrupted: interrupt::stop_asked(),
        posts: run.posts.scheduled,
        delivery: QuantilesNs::of(&run.latency_ns.delivery),
        resolves: passed.as_ref().and_then(|_| resolves(&run)),
        deliveries_per_s_max,
        deliveries_per_s_together_max,
        send_lag: QuantilesNs::of(&run.latency_ns.send_lag),
        receive_delay: QuantilesNs::of(&run.latency_ns.receive_delay),
        kernel_stamps: has_kernel_stamps(&run),
        subscribers_max: host_limits.open_files_hard.saturating_sub(beside),
        advice: advice::advice(&host_limits, &clock_facts, &scenario),
        stored_in: passed.map(|_| store.floors_file().display().to_string()),
        clock: clock_facts,
        sleep,
        limits: host_limits,
        hiccups: run.evidence.hiccups,
        verdict: run.verdict,
        host: run.host,
    })
}

/// The scenario, driving the null target.
fn against(scenario: &Scenario, target: &Target) -> Result<Scenario, CalibrateError> {
    let url = format!("http://{}", target.address);
    let url = url::Url::parse(&url).map_err(io::Error::other)?;
    Ok(Scenario { url: Some(url), target_place: target.pid().map(Place::Process), ..scenario.clone() })
}

fn has_kernel_stamps(run: &RunResult) -> bool {
    run.timestamps == feedmark_reports::run_result::Timestamps::Kernel
}

fn load_of(scenario: &Scenario, run: &RunResult) -> Load {
    Load::of(scenario, has_kernel_stamps(run), run.evidence.real_time_priority)
}

/// The floor keeps every quantile as it was estimated, also where the posts are too few to print it: it is
/// compared with the quantiles of runs that have more.
fn to_store(scenario: &Scenario, run: &RunResult) -> StoredFloor {
    let at = |quantile| run.latency_ns.delivery.value_at(quantile);
    let (p50, p90, p99) = (at(0.5), at(0.9), at(0.99));
    StoredFloor {
        host: run.host.clone(),
        load: load_of(scenario, run),
        floor: Floor {
            measured_at: run.started_at.clone(),
            p50,
            p90,
            p99,
            delivery: Some(run.latency_ns.delivery.clone()),
        },
    }
}

/// The check of a run against its floor, turned round.
fn resolves(run: &RunResult) -> Option<Resolves> {
    let share_max = run.validity.iter().find(|check| check.id == "V11")?.limit;
    let delivery = &run.latency_ns.delivery;
    let printed = [("p99", delivery.p99), ("p90", delivery.p90), ("p50", delivery.p50)];
    printed.into_iter().find_map(|(quantile, value)| match value {
        Quantile::Ns(ns) => Some(Resolves { quantile, delivery_ns: (ns as f64 / share_max) as u64 }),
        _ => None,
    })
}
