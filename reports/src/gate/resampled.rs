//! T22 and T23 of METHOD section 8: sessions of the gate, drawn from real runs of an unchanged server.
//!
//! `tests/data/base-runs.csv` (`scripts/gates-record`) has pairs as a gate makes them: two runs, one directly after the other,
//! with the same seed. A session draws pairs, not runs, with replacement: what neighbours in time share, and the seed gives to
//! both, cancels in the difference here as it does in a gate, and would be noise between runs drawn one by one. Which of the
//! two is called the candidate is tossed, because a gate tosses it.

use std::path::Path;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::tests::session;
use super::{LOOKS, Rule};
use crate::Status;

const SESSIONS: usize = 1000;
/// What may be gated, and its column in the file.
const FIGURES: [(&str, &str); 7] = [
    ("delivery p50", "delivery_p50_ns"),
    ("full_fanout p50", "full_fanout_p50_ns"),
    ("target cpu_per_million", "target_cpu_s_per_million"),
    ("delivery p90", "delivery_p90_ns"),
    ("first_delivery p50", "first_delivery_p50_ns"),
    ("full_fanout p90", "full_fanout_p90_ns"),
    ("target peak_memory", "target_peak_memory_bytes"),
];
/// Of them, those that are gated where nothing else is said.
const DEFAULT: usize = 3;
/// Fewer runs than this prove nothing (T22).
const RUNS_MIN: usize = 60;

/// The figures of two runs of a pair.
type TwoRuns = [Vec<f64>; 2];

fn recorded(columns: &[&str]) -> Vec<TwoRuns> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/base-runs.csv");
    let text = std::fs::read_to_string(path).unwrap();
    let mut rows =
        text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(',').collect::<Vec<_>>());
    let head = rows.next().unwrap();
    let column = |name: &str| head.iter().position(|column| *column == name).unwrap();
    let (pair, status) = (column("pair"), column("status"));
    let figures: Vec<usize> = columns.iter().map(|name| column(name)).collect();
    let valid: Vec<Vec<&str>> = rows.filter(|row| row[status] != "INVALID").collect();
    let two = |rows: &[Vec<&str>]| -> TwoRuns {
        let figures_of =
            |row: &Vec<&str>| figures.iter().map(|&column| row[column].parse().unwrap()).collect();
        let [first, second] = rows else { panic!("a pair of {} runs", rows.len()) };
        [figures_of(first), figures_of(second)]
    };
    valid.chunk_by(|a, b| a[pair] == b[pair]).map(two).collect()
}

/// How many of the sessions that gate these figures FAIL if everything in the candidate takes `ratio` of what it took.
fn failed(figures: &[(&str, &str)], ratio: f64) -> usize {
    let metrics = figures.iter().map(|(metric, _)| metric.parse().unwrap()).collect();
    let rule = Rule::new(metrics, LOOKS.to_vec()).unwrap();
    let recorded = recorded(&figures.iter().map(|(_, column)| *column).collect::<Vec<_>>());
    assert!(2 * recorded.len() >= RUNS_MIN, "{} pairs", recorded.len());
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut drawn = || {
        let [first, second] = &recorded[random.random_range(0..recorded.len())];
        let (base, candidate) = if random.random() { (first, second) } else { (second, first) };
        (base.clone(), candidate.iter().map(|figure| ratio * figure).collect())
    };
    let mut fails = || {
        let pairs: Vec<(Vec<f64>, Vec<f64>)> = (0..rule.pairs_max()).map(|_| drawn()).collect();
        session(&rule, &pairs) == Status::Fail
    };
    (0..SESSIONS).filter(|_| fails()).count()
}

#[test]
fn t22_nothing_changed() {
    for figures in FIGURES.chunks(1).chain([&FIGURES[..DEFAULT]]) {
        let failed = failed(figures, 1.0);
        assert!(failed * 100 <= SESSIONS, "{figures:?}: {failed} of {SESSIONS} sessions FAIL");
    }
}

#[test]
fn t23_ten_per_cent_worse() {
    let caught = failed(&FIGURES[..DEFAULT], 1.1);
    assert!(caught * 100 >= 95 * SESSIONS, "{caught} of {SESSIONS} sessions FAIL");
}

#[test]
fn t23_ten_per_cent_better() {
    for figures in FIGURES.chunks(1).chain([&FIGURES[..DEFAULT]]) {
        assert_eq!(failed(figures, 0.9), 0, "{figures:?}");
    }
}
