//! What a gate concludes, and how often it is wrong.

use std::sync::LazyLock;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::sample;
use crate::schema::assert_committed;

const METRICS: [&str; 3] = ["delivery p50", "full_fanout p50", "target cpu_per_million"];

/// METHOD's metrics and looks.
pub(super) fn rule() -> Rule {
    Rule::new(METRICS.iter().map(|name| name.parse().unwrap()).collect(), LOOKS.to_vec()).unwrap()
}

/// Made once: the sample's histograms are costly.
static SCENARIO: LazyLock<ScenarioRecord> =
    LazyLock::new(|| ScenarioRecord { url: None, ..sample::run().scenario });

fn plan() -> Plan {
    let scenario = SCENARIO.clone();
    Plan {
        base: "git-main/feedmark target --open --port {port}".to_owned(),
        candidate: "target/release/feedmark target --open --port {port}".to_owned(),
        scenario,
        seed: 1,
        metrics: rule().metrics().iter().map(ToString::to_string).collect(),
        looks: LOOKS.to_vec(),
    }
}

fn pair(number: u32, ratios: [f64; 3]) -> Pair {
    let verdict = Verdict { status: Status::Pass, reasons: Vec::new() };
    // A noise of some tenths of a per cent, the same for all metrics.
    let base = [10.5e6, 16.3e6, 12.9].map(|value| value * (1.0 + 0.001 * f64::from(number % 7)));
    let run = |id: &str, values: [f64; 3]| RunOfPair {
        run_id: format!("{id}{number:07}"),
        verdict: verdict.clone(),
        values: values.map(Some).to_vec(),
    };
    let noise = 1.0 + 0.002 * f64::from(number % 3);
    let candidate = std::array::from_fn(|metric| base[metric] * ratios[metric] * noise);
    let first = if number.is_multiple_of(2) { Variant::Base } else { Variant::Candidate };
    Pair { seed: u64::from(number), first, base: run("b", base), candidate: run("c", candidate) }
}

/// A gate with so many pairs, whose candidate has these multiples of the base.
pub(crate) fn gate_of(pairs: u32, ratios: [f64; 3]) -> GateResult {
    let mut gate = GateResult::planned(plan(), &rule(), "0.1.0");
    gate.pairs = (1..=pairs).map(|number| pair(number, ratios)).collect();
    judged(gate)
}

/// The gate, judged.
pub(crate) fn judged(mut gate: GateResult) -> GateResult {
    gate.judge(&rule());
    gate
}

fn reasons(gate: &GateResult) -> String {
    gate.verdict.reasons.join("; ")
}

#[test]
fn looks_decide_and_nothing_between_them() {
    for (pairs, ratios, status, finished, looks) in [
        (0, [1.0; 3], Status::Unresolved, false, vec![]),
        (9, [1.5; 3], Status::Unresolved, false, vec![]),
        (10, [1.0; 3], Status::Pass, true, vec![10]),
        (10, [1.0, 1.0, 1.5], Status::Fail, true, vec![10]),
        // What comes after the look that decided changes nothing.
        (30, [1.2, 1.0, 1.0], Status::Fail, true, vec![10]),
    ] {
        let gate = gate_of(pairs, ratios);
        assert_eq!(
            (gate.verdict.status, gate.finished, &gate.looks_done),
            (status, finished, &looks),
            "{gate:?}"
        );
    }
}

#[test]
fn the_last_look_that_cannot_tell_is_unresolved() {
    let swinging = |number: u32| if number.is_multiple_of(2) { [1.5; 3] } else { [0.85; 3] };
    let mut gate = gate_of(0, [1.0; 3]);
    gate.pairs = (1..=30).map(|number| pair(number, swinging(number))).collect();
    let gate = judged(gate);
    assert_eq!(
        (gate.verdict.status, gate.finished, &*gate.looks_done),
        (Status::Unresolved, true, &LOOKS[..])
    );
    assert!(reasons(&gate).contains("neither worse nor within +10 %"), "{}", reasons(&gate));
    let under_way = judged(GateResult { pairs: gate.pairs[..29].to_vec(), ..gate });
    assert!(!under_way.finished && reasons(&under_way).starts_with("under way: 29 of at most 30 pairs"));
}

#[test]
fn between_looks_the_estimate_goes_on() {
    let swinging = |number: u32| if number.is_multiple_of(2) { [1.5; 3] } else { [0.85; 3] };
    let mut gate = gate_of(0, [1.0; 3]);
    gate.pairs = (1..=10).map(|number| pair(number, swinging(number))).collect();
    let at_the_look = judged(gate.clone()).metrics[0].change;
    gate.pairs.extend((11..=15).map(|number| pair(number, [2.0; 3])));
    let gate = judged(gate);
    assert!(gate.metrics[0].change > at_the_look, "{:?}", gate.metrics[0]);
    assert_eq!((gate.finished, &*gate.looks_done), (false, &[10][..]));
}

#[test]
fn a_candidate_that_loses_something_fails_at_once() {
    let mut gate = gate_of(2, [1.0; 3]);
    gate.pairs[1].candidate.verdict =
        Verdict { status: Status::Fail, reasons: vec!["3 of 600 deliveries owed never arrived".to_owned()] };
    let gate = judged(gate);
    assert_eq!((gate.verdict.status, gate.finished), (Status::Fail, true));
    assert_eq!(
        reasons(&gate),
        "pair 2: the candidate failed, and none of the base's 2 runs did; 3 of 600 deliveries owed never arrived"
    );
}

#[test]
fn a_run_that_stays_invalid_ends_the_gate() {
    let repeat = |reason: &str| Repeat {
        pair: 3,
        variant: Variant::Base,
        run_id: "7f3a9c0d".to_owned(),
        reasons: vec![reason.to_owned()],
    };
    let mut gate = gate_of(2, [1.0; 3]);
    gate.repeats = vec![repeat("V2"), repeat("V4"), repeat("V2")];
    assert!(!judged(gate.clone()).finished);
    gate.repeats.push(repeat("V5"));
    let gate = judged(gate);
    assert_eq!((gate.verdict.status, gate.finished), (Status::Invalid, true));
    assert_eq!(reasons(&gate), "pair 3: 4 runs of the base in a row were INVALID; V2; V4; V5");
}

#[test]
fn a_plan_that_differs_is_told_by_name() {
    let plan = plan();
    assert_eq!(plan.difference(&plan), None);
    let mut other = plan.clone();
    other.scenario.subscribers = 500;
    let difference = ("scenario.subscribers".to_owned(), "1000".to_owned(), "500".to_owned());
    assert_eq!(plan.difference(&other), Some(difference));
}

#[test]
fn the_committed_schema_is_the_codes() {
    assert_committed("gate.schema.json", &schema());
}

#[test]
fn gates_fit_the_schema_and_survive_json() {
    let validator = jsonschema::validator_for(&serde_json::to_value(schema()).unwrap()).unwrap();
    for gate in [gate_of(0, [1.0; 3]), gate_of(10, [1.2, 1.0, 0.9])] {
        let json = serde_json::to_value(&gate).unwrap();
        assert!(validator.is_valid(&json), "{json}");
        assert_eq!(serde_json::from_value::<GateResult>(json).unwrap(), gate);
    }
}

/// Sessions of [`sessions`]; as many as are quick.
const SESSIONS: u32 = 10_000;

/// How sessions end, of which the candidate has `ratio` of the base in every metric: (FAIL, PASS).
///
/// Runs are lognormal around the truth with `noise`, of which half the variance is that of the run and so common to its
/// metrics, as that of real ones is.
fn sessions(noise: f64, ratio: f64) -> (u32, u32) {
    let rule = rule();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let (mut failed, mut passed) = (0, 0);
    for _ in 0..SESSIONS {
        let mut run = |ratio: f64| -> [f64; 3] {
            let common = normal(&mut random);
            std::array::from_fn(|_| ratio * (noise * (common + normal(&mut random)) / 2f64.sqrt()).exp())
        };
        let pairs: Vec<([f64; 3], [f64; 3])> =
            (0..rule.pairs_max()).map(|_| (run(1.0), run(ratio))).collect();
        match session(&rule, &pairs) {
            Status::Fail => failed += 1,
            Status::Pass => passed += 1,
            _ => {}
        }
    }
    (failed, passed)
}

/// The answer to these (base, candidate) pairs, by the code that judges real ones.
pub(super) fn session<V: AsRef<[f64]>>(rule: &Rule, pairs: &[(V, V)]) -> Status {
    let values = |figures: &V| figures.as_ref().iter().copied().map(Some).collect();
    let mut gate = GateResult::planned(plan(), rule, "0.1.0");
    gate.pairs = pairs
        .iter()
        .map(|(base, candidate)| {
            let mut pair = pair(1, [1.0; 3]);
            (pair.base.values, pair.candidate.values) = (values(base), values(candidate));
            pair
        })
        .collect();
    gate.judge(rule);
    assert!(gate.finished);
    gate.verdict.status
}

/// Box and Muller.
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.random::<f64>()).cos()
}

/// METHOD section 5 at a run-to-run noise of 5, 8 and 12 %.
#[test]
fn a_change_that_is_not_there_does_not_fail() {
    for noise in [0.05, 0.08, 0.12] {
        let (failed, _) = sessions(noise, 1.0);
        assert!(f64::from(failed) <= 0.01 * f64::from(SESSIONS), "{failed} of {SESSIONS} at {noise}");
    }
}

#[test]
fn ten_per_cent_worse_fails() {
    for (noise, caught_min) in [(0.05, 0.99), (0.08, 0.95), (0.12, 0.6)] {
        let (failed, passed) = sessions(noise, 1.1);
        assert!(f64::from(failed) >= caught_min * f64::from(SESSIONS), "{failed} of {SESSIONS} at {noise}");
        assert!(f64::from(passed) <= 0.05 * f64::from(SESSIONS), "{passed} of {SESSIONS} at {noise}");
    }
}

#[test]
fn ten_per_cent_better_never_fails() {
    for noise in [0.05, 0.08] {
        assert_eq!(sessions(noise, 0.9).0, 0, "at {noise}");
    }
}
