//! The run folder: made before anything is measured, so that a bad place is known at once; and that of a gate or a session,
//! in which only one works at a time.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// Where runs go without `--out`.
const RUNS: &str = "runs";

/// Why there is no place for the results.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Somebody's results are there.
    #[error("the output folder {} exists and is not empty: choose another --out, or remove it first", .0.display())]
    NotEmpty(PathBuf),
    /// Somebody goes on with it.
    #[error("another feedmark works in {}: wait until it has ended, or choose another --out", .0.display())]
    InUse(PathBuf),
    /// Cannot be made or written.
    #[error("cannot make or write the output folder {}: {error}: choose another --out", path.display())]
    Create {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}

/// The folder is that of something else than what is asked for.
#[derive(Debug, thiserror::Error)]
#[error(
    "the {what} in {} has {field} {there}, and {asked} is asked for now: choose another --out, or ask for the same",
    folder.display()
)]
pub struct OtherPlan {
    /// A gate, or a session.
    what: &'static str,
    folder: PathBuf,
    /// The first field that differs.
    field: String,
    /// As in the folder.
    there: String,
    /// As asked for now.
    asked: String,
}

impl OtherPlan {
    /// Refuses the folder if its plan has a `difference` from what is asked for: the field, as there, as asked.
    pub(crate) fn refuse(
        what: &'static str,
        folder: &Path,
        difference: Option<(String, String, String)>,
    ) -> Result<(), Self> {
        match difference {
            None => Ok(()),
            Some((field, there, asked)) => Err(Self { what, folder: folder.to_owned(), field, there, asked }),
        }
    }
}

/// What is there was measured on another host, or by another feedmark.
#[derive(Debug, thiserror::Error)]
#[error(
    "the {what} in {} was measured with {field} {there}, and this is {here}: choose another --out, or go on with that",
    folder.display()
)]
pub struct OtherBed {
    /// A session.
    what: &'static str,
    folder: PathBuf,
    /// The first fact that differs.
    field: &'static str,
    /// As in the folder.
    there: String,
    /// As it is now.
    here: String,
}

impl OtherBed {
    /// Refuses the folder if one of the facts differs: its name, as there, as here.
    pub(crate) fn refuse<const N: usize>(
        what: &'static str,
        folder: &Path,
        facts: [(&'static str, String, String); N],
    ) -> Result<(), Self> {
        match facts.into_iter().find(|(_, there, here)| there != here) {
            None => Ok(()),
            Some((field, there, here)) => Err(Self { what, folder: folder.to_owned(), field, there, here }),
        }
    }
}

/// A folder that nobody else goes on with until this is dropped, whatever ends us: the kernel keeps the lock, and no file does.
#[derive(Debug)]
pub(crate) struct Claim {
    /// Of a file system that cannot lock folders there is none, and care is up to whoever calls us.
    _lock: Option<File>,
}

impl Claim {
    /// Claims the folder.
    ///
    /// # Errors
    /// If somebody else has, or it cannot be opened.
    pub(crate) fn of(folder: &Path) -> Result<Self, FolderError> {
        let opened =
            File::open(folder).map_err(|error| FolderError::Create { path: folder.to_owned(), error })?;
        match opened.try_lock() {
            Ok(()) => Ok(Self { _lock: Some(opened) }),
            Err(TryLockError::WouldBlock) => Err(FolderError::InUse(folder.to_owned())),
            Err(TryLockError::Error(_)) => Ok(Self { _lock: None }),
        }
    }
}

/// Makes `out`, or a folder in `runs/` named after the moment and the run.
///
/// # Errors
/// If it has files already, or cannot be written.
pub fn create(out: Option<&Path>, started_at: &str, run_id: &str) -> Result<PathBuf, FolderError> {
    let path = out.map_or_else(
        || {
            let moment: String = started_at.chars().filter(|c| c.is_ascii_alphanumeric()).take(15).collect();
            Path::new(RUNS).join(format!("{moment}-{run_id}"))
        },
        Path::to_owned,
    );
    let create_error = |error| FolderError::Create { path: path.clone(), error };
    std::fs::create_dir_all(&path).map_err(create_error)?;
    if std::fs::read_dir(&path).map_err(create_error)?.next().is_some() {
        return Err(FolderError::NotEmpty(path));
    }
    tempfile::tempfile_in(&path).map_err(create_error)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_claimed_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = Claim::of(folder.path()).unwrap();
        let error = Claim::of(folder.path()).unwrap_err();
        assert!(matches!(&error, FolderError::InUse(path) if path == folder.path()), "{error}");
        drop(first);
        Claim::of(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_with_results_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        assert_eq!(create(Some(&path), "", "").unwrap(), path);
        assert_eq!(create(Some(&path), "", "").unwrap(), path);
        std::fs::write(path.join("run.json"), "{}").unwrap();
        assert!(matches!(create(Some(&path), "", ""), Err(FolderError::NotEmpty(_))));
        let file = path.join("run.json");
        assert!(matches!(create(Some(&file), "", ""), Err(FolderError::Create { .. })));
    }
}
