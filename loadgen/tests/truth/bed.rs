//! A run against a server that misbehaves on command, with all that the two say of it.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use feedmark::clock::RunClock;
use feedmark_reports::quantile::Quantile;
use feedmark_reports::{LatencySummary, RunResult, Status};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::log::Truth;
use crate::place::Place;
use crate::support::{Bed, Finished};

/// How long a test goes on repeating what the harness calls INVALID: a host that is shared may be disturbed for minutes. With
/// the last run it stays below the ten minutes after which nextest ends a test.
const REPEATED_FOR: Duration = Duration::from_secs(4 * 60);
pub(crate) const MS_NS: f64 = 1e6;

/// The runs are as long and as many as METHOD says.
pub(crate) fn full() -> bool {
    std::env::var_os("FEEDMARK_TRUTH_FULL").is_some_and(|value| value == "1")
}

/// One value for the full form, another for the short one.
pub(crate) fn scaled<T>(full_form: T, short: T) -> T {
    if full() { full_form } else { short }
}

/// A line of `posts.csv`. Times are ns of run time.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct PostRow {
    pub(crate) seq: u32,
    pub(crate) phase: String,
    pub(crate) intended_ns: u64,
    pub(crate) sent_ns: Option<u64>,
    pub(crate) owed: u32,
    pub(crate) delivered: u32,
    pub(crate) late: u32,
    pub(crate) full_latency_ns: Option<u64>,
}

/// A line of `misses.csv`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct MissRow {
    pub(crate) seq: u32,
    pub(crate) address: SocketAddr,
    pub(crate) outcome: String,
    pub(crate) cause: String,
}

/// A run that the harness vouches for, and the truth about it.
pub(crate) struct Run {
    pub(crate) result: RunResult,
    pub(crate) posts: Vec<PostRow>,
    pub(crate) misses: Vec<MissRow>,
    pub(crate) truth: Truth,
    /// Outlives the asserts about the run.
    _place: Place,
}

/// A run that the harness calls INVALID: nothing is compared with it.
pub(crate) struct Disturbed {
    pub(crate) result: RunResult,
    _place: Place,
}

impl Disturbed {
    /// The run in this place was INVALID. Nothing that happens to a machine explains a defect: that fails the test.
    pub(crate) fn new(result: RunResult, place: Place) -> Box<Self> {
        let reasons = &result.verdict.reasons;
        assert!(!reasons.iter().any(|reason| reason.contains("a defect of feedmark")), "{reasons:?}");
        Box::new(Self { result, _place: place })
    }
}

/// What to run: `feedmark run` with these arguments, the reference server with these faults.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    pub(crate) args: Vec<String>,
    pub(crate) faults: Vec<String>,
    pub(crate) mutant: Option<&'static str>,
}

impl Plan {
    /// The default bed: 500 subscribers, 20 posts/s; 30 s, or 10 s with a short drain in the short form.
    pub(crate) fn new(faults: &[&str]) -> Self {
        let plan = Self { faults: faults.iter().map(ToString::to_string).collect(), ..Self::default() };
        plan.with(&["-c", "500", "-r", "20/s", "-d", scaled("30s", "10s"), "--deadline", scaled("10s", "3s")])
    }

    /// Later arguments win.
    pub(crate) fn with(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(ToString::to_string));
        self
    }

    pub(crate) fn mutant(mut self, mutant: Option<&'static str>) -> Self {
        self.mutant = mutant;
        self
    }

    /// Runs once. The verdict comes first: only a run that is not INVALID is looked into.
    pub(crate) fn run_once(&self) -> Result<Run, Box<Disturbed>> {
        // Mutants fail on purpose, and leave nothing.
        let place = Place::new(self.mutant.is_none());
        let log = place.path().join("truth.gz");
        let mut target_args = format!("--store memory --truth-log {}", log.display());
        for fault in &self.faults {
            target_args.push_str(&format!(" --fault {fault}"));
        }
        let mut command = place.command(crate::support::FEEDMARK);
        command.args(["run", "--out", "out", "--quiet", "--target-args", &target_args]).args(&self.args);
        if let Some(mutant) = self.mutant {
            command.env("FEEDMARK_MUTANT", mutant);
        }
        let Finished { code, stdout, stderr } = crate::support::finish(command);
        assert!(matches!(code, Some(0 | 97..=99)), "{code:?}\n{stdout}\n{stderr}");
        let result = place.result();
        assert_eq!(code, Some(i32::from(result.verdict.status.exit_code())), "{:?}", result.verdict);
        if result.verdict.status == Status::Invalid {
            return Err(Disturbed::new(result, place));
        }
        let truth = Truth::read(&log, &result.run_id);
        let (posts, misses) = (rows(&place, "posts.csv"), rows(&place, "misses.csv"));
        let run = Run { result, posts, misses, truth, _place: place };
        run.assert_sound();
        Ok(run)
    }

    /// Runs until the harness vouches for a run.
    pub(crate) fn run(&self) -> Run {
        until_valid(|| self.run_once())
    }
}

/// How long a test has gone on.
pub(crate) struct Patience(RunClock);

impl Patience {
    pub(crate) fn new() -> Self {
        Self(RunClock::start())
    }

    /// It has gone on for [`REPEATED_FOR`].
    pub(crate) fn is_over(&self) -> bool {
        Duration::from_nanos(self.0.now_ns()) > REPEATED_FOR
    }
}

/// Goes on until the harness calls something else than INVALID, as long as there is [`Patience`].
pub(crate) fn until_valid<T>(mut once: impl FnMut() -> Result<T, Box<Disturbed>>) -> T {
    let patience = Patience::new();
    let mut disturbed = Vec::new();
    loop {
        match once() {
            Ok(run) => return run,
            Err(run) => {
                tell("INVALID, to be repeated", &run.result.verdict.reasons.join(" | "));
                disturbed.push(run);
            }
        }
        let reasons = || disturbed.iter().map(|run| &run.result.verdict.reasons).collect::<Vec<_>>();
        assert!(!patience.is_over(), "INVALID {} times: {:#?}", disturbed.len(), reasons());
    }
}

pub(crate) fn rows<T: DeserializeOwned>(bed: &Bed, name: &str) -> Vec<T> {
    let path = bed.out().join(name);
    match path.exists() {
        true => csv::Reader::from_path(path).unwrap().deserialize().map(Result::unwrap).collect(),
        false => Vec::new(),
    }
}

impl Run {
    /// What must hold of any run that is not INVALID, whatever was injected.
    fn assert_sound(&self) {
        let deliveries = &self.result.deliveries;
        assert_eq!(deliveries.residual, 0);
        assert_eq!(deliveries.owed, deliveries.delivered + deliveries.late + deliveries.missing);
        assert_eq!(deliveries.missing, deliveries.missing_by_cause.values().sum::<u64>());
        assert_eq!(deliveries.not_owed, deliveries.not_owed_by_cause.values().sum::<u64>());
        let delivery = &self.result.latency_ns.delivery;
        assert_eq!(delivery.count, deliveries.owed, "every owed pair has its rank");
        assert_eq!(delivery.beyond_deadline, deliveries.late + deliveries.missing);
        assert_eq!(self.misses.len() as u64, deliveries.late + deliveries.missing);
        let steady = self.steady().map(|post| u64::from(post.owed)).sum::<u64>();
        assert_eq!(steady, deliveries.owed, "every owed pair has its post");
    }

    /// The verdict is this one.
    pub(crate) fn assert_status(&self, status: Status) {
        assert_eq!(self.result.verdict.status, status, "{:#?}", self.result.verdict);
    }

    /// Nothing is held against the target or the generator; that the warm-up was restless (V12) is nobody's fault, and
    /// what is only noted is no reason.
    pub(crate) fn assert_no_fault(&self) {
        let verdict = &self.result.verdict;
        let blames = |reason: &String| !reason.starts_with("V12: ") && !reason.starts_with("note: ");
        let is_restless = || !verdict.reasons.iter().any(blames);
        assert!(
            verdict.status == Status::Pass || verdict.status == Status::Unresolved && is_restless(),
            "{verdict:#?}"
        );
    }

    /// The word of the verdict.
    pub(crate) fn word(&self) -> &'static str {
        self.result.verdict.status.word()
    }

    /// Posts of the steady phase.
    pub(crate) fn steady(&self) -> impl Iterator<Item = &PostRow> {
        self.posts.iter().filter(|post| post.phase == "steady")
    }

    /// The post was sent in the steady phase.
    pub(crate) fn is_steady(&self, seq: u32) -> bool {
        self.posts[seq as usize].phase == "steady"
    }

    /// Intended time on the truth log's clock.
    pub(crate) fn intended_ns(&self, seq: u32) -> u64 {
        self.result.started_monotonic_ns + self.posts[seq as usize].intended_ns
    }

    /// What the delivery latencies of the steady phase really were at the server's socket, sorted.
    pub(crate) fn true_latencies_ns(&self) -> Vec<u64> {
        let first = self.truth.first_writes();
        let steady = first.iter().filter(|((seq, _), _)| self.is_steady(*seq));
        let mut latencies_ns: Vec<u64> =
            steady.map(|((seq, _), at_ns)| at_ns.saturating_sub(self.intended_ns(*seq))).collect();
        latencies_ns.sort_unstable();
        latencies_ns
    }

    /// From the first to the last socket of each post of the steady phase, as the server wrote them, sorted.
    pub(crate) fn true_spreads_ns(&self) -> Vec<u64> {
        let mut spans = HashMap::new();
        for ((seq, _), at_ns) in self.truth.first_writes() {
            let (first, last) = spans.entry(seq).or_insert((at_ns, at_ns));
            (*first, *last) = (at_ns.min(*first), at_ns.max(*last));
        }
        let steady = spans.into_iter().filter(|(seq, _)| self.is_steady(*seq));
        let mut spreads_ns: Vec<u64> = steady.map(|(_, (first, last))| last - first).collect();
        spreads_ns.sort_unstable();
        spreads_ns
    }

    /// Whose address the socket had.
    pub(crate) fn address(&self, socket: u32) -> SocketAddr {
        self.truth.connected[&socket].address
    }
}

/// The value at a quantile of sorted values, by METHOD's rank.
pub(crate) fn quantile_of<T: Copy>(sorted: &[T], quantile: f64) -> T {
    let rank = ((quantile * sorted.len() as f64 - 1e-6).ceil() as usize).clamp(1, sorted.len());
    sorted[rank - 1]
}

/// What the report says, whether or not V9 lets it be printed.
pub(crate) fn reported_ns(summary: &LatencySummary, quantile: f64) -> f64 {
    match summary.value_at(quantile) {
        Quantile::Ns(ns) => ns as f64,
        other => panic!("no finite value at {quantile}: {other:?}"),
    }
}

/// Within an absolute distance.
pub(crate) fn assert_near(what: &str, found: f64, expected: f64, within: f64) {
    assert!((found - expected).abs() <= within, "{what}: {found}, expected {expected} +- {within}");
}

/// The line of a row for the table of results, on stdout, where `scripts/truth` collects it: only for a test that holds.
pub(crate) fn row(name: &str, said: impl Display, truth: impl Display) {
    print(format_args!("{name}: said {said}, truth {truth}"));
}

/// A line that `scripts/truth` collects if it begins with the name of a row.
pub(crate) fn print(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// What happens on the way, on stderr.
pub(crate) fn tell(what: &str, details: &dyn Display) {
    let _ = writeln!(std::io::stderr(), "truth: {what}: {details}");
}

/// ms with three digits.
pub(crate) fn ms(ns: f64) -> String {
    format!("{:.3} ms", ns / MS_NS)
}
