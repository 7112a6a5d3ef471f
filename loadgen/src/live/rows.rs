//! The seconds of a run as lines of a file, for people's own tools: CSV, or an object of JSON in each line.
//!
//! A line is written whole, and at once, so that who follows the file never reads half of one.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::Snapshots;
use super::snapshot::LiveSnapshot;

/// What a line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Values and commas; the first line names them.
    Csv,
    /// An object with names and values.
    Jsonl,
}

impl Form {
    fn flag(self) -> &'static str {
        match self {
            Self::Csv => "--csv",
            Self::Jsonl => "--jsonl",
        }
    }
}

/// The columns, in their order. Counts are those of the run so far; what is per second, latencies, lag and hiccup are
/// those of the line's own stretch of time.
#[derive(Debug, Serialize)]
struct Row<'a> {
    end_ns: u64,
    length_ns: u64,
    phase: &'a str,
    connected: u64,
    lost: u64,
    posts_sent: u64,
    posts_acknowledged: u64,
    posts_failed: u64,
    posts_per_s: f64,
    deliveries: u64,
    deliveries_per_s: f64,
    p50_ns: Option<u64>,
    p99_ns: Option<u64>,
    max_ns: Option<u64>,
    send_lag_ns: Option<u64>,
    hiccup_ns: Option<u64>,
    owed: u64,
    delivered: u64,
    late: u64,
    missing: u64,
    duplicate: u64,
    reordered: u64,
    unexpected: u64,
    under_way: u64,
    generator_cores: Option<f64>,
    generator_bytes: Option<u64>,
    target_cores: Option<f64>,
    target_bytes: Option<u64>,
    /// Checks that have tripped, such as `V2 V5`.
    tripped: String,
}

impl<'a> Row<'a> {
    /// Of the latest second, if there is one.
    fn of(now: &'a LiveSnapshot) -> Option<Self> {
        let second = now.latest.as_ref()?;
        let mut tripped: Vec<&str> =
            now.checks.iter().filter(|check| check.tripped()).map(|check| check.id.as_str()).collect();
        tripped.dedup();
        let (posts, ledger) = (&now.posts, &now.ledger);
        Some(Self {
            end_ns: second.end_ns,
            length_ns: second.length_ns,
            phase: now.phase.name,
            connected: now.connections.connected,
            lost: now.connections.lost,
            posts_sent: posts.sent,
            posts_acknowledged: posts.acknowledged,
            posts_failed: posts.failed,
            posts_per_s: rounded(second.posts_per_s),
            deliveries: now.deliveries,
            deliveries_per_s: rounded(second.deliveries_per_s),
            p50_ns: second.p50_ns,
            p99_ns: second.p99_ns,
            max_ns: second.max_ns,
            send_lag_ns: second.send_lag_ns,
            hiccup_ns: second.hiccup_ns,
            owed: ledger.owed,
            delivered: ledger.delivered,
            late: ledger.late,
            missing: ledger.missing,
            duplicate: ledger.duplicate,
            reordered: ledger.reordered,
            unexpected: ledger.unexpected,
            under_way: ledger.under_way,
            generator_cores: second.generator_cores.map(rounded),
            generator_bytes: second.generator_bytes,
            target_cores: second.target_cores.map(rounded),
            target_bytes: second.target_bytes,
            tripped: tripped.join(" "),
        })
    }

    /// What only grows.
    fn counts(&self) -> [u64; 11] {
        [
            self.posts_sent,
            self.posts_acknowledged,
            self.posts_failed,
            self.deliveries,
            self.owed,
            self.delivered,
            self.late,
            self.missing,
            self.duplicate,
            self.reordered,
            self.unexpected,
        ]
    }

    /// The same counts at the end of a stretch in which there was no time for anything.
    fn of_no_length(self) -> Self {
        Self {
            length_ns: 0,
            posts_per_s: 0.0,
            deliveries_per_s: 0.0,
            p50_ns: None,
            p99_ns: None,
            max_ns: None,
            send_lag_ns: None,
            hiccup_ns: None,
            ..self
        }
    }

    /// The bytes of its line; a CSV begins with the names.
    fn line(&self, form: Form, is_first: bool) -> io::Result<Vec<u8>> {
        match form {
            Form::Jsonl => {
                let mut line = serde_json::to_vec(self)?;
                line.push(b'\n');
                Ok(line)
            }
            Form::Csv => {
                let mut line = csv::WriterBuilder::new().has_headers(is_first).from_writer(Vec::new());
                line.serialize(self)?;
                line.into_inner().map_err(|error| error.into_error())
            }
        }
    }
}

/// To thousandths: more digits are noise.
fn rounded(x: f64) -> f64 {
    (x * 1e3).round() / 1e3
}

/// A file that gets a line a second.
#[derive(Debug)]
pub struct RowFile {
    form: Form,
    path: PathBuf,
    file: File,
}

impl RowFile {
    /// One that can be written. What it holds stays until there is a line: a run that never begins takes nothing away.
    ///
    /// # Errors
    /// What is in the way, as a sentence.
    pub fn open(form: Form, path: &Path) -> Result<Self, String> {
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| format!("{} {}: cannot write it: {error}", form.flag(), path.display()))?;
        Ok(Self { form, path: path.to_owned(), file })
    }

    /// Writes every second until the end, and then what came after the last one; or until it cannot.
    pub(super) async fn write(mut self, mut snapshots: Snapshots) -> Result<(), String> {
        let mut written: Option<Arc<LiveSnapshot>> = None;
        let mut last = None;
        while snapshots.changed().await.is_ok() {
            let now = snapshots.borrow_and_update().clone();
            last = Some(Arc::clone(&now));
            let written_ns = written.as_deref().and_then(Row::of).map(|row| row.end_ns);
            let Some(row) = Row::of(&now).filter(|row| Some(row.end_ns) != written_ns) else { continue };
            self.append(&row, written.is_none())?;
            written = Some(now);
        }
        let both = written.as_deref().and_then(Row::of).zip(last.as_deref().and_then(Row::of));
        match both.filter(|(written, last)| written.counts() != last.counts()) {
            Some((_, last)) => self.append(&last.of_no_length(), false),
            None => Ok(()),
        }
    }

    fn append(&mut self, row: &Row<'_>, is_first: bool) -> Result<(), String> {
        let begun = if is_first { self.empty() } else { Ok(()) };
        let line = begun.and_then(|()| row.line(self.form, is_first));
        line.and_then(|line| self.file.write_all(&line)).map_err(|error| {
            let (flag, path) = (self.form.flag(), self.path.display());
            format!("{flag} {path}: it ends before the run does: {error}")
        })
    }

    /// A pipe or a device is as empty as it gets.
    fn empty(&self) -> io::Result<()> {
        if self.file.metadata()?.is_file() { self.file.set_len(0) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;
    use crate::live::history::Point;
    use crate::live::snapshot::{ConnectionsNow, LedgerSoFar, PostsNow};

    fn second(number: u64) -> Arc<LiveSnapshot> {
        let mut now = LiveSnapshot::new();
        now.phase.name = "steady";
        let length_ns = 1_000_000_000;
        let end_ns = number * length_ns;
        now.latest = Some(Point { end_ns, length_ns, p50_ns: Some(number), ..Point::default() });
        Arc::new(now)
    }

    /// What a file holds after these snapshots, each seen.
    async fn written(form: Form, seen: &[Arc<LiveSnapshot>]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        let (sender, snapshots) = watch::channel(Arc::new(LiveSnapshot::new()));
        let writing = tokio::spawn(RowFile::open(form, &path).unwrap().write(snapshots));
        for snapshot in seen {
            sender.send_replace(Arc::clone(snapshot));
            tokio::task::yield_now().await;
        }
        drop(sender);
        writing.await.unwrap().unwrap();
        std::fs::read_to_string(path).unwrap()
    }

    #[tokio::test]
    async fn every_second_is_a_line_once() {
        let seen = [Arc::new(LiveSnapshot::new()), second(1), second(1), second(2)];
        let csv = written(Form::Csv, &seen).await;
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines.len(), 3, "{csv}");
        assert!(lines[0].starts_with("end_ns,length_ns,phase,connected,"), "{csv}");
        assert!(lines[1].starts_with("1000000000,1000000000,steady,0,"), "{csv}");
        assert!(lines[2].starts_with("2000000000,"), "{csv}");
        let columns = |line: &str| line.split(',').count();
        assert!(lines.iter().all(|line| columns(line) == columns(lines[0])));

        let jsonl = written(Form::Jsonl, &seen).await;
        let rows: Vec<serde_json::Value> =
            jsonl.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(rows.len(), 2);
        assert_eq!((&rows[1]["p50_ns"], &rows[1]["max_ns"]), (&2.into(), &serde_json::Value::Null));
        let names = rows[0].as_object().unwrap();
        assert!(lines[0].split(',').all(|name| names.contains_key(name)) && names.len() == columns(lines[0]));
    }

    /// The last posts settle after the last second.
    #[tokio::test]
    async fn what_came_after_the_last_second_is_a_line_of_no_length() {
        let mut settled = LiveSnapshot::clone(&second(2));
        settled.ledger = LedgerSoFar { owed: 5_350, delivered: 5_350, ..LedgerSoFar::default() };
        let jsonl = written(Form::Jsonl, &[second(1), second(2), Arc::new(settled)]).await;
        let last: serde_json::Value = serde_json::from_str(jsonl.lines().nth(2).unwrap()).unwrap();
        assert_eq!(
            (&last["owed"], &last["length_ns"], &last["end_ns"]),
            (&5_350.into(), &0.into(), &2_000_000_000_u64.into())
        );
        assert!(last["p50_ns"].is_null() && jsonl.lines().count() == 3, "{jsonl}");
    }

    #[tokio::test]
    async fn what_a_file_holds_goes_with_the_first_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        let held = "the lines of another run, which were many more than those of this one\n".repeat(20);
        std::fs::write(&path, &held).unwrap();
        let (sender, snapshots) = watch::channel(Arc::new(LiveSnapshot::new()));
        let file = RowFile::open(Form::Jsonl, &path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), held);
        sender.send_replace(second(1));
        drop(sender);
        file.write(snapshots).await.unwrap();
        let rows = std::fs::read_to_string(&path).unwrap();
        assert!(rows.starts_with('{') && rows.lines().count() == 1, "{rows}");
    }

    /// A second of which everything is known, and one of which nothing is.
    #[test]
    fn lines_of_fixed_seconds() {
        let mut known = LiveSnapshot::clone(&second(7));
        known.connections = ConnectionsNow { established: 50, connected: 48, failed: 0, lost: 2 };
        known.posts = PostsNow { scheduled: 700, sent: 240, acknowledged: 238, failed: 1 };
        known.deliveries = 11_900;
        known.latest = Some(Point {
            end_ns: 7_000_000_000,
            length_ns: 1_000_400_000,
            posts_per_s: 19.992_003,
            deliveries_per_s: 999.6,
            p50_ns: Some(5_001_215),
            p99_ns: Some(9_043_967),
            max_ns: Some(60_030_975),
            send_lag_ns: Some(190_463),
            hiccup_ns: Some(1_250_303),
            generator_cores: Some(0.420_4),
            generator_bytes: Some(40_000_000),
            target_cores: Some(1.25),
            target_bytes: Some(80_000_000),
        });
        known.ledger = LedgerSoFar {
            owed: 2_000,
            delivered: 1_990,
            late: 3,
            missing: 7,
            duplicate: 4,
            reordered: 5,
            unexpected: 6,
            under_way: 100,
        };
        let unknown = second(8);
        for form in [Form::Csv, Form::Jsonl] {
            let lines = [(&known, true), (&*unknown, false)]
                .map(|(now, is_first)| Row::of(now).unwrap().line(form, is_first).unwrap());
            let text = String::from_utf8(lines.concat()).unwrap();
            insta::assert_snapshot!(form.flag().trim_start_matches('-'), text);
        }
    }

    #[tokio::test]
    async fn a_full_disk_is_told_and_nothing_else_happens() {
        let (sender, snapshots) = watch::channel(second(1));
        let file = RowFile::open(Form::Csv, Path::new("/dev/full")).unwrap();
        sender.send_replace(second(2));
        let told = file.write(snapshots).await.unwrap_err();
        assert!(told.starts_with("--csv /dev/full: ") && told.contains("No space left"), "{told}");
        let told = RowFile::open(Form::Jsonl, Path::new("/nowhere/rows")).unwrap_err();
        assert!(told.starts_with("--jsonl /nowhere/rows: "), "{told}");
    }
}
