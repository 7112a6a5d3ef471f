//! Baselines: runs that are kept under a name in the store, to compare later runs with.
//!
//! A baseline is one file, `baselines/NAME.json` in the store, and is what `run.json` was: header and auth values are not
//! in it. Invariant: it is replaced as a whole, so a reader finds the old run or the new one.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use feedmark_reports::files::{self, FileError};
use feedmark_reports::run_set::RunSet;
use feedmark_reports::{RunResult, Status};

const SUFFIX: &str = ".json";
const NAME_BYTES_MAX: usize = 64;
/// Names that an error lists.
const NAMES_LISTED_MAX: usize = 20;

/// The name of a baseline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaselineName(String);

impl FromStr for BaselineName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let allowed = (1..=NAME_BYTES_MAX).contains(&text.len())
            && text.chars().all(is_plain)
            && !text.starts_with('.');
        match allowed {
            true => Ok(Self(text.to_owned())),
            false => Err(format!(
                "a name has 1 to {NAME_BYTES_MAX} letters, digits, `.`, `_` and `-`, and does not start with `.`"
            )),
        }
    }
}

impl fmt::Display for BaselineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why there is no baseline, or none was saved.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// Nobody saved one under this name.
    #[error("no baseline `{name}` in {}: {known}", folder.display())]
    Unknown {
        /// The name.
        name: BaselineName,
        /// Where baselines are.
        folder: PathBuf,
        /// The names that are there, or how to save one.
        known: String,
    },
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The folder cannot be made.
    #[error("cannot make the folder for baselines {}: {error}: choose another --store", folder.display())]
    Create {
        /// Where baselines are.
        folder: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Later runs cannot be held to this one.
    #[error("the run is not saved as baseline `{name}`, because it {why}: run again")]
    NotWorthIt {
        /// The name.
        name: BaselineName,
        /// What is wrong with the run.
        why: &'static str,
    },
}

/// The baselines of a store.
#[derive(Debug, Clone)]
pub struct Baselines {
    folder: PathBuf,
}

impl Baselines {
    pub(crate) const fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Makes the folder, and sees that something can be written to it.
    ///
    /// # Errors
    /// If not.
    pub fn prepare(&self) -> Result<(), BaselineError> {
        std::fs::create_dir_all(&self.folder)
            .and_then(|()| tempfile::tempfile_in(&self.folder))
            .map(drop)
            .map_err(|error| BaselineError::Create { folder: self.folder.clone(), error })
    }

    /// Keeps a run under a name. True if it replaced another.
    ///
    /// # Errors
    /// If the run is invalid or ended early, or cannot be written; an older baseline is then untouched.
    pub fn save(&self, name: &BaselineName, run: &RunResult) -> Result<bool, BaselineError> {
        let why = match (run.interrupted, &run.aborted, run.verdict.status) {
            (true, _, _) => Some("was interrupted"),
            (false, Some(_), _) => Some("ended itself early"),
            (false, None, Status::Invalid) => Some("is INVALID"),
            (false, None, _) => None,
        };
        if let Some(why) = why {
            return Err(BaselineError::NotWorthIt { name: name.clone(), why });
        }
        let file = self.file(name);
        let replaces = file.exists();
        files::write_atomically(&file, run)?;
        Ok(replaces)
    }

    /// The run of this name.
    ///
    /// # Errors
    /// If there is none, or its file is not what feedmark writes.
    pub fn read(&self, name: &BaselineName) -> Result<RunSet, BaselineError> {
        match files::read(&self.file(name)) {
            Ok(run) => Ok(RunSet { name: format!("baseline:{name}"), runs: vec![run] }),
            Err(FileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Err(BaselineError::Unknown {
                    name: name.clone(),
                    folder: self.folder.clone(),
                    known: self.known(),
                })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn file(&self, name: &BaselineName) -> PathBuf {
        self.folder.join(format!("{name}{SUFFIX}"))
    }

    /// The names that are there, in order.
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let name = |file: std::ffi::OsString| {
            let name = file.to_str()?.strip_suffix(SUFFIX)?;
            name.parse::<BaselineName>().ok().map(|name| name.0)
        };
        let mut names: Vec<String> = entries.filter_map(|entry| name(entry.file_name())).collect();
        names.sort_unstable();
        names
    }

    fn known(&self) -> String {
        let names = self.names();
        if names.is_empty() {
            return "none is saved yet: `feedmark run --save-baseline NAME` saves one".to_owned();
        }
        let more = names.len().saturating_sub(NAMES_LISTED_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("known are {}{more}", names[..names.len().min(NAMES_LISTED_MAX)].join(", "))
    }
}

#[cfg(test)]
mod tests {
    use feedmark_reports::sample;

    use super::*;

    fn name(text: &str) -> BaselineName {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_plain() {
        for text in ["main", "v1.2", "a_b-C", "1", &"x".repeat(64)] {
            assert_eq!(name(text).to_string(), text);
        }
        for text in ["", ".", "..", ".hidden", "a/b", "a b", "ä", "a\0", &"x".repeat(65)] {
            assert!(text.parse::<BaselineName>().unwrap_err().contains("letters, digits"), "{text:?}");
        }
    }

    #[test]
    fn a_save_replaces_and_leaves_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let baselines = Baselines::in_folder(folder.path().join("baselines"));
        baselines.prepare().unwrap();
        let mut run = sample::run();
        assert!(!baselines.save(&name("main"), &run).unwrap());
        run.seed = 7;
        assert!(baselines.save(&name("main"), &run).unwrap());
        let read = baselines.read(&name("main")).unwrap();
        assert_eq!((read.name.as_str(), read.runs), ("baseline:main", vec![run]));
        assert_eq!(std::fs::read_dir(&baselines.folder).unwrap().count(), 1);
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let folder = tempfile::tempdir().unwrap();
        let baselines = Baselines::in_folder(folder.path().to_owned());
        let error = |baselines: &Baselines| baselines.read(&name("main")).unwrap_err().to_string();
        assert!(
            error(&baselines).contains("no baseline `main` in")
                && error(&baselines).contains("--save-baseline")
        );
        for index in 0..22 {
            std::fs::write(folder.path().join(format!("b{index:02}.json")), "{}").unwrap();
        }
        std::fs::write(folder.path().join("notes"), "").unwrap();
        assert!(error(&baselines).ends_with("b18, b19 and 2 more"), "{}", error(&baselines));
        let broken = baselines.read(&name("b00")).unwrap_err().to_string();
        assert!(broken.contains("b00.json:1:"), "{broken}");
    }

    #[test]
    fn a_run_that_says_nothing_is_no_baseline() {
        let folder = tempfile::tempdir().unwrap();
        let baselines = Baselines::in_folder(folder.path().to_owned());
        let run = sample::run();
        baselines.save(&name("main"), &run).unwrap();
        let mut invalid = run.clone();
        invalid.verdict.status = Status::Invalid;
        let mut interrupted = run.clone();
        interrupted.interrupted = true;
        let mut aborted = run.clone();
        aborted.aborted = Some("missing == 0".to_owned());
        for (bad, why) in [
            (invalid, "it is INVALID"),
            (interrupted, "it was interrupted"),
            (aborted, "it ended itself early"),
        ] {
            let error = baselines.save(&name("main"), &bad).unwrap_err().to_string();
            assert!(error.contains("not saved as baseline `main`") && error.contains(why), "{error}");
        }
        assert_eq!(baselines.read(&name("main")).unwrap().runs, [run]);
    }
}
