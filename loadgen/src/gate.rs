//! `feedmark gate`: pairs of runs against base and candidate, until the rule has an answer.
//!
//! Invariant: the folder is the state. The plan is written before anything is measured, a run counts once its `run.json`
//! is there, and everything else is made again from these files; so a gate that was stopped goes on where it was.
//! Must not know: the rule (`feedmark_reports::gate`).

pub mod recorded;

use std::path::{Path, PathBuf};

use feedmark_reports::gate::{self, GateResult, Pair, Plan, REPEATS_MAX, Repeat, Rule, RunOfPair, Variant};
use feedmark_reports::metric::{Metric, Side};
use feedmark_reports::run_result::Host;
use feedmark_reports::units::{change, flag_duration};
use feedmark_reports::{RunResult, Status, files};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::clock::RunClock;
use crate::folder::{self, Claim, FolderError, OtherPlan};
use crate::fresh_run::{self, FreshRun, FreshRunError};
use crate::live::Live;
use crate::settings::Settings;
use crate::{assemble, interrupt};

/// The state of a gate, in its folder.
pub(crate) const GATE_FILE: &str = "gate.json";
/// Names the folder of a gate that was given none.
const GATE: &str = "gate";
const SECOND_NS: u64 = 1_000_000_000;

/// A gate, completely described.
pub struct Gate {
    /// What is compared, and on what work.
    pub plan: Plan,
    /// How it is judged; of the same metrics and looks as the plan.
    pub rule: Rule,
    /// Runs of the base, where they were made earlier; as many as the rule may look at.
    pub recorded: Vec<RunResult>,
    /// What each run measures, without a target and a seed.
    pub settings: Settings,
    /// Where the runs look for the floor of this host.
    pub store: Option<PathBuf>,
}

/// Why a gate has no answer.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// No place for the results.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A file of the gate cannot be read or written.
    #[error(transparent)]
    File(#[from] files::FileError),
    /// The folder is that of another gate.
    #[error(transparent)]
    OtherPlan(#[from] OtherPlan),
    /// A run of a pair could not be carried out.
    #[error(transparent)]
    Run(#[from] FreshRunError),
    /// The base does not do what is asked of it, so nothing can be compared with it.
    #[error(
        "{of}: the base itself fails ({reason}): a candidate cannot be gated against that; repair it or ask for less load, \
         and take another --out (or remove {}, if it was an accident)",
        folder.display()
    )]
    BaseFails {
        /// Pair and variant.
        of: String,
        /// The first reason of its run.
        reason: String,
        /// The folder of the pair.
        folder: PathBuf,
    },
    /// A run does not have one of the figures.
    #[error("{of}: {metric} was not measured{}", reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})")))]
    NotMeasured {
        /// Pair and variant.
        of: String,
        /// The figure.
        metric: String,
        /// What the run says, or what is missing.
        reason: Option<String>,
    },
    /// Somebody stopped it.
    #[error(
        "interrupted after {pairs} complete pairs: the same command with --out {} goes on from there",
        folder.display()
    )]
    Interrupted {
        /// Pairs that are complete.
        pairs: usize,
        /// The folder.
        folder: PathBuf,
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

impl GateError {
    /// 2 for what was asked wrongly, 130 for what somebody stopped, 1 for what could not be done.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Folder(FolderError::NotEmpty(_) | FolderError::InUse(_)) | Self::OtherPlan(_) => 2,
            Self::Interrupted { .. } => 130,
            _ => 1,
        }
    }
}

/// Runs the gate to its answer, in `out` or in a folder of its own; gives the folder, too.
///
/// # Errors
/// When there is no answer; what is complete is in the folder.
pub fn run(gate: &Gate, out: Option<&Path>, live: &mut Live) -> Result<(GateResult, PathBuf), GateError> {
    let clock = live.clock();
    let (folder, _claim) = open(&gate.plan, out, clock)?;
    let mut result = GateResult::planned(gate.plan.clone(), &gate.rule, env!("CARGO_PKG_VERSION"));
    files::write_atomically(&folder.join(GATE_FILE), &result)?;
    live.note(&format!("gate: {}", folder.display()));
    for note in gate.plan.notes() {
        live.note(&note);
    }
    let mut conductor = Conductor { gate, folder, clock, live, measured: 0 };
    while !result.finished {
        conductor.add_pair(&mut result)?;
        result.judge(&gate.rule);
        files::write_atomically(&conductor.folder.join(GATE_FILE), &result)?;
        // What was found on the disk has been told before.
        if conductor.measured > 0 {
            conductor.tell(&result);
        }
    }
    Ok((result, conductor.folder))
}

/// A new folder, or that of the same gate; nobody else works in it.
fn open(plan: &Plan, out: Option<&Path>, clock: RunClock) -> Result<(PathBuf, Claim), GateError> {
    let Some(folder) = out.filter(|out| out.join(GATE_FILE).exists()) else {
        let folder = folder::create(out, &assemble::rfc3339(clock.realtime_ns()), GATE)?;
        let claim = Claim::of(&folder)?;
        return Ok((folder, claim));
    };
    let claim = Claim::of(folder)?;
    let there: GateResult =
        files::read_bounded(&folder.join(GATE_FILE), gate::FILE_BYTES_MAX, gate::SCHEMA_VERSION)?;
    OtherPlan::refuse("gate", folder, there.plan.difference(plan))?;
    Ok((folder.to_owned(), claim))
}

struct Conductor<'a> {
    gate: &'a Gate,
    folder: PathBuf,
    clock: RunClock,
    live: &'a mut Live,
    /// Runs that were made, and not found.
    measured: u64,
}

/// One of the runs of a pair, and where it goes.
struct Place {
    pair: u32,
    variant: Variant,
    seed: u64,
    folder: PathBuf,
}

impl Place {
    fn out(&self) -> PathBuf {
        self.folder.join(self.variant.name())
    }

    fn invalid(&self, attempt: usize) -> PathBuf {
        self.folder.join(format!("{}-invalid-{attempt}", self.variant.name()))
    }

    /// What errors call it.
    fn name(&self) -> String {
        format!("pair {}, {}", self.pair, self.variant.name())
    }
}

impl Conductor<'_> {
    /// Makes or finds the next pair; a run that stays INVALID leaves only its repeats.
    fn add_pair(&mut self, result: &mut GateResult) -> Result<(), GateError> {
        let number = result.pairs.len() as u32 + 1;
        let recorded = self.gate.recorded.get(result.pairs.len());
        let seed = recorded.map_or(self.gate.plan.seed.wrapping_add(u64::from(number) - 1), |run| run.seed);
        let folder = self.folder.join("pairs").join(format!("{number:03}"));
        std::fs::create_dir_all(&folder)
            .map_err(|error| GateError::System { what: format!("make {}", folder.display()), error })?;
        let first = if recorded.is_some() { Variant::Base } else { first_of(seed) };
        let order = match first {
            Variant::Base => [Variant::Base, Variant::Candidate],
            Variant::Candidate => [Variant::Candidate, Variant::Base],
        };
        let (mut base, mut candidate) = (None, None);
        for variant in order {
            let place = Place { pair: number, variant, seed, folder: folder.clone() };
            let run = match recorded.filter(|_| variant == Variant::Base) {
                Some(run) => Some(run.clone()),
                None => self.valid_run(&place, result)?,
            };
            let Some(run) = run else { return Ok(()) };
            result.host.get_or_insert_with(|| Host::clone(&run.host));
            let run = self.keep(&place, run)?;
            *match variant {
                Variant::Base => &mut base,
                Variant::Candidate => &mut candidate,
            } = Some(run);
        }
        if let (Some(base), Some(candidate)) = (base, candidate) {
            result.pairs.push(Pair { seed, first, base, candidate });
        }
        Ok(())
    }

    /// A run that is not INVALID; `None` when it stays so.
    fn valid_run(&mut self, place: &Place, result: &mut GateResult) -> Result<Option<RunResult>, GateError> {
        for attempt in 1..=REPEATS_MAX + 1 {
            let earlier = place.invalid(attempt);
            let run = match fresh_run::found(&earlier)? {
                Some(run) => run,
                None => match self.run(place, result.pairs.len())? {
                    run if run.verdict.status == Status::Invalid => {
                        let renamed = std::fs::rename(place.out(), &earlier);
                        let what = format!("rename {}", place.out().display());
                        renamed.map_err(|error| GateError::System { what, error })?;
                        run
                    }
                    run => return Ok(Some(run)),
                },
            };
            self.live.note(&format!("{}: INVALID: {}", place.name(), run.verdict.reasons.join("; ")));
            result.repeats.push(Repeat {
                pair: place.pair,
                variant: place.variant,
                run_id: run.run_id,
                reasons: run.verdict.reasons,
            });
        }
        Ok(None)
    }

    /// The run as it is found, or made.
    fn run(&mut self, place: &Place, pairs: usize) -> Result<RunResult, GateError> {
        if let Some(run) = fresh_run::found(&place.out())? {
            return Ok(run);
        }
        self.measured += 1;
        let made = self.measure(place);
        match interrupt::stop_asked() {
            true => Err(GateError::Interrupted { pairs, folder: self.folder.clone() }),
            false => made,
        }
    }

    /// Makes the run.
    fn measure(&mut self, place: &Place) -> Result<RunResult, GateError> {
        let plan = &self.gate.plan;
        let run = FreshRun {
            name: place.name(),
            target: match place.variant {
                Variant::Base => &plan.base,
                Variant::Candidate => &plan.candidate,
            },
            cores: None,
            settings: &self.gate.settings,
            seed: place.seed,
            store: self.gate.store.as_deref(),
            folder: &place.folder,
            label: place.variant.name(),
        };
        Ok(run.measure(self.live, |_| ())?)
    }

    /// What the gate keeps of a run, if it can be compared at all.
    fn keep(&self, place: &Place, run: RunResult) -> Result<RunOfPair, GateError> {
        let reason = run.verdict.reasons.first().cloned();
        let failed = run.verdict.status == Status::Fail;
        if failed && place.variant == Variant::Base {
            let reason = reason.unwrap_or_default();
            return Err(GateError::BaseFails { of: place.name(), reason, folder: place.folder.clone() });
        }
        let value = |gated: &gate::GatedMetric| gated.metric.of(&run).number();
        let values: Vec<Option<f64>> = self.gate.rule.metrics().iter().map(value).collect();
        let missing = values.iter().position(Option::is_none).filter(|_| !failed);
        if let Some(metric) = missing.map(|index| self.gate.rule.metrics()[index].metric) {
            let of_target =
                matches!(metric, Metric::CpuPerMillion(Side::Target) | Metric::PeakMemory(Side::Target));
            let no_process = of_target && run.resources.target.is_none();
            let remedy =
                "no process of the command's group listens on the port; --metric names others".to_owned();
            let reason = if no_process { Some(remedy) } else { reason };
            return Err(GateError::NotMeasured { of: place.name(), metric: metric.to_string(), reason });
        }
        Ok(RunOfPair { run_id: run.run_id, verdict: run.verdict, values })
    }

    /// Estimates so far, and the time that the looks are away.
    fn tell(&mut self, result: &GateResult) {
        let looks = self.gate.rule.looks();
        let (done, most) = (result.pairs.len(), self.gate.rule.pairs_max());
        let estimate =
            |metric: &gate::MetricResult| Some(format!("{} {}", metric.name, change(metric.change?)));
        let estimates: Vec<String> = result.metrics.iter().filter_map(estimate).collect();
        let mut line = format!("pair {done} of at most {most}: {}", estimates.join(", "));
        let away = |look: u32| -> Option<String> {
            let runs_per_pair = if self.gate.recorded.is_empty() { 2 } else { 1 };
            let runs = runs_per_pair * u64::from(look).checked_sub(done as u64)?;
            let left_ns = (self.clock.now_ns() / self.measured).saturating_mul(runs);
            Some(flag_duration(left_ns.next_multiple_of(SECOND_NS)))
        };
        let next = looks.iter().copied().find(|look| *look as usize > done);
        if let Some(next) = next.filter(|_| !result.finished) {
            line.push_str(&format!("; look after {next} in {}", away(next).unwrap_or_default()));
            if next < most {
                line.push_str(&format!(", after {most} in {}", away(most).unwrap_or_default()));
            }
        }
        self.live.note(&line);
    }
}

/// Which one goes first: a coin that the seed has tossed.
fn first_of(seed: u64) -> Variant {
    match ChaCha8Rng::seed_from_u64(seed).random::<bool>() {
        true => Variant::Base,
        false => Variant::Candidate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_goes_first_about_as_often() {
        let bases = (0..1000).filter(|seed| first_of(*seed) == Variant::Base).count();
        assert!((430..570).contains(&bases), "{bases} of 1000");
        assert!((0..100).all(|seed| first_of(seed) == first_of(seed)));
    }
}
