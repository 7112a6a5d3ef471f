//! `feedmark run`, top to bottom: connect, probe, warm-up, steady, drain, result.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use feedmark_core::ledger::CONFIRMED_BEFORE_NS;
use feedmark_reports::run_result::Phase;
use feedmark_reports::units::{count, counted, short_duration};
use feedmark_reports::{RunResult, terminal};

use crate::assemble::{self, Observations};
use crate::blame::Blame;
use crate::clock::RunClock;
use crate::collector::{Judged, SettledPosts};
use crate::engine::{Engine, EngineConfig, SubscriberSpec};
use crate::floor::{Load, Store};
use crate::folder::{self, FolderError};
use crate::hiccups::HiccupMeter;
use crate::interrupt;
use crate::limits::{Limits, describe_system, is_shortage};
use crate::link;
use crate::live::Live;
use crate::live::commentary::{Commentary, Parts};
use crate::live::snapshot::{Conclusion, ConnectionsNow, RunWords};
use crate::observer::Observer;
use crate::pass::{PassProgress, Stop, Wish, pass_from_now, run_pass};
use crate::probe::probe;
use crate::scenario::{Driver, Scenario, ScenarioError};
use crate::target::{Target, TargetError};
use crate::target_watch::metrics::{MetricsAt, MetricsWatch};
use crate::target_watch::{Place, WatchError};
use crate::watch::Watch;
use crate::writers::WritersConfig;

/// How often the conductor looks at the connections while they come up.
const LOOK_EVERY_NS: u64 = 20_000_000;
/// The threads that the hiccup meter stands for.
const READERS: &str = "the readers";

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The scenario asks for what this host does not allow.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// No place for the results.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// No target.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Nobody could connect.
    #[error("no subscriber could connect to {target}: {failure}")]
    NobodyConnected {
        /// The target.
        target: String,
        /// What happened to the first one, with its remedy.
        failure: String,
        /// This host had run out of something.
        is_shortage: bool,
    },
    /// The probe was not accepted by a target that took all its subscribers.
    #[error("the probe post to {target}{path} failed: {failure}")]
    ProbeRefused {
        /// The target.
        target: String,
        /// Path of the POST.
        path: String,
        /// What happened, with its remedy.
        failure: String,
        /// This host had run out of something.
        is_shortage: bool,
    },
    /// The probe was accepted, and no subscriber heard of it.
    #[error(
        "the target took the probe post, but none of {subscribers} subscribers received it as event `{event}` in \
         namespace `{namespace}` within {deadline_s} s: check --event and --namespace, and that the target \
         broadcasts the posted text"
    )]
    NobodyReached {
        /// Subscribers connected.
        subscribers: u64,
        /// Event waited for.
        event: String,
        /// Namespace waited in.
        namespace: String,
        /// Time waited.
        deadline_s: f64,
    },
    /// The target cannot be watched as it was asked.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// A thread or an epoll instance could not be made.
    #[error("the generator cannot start: {}", describe_system(.0))]
    System(#[from] std::io::Error),
}

impl RunError {
    /// 2 for what the user asked wrongly, 1 for what could not be done.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Scenario(_) | Self::Folder(FolderError::NotEmpty(_)) => 2,
            _ => 1,
        }
    }

    /// The target, if it was there and did not do what was asked of it; what this host could not do says nothing of it.
    pub fn blame(&self) -> Blame {
        match self {
            Self::NobodyConnected { is_shortage: false, .. }
            | Self::ProbeRefused { is_shortage: false, .. }
            | Self::NobodyReached { .. } => Blame::Target,
            Self::Target(TargetError::Unreachable { error, .. }) => match error.kind() {
                ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset | ErrorKind::TimedOut => {
                    Blame::Target
                }
                _ => Blame::Generator,
            },
            Self::Folder(_) => Blame::Folder,
            _ => Blame::Generator,
        }
    }
}

/// A finished run.
pub struct FinishedRun {
    /// What it measured.
    pub result: RunResult,
    /// Its latency series, for the HDR files.
    pub series: assemble::SeriesOfRun,
    /// Its posts and misses, for the tables.
    pub rows: assemble::Rows,
    /// Where its files go.
    pub folder: PathBuf,
}

/// Runs the scenario, and compares it with the floor of the store, if there is one. The run's time is that of `live`, which
/// is told how it gets on.
///
/// # Errors
/// When nothing could be measured; what the target does wrong during the measurement is data.
pub fn run(
    scenario: &Scenario,
    out: Option<&Path>,
    store: Option<&Store>,
    live: &mut Live,
) -> Result<FinishedRun, RunError> {
    let limits = Limits::read_and_raise()?;
    limits.check(scenario)?;
    let clock = live.clock();
    let run_id: u32 = rand::random();
    let started_realtime_ns = clock.realtime_ns();
    let started_at = assemble::rfc3339(started_realtime_ns);
    let folder = folder::create(out, &started_at, &format!("{run_id:08x}"))?;
    measure(scenario, &folder, store, live, run_id)
        .map(|observations| {
            let started = (started_at, started_realtime_ns);
            let (result, series, rows) = assemble::assemble(scenario, &limits, started, observations);
            live.update(|now| now.settle(&result));
            live.conclude(Conclusion {
                status: result.verdict.status,
                sentences: terminal::sentences(&result),
                folder: folder.display().to_string(),
                has_report: false,
            });
            FinishedRun { result, series, rows, folder: folder.clone() }
        })
        .inspect_err(|_| drop_if_empty(&folder))
}

/// A run that measured nothing leaves no empty folder behind; a log in it stays.
fn drop_if_empty(folder: &Path) {
    // Fails when there is something in it, which is the point.
    let _ = std::fs::remove_dir(folder);
}

fn measure(
    scenario: &Scenario,
    folder: &Path,
    store: Option<&Store>,
    live: &mut Live,
    run_id: u32,
) -> Result<Observations, RunError> {
    let clock = live.clock();
    let mut target = match &scenario.url {
        Some(url) => Target::at(url, Duration::from_nanos(scenario.connect_timeout_ns))?,
        None => Target::start_reference(&scenario.target_arguments(), &folder.join("target.log"))?,
    };
    live.note(&format!("target: {}", target.name));
    live.update(|now| now.run = Some(words(scenario, &target, run_id)));
    let place = scenario.target_place.clone().or(target.pid().map(Place::Process));
    let observer = Observer::start(clock, place.as_ref())?;
    let metrics = watch_metrics(scenario, &target, live)?;
    let mut phases = Phases::new(clock);

    let engine = Engine::start(&engine_config(scenario, &target), clock)?;
    let connect_start_ns = clock.now_ns();
    let engine = connect(scenario, engine, live, &target.name)?;
    observer.mark();
    phases.end("connect");

    let writers = |run| writers_config(scenario, &target, run);
    let probe_writers = |number| writers(run_id.wrapping_add(number));
    let probed = match interrupt::stop_asked() {
        true => None,
        false => Some(probe(scenario, &engine, probe_writers, live, &target.name)?),
    };
    let (probed, gave_way) = probed.unzip();
    phases.end("probe");

    let (offsets_ns, first_judged) = scenario.schedule();
    let offsets_ns: Arc<[u64]> = offsets_ns.into();
    let (mut steady_mark, mut steady_end_mark) = (None, None);
    let (mut bytes_before, mut bytes_after) = (None, None);
    let pass = pass_from_now(clock, run_id, Arc::clone(&offsets_ns), scenario.deadline_ns);
    let base_ns = pass.base_ns;
    let steady_start_ns = base_ns + scenario.warmup_ns;
    let judged_until = |stopped_ns: Option<u64>| {
        (steady_start_ns + scenario.duration_ns).min(stopped_ns.unwrap_or(u64::MAX))
    };
    let meter = HiccupMeter::start(clock, READERS, base_ns)?;
    let parts = Parts {
        engine: &engine,
        observer: &observer,
        hiccup: meter.worst_so_far(),
        hiccup_group: READERS,
        probed,
    };
    let mut meter = Some(meter);
    let mut hiccups = None;
    let mut end_meter = |stopped_ns| {
        if let Some(meter) = meter.take() {
            let until_ns = judged_until(stopped_ns);
            hiccups = Some(meter.finish(steady_start_ns.min(until_ns), until_ns));
        }
    };
    let mut commentary = Commentary::new(live, scenario, parts, base_ns, offsets_ns.len());
    let mut watch = Watch::new(scenario, &engine, Arc::clone(&offsets_ns), first_judged);
    let mut look = |progress: &PassProgress<'_>, settled: &SettledPosts| {
        if progress.elapsed_ns >= scenario.warmup_ns && progress.stopped_ns.is_none() {
            steady_mark.get_or_insert_with(|| observer.mark());
            bytes_before.get_or_insert(progress.totals.received_bytes);
        }
        if progress.elapsed_ns >= scenario.warmup_ns + scenario.duration_ns || progress.stopped_ns.is_some() {
            steady_end_mark.get_or_insert_with(|| observer.mark());
            bytes_after.get_or_insert(progress.totals.received_bytes);
            end_meter(progress.stopped_ns.map(|stopped_ns| base_ns + stopped_ns));
        }
        let lost = watch.look(progress, settled);
        commentary.tell(progress);
        lost.map_or(Wish::GoOn, |why| {
            commentary.ends(&why);
            Wish::Stop(Stop::Aborted(why))
        })
    };
    let judged =
        Judged { from: first_judged, steady_ns: scenario.steady_ns(), thresholds: &scenario.thresholds };
    let stop = gave_way.flatten().map(Stop::Aborted);
    let pass = run_pass(&engine, writers(run_id), clock, pass, judged, stop, &mut look)?;
    let end_mark = observer.mark();
    end_meter(pass.stopped_ns());
    let judged_until_ns = judged_until(pass.stopped_ns());
    phases.end_at("warm-up", steady_start_ns.min(judged_until_ns));
    phases.end_at("steady", judged_until_ns);
    phases.end("drain");

    let engine = engine.finish(interrupt::abort_asked());
    let observed = observer.finish();
    let load = Load::of(scenario, engine.kernel_stamps, pass.real_time);
    let floor = store.map_or(Ok(None), |store| store.floor(&load)).unwrap_or_else(|error| {
        live.note(&format!("the floor of this host is not used: {error}"));
        None
    });
    let target_ended = target.ended_early();
    let series = metrics.map_or_else(Vec::new, |metrics| metrics.finish(steady_start_ns, judged_until_ns));
    let network_limit_bytes_per_s = scenario.url.as_ref().and_then(|_| link::bytes_per_s(target.address));
    target.stop();
    let steady_end_mark = steady_end_mark.unwrap_or_else(|| end_mark.clone());
    let steady_mark = steady_mark.unwrap_or_else(|| end_mark.clone());
    Ok(Observations {
        run_id,
        phases: phases.list,
        connect_start_ns,
        started_monotonic_ns: clock.monotonic_ns(0),
        probes: probed.map_or(0, |probed| probed.probes),
        probe_unreached: probed.and_then(|probed| probed.unreached),
        offsets_ns,
        first_judged,
        pass,
        engine,
        disturbances: observed.host(&steady_mark, &steady_end_mark),
        hiccups: hiccups.expect("the meter was ended"),
        observed,
        marks: [steady_mark, steady_end_mark, end_mark],
        series,
        network_limit_bytes_per_s,
        received_bytes: bytes_before.zip(bytes_after).map_or(0, |(before, after)| after - before),
        floor,
        target_ended,
    })
}

/// The reference server tells its figures without being asked for them.
fn watch_metrics(
    scenario: &Scenario,
    target: &Target,
    live: &mut Live,
) -> Result<Option<MetricsWatch>, WatchError> {
    let of_reference = || scenario.url.is_none().then(|| MetricsAt::Target("/metrics".to_owned()));
    let Some(at) = scenario.target_metrics.clone().or_else(of_reference) else { return Ok(None) };
    let (metrics, missing) = MetricsWatch::start(&at, target.address, &scenario.series, live.clock())?;
    for name in missing {
        live.note(&format!("the target does not tell `{name}` (--series) yet"));
    }
    Ok(Some(metrics))
}

/// What the run is, for those who look.
fn words(scenario: &Scenario, target: &Target, run_id: u32) -> RunWords {
    RunWords {
        run_id: format!("{run_id:08x}"),
        target: target.name.clone(),
        scenario: terminal::load_in_words(&scenario.record()),
        subscribers: scenario.subscribers.into(),
        rate_per_s: scenario.rate_per_s,
        warmup_ns: scenario.warmup_ns,
        duration_ns: scenario.duration_ns,
        deadline_ns: scenario.deadline_ns,
    }
}

pub(crate) fn engine_config(scenario: &Scenario, target: &Target) -> EngineConfig {
    EngineConfig {
        target: target.address,
        subscribers: scenario.subscribers,
        threads: scenario.threads.min(scenario.subscribers),
        subscriber: match scenario.driver {
            Driver::Engine => SubscriberSpec::Session(scenario.session_spec(&target.host)),
            #[cfg(feature = "rust_socketio")]
            Driver::RustSocketio => {
                SubscriberSpec::Client(scenario.client_spec(target.address, &target.host))
            }
        },
        connect_rate_per_s: scenario.connect_rate_per_s,
        connect_timeout_ns: scenario.connect_timeout_ns,
        kernel_stamps: scenario.kernel_stamps,
        settle_early: false,
    }
}

pub(crate) fn writers_config(scenario: &Scenario, target: &Target, run: u32) -> WritersConfig {
    WritersConfig {
        target: target.address,
        host: target.host.clone(),
        path: scenario.post_path.clone(),
        headers: scenario.headers.clone(),
        body: scenario.body.clone(),
        seed: scenario.seed,
        run,
        in_flight_max: scenario.in_flight_max,
        timeout: scenario.post_timeout.duration(),
    }
}

/// Waits until every subscriber is connected or has given up, and has been connected for long enough
/// to be owed a post.
pub(crate) fn connect(
    scenario: &Scenario,
    engine: Engine,
    live: &mut Live,
    target: &str,
) -> Result<Engine, RunError> {
    let clock = live.clock();
    let wanted = u64::from(scenario.subscribers);
    let start_ns = clock.now_ns();
    loop {
        let totals = engine.totals();
        let done = totals.established + totals.failed;
        live.update(|now| {
            let connected = totals.established - totals.lost;
            let (established, failed, lost) = (totals.established, totals.failed, totals.lost);
            now.connections = ConnectionsNow { established, connected, failed, lost };
        });
        live.progress("connect", done as f64 / wanted as f64, None, || {
            format!(
                "{} of {} subscribers, {} failed",
                count(totals.established),
                count(wanted),
                count(totals.failed)
            )
        });
        if totals.failed > 0 && totals.established == 0 {
            let report = engine.finish(true).connections;
            let is_shortage = report.failed_by_cause.keys().any(|cause| is_shortage(cause));
            let failure = report.first_failure.unwrap_or_default();
            return Err(RunError::NobodyConnected { target: target.to_owned(), failure, is_shortage });
        }
        let too_long =
            scenario.connect_within_ns.is_some_and(|within_ns| clock.now_ns() - start_ns > within_ns);
        if done >= wanted || too_long && totals.established > 0 || interrupt::stop_asked() {
            break;
        }
        clock.sleep_until(clock.now_ns() + LOOK_EVERY_NS);
    }
    let connected = counted(engine.totals().established, "subscriber", "subscribers");
    live.note(&format!("connected: {connected} in {}", short_duration(clock.now_ns() - start_ns)));
    if !interrupt::stop_asked() {
        clock.sleep_until(clock.now_ns() + CONFIRMED_BEFORE_NS);
    }
    Ok(engine)
}

/// The phases as they happen.
struct Phases {
    clock: RunClock,
    list: Vec<Phase>,
    start_ns: u64,
}

impl Phases {
    fn new(clock: RunClock) -> Self {
        Self { clock, list: Vec::new(), start_ns: clock.now_ns() }
    }

    fn end(&mut self, name: &str) {
        self.end_at(name, self.clock.now_ns());
    }

    fn end_at(&mut self, name: &str, end_ns: u64) {
        let end_ns = end_ns.max(self.start_ns);
        self.list.push(Phase { name: name.to_owned(), start_ns: self.start_ns, end_ns });
        self.start_ns = end_ns;
    }
}
