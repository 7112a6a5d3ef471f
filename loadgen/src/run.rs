//! `feedmark run`, top to bottom: connect, probe, warm-up, steady, drain, result.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use feedmark_core::ledger::CONFIRMED_BEFORE_NS;
use feedmark_reports::RunResult;
use feedmark_reports::run_result::Phase;

use crate::assemble::{self, Observations};
use crate::clock::RunClock;
use crate::engine::{Engine, EngineConfig};
use crate::folder::{self, FolderError};
use crate::interrupt;
use crate::limits::Limits;
use crate::narrator::Narrator;
use crate::observer::Observer;
use crate::pass::{PassOutcome, PassProgress, run_pass};
use crate::scenario::{Scenario, ScenarioError};
use crate::target::{Target, TargetError};
use crate::writers::{PostError, PostRecord, WritersConfig};

/// How often the conductor looks at the connections while they come up.
const LOOK_EVERY_NS: u64 = 20_000_000;

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
    },
    /// The probe was not accepted.
    #[error("the probe post to {target}{path} failed: {failure}")]
    ProbeRefused {
        /// The target.
        target: String,
        /// Path of the POST.
        path: String,
        /// What happened, with its remedy.
        failure: String,
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
    /// The process to sample does not exist.
    #[error("cannot watch process {pid} (--target-pid): {error}")]
    Watch {
        /// Its pid.
        pid: i32,
        /// What the system said.
        error: procfs::ProcError,
    },
    /// A thread or an epoll instance could not be made.
    #[error("the generator cannot start: {0}")]
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
}

/// A finished run.
pub struct FinishedRun {
    /// What it measured.
    pub result: RunResult,
    /// Its latency series, for the HDR files.
    pub series: assemble::SeriesOfRun,
    /// Where its files go.
    pub folder: PathBuf,
}

/// Runs the scenario.
///
/// # Errors
/// When nothing could be measured; what the target does wrong during the measurement is data.
pub fn run(scenario: &Scenario, out: Option<&Path>, quiet: bool) -> Result<FinishedRun, RunError> {
    let limits = Limits::read_and_raise()?;
    limits.check(scenario)?;
    let clock = RunClock::start();
    let run_id: u32 = rand::random();
    let started_realtime_ns = clock.realtime_ns();
    let started_at = assemble::rfc3339(started_realtime_ns);
    let folder = folder::create(out, &started_at, &format!("{run_id:08x}"))?;
    measure(scenario, &folder, quiet, clock, run_id)
        .map(|observations| {
            let started = (started_at, started_realtime_ns);
            let (result, series) = assemble::assemble(scenario, &limits, started, observations);
            FinishedRun { result, series, folder: folder.clone() }
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
    quiet: bool,
    clock: RunClock,
    run_id: u32,
) -> Result<Observations, RunError> {
    let mut narrator = Narrator::new(clock, quiet);
    let mut target = match &scenario.url {
        Some(url) => Target::at(url)?,
        None => Target::start_reference(&scenario.target_args, &folder.join("target.log"))?,
    };
    narrator.note(&format!("target: {}", target.name));
    let pid = scenario.target_pid.or(target.pid());
    let observer = Observer::start(clock, pid)
        .map_err(|error| RunError::Watch { pid: pid.unwrap_or_default(), error })?;
    let mut phases = Phases::new(clock);

    let engine = Engine::start(&engine_config(scenario, &target), clock)?;
    let connect_start_ns = clock.now_ns();
    let engine = connect(scenario, engine, clock, &mut narrator, &target.name)?;
    phases.end("connect");

    let writers = |run| writers_config(scenario, &target, run);
    let probe_missed = match interrupt::stop_asked() {
        true => None,
        false => Some(probe(
            scenario,
            &engine,
            writers(run_id.wrapping_add(1)),
            clock,
            &mut narrator,
            &target.name,
        )?),
    };
    phases.end("probe");

    let (offsets_ns, first_judged) = scenario.schedule();
    let offsets_ns: Arc<[u64]> = offsets_ns.into();
    let mut steady_mark = None;
    let schedule = (Arc::clone(&offsets_ns), first_judged);
    let mut show = |progress: &PassProgress| {
        if progress.elapsed_ns >= scenario.warmup_ns && steady_mark.is_none() {
            steady_mark = Some(observer.mark());
            phases.end("warm-up");
        }
        narrate(scenario, progress, &mut narrator);
        false
    };
    let pass = run_pass(&engine, writers(run_id), clock, schedule, scenario.deadline_ns, &mut show)?;
    let end_mark = observer.mark();
    let steady_end_ns = pass.base_ns + scenario.warmup_ns + scenario.duration_ns;
    phases.end_at("steady", steady_end_ns.min(clock.now_ns()));
    phases.end("drain");
    narrator.finish();

    let engine = engine.finish(interrupt::abort_asked());
    let target_ended = target.ended_early();
    target.stop();
    let steady_mark = steady_mark.unwrap_or_else(|| end_mark.clone());
    Ok(Observations {
        run_id,
        phases: phases.list,
        connect_start_ns,
        probe_missed,
        offsets_ns,
        first_judged,
        pass,
        engine,
        observer,
        marks: (steady_mark, end_mark),
        target_ended,
    })
}

fn engine_config(scenario: &Scenario, target: &Target) -> EngineConfig {
    EngineConfig {
        target: target.address,
        subscribers: scenario.subscribers,
        threads: scenario.threads.min(scenario.subscribers),
        session: scenario.session_spec(&target.host),
        connect_rate_per_s: scenario.connect_rate_per_s,
        connect_timeout_ns: scenario.connect_timeout_ns,
        kernel_stamps: scenario.kernel_stamps,
    }
}

fn writers_config(scenario: &Scenario, target: &Target, run: u32) -> WritersConfig {
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
fn connect(
    scenario: &Scenario,
    engine: Engine,
    clock: RunClock,
    narrator: &mut Narrator,
    target: &str,
) -> Result<Engine, RunError> {
    let wanted = u64::from(scenario.subscribers);
    narrator.phase("connect", wanted);
    loop {
        let totals = engine.totals();
        let done = totals.established + totals.failed;
        narrator.progress("connect", done, || {
            format!("{} of {wanted} subscribers, {} failed", totals.established, totals.failed)
        });
        if totals.failed > 0 && totals.established == 0 {
            let report = engine.finish(true).connections;
            let failure = report.first_failure.unwrap_or_default();
            return Err(RunError::NobodyConnected { target: target.to_owned(), failure });
        }
        if done >= wanted || interrupt::stop_asked() {
            break;
        }
        clock.sleep_until(clock.now_ns() + LOOK_EVERY_NS);
    }
    if !interrupt::stop_asked() {
        clock.sleep_until(clock.now_ns() + CONFIRMED_BEFORE_NS);
    }
    Ok(engine)
}

/// One post before the schedule, to see that posts are accepted and reach subscribers at all. Gives
/// the number of subscribers that it did not reach.
fn probe(
    scenario: &Scenario,
    engine: &Engine,
    writers: WritersConfig,
    clock: RunClock,
    narrator: &mut Narrator,
    target: &str,
) -> Result<u64, RunError> {
    narrator.phase("probe", 1);
    let before = engine.totals();
    let reached = |progress: &PassProgress| progress.totals.deliveries - before.deliveries;
    let live = |progress: &PassProgress| progress.totals.established - progress.totals.lost;
    let mut missed = 0;
    let enough = |progress: &PassProgress| {
        narrator.progress("probe", 0, || {
            format!("{} of {} subscribers reached", reached(progress), live(progress))
        });
        missed = live(progress).saturating_sub(reached(progress));
        let over = progress.elapsed_ns > scenario.deadline_ns;
        let answered = progress.acknowledged == 1 && missed == 0;
        answered || progress.failed == 1 || over || interrupt::stop_asked()
    };
    let pass = run_pass(engine, writers, clock, (Arc::new([0]), 0), scenario.deadline_ns, enough)?;
    if let Some(PostRecord { failure: Some(failure), .. }) = pass.records.first()
        && !interrupt::stop_asked()
    {
        let failure = format!("{failure}{}", remedy(failure));
        return Err(RunError::ProbeRefused {
            target: target.to_owned(),
            path: scenario.post_path.clone(),
            failure,
        });
    }
    let totals = engine.totals();
    let live = totals.established - totals.lost;
    if missed == live && live > 0 && !interrupt::stop_asked() {
        return Err(RunError::NobodyReached {
            subscribers: live,
            event: scenario.event.clone(),
            namespace: scenario.namespace.clone(),
            deadline_s: Duration::from_nanos(scenario.deadline_ns).as_secs_f64(),
        });
    }
    Ok(missed)
}

/// What to do about a refused probe.
fn remedy(failure: &PostError) -> String {
    let PostError::Status { status, body, .. } = failure else {
        return ": is the target's HTTP on the same port as its Socket.IO?".to_owned();
    };
    let hint = match status {
        300..=399 => "redirects are not followed: give the final --post-path",
        401 | 403 => {
            "give a token by --header 'Authorization: Bearer ...', or let the target accept open posts"
        }
        404 | 405 => "check --post-path",
        400 | 415 | 422 => "check --body, and the content type by --header",
        413 => "the target wants a smaller --body",
        _ => "see the target's log",
    };
    format!(" {body:?}: {hint}")
}

fn narrate(scenario: &Scenario, progress: &PassProgress, narrator: &mut Narrator) {
    let schedule_ns = scenario.warmup_ns + scenario.duration_ns;
    let (name, from_ns, until_ns) = match progress.elapsed_ns {
        at if at < scenario.warmup_ns => ("warm-up", 0, scenario.warmup_ns),
        at if at < schedule_ns => ("steady", scenario.warmup_ns, schedule_ns),
        _ => ("drain", schedule_ns, schedule_ns + scenario.deadline_ns),
    };
    const MS_NS: u64 = 1_000_000;
    let done_ms = (progress.elapsed_ns.clamp(from_ns, until_ns) - from_ns) / MS_NS;
    narrator.enter(name, (until_ns - from_ns) / MS_NS);
    narrator.progress(name, done_ms, || {
        let totals = progress.totals;
        let left_s = until_ns.saturating_sub(progress.elapsed_ns) / 1_000_000_000;
        let mut line = format!(
            "{left_s} s left, {} connected, {} posts sent, {} deliveries, {} missing so far",
            totals.established - totals.lost,
            progress.handed_over,
            totals.deliveries,
            totals.outstanding,
        );
        if progress.failed > 0 {
            line.push_str(&format!(", {} posts failed", progress.failed));
        }
        line
    });
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

impl PassOutcome {
    /// Nothing was sent: the run was stopped before the schedule began.
    pub fn is_empty(&self) -> bool {
        self.scheduled == 0
    }
}
