//! `feedmark capacity`: runs at one load after another, until the plan is answered or the budget spent.
//!
//! Invariant: the folder is the state. The plan is written before anything is measured, a step counts once it is in
//! `capacity.json`, and what comes next follows from that file; so a session that was stopped goes on where it was, and
//! only measures again the step that was under way.
//! Must not know: how a search decides (`feedmark_reports::capacity`).

mod target;

use std::path::{Path, PathBuf};

use feedmark_reports::capacity::{
    self, CapacityResult, Measure, Next, Outcome, Plan, PlannedLoad, Progress, Step, csv,
};
use feedmark_reports::gate::is_url;
use feedmark_reports::run_result::Host;
use feedmark_reports::terminal::capacity::capacity_progress;
use feedmark_reports::units::{counted, flag_duration, number};
use feedmark_reports::{files, scenario_text};

use crate::assemble;
use crate::blame::Blame;
use crate::clock::RunClock;
use crate::folder::{self, Claim, FolderError, OtherBed, OtherPlan};
use crate::fresh_run::{FreshRun, FreshRunError};
use crate::interrupt;
use crate::limits::Limits;
use crate::live::Live;
use crate::scenario::{Scenario, ScenarioError};
use crate::settings::Settings;
use crate::units::{Rate, Span, Subscribers};
pub use target::REFERENCE;

/// The state of a session, in its folder.
pub(crate) const CAPACITY_FILE: &str = "capacity.json";
/// Every step as a line, beside it.
const STEPS_FILE: &str = "steps.csv";
/// What the commands need that say what to do next.
const SCENARIO_FILE: &str = "scenario.toml";
/// Names the folder of a session that was given none.
const CAPACITY: &str = "capacity";
/// The folder of a step's run, and how its logs begin.
const RUN: &str = "run";
const SECOND_NS: u64 = 1_000_000_000;

/// A session, completely described.
pub struct Capacity {
    /// What is asked for.
    pub plan: Plan,
    /// What the steps may take together.
    pub budget_ns: Option<u64>,
    /// Loads of which is asked whether they fit.
    pub planned_loads: Vec<PlannedLoad>,
    /// What each step measures, without what the session decides: URL, load, length and seed.
    pub settings: Settings,
    /// Where the runs look for the floor of this host.
    pub store: Option<PathBuf>,
}

/// What a session came to.
pub struct Session {
    /// Its answer, if only in part.
    pub result: CapacityResult,
    /// Where it is.
    pub folder: PathBuf,
    /// Somebody stopped it: the complete steps are kept, and it can go on.
    pub is_interrupted: bool,
}

/// Why a session has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CapacityError {
    /// No place for the results.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A file of the session cannot be read or written.
    #[error(transparent)]
    File(#[from] files::FileError),
    /// The folder is that of another session.
    #[error(transparent)]
    OtherPlan(#[from] OtherPlan),
    /// Its steps are of another host, or of another feedmark.
    #[error(transparent)]
    OtherBed(#[from] OtherBed),
    /// The first step could not be carried out: no load is to blame.
    #[error(transparent)]
    Run(#[from] FreshRunError),
    /// A step asks for what no run can do.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A server that runs by itself took other loads, and now takes nobody.
    #[error("step {number}: {said}: start the server again, and call again with the same --out")]
    Gone {
        /// Which step, from 1.
        number: usize,
        /// What the run said.
        said: String,
    },
    /// The results of a step have no place.
    #[error("step {number}: {said}: make room there, and call again with the same --out")]
    Unwritable {
        /// Which step, from 1.
        number: usize,
        /// What the run said.
        said: String,
    },
    /// The operating system refused.
    #[error("cannot {what}: {error}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        error: std::io::Error,
    },
}

impl CapacityError {
    /// 2 for what was asked wrongly, 1 for what could not be done.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Folder(FolderError::NotEmpty(_) | FolderError::InUse(_))
            | Self::OtherPlan(_)
            | Self::OtherBed(_)
            | Self::Scenario(_) => 2,
            _ => 1,
        }
    }
}

/// Runs the session to its end, or until somebody stops it, in `out` or in a folder of its own.
///
/// # Errors
/// When there is no answer; what is complete is in the folder.
pub fn run(capacity: &Capacity, out: Option<&Path>, live: &mut Live) -> Result<Session, CapacityError> {
    let limits = Limits::read_and_raise()
        .map_err(|error| CapacityError::System { what: "read the limits of this host".to_owned(), error })?;
    let host = assemble::host(&limits);
    let (mut result, folder, _claim) = open(capacity, out, live.clock(), &host)?;
    let mut conductor = Conductor { capacity, limits, host, folder, live };
    conductor.save(&result)?;
    let scenario = scenario_text::file(&capacity.plan.scenario, capacity.plan.seed);
    files::replace(&conductor.folder.join(SCENARIO_FILE), scenario.as_bytes())?;
    conductor.live.note(&format!("capacity: {}", conductor.folder.display()));
    for note in capacity.plan.notes() {
        conductor.live.note(&note);
    }
    let mut is_interrupted = false;
    while let Next::Measure(measure) = result.next() {
        let Some(step) = conductor.step(&measure, &mut result)? else {
            is_interrupted = true;
            break;
        };
        conductor.tell(&step, &result);
        result.steps.push(step);
        result.judge();
        conductor.save(&result)?;
    }
    Ok(Session { result, folder: conductor.folder, is_interrupted })
}

/// A new session, or the one in the folder, if it has the same plan, on the same host; budget and planned loads may be others.
/// Nobody else works in it.
fn open(
    capacity: &Capacity,
    out: Option<&Path>,
    clock: RunClock,
    host: &Host,
) -> Result<(CapacityResult, PathBuf, Claim), CapacityError> {
    let Capacity { plan, budget_ns, planned_loads, .. } = capacity;
    let planned = || {
        CapacityResult::planned(plan.clone(), *budget_ns, planned_loads.clone(), env!("CARGO_PKG_VERSION"))
    };
    let Some(folder) = out.filter(|out| out.join(CAPACITY_FILE).exists()) else {
        let folder = folder::create(out, &assemble::rfc3339(clock.realtime_ns()), CAPACITY)?;
        let claim = Claim::of(&folder)?;
        return Ok((planned(), folder, claim));
    };
    let claim = Claim::of(folder)?;
    let there = capacity::read(&folder.join(CAPACITY_FILE))?;
    OtherPlan::refuse("session", folder, there.plan.difference(plan))?;
    if let Some(bed) = &there.host {
        OtherBed::refuse(
            "session",
            folder,
            [
                ("feedmark_version", there.feedmark_version.clone(), env!("CARGO_PKG_VERSION").to_owned()),
                ("host.os", bed.os.clone(), host.os.clone()),
                ("host.cpu", bed.cpu.clone(), host.cpu.clone()),
                ("host.cpus", bed.cpus.to_string(), host.cpus.to_string()),
            ],
        )?;
    }
    let mut result = CapacityResult { host: there.host, steps: there.steps, ..planned() };
    if result.planned_loads.is_empty() {
        result.planned_loads = there.planned_loads;
    }
    result.judge();
    Ok((result, folder.to_owned(), claim))
}

struct Conductor<'a> {
    capacity: &'a Capacity,
    limits: Limits,
    host: Host,
    folder: PathBuf,
    live: &'a mut Live,
}

impl Conductor<'_> {
    fn save(&self, result: &CapacityResult) -> Result<(), CapacityError> {
        files::write_atomically(&self.folder.join(CAPACITY_FILE), result)?;
        Ok(files::replace(&self.folder.join(STEPS_FILE), csv::csv(result).as_bytes())?)
    }

    /// Measures the next step; `None` if somebody stops it.
    fn step(
        &mut self,
        measure: &Measure,
        result: &mut CapacityResult,
    ) -> Result<Option<Step>, CapacityError> {
        let (number, began_ns) = (result.steps.len() + 1, self.live.clock().now_ns());
        let settings = self.settings(measure);
        let scenario = Scenario::resolve(settings.clone(), self.limits.cpus)?;
        if let Err(error) = self.limits.check(&scenario) {
            return Ok(Some(Step::not_measured(measure, Outcome::Invalid, error.to_string(), 0)));
        }
        let folder = self.folder.join("steps").join(format!("{number:03}"));
        std::fs::create_dir_all(&folder)
            .map_err(|error| CapacityError::System { what: format!("make {}", folder.display()), error })?;
        let target = target::command(&self.capacity.plan.target, &scenario)
            .map_err(|error| CapacityError::System { what: "find this program".to_owned(), error })?;
        let settings = target::driven(&self.capacity.plan.target, settings);
        let run = FreshRun {
            name: format!("step {number}"),
            target: &target,
            cores: measure.cores,
            settings: &settings,
            seed: measure.seed,
            store: self.capacity.store.as_deref(),
            folder: &folder,
            label: RUN,
        };
        let progress = result.progress.clone();
        let look = |live: &mut Live| {
            let progress = progress.as_ref().map(|progress| (&self.capacity.plan, progress));
            show(live, number, progress, measure, began_ns, &scenario);
        };
        let made = match interrupt::stop_asked() {
            true => return Ok(None),
            false => run.measure(self.live, look),
        };
        if interrupt::stop_asked() {
            return Ok(None);
        }
        let took_ns = self.live.clock().now_ns() - began_ns;
        match made {
            Ok(run) => {
                // Ours, because a run that leaves CPUs to the target says that it has fewer.
                result.host.get_or_insert_with(|| self.host.clone());
                Ok(Some(Step::of_run(measure, &run, took_ns)))
            }
            Err(FreshRunError::Run { said, blame, .. }) if has_measured(&result.steps) => match blame {
                // Nobody starts it again: every load would fail from now on.
                Blame::Target if is_url(&self.capacity.plan.target) => {
                    Err(CapacityError::Gone { number, said })
                }
                // It took another load: this one is too much for it.
                Blame::Target => Ok(Some(Step::not_measured(measure, Outcome::Fail, said, took_ns))),
                Blame::Generator => Ok(Some(Step::not_measured(measure, Outcome::Invalid, said, took_ns))),
                Blame::Folder => Err(CapacityError::Unwritable { number, said }),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// What the run of a step measures.
    fn settings(&self, measure: &Measure) -> Settings {
        Settings {
            subscribers: Some(Subscribers::new(measure.subscribers)),
            rate: Some(Rate::new(measure.rate_per_s)),
            warmup: Some(Span::from_ns(measure.warmup_ns)),
            duration: Some(Span::from_ns(measure.steady_ns)),
            seed: Some(measure.seed),
            ..self.capacity.settings.clone()
        }
    }

    /// What became of a step.
    fn tell(&mut self, step: &Step, result: &CapacityResult) {
        let subscribers = counted(u64::from(step.subscribers), "subscriber", "subscribers");
        let load = format!("{subscribers}, {} posts/s", number(step.rate_per_s));
        let reason = step.reasons.first().map_or_else(String::new, |reason| format!(": {reason}"));
        let (number, role, outcome) = (result.steps.len() + 1, step.role.name(), step.outcome.name());
        self.live.note(&format!("step {number}: {role} at {load}: {outcome}{reason}"));
    }
}

/// A run has been carried out: what comes after it is not asked for the wrong thing.
fn has_measured(steps: &[Step]) -> bool {
    steps.iter().any(|step| !step.run_id.is_empty())
}

/// How far a step is, the bracket around it, and the time that is left.
fn show(
    live: &mut Live,
    number: usize,
    progress: Option<(&Plan, &Progress)>,
    measure: &Measure,
    began_ns: u64,
    scenario: &Scenario,
) {
    let took_ns = live.clock().now_ns() - began_ns;
    // Starting and connecting come on top.
    let whole_ns = (measure.warmup_ns + measure.steady_ns + scenario.deadline_ns).max(took_ns);
    let done = took_ns as f64 / whole_ns as f64;
    let now = progress.map(|(plan, progress)| (plan, progress.after(took_ns)));
    live.progress("step", done, now.as_ref().map(|(_, now)| now.time_left_ns), || {
        let bracket = now.as_ref().map_or_else(String::new, |(plan, now)| capacity_progress(plan, now));
        let seconds = |ns: u64| flag_duration(ns / SECOND_NS * SECOND_NS);
        format!("{number}, {} of {}: {bracket}", seconds(took_ns), seconds(whole_ns))
    });
}
