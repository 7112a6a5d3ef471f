//! Runs that belong together: one, or those of a folder.
//!
//! Invariant: a set has at least one run, and no more than [`RUNS_MAX`].

use std::fs;
use std::path::{Path, PathBuf};

use crate::RunResult;
use crate::files::{self, FileError};
use crate::stats::rank_sum;

/// The file that makes a folder a run folder.
pub const RUN_FILE: &str = "run.json";
/// Most runs of a set: as many as the statistics count exactly.
pub const RUNS_MAX: usize = rank_sum::VALUES_MAX;

/// Runs with what they are called.
#[derive(Debug, Clone, PartialEq)]
pub struct RunSet {
    /// What the user called them.
    pub name: String,
    /// The runs, in the order of their folders' names.
    pub runs: Vec<RunResult>,
}

/// Why there are no runs to read.
#[derive(Debug, thiserror::Error)]
pub enum RunSetError {
    /// A file or folder cannot be read, or is not what feedmark writes.
    #[error(transparent)]
    File(#[from] FileError),
    /// A folder without results.
    #[error("{} holds neither {RUN_FILE} nor folders with one: name a run folder, a {RUN_FILE}, or a folder of run folders", .0.display())]
    NoRuns(PathBuf),
    /// A folder with more results than a comparison takes.
    #[error("{} holds {runs} runs, more than the {RUNS_MAX} that are compared: move some elsewhere", path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
        /// How many there are.
        runs: usize,
    },
}

impl RunSet {
    /// Reads a run file, a run folder, or a folder of run folders. What else lies in the folder is left alone.
    ///
    /// # Errors
    /// If one of the files cannot be read or is no run, or if there is none or there are too many.
    pub fn read(path: &Path) -> Result<Self, RunSetError> {
        let runs = run_files(path)?.iter().map(|file| files::read(file)).collect::<Result<_, _>>()?;
        Ok(Self { name: path.display().to_string(), runs })
    }
}

fn run_files(path: &Path) -> Result<Vec<PathBuf>, RunSetError> {
    let read_error = |source| FileError::Io { action: "read", path: path.to_owned(), source };
    if !fs::metadata(path).map_err(read_error)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let own = path.join(RUN_FILE);
    if own.exists() {
        return Ok(vec![own]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(read_error)? {
        let file = entry.map_err(read_error)?.path().join(RUN_FILE);
        if file.exists() {
            files.push(file);
        }
    }
    files.sort_unstable();
    match files.len() {
        0 => Err(RunSetError::NoRuns(path.to_owned())),
        1..=RUNS_MAX => Ok(files),
        runs => Err(RunSetError::TooMany { path: path.to_owned(), runs }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_file_a_run_folder_or_a_folder_of_run_folders() {
        let folder = tempfile::tempdir().unwrap();
        for (name, run_id) in [("b", "2"), ("a", "1")] {
            let mut run = sample::run();
            run.run_id = run_id.to_owned();
            fs::create_dir(folder.path().join(name)).unwrap();
            files::write_atomically(&folder.path().join(name).join(RUN_FILE), &run).unwrap();
        }
        fs::create_dir(folder.path().join("empty")).unwrap();
        fs::write(folder.path().join("notes"), "").unwrap();
        let ids = |path: &str| -> Vec<String> {
            let runs = RunSet::read(&folder.path().join(path)).unwrap().runs;
            runs.into_iter().map(|run| run.run_id).collect()
        };
        assert_eq!(ids(""), ["1", "2"]);
        assert_eq!(ids("b"), ["2"]);
        assert_eq!(ids("b/run.json"), ["2"]);
        let error = |path: &str| RunSet::read(&folder.path().join(path)).unwrap_err().to_string();
        assert!(error("empty").contains("holds neither run.json nor"), "{}", error("empty"));
        assert!(error("nowhere").starts_with("cannot read "), "{}", error("nowhere"));
        fs::write(folder.path().join("a/run.json"), "{}").unwrap();
        assert!(error("").contains("a/run.json:1:"), "{}", error(""));
    }

    #[test]
    fn the_number_of_runs_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let add = |index: usize| {
            let run = folder.path().join(index.to_string());
            fs::create_dir(&run).unwrap();
            fs::write(run.join(RUN_FILE), "").unwrap();
        };
        (0..RUNS_MAX).for_each(add);
        assert_eq!(run_files(folder.path()).unwrap().len(), RUNS_MAX);
        add(RUNS_MAX);
        let error = run_files(folder.path()).unwrap_err().to_string();
        assert!(error.contains("65 runs, more than the 64"), "{error}");
    }
}
