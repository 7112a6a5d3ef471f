//! `run.json` on disk: read with care, written whole or not at all.
//!
//! Invariants:
//! * A reader of the folder sees the old file or the new one, never a half: the new one is written
//!   beside it, flushed to the disk, and renamed over it.
//! * What is read is bounded in size and has our schema version before anything else is believed.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::RunResult;
use crate::run_result::SCHEMA_VERSION;

/// Largest `run.json` that is read. A run of an hour with all its samples and histograms stays below
/// a hundredth of it.
pub const RUN_FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Why a run could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: `read`, `write`, ...
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The file is larger than anything that feedmark writes.
    #[error(
        "{} has {bytes} bytes, more than the {RUN_FILE_BYTES_MAX} allowed: is it a run.json of feedmark?",
        path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size, or what was read of it.
        bytes: u64,
    },
    /// The file is no JSON, or a value in it is not allowed.
    #[error("{}:{line}:{column}: {place}: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// Path of the value inside the document, such as `posts.sent`.
        place: String,
        /// What is wrong and what is allowed.
        message: String,
    },
    /// The file was written with another schema version.
    #[error(
        "{}: schema_version is {found}, this feedmark reads {SCHEMA_VERSION}: use the feedmark that wrote the file",
        path.display()
    )]
    SchemaVersion {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: u64,
    },
    /// The result cannot be expressed in JSON.
    #[error("cannot express the result for {} as json: {message}", path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
}

/// Reads a `run.json`.
///
/// # Errors
/// When the file cannot be read, is too large, is not JSON, has another schema version, or holds a
/// value that is not allowed; every error names the file and the place in it.
pub fn read(path: &Path) -> Result<RunResult, FileError> {
    read_bounded(path, RUN_FILE_BYTES_MAX)
}

fn read_bounded(path: &Path, bytes_max: u64) -> Result<RunResult, FileError> {
    let io_error = |source| FileError::Io { action: "read", path: path.to_owned(), source };
    let file = File::open(path).map_err(io_error)?;
    // A directory opens and then fails to read; its length means nothing.
    let bytes = file.metadata().map_err(io_error)?.len();
    if bytes > bytes_max {
        return Err(FileError::TooLarge { path: path.to_owned(), bytes });
    }
    let mut json = Vec::new();
    // The file may grow while it is read, and a pipe has no length: the bound holds here.
    file.take(bytes_max + 1).read_to_end(&mut json).map_err(io_error)?;
    if json.len() as u64 > bytes_max {
        return Err(FileError::TooLarge { path: path.to_owned(), bytes: json.len() as u64 });
    }
    parse(path, &json)
}

fn parse(path: &Path, json: &[u8]) -> Result<RunResult, FileError> {
    #[derive(Deserialize)]
    struct Versioned {
        schema_version: u64,
    }
    let versioned: Versioned = decode(path, json)?;
    if versioned.schema_version != u64::from(SCHEMA_VERSION) {
        return Err(FileError::SchemaVersion { path: path.to_owned(), found: versioned.schema_version });
    }
    decode(path, json)
}

fn decode<'de, T: Deserialize<'de>>(path: &Path, json: &'de [u8]) -> Result<T, FileError> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let content = |place: String, error: serde_json::Error| {
        let (line, column) = (error.line(), error.column());
        let message = error.to_string();
        // The position stands in front already.
        let message = message.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&message);
        FileError::Content { path: path.to_owned(), line, column, place, message: message.to_owned() }
    };
    let value = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| content(error.path().to_string(), error.into_inner()))?;
    deserializer.end().map_err(|error| content(".".to_owned(), error))?;
    Ok(value)
}

/// Writes a `run.json` so that a reader sees it whole or not at all; an older one is replaced.
///
/// # Errors
/// When the folder or the disk refuses; the older file, if there was one, is then untouched.
pub fn write_atomically(path: &Path, result: &RunResult) -> Result<(), FileError> {
    let io_error = |source| FileError::Io { action: "write", path: path.to_owned(), source };
    let mut json = serde_json::to_vec_pretty(result)
        .map_err(|error| FileError::Encode { path: path.to_owned(), message: error.to_string() })?;
    json.push(b'\n');
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut temporary =
        tempfile::Builder::new().prefix(".run-").suffix(".json.tmp").tempfile_in(folder).map_err(io_error)?;
    {
        let mut writer = BufWriter::new(temporary.as_file_mut());
        writer.write_all(&json).and_then(|()| writer.flush()).map_err(io_error)?;
    }
    temporary.as_file().sync_all().map_err(io_error)?;
    make_readable(temporary.as_file()).map_err(io_error)?;
    temporary.persist(path).map_err(|error| io_error(error.error))?;
    // The rename itself is durable only once the folder is.
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error)
}

/// Temporary files are private to their owner; a result is an ordinary file.
#[cfg(unix)]
fn make_readable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable(_: &File) -> io::Result<()> {
    Ok(())
}
