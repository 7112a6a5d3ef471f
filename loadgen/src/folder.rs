//! The run folder: made before anything is measured, so that a bad place is known at once.

use std::path::{Path, PathBuf};

/// Where runs go without `--out`.
const RUNS: &str = "runs";

/// Why there is no place for the results.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Somebody's results are there.
    #[error("the output folder {} exists and is not empty: choose another --out, or remove it first", .0.display())]
    NotEmpty(PathBuf),
    /// Cannot be made or written.
    #[error("cannot make or write the output folder {}: {error}: choose another --out", path.display())]
    Create {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
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
