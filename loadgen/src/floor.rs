//! Floors that `feedmark calibrate` has measured on this host, and the folder that keeps them.
//!
//! The **store** is one folder: `--store DIR` or `FEEDMARK_STORE`, else `$XDG_DATA_HOME/feedmark`, else
//! `~/.local/share/feedmark`. What outlives a run without being its result belongs there: the floors
//! (`floors.json`), and baselines (`baselines/`, see `baseline.rs`).
//!
//! Invariants: a floor counts only for the host and the load that it was measured with; one host and load have one
//! floor, the newest; the number of floors and the size of the file are bounded. Two that store at the same moment
//! leave a whole file, with the floor of one of them missing.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use feedmark_core::marker::Marker;
use feedmark_reports::evidence::Floor;
use feedmark_reports::files::{self, FileError};
use feedmark_reports::run_result::{ArrivalLaw, Driver, Host, Timestamps};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::assemble;
use crate::baseline::Baselines;
use crate::limits::Limits;
use crate::scenario::Scenario;

/// Raised when a field changes its meaning or disappears; additions keep it.
const SCHEMA_VERSION: u32 = 2;
/// The file in the store.
const FILE: &str = "floors.json";
/// The folder in the store.
const BASELINES: &str = "baselines";
/// Floors that are kept; the oldest go first.
const FLOORS_MAX: usize = 1000;
/// Largest file that is read; a floor takes less than a thousandth of it.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// Rates that differ by no more than this share are the same load.
const RATE_TOLERANCE: f64 = 0.01;
/// Bodies whose lengths differ by no more than this share are the same load.
const BODY_TOLERANCE: f64 = 0.1;

/// What the floor depends on, beside the host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Load {
    /// Subscribers.
    pub subscribers: u32,
    /// Posts per second.
    pub rate_per_s: f64,
    /// Arrival law of the posts.
    pub arrivals: ArrivalLaw,
    /// Length of a post's body, its placeholders filled in.
    pub body_bytes: u64,
    /// What the subscribers connected through.
    #[serde(default)]
    pub driver: Driver,
    /// Reactor threads.
    pub threads: u32,
    /// Which clock stamped the arrivals.
    pub timestamps: Timestamps,
    /// Pacer and writers had a real-time priority: without it posts leave later.
    pub real_time: bool,
}

impl Load {
    /// The load of a scenario whose arrivals were stamped by the kernel, or not, by a generator with a real-time priority,
    /// or without.
    pub fn of(scenario: &Scenario, kernel_stamps: bool, real_time: bool) -> Self {
        let record = scenario.record();
        let sample = scenario.body.render(Marker { run: 0, writer: 0, seq: 0 }, scenario.seed, 0);
        Self {
            subscribers: scenario.subscribers,
            rate_per_s: scenario.rate_per_s,
            arrivals: record.arrivals,
            body_bytes: sample.len() as u64,
            driver: record.driver,
            threads: scenario.threads,
            timestamps: if kernel_stamps { Timestamps::Kernel } else { Timestamps::User },
            real_time,
        }
    }

    /// Near enough for a floor of the one to be a floor of the other. The arrival law is left out: it
    /// decides how often posts meet, which is little at a load that a host can carry at all.
    fn is_like(&self, other: &Self) -> bool {
        let near = |a: f64, b: f64, tolerance: f64| (a - b).abs() <= tolerance * a.max(b);
        self.subscribers == other.subscribers
            && self.driver == other.driver
            && self.threads == other.threads
            && self.timestamps == other.timestamps
            && self.real_time == other.real_time
            && near(self.rate_per_s, other.rate_per_s, RATE_TOLERANCE)
            && near(self.body_bytes as f64, other.body_bytes as f64, BODY_TOLERANCE)
    }
}

/// One floor, with what it holds for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredFloor {
    /// The host.
    pub host: Host,
    /// The load.
    pub load: Load,
    /// What the null target gave.
    pub floor: Floor,
}

/// Every floor of a store, from the oldest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Floors {
    schema_version: u32,
    floors: Vec<StoredFloor>,
}

impl Floors {
    fn none() -> Self {
        Self { schema_version: SCHEMA_VERSION, floors: Vec::new() }
    }

    /// Adds a floor; one of the same host and load makes way for it, and so do the oldest of too many.
    pub fn add(&mut self, new: StoredFloor) {
        self.floors.retain(|old| {
            let same_law = old.load.arrivals == new.load.arrivals;
            !(same_law && same_host(&old.host, &new.host) && old.load.is_like(&new.load))
        });
        self.floors.push(new);
        let too_many = self.floors.len().saturating_sub(FLOORS_MAX);
        self.floors.drain(..too_many);
    }

    /// The newest floor of this host and load; one of the same arrival law goes before others.
    pub fn find(&self, host: &Host, load: &Load) -> Option<&Floor> {
        let fits = |stored: &&StoredFloor| same_host(&stored.host, host) && stored.load.is_like(load);
        let same_law = |stored: &&StoredFloor| stored.load.arrivals == load.arrivals;
        self.floors.iter().filter(fits).max_by_key(same_law).map(|stored| &stored.floor)
    }
}

/// The limit on open files makes no host a different one.
fn same_host(a: &Host, b: &Host) -> bool {
    a.os == b.os && a.cpu == b.cpu && a.cpus == b.cpus && a.memory_bytes == b.memory_bytes
}

/// Why there is no store, or nothing to read in it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing says where it is.
    #[error(
        "no folder to keep floors and baselines in, as neither HOME nor XDG_DATA_HOME is set: give --store DIR"
    )]
    NoPlace,
    /// Cannot be made or written.
    #[error("cannot make or write the store {}: {error}: choose another --store", path.display())]
    Create {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file in it is not what it should be.
    #[error("{0}: remove this file and calibrate again, or choose another --store")]
    Content(FileError),
    /// A file in it cannot be written.
    #[error("{0}: choose another --store")]
    Write(FileError),
}

/// The folder that outlives runs.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// The store that was asked for, or the one of the environment. Nothing is made yet.
    ///
    /// # Errors
    /// If the environment names none.
    pub fn find(asked: Option<&Path>) -> Result<Self, StoreError> {
        place(asked, |name| std::env::var_os(name)).map(|folder| Self { folder })
    }

    /// Makes the folder, and sees that something can be written to it.
    ///
    /// # Errors
    /// If not.
    pub fn prepare(&self) -> Result<(), StoreError> {
        std::fs::create_dir_all(&self.folder)
            .and_then(|()| tempfile::tempfile_in(&self.folder))
            .map(drop)
            .map_err(|error| StoreError::Create { path: self.folder.clone(), error })
    }

    /// The baselines beside the floors.
    pub fn baselines(&self) -> Baselines {
        Baselines::in_folder(self.folder.join(BASELINES))
    }

    /// The file with the floors.
    pub fn floors_file(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// Every floor; none where there is no file yet.
    ///
    /// # Errors
    /// If the file cannot be read, is too large, or is not what `feedmark calibrate` writes.
    pub fn floors(&self) -> Result<Floors, StoreError> {
        match files::read_bounded(&self.floors_file(), FILE_BYTES_MAX, SCHEMA_VERSION) {
            Err(FileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(Floors::none())
            }
            outcome => outcome.map_err(StoreError::Content),
        }
    }

    /// The floor of this host at a load, if it is known.
    ///
    /// # Errors
    /// As [`Store::floors`].
    pub fn floor(&self, load: &Load) -> Result<Option<Floor>, StoreError> {
        // Without limits to know the host by, there is no floor either.
        let Ok(limits) = Limits::read_and_raise() else { return Ok(None) };
        Ok(self.floors()?.find(&assemble::host(&limits), load).cloned())
    }

    /// Adds a floor to those in the file.
    ///
    /// # Errors
    /// As [`Store::floors`], and if the file cannot be written; the older file is then untouched.
    pub fn add(&self, new: StoredFloor) -> Result<(), StoreError> {
        let mut floors = self.floors()?;
        floors.add(new);
        files::write_atomically(&self.floors_file(), &floors).map_err(StoreError::Write)
    }
}

/// Where the store is. What is set to nothing counts as not set, and a relative `XDG_DATA_HOME` is
/// ignored (XDG Base Directory Specification, "Basics").
fn place(asked: Option<&Path>, variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, StoreError> {
    let folder = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let of_data = || folder("XDG_DATA_HOME").filter(|path| path.is_absolute());
    let of_home = || folder("HOME").map(|home| home.join(".local/share"));
    asked
        .map(Path::to_owned)
        .or_else(|| folder("FEEDMARK_STORE"))
        .or_else(|| of_data().or_else(of_home).map(|data| data.join("feedmark")))
        .ok_or(StoreError::NoPlace)
}

#[cfg(test)]
mod tests {
    use feedmark_reports::Quantile;

    use super::*;

    fn stored(measured_at: &str, change: impl FnOnce(&mut StoredFloor)) -> StoredFloor {
        let host = Host {
            os: "Linux 6".into(),
            cpu: "a CPU".into(),
            cpus: 2,
            memory_bytes: 1 << 30,
            open_files_max: 1024,
        };
        let load = Load {
            subscribers: 100,
            rate_per_s: 20.0,
            arrivals: ArrivalLaw::Poisson,
            body_bytes: 300,
            driver: Driver::Engine,
            threads: 1,
            timestamps: Timestamps::Kernel,
            real_time: true,
        };
        let (p50, p90, p99) = (Quantile::Ns(1), Quantile::Ns(2), Quantile::NotAvailable);
        let floor = Floor { measured_at: measured_at.to_owned(), p50, p90, p99, delivery: None };
        let mut stored = StoredFloor { host, load, floor };
        change(&mut stored);
        stored
    }

    fn found<'a>(floors: &'a Floors, wanted: &StoredFloor) -> Option<&'a str> {
        floors.find(&wanted.host, &wanted.load).map(|floor| floor.measured_at.as_str())
    }

    #[test]
    fn a_floor_counts_for_its_host_and_load_only() {
        type Change = fn(&mut StoredFloor);
        let mut floors = Floors::none();
        floors.add(stored("now", |_| ()));
        let same: [Change; 6] = [
            |_| (),
            |s| s.load.rate_per_s = 20.19,
            |s| s.load.rate_per_s = 19.81,
            |s| s.load.body_bytes = 330,
            |s| s.load.arrivals = ArrivalLaw::Constant,
            |s| s.host.open_files_max = 65_536,
        ];
        for (index, change) in same.into_iter().enumerate() {
            assert_eq!(found(&floors, &stored("", change)), Some("now"), "case {index}");
        }
        let other: [Change; 12] = [
            |s| s.load.rate_per_s = 20.3,
            |s| s.load.rate_per_s = f64::NAN,
            |s| s.load.body_bytes = 340,
            |s| s.load.body_bytes = 260,
            |s| s.load.subscribers = 101,
            |s| s.load.driver = Driver::RustSocketio,
            |s| s.load.threads = 2,
            |s| s.load.timestamps = Timestamps::User,
            |s| s.load.real_time = false,
            |s| s.host.cpu = "another CPU".into(),
            |s| s.host.os = "Linux 7".into(),
            |s| s.host.cpus = 1,
        ];
        for (index, change) in other.into_iter().enumerate() {
            assert_eq!(found(&floors, &stored("", change)), None, "case {index}");
        }
    }

    #[test]
    fn a_newer_floor_replaces_the_older_one_of_the_same_host_and_load() {
        let mut floors = Floors::none();
        floors.add(stored("1", |_| ()));
        floors.add(stored("2", |s| s.load.subscribers = 5));
        floors.add(stored("3", |s| s.load.rate_per_s = 20.1));
        let order: Vec<&str> = floors.floors.iter().map(|s| s.floor.measured_at.as_str()).collect();
        assert_eq!(order, ["2", "3"]);
    }

    #[test]
    fn the_same_arrival_law_goes_before_the_newer_one() {
        let mut floors = Floors::none();
        floors.add(stored("poisson", |_| ()));
        floors.add(stored("constant", |s| s.load.arrivals = ArrivalLaw::Constant));
        assert_eq!(floors.floors.len(), 2);
        assert_eq!(found(&floors, &stored("", |_| ())), Some("poisson"));
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let mut floors = Floors::none();
        for subscribers in 0..FLOORS_MAX as u32 + 2 {
            floors.add(stored("", |s| s.load.subscribers = subscribers));
        }
        let kept = [floors.floors.first(), floors.floors.last()].map(|s| s.unwrap().load.subscribers);
        assert_eq!((floors.floors.len(), kept), (FLOORS_MAX, [2, FLOORS_MAX as u32 + 1]));
        let bytes = serde_json::to_vec_pretty(&floors).unwrap().len() as u64;
        assert!(bytes < FILE_BYTES_MAX / 2, "{bytes}: a full file must be one that can be read");
    }

    #[test]
    fn the_file_gives_back_what_was_stored() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::find(Some(folder.path())).unwrap();
        assert_eq!(store.floors().unwrap(), Floors::none());
        let new = stored("now", |s| s.load.rate_per_s = 1.0 / 3.0);
        store.add(new.clone()).unwrap();
        assert_eq!(store.floors().unwrap().floors, [new]);
    }

    #[test]
    fn what_is_no_store_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::find(Some(folder.path())).unwrap();
        let too_long = " ".repeat(FILE_BYTES_MAX as usize + 1);
        for (text, part) in [
            ("", "EOF"),
            ("[]", "expected"),
            (r#"{"schema_version":1,"floors":[]}"#, "schema_version is 1"),
            (r#"{"schema_version":2,"floors":[{}]}"#, "floors[0]"),
            (&too_long, "allowed"),
        ] {
            std::fs::write(store.floors_file(), text).unwrap();
            let error = store.floors().unwrap_err().to_string();
            for part in [part, FILE, "remove this file"] {
                assert!(error.contains(part), "no `{part}` in: {error}");
            }
            assert!(store.add(stored("now", |_| ())).is_err());
            assert_eq!(std::fs::read_to_string(store.floors_file()).unwrap(), text, "left as it was");
        }
    }

    #[test]
    fn the_store_has_one_place() {
        type Case = (Option<&'static str>, &'static [(&'static str, &'static str)], Option<&'static str>);
        let cases: [Case; 7] = [
            (Some("/asked"), &[("FEEDMARK_STORE", "/set"), ("HOME", "/h")], Some("/asked")),
            (None, &[("FEEDMARK_STORE", "set"), ("XDG_DATA_HOME", "/data")], Some("set")),
            (None, &[("XDG_DATA_HOME", "/data"), ("HOME", "/h")], Some("/data/feedmark")),
            (None, &[("XDG_DATA_HOME", "data"), ("HOME", "/h")], Some("/h/.local/share/feedmark")),
            (None, &[("FEEDMARK_STORE", ""), ("HOME", "/h")], Some("/h/.local/share/feedmark")),
            (None, &[("HOME", "")], None),
            (None, &[], None),
        ];
        for (asked, variables, expected) in cases {
            let variable = |name: &str| {
                variables.iter().find(|(set, _)| *set == name).map(|(_, value)| OsString::from(value))
            };
            let found = place(asked.map(Path::new), variable).ok();
            assert_eq!(found.as_deref(), expected.map(Path::new), "{asked:?} {variables:?}");
        }
    }
}
