//! The truth log as a reader sees it.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    time::Duration,
};

use flate2::read::GzDecoder;
use nix::time::{ClockId, clock_gettime};
use serde_json::Value;

/// All lines of a log.
pub(crate) struct Truth(Vec<Value>);

impl Truth {
    pub(crate) fn read(path: &Path) -> Self {
        let lines = BufReader::new(GzDecoder::new(File::open(path).unwrap())).lines();
        Self(lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect())
    }

    pub(crate) fn lines(&self) -> &[Value] {
        &self.0
    }

    /// The events of one name, in the order of the log.
    pub(crate) fn of(&self, event: &str) -> Vec<&Value> {
        self.0.iter().filter(|line| line["e"] == event).collect()
    }

    /// What the socket must have received, in its order: the titles of the posts written to it.
    pub(crate) fn titles_of(&self, socket: u64) -> Vec<String> {
        let mut writes: Vec<&Value> = self.of("write");
        writes.retain(|write| write["s"] == socket);
        writes.sort_by_key(|write| ns(write, "at"));
        let posts = self.of("post");
        let title =
            |number: &Value| posts.iter().find(|post| post["p"] == *number).unwrap()["title"].as_str();
        writes.into_iter().map(|write| title(&write["p"]).unwrap().to_owned()).collect()
    }
}

/// A time or number of an event.
pub(crate) fn ns(event: &Value, field: &str) -> u64 {
    event[field].as_u64().unwrap_or_else(|| panic!("no {field} in {event}"))
}

/// Now, on the clock of the log.
pub(crate) fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
    u64::try_from(Duration::from(now).as_nanos()).unwrap()
}
