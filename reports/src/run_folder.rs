//! The files of one run, read back: what a report is made from.
//!
//! Invariant: `run.json` alone makes a report; what else is there adds to it. A file that is there and cannot be read is an
//! error, so that a report never shows less than its folder holds without saying so.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::RunResult;
use crate::files::{self, FileError, RUN_FILE_BYTES_MAX};
use crate::post_row::PostRow;
use crate::run_set::RUN_FILE;

/// The interval log.
pub const HLOG_FILE: &str = "run.hlog";
/// The percentile distribution.
pub const HGRM_FILE: &str = "run.hgrm";
/// A row per post.
pub const POSTS_FILE: &str = "posts.csv";
/// A row per pair that was late or missing.
pub const MISSES_FILE: &str = "misses.csv";

/// The files of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFolder {
    /// What the user called it.
    pub name: String,
    /// `run.json`.
    pub result: RunResult,
    /// `posts.csv`, in the order of the schedule; empty without the file.
    pub posts: Vec<PostRow>,
    /// The bytes of the files that are there, with their names: `run.json` first.
    pub files: Vec<(&'static str, Vec<u8>)>,
}

/// Why there is nothing to make a report from.
#[derive(Debug, thiserror::Error)]
pub enum RunFolderError {
    /// A file cannot be read, or is not what feedmark writes.
    #[error(transparent)]
    File(#[from] FileError),
    /// A row of `posts.csv` is none.
    #[error("{}: {error}: is it the file of this run?", path.display())]
    Posts {
        /// The file.
        path: PathBuf,
        /// Where and what.
        error: csv::Error,
    },
}

impl RunFolder {
    /// Reads a run folder, or a `run.json` with what lies beside it.
    ///
    /// # Errors
    /// If there is no run, or one of its files cannot be read.
    pub fn read(path: &Path) -> Result<Self, RunFolderError> {
        let run_file = if path.is_dir() { path.join(RUN_FILE) } else { path.to_owned() };
        let result = files::read(&run_file)?;
        let folder = run_file.parent().unwrap_or(Path::new(""));
        let mut files = vec![(RUN_FILE, bytes(&run_file)?.unwrap_or_default())];
        for name in [HLOG_FILE, HGRM_FILE, POSTS_FILE, MISSES_FILE] {
            if let Some(bytes) = bytes(&folder.join(name))? {
                files.push((name, bytes));
            }
        }
        let mut run = Self { name: path.display().to_string(), result, posts: Vec::new(), files };
        if let Some(posts) = run.file(POSTS_FILE) {
            let rows = csv::Reader::from_reader(posts).into_deserialize().collect::<Result<_, _>>();
            run.posts =
                rows.map_err(|error| RunFolderError::Posts { path: folder.join(POSTS_FILE), error })?;
        }
        Ok(run)
    }

    /// The bytes of a file, if it is there.
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        self.files.iter().find(|(found, _)| *found == name).map(|(_, bytes)| bytes.as_slice())
    }
}

/// What a file holds; `None` where there is none.
fn bytes(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    let io_error = |source| FileError::Io { action: "read", path: path.to_owned(), source };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(io_error)?,
    };
    let mut bytes = Vec::new();
    file.take(RUN_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(io_error)?;
    if bytes.len() as u64 > RUN_FILE_BYTES_MAX {
        let too_large = FileError::TooLarge {
            path: path.to_owned(),
            bytes: bytes.len() as u64,
            bytes_max: RUN_FILE_BYTES_MAX,
        };
        return Err(too_large);
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::sample;

    #[test]
    fn the_run_alone_is_enough_and_what_is_broken_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = RunFolder::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("run.json"), "{error}");
        files::write_atomically(&folder.path().join(RUN_FILE), &sample::run()).unwrap();
        let run = RunFolder::read(folder.path()).unwrap();
        assert_eq!((run.result, run.posts.len(), run.files.len()), (sample::run(), 0, 1));
        fs::write(folder.path().join(POSTS_FILE), "seq\nx\n").unwrap();
        let error = RunFolder::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("posts.csv") && error.contains("line: 2"), "{error}");
    }
}
