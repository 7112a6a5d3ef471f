//! Base runs that were made earlier, for a base that cannot be run again.

use std::path::{Path, PathBuf};

use feedmark_reports::gate::{Plan, Variant};
use feedmark_reports::run_result::{RunResult, ScenarioRecord};
use feedmark_reports::run_set::RUN_FILE;
use feedmark_reports::{Status, files};

/// Why earlier runs cannot be a base.
#[derive(Debug, thiserror::Error)]
pub enum RecordedError {
    /// The folder cannot be listed.
    #[error("cannot list {}: {error}", folder.display())]
    List {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A run cannot be read.
    #[error(transparent)]
    File(#[from] files::FileError),
    /// Too few of them.
    #[error(
        "{} has {found} valid runs, and the last look is after {needed} pairs: record more, or look earlier (--pairs)",
        folder.display()
    )]
    TooFew {
        /// The folder.
        folder: PathBuf,
        /// Runs that are not INVALID, interrupted or too short for a figure.
        found: usize,
        /// Pairs of the last look.
        needed: u32,
    },
    /// They measured something else.
    #[error("the run in {} has {field} {there}, and the gate {asked}: ask for the same", run.display())]
    OtherScenario {
        /// The run.
        run: PathBuf,
        /// The first field that differs.
        field: String,
        /// As the run has it.
        there: String,
        /// As the gate has it.
        asked: String,
    },
}

/// As many runs as the plan looks at, in the order in which they were made: those in `folder/*/`, or where it is that of a
/// gate, the base's in `folder/pairs/*/base`.
///
/// # Errors
/// See [`RecordedError`].
pub fn read(folder: &Path, plan: &Plan) -> Result<Vec<RunResult>, RecordedError> {
    let of_gate = folder.join(super::GATE_FILE).exists();
    let (parent, below) = match of_gate {
        true => (folder.join("pairs"), Path::new(Variant::Base.name()).join(RUN_FILE)),
        false => (folder.to_owned(), RUN_FILE.into()),
    };
    let list_error = |error| RecordedError::List { folder: parent.clone(), error };
    let mut runs = Vec::new();
    for entry in std::fs::read_dir(&parent).map_err(list_error)? {
        let file = entry.map_err(list_error)?.path().join(&below);
        if !file.exists() {
            continue;
        }
        let run = files::read(&file)?;
        if run.interrupted || run.verdict.status == Status::Invalid {
            continue;
        }
        if let Some((field, there, asked)) = difference(&run, &plan.scenario) {
            return Err(RecordedError::OtherScenario { run: file, field, there, asked });
        }
        runs.push(run);
    }
    runs.sort_by(|a, b| (&a.started_at, &a.run_id).cmp(&(&b.started_at, &b.run_id)));
    let needed = plan.looks.last().copied().unwrap_or(0);
    if runs.len() < needed as usize {
        return Err(RecordedError::TooFew { folder: folder.to_owned(), found: runs.len(), needed });
    }
    runs.truncate(needed as usize);
    Ok(runs)
}

/// What the run did otherwise than `scenario`, but for its target.
fn difference(run: &RunResult, scenario: &ScenarioRecord) -> Option<(String, String, String)> {
    let without_target =
        ScenarioRecord { url: None, target_args: Vec::new(), faults: Vec::new(), ..run.scenario.clone() };
    feedmark_reports::gate::difference(&without_target, scenario)
}

#[cfg(test)]
mod tests {
    use feedmark_reports::sample;

    use super::*;

    fn store(folder: &Path, name: &str, started_at: &str, status: Status) {
        let mut run = sample::run();
        run.scenario.url = Some("http://old:1".to_owned());
        (run.run_id, run.started_at, run.verdict.status) = (name.to_owned(), started_at.to_owned(), status);
        std::fs::create_dir_all(folder.join(name)).unwrap();
        files::write_atomically(&folder.join(name).join(RUN_FILE), &run).unwrap();
    }

    fn plan(pairs: u32) -> Plan {
        let scenario = ScenarioRecord { url: None, ..sample::run().scenario };
        let (base, candidate) = ("runs".to_owned(), "./server {port}".to_owned());
        Plan { base, candidate, scenario, seed: 1, metrics: Vec::new(), looks: vec![1, pairs] }
    }

    #[test]
    fn earlier_runs_come_in_their_order_without_those_that_say_nothing() {
        let folder = tempfile::tempdir().unwrap();
        store(folder.path(), "b", "2026-03-01T13:00:00Z", Status::Pass);
        store(folder.path(), "a", "2026-03-01T14:00:00Z", Status::Unresolved);
        store(folder.path(), "c", "2026-03-01T12:00:00Z", Status::Invalid);
        std::fs::write(folder.path().join("notes.txt"), "").unwrap();
        let ids = |pairs| -> Vec<String> {
            let runs = read(folder.path(), &plan(pairs)).unwrap();
            runs.into_iter().map(|run| run.run_id).collect()
        };
        assert_eq!(ids(2), ["b", "a"]);
        let error = read(folder.path(), &plan(3)).unwrap_err().to_string();
        assert!(error.contains("has 2 valid runs") && error.contains("after 3 pairs"), "{error}");
        let mut other = plan(2);
        other.scenario.subscribers = 7;
        let error = read(folder.path(), &other).unwrap_err().to_string();
        assert!(error.contains("subscribers 1000, and the gate 7"), "{error}");
    }

    #[test]
    fn of_a_gate_the_base_counts() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("gate.json"), "").unwrap();
        for (number, moment) in [(1, "2026-03-01T12:00:00Z"), (2, "2026-03-01T13:00:00Z")] {
            let pair = folder.path().join(format!("pairs/00{number}"));
            store(&pair, "base", moment, Status::Pass);
            store(&pair, "candidate", moment, Status::Fail);
        }
        let runs = read(folder.path(), &plan(2)).unwrap();
        assert!(runs.iter().all(|run| run.run_id == "base") && runs.len() == 2);
    }
}
