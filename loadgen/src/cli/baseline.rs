//! What `feedmark run` does with baselines: before the run it sees that it can, after it compares and saves.
//!
//! Invariant: a baseline never changes the exit code of a run that was measured and saved.

use clap::Args;
use feedmark_reports::comparable::other_work;
use feedmark_reports::comparison::{METRICS, compare};
use feedmark_reports::run_set::RunSet;
use feedmark_reports::{files, terminal};

use super::{print, style, warn};
use crate::baseline::{BaselineError, BaselineName, Baselines};
use crate::floor::{Store, StoreError};
use crate::run::FinishedRun;
use crate::scenario::Scenario;

/// The comparison beside run.json.
const FILE: &str = "comparison.json";

#[derive(Debug, Args)]
pub(super) struct BaselineArgs {
    /// Keep the run in the store as the baseline of this name, in place of an older one
    #[arg(long, value_name = "NAME", help_heading = "Output")]
    save_baseline: Option<BaselineName>,
    /// Compare the run with the baseline of this name, after the summary and in comparison.json; the exit code stays that of
    /// the run
    #[arg(long, value_name = "NAME", help_heading = "Output")]
    baseline: Option<BaselineName>,
}

/// What is to be done after the run.
pub(super) struct BaselinePlan {
    against: Option<RunSet>,
    save_as: Option<(Baselines, BaselineName)>,
}

impl BaselinePlan {
    /// Reads the baseline to compare with, and sees that one can be saved.
    ///
    /// # Errors
    /// If there is none, or the scenario asks for other work than it did, or the store cannot be written.
    pub(super) fn new(
        args: BaselineArgs,
        store: Result<&Store, &StoreError>,
        scenario: &Scenario,
    ) -> Result<Self, String> {
        let baselines = || store.map(Store::baselines).map_err(ToString::to_string);
        let against =
            args.baseline.map(|name| read_comparable(&baselines()?, &name, scenario)).transpose()?;
        let save_as = args.save_baseline.map(|name| {
            let baselines = baselines()?;
            baselines.prepare().map_err(|error| error.to_string())?;
            Ok::<_, String>((baselines, name))
        });
        Ok(Self { against, save_as: save_as.transpose()? })
    }

    /// Compares the run, and saves it.
    ///
    /// # Errors
    /// If the one or the other cannot be written; what the run is not worth is only said.
    pub(super) fn conclude(&self, run: &FinishedRun, json: bool, no_color: bool) -> Result<(), String> {
        if let Some(against) = &self.against {
            let candidate = RunSet { name: run.folder.display().to_string(), runs: vec![run.result.clone()] };
            match compare(against, &candidate, &METRICS, false) {
                Ok(comparison) => {
                    files::write_atomically(&run.folder.join(FILE), &comparison)
                        .map_err(|error| error.to_string())?;
                    if !json {
                        print(&format!("\n{}", terminal::comparison(&comparison, &style(no_color))))?;
                    }
                }
                Err(error) => warn(&format!(
                    "{error}; `feedmark compare {} {} --force` does it all the same",
                    against.name, candidate.name
                )),
            }
        }
        let Some((baselines, name)) = &self.save_as else { return Ok(()) };
        match baselines.save(name, &run.result) {
            Ok(_) if json => Ok(()),
            Ok(replaces) => {
                let note = if replaces { ", in place of an older run" } else { "" };
                print(&format!("\nsaved as baseline `{name}`{note}\n"))
            }
            Err(error @ BaselineError::NotWorthIt { .. }) => {
                warn(&error);
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The baseline, if the scenario can be held to it: known before the run rather than after it.
fn read_comparable(
    baselines: &Baselines,
    name: &BaselineName,
    scenario: &Scenario,
) -> Result<RunSet, String> {
    let set = baselines.read(name).map_err(|error| error.to_string())?;
    let record = scenario.record();
    let other: Vec<String> = set
        .runs
        .iter()
        .flat_map(|run| other_work(&run.scenario, &record))
        .map(|difference| difference.to_string())
        .collect();
    match other.is_empty() {
        true => Ok(set),
        false => Err(format!(
            "baseline `{name}` asked for other work: {}; change the scenario, or save a baseline of this one",
            other.join("; ")
        )),
    }
}
