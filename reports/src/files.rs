//! `run.json`, and whatever else is kept as JSON, on disk: read with care, written whole or not at all.
//!
//! Invariants:
//! * A reader of the folder sees the old file or the new one, never a half: the new one is written
//!   beside it, flushed to the disk, and renamed over it.
//! * What is read is bounded in size and has the right schema version before anything else is believed.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::RunResult;
use crate::run_result::SCHEMA_VERSION;

/// Largest `run.json` that is read. A run of an hour with all its samples and histograms stays below
/// a hundredth of it.
pub const RUN_FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Why a file could not be read or written.
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
        "{} has {bytes} bytes, more than the {bytes_max} allowed: is it a file of feedmark?",
        path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size, or what was read of it.
        bytes: u64,
        /// What is allowed.
        bytes_max: u64,
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
        /// Path of the value inside the document, such as `posts.sent`; `document` is all of it.
        place: String,
        /// What is wrong and what is allowed.
        message: String,
    },
    /// A value that the type allows, and that nothing can have been.
    #[error("{}: {place}: {message}: was the file changed?", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Path of the value inside the document, such as `steps[3].took_ns`.
        place: String,
        /// What is wrong.
        message: String,
    },
    /// The file was written with another schema version.
    #[error(
        "{}: schema_version is {found}, this feedmark reads {known}: use the feedmark that wrote the file",
        path.display()
    )]
    SchemaVersion {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: u64,
        /// The version that can be read.
        known: u32,
    },
    /// What was to be written cannot be expressed in JSON.
    #[error("cannot express what belongs into {} as json: {message}", path.display())]
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
    read_bounded(path, RUN_FILE_BYTES_MAX, SCHEMA_VERSION)
}

/// Reads a JSON document of at most `bytes_max` bytes that says it has this `schema_version`.
///
/// # Errors
/// As [`read`].
pub fn read_bounded<T: DeserializeOwned>(
    path: &Path,
    bytes_max: u64,
    schema_version: u32,
) -> Result<T, FileError> {
    let too_large = |bytes| FileError::TooLarge { path: path.to_owned(), bytes, bytes_max };
    let io_error = |source| FileError::Io { action: "read", path: path.to_owned(), source };
    let file = File::open(path).map_err(io_error)?;
    // A directory opens and then fails to read; its length means nothing.
    let bytes = file.metadata().map_err(io_error)?.len();
    if bytes > bytes_max {
        return Err(too_large(bytes));
    }
    let mut json = Vec::new();
    // The file may grow while it is read, and a pipe has no length: the bound holds here.
    file.take(bytes_max + 1).read_to_end(&mut json).map_err(io_error)?;
    if json.len() as u64 > bytes_max {
        return Err(too_large(json.len() as u64));
    }
    parse(path, &json, schema_version)
}

fn parse<T: DeserializeOwned>(path: &Path, json: &[u8], schema_version: u32) -> Result<T, FileError> {
    #[derive(Deserialize)]
    struct Versioned {
        schema_version: u64,
    }
    let versioned: Versioned = decode(path, json)?;
    if versioned.schema_version != u64::from(schema_version) {
        return Err(FileError::SchemaVersion {
            path: path.to_owned(),
            found: versioned.schema_version,
            known: schema_version,
        });
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
        let place = if place == "." { "document".to_owned() } else { place };
        FileError::Content { path: path.to_owned(), line, column, place, message: message.to_owned() }
    };
    let value = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| content(error.path().to_string(), error.into_inner()))?;
    deserializer.end().map_err(|error| content(".".to_owned(), error))?;
    Ok(value)
}

/// Writes a JSON document so that a reader sees it whole or not at all; an older one is replaced.
///
/// JSON has no word for a number that is not finite: it becomes `null`, which [`read`] refuses by name.
///
/// # Errors
/// When the folder or the disk refuses; the older file, if there was one, is then untouched.
pub fn write_atomically(path: &Path, document: &impl Serialize) -> Result<(), FileError> {
    let mut json = serde_json::to_vec_pretty(document)
        .map_err(|error| FileError::Encode { path: path.to_owned(), message: error.to_string() })?;
    json.push(b'\n');
    replace(path, &json)
}

/// Writes a file so that a reader sees it whole or not at all; an older one is replaced, and a link stays one. What is no
/// file (a pipe, a terminal, `/dev/stdout`) is written to as it is.
///
/// # Errors
/// When the folder or the disk refuses; the older file, if there was one, is then untouched.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let io_error = |source| FileError::Io { action: "write", path: path.to_owned(), source };
    // What stdout is redirected to is a file with a writer: replaced, it would lose what is said afterwards.
    let is_device = path.starts_with("/dev") || path.starts_with("/proc");
    if fs::metadata(path).is_ok_and(|there| !there.is_dir() && (is_device || !there.is_file())) {
        let open = fs::OpenOptions::new().append(true).open(path);
        return open.and_then(|mut opened| opened.write_all(bytes)).map_err(io_error);
    }
    let linked = fs::canonicalize(path);
    let path = linked.as_deref().unwrap_or(path);
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut temporary = temporary_in(folder).map_err(io_error)?;
    temporary.as_file_mut().write_all(bytes).map_err(io_error)?;
    temporary.as_file().sync_all().map_err(io_error)?;
    temporary.persist(path).map_err(|error| io_error(error.error))?;
    sync_folder(folder).map_err(io_error)
}

fn temporary_in(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".feedmark-").suffix(".tmp");
    // Temporary files are private to their owner; a result is an ordinary file, as the umask allows.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// The rename is durable only once the folder is; only Unix can flush one.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample::{self, arbitrary};

    fn read_text(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        fs::write(&path, text).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("run.json"), "names no file: {error}");
        error
    }

    #[test]
    fn replaces_the_old_file_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        fs::write(&path, "old").unwrap();
        let run = sample::lossy();
        write_atomically(&path, &run).unwrap();
        assert_eq!(read(&path).unwrap(), run);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_the_result_as_the_umask_allows() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (path, plain) = (folder.path().join("run.json"), folder.path().join("plain"));
        write_atomically(&path, &sample::run()).unwrap();
        fs::write(&plain, "").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&plain));
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        // A folder that is not empty cannot be replaced by a file.
        fs::create_dir(&path).unwrap();
        fs::write(path.join("kept"), "").unwrap();
        let error = write_atomically(&path, &sample::run()).unwrap_err();
        assert!(error.to_string().starts_with("cannot write "), "{error}");
        assert!(path.join("kept").exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let error = write_atomically(&folder.path().join("none/run.json"), &sample::run()).unwrap_err();
        assert!(error.to_string().contains("none/run.json"), "{error}");
    }

    #[test]
    fn what_is_read_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        write_atomically(&path, &sample::run()).unwrap();
        let bytes = fs::metadata(&path).unwrap().len();
        let read = |path: &Path, bytes_max| read_bounded::<RunResult>(path, bytes_max, SCHEMA_VERSION);
        assert!(read(&path, bytes).is_ok());
        let error = read(&path, bytes - 1).unwrap_err();
        assert!(matches!(error, FileError::TooLarge { .. }), "{error}");
        #[cfg(unix)]
        assert!(matches!(
            read(Path::new("/dev/zero"), 1_000).unwrap_err(),
            FileError::TooLarge { bytes: 1_001, bytes_max: 1_000, .. }
        ));
    }

    #[test]
    fn errors_name_the_place_and_what_is_allowed() {
        let good = serde_json::to_string_pretty(&sample::run()).unwrap();
        let with = |from: &str, to: &str| {
            assert!(good.contains(from), "{from} is not in the sample");
            read_text(&good.replacen(from, to, 1))
        };
        for (error, expected) in [
            (read_text(""), vec!["run.json:1:0", "EOF"]),
            (read_text("{}"), vec!["missing field `schema_version`"]),
            (read_text("[1]"), vec!["expected"]),
            (with("\"schema_version\": 1", "\"schema_version\": 2"), vec!["schema_version is 2", "reads 1"]),
            (
                with("\"schema_version\": 1", "\"schema_version\": \"1\""),
                vec!["run.json:2:", "schema_version"],
            ),
            (with("\"PASS\"", "\"MAYBE\""), vec!["verdict.status", "`MAYBE`", "`UNRESOLVED`"]),
            (with("\"owed\": 600000", "\"owed\": -1"), vec!["deliveries.owed", "`-1`", "u64"]),
            (
                with("\"p50\": ", "\"p50\": \"slow\", \"p51\": "),
                vec!["p50", "`slow` is no quantile", "beyond_deadline"],
            ),
            (with("\"timestamps\": \"kernel\",", ""), vec!["missing field `timestamps`"]),
            (read_text(&format!("{good} x")), vec!["trailing characters"]),
        ] {
            for part in expected {
                assert!(error.contains(part), "no `{part}` in: {error}");
            }
        }
        let error = read(Path::new("/nowhere/run.json")).unwrap_err();
        assert!(error.to_string().starts_with("cannot read /nowhere/run.json: "), "{error}");
    }

    /// A field that a later writer added is no error: additions keep the schema version.
    #[test]
    fn unknown_fields_are_ignored() {
        let mut json = serde_json::to_value(sample::run()).unwrap();
        json["deliveries"]["added_later"] = 1.into();
        let run: RunResult =
            parse(Path::new("run.json"), json.to_string().as_bytes(), SCHEMA_VERSION).unwrap();
        assert_eq!(run, sample::run());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// What is written is what is read, to the last bit of every number.
        #[test]
        fn any_run_survives_json(run in arbitrary::run(arbitrary::ANY)) {
            let json = serde_json::to_vec(&run).unwrap();
            let read: RunResult = parse(Path::new("run.json"), &json, SCHEMA_VERSION).unwrap();
            prop_assert_eq!(read, run);
        }

        /// Whatever stands in the file, reading it ends in a result.
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = parse::<RunResult>(Path::new("run.json"), &bytes, SCHEMA_VERSION);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_one_and_what_is_no_file_is_written_to() {
        use std::os::unix::fs::{FileTypeExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let [file, link, pipe] = ["file", "link", "pipe"].map(|name| folder.path().join(name));
        fs::write(&file, "old").unwrap();
        symlink(&file, &link).unwrap();
        replace(&link, b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read_to_string(pipe).unwrap()
        });
        replace(&pipe, b"through").unwrap();
        assert_eq!(reader.join().unwrap(), "through");
        assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
        // Nothing is kept there, so nothing is written either.
        assert!(
            replace(Path::new("/dev/full"), b"x").unwrap_err().to_string().contains("cannot write /dev/full")
        );
    }
}
