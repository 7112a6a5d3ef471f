//! The fits: do their intervals cover the truth, and do they refuse what they cannot say?

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::super::frontier::{Estimate, FrontierFit, FrontierPoint};
use super::super::scalability::{Scalability, ScalabilityPoint};
use super::simulated::{Server, normal};
use super::*;

const SIMULATIONS: u32 = 2_000;
/// As a search leaves them, and as wide as a fit takes them.
const BRACKETS: [f64; 2] = [BRACKET_MAX, FIT_BRACKET_MAX];
/// Least share of the intervals at 95 % that hold the truth, of each.
fn covered_min(bracket: f64) -> f64 {
    if bracket > BRACKET_MAX { 0.9 } else { 0.93 }
}

fn covers(estimate: Estimate, truth: f64) -> bool {
    (estimate.low..=estimate.high).contains(&truth)
}

/// A capacity as a search finds it: somewhere in its bracket, a little below or above by the noise of its steps.
fn found(truth: f64, bracket: f64, random: &mut ChaCha8Rng) -> f64 {
    truth * (bracket * (random.random::<f64>() - 0.5) + 0.01 * normal(random)).exp()
}

/// The share of the simulations in which each of `Q` intervals holds the truth; those refused are not counted.
fn coverage<const Q: usize>(mut simulate: impl FnMut(&mut ChaCha8Rng) -> Option<[bool; Q]>) -> [f64; Q] {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let counted: Vec<[bool; Q]> = (0..SIMULATIONS).filter_map(|_| simulate(&mut random)).collect();
    // Of wide brackets, up to a third is refused because the points do not predict one another.
    assert!(counted.len() as f64 > 0.6 * f64::from(SIMULATIONS), "{} of {SIMULATIONS}", counted.len());
    std::array::from_fn(|q| counted.iter().filter(|covered| covered[q]).count() as f64 / counted.len() as f64)
}

#[test]
fn the_frontiers_intervals_hold_the_truth() {
    let server = Server::default();
    let (four, six) = (&[500, 1_000, 2_000, 4_000][..], &[200, 500, 1_000, 2_000, 4_000, 8_000][..]);
    for (counts, bracket) in
        [four, six].into_iter().flat_map(|counts| BRACKETS.map(|bracket| (counts, bracket)))
    {
        let largest = *counts.last().unwrap();
        let shares = coverage(|random| {
            let point = |subscribers: &u32| FrontierPoint {
                subscribers: *subscribers,
                rate_per_s: found(server.rate_max(*subscribers, None), bracket, random),
            };
            let fit = FrontierFit::of(counts.iter().map(point).collect()).ok()?;
            let at =
                |subscribers| covers(fit.rate_at(subscribers).unwrap(), server.rate_max(subscribers, None));
            let record = fit.record();
            Some([
                covers(record.fixed_s, server.fixed_s),
                covers(record.per_subscriber_s, server.per_subscriber_s),
                at(largest / 4),
                at(largest),
                at(2 * largest),
            ])
        });
        assert!(
            shares.iter().all(|share| (covered_min(bracket)..=0.975).contains(share)),
            "{counts:?}, {bracket}: {shares:?}"
        );
    }
}

#[test]
fn the_laws_intervals_hold_the_truth() {
    let server = Server::default();
    let (six, nine) = (&[1, 2, 3, 4, 6, 8][..], &[1, 2, 3, 4, 6, 8, 12, 16, 24][..]);
    for (counts, bracket) in
        [six, nine].into_iter().flat_map(|counts| BRACKETS.map(|bracket| (counts, bracket)))
    {
        let largest = f64::from(*counts.last().unwrap());
        let shares = coverage(|random| {
            let point = |cores: &u32| ScalabilityPoint {
                cores: *cores,
                rate_per_s: found(server.rate_max(1_000, Some(*cores)), bracket, random),
            };
            let law = Scalability::of(counts.iter().map(point).collect()).ok()?;
            let within = law.band.iter().rfind(|band| band.cores <= largest).unwrap();
            let p = within.cores;
            let (contention, coherency) = server.scaling;
            let truth =
                server.rate_max(1_000, None) * p / (1.0 + contention * (p - 1.0) + coherency * p * (p - 1.0));
            Some([
                covers(law.one_core_per_s, server.rate_max(1_000, None)),
                covers(law.contention, contention),
                covers(law.coherency, coherency),
                covers(within.rate_per_s, truth),
            ])
        });
        assert!(
            shares.iter().all(|share| (covered_min(bracket)..=0.975).contains(share)),
            "{counts:?}, {bracket}: {shares:?}"
        );
    }
}

fn points(server: &Server, counts: &[u32]) -> Vec<FrontierPoint> {
    let point = |subscribers: &u32| FrontierPoint {
        subscribers: *subscribers,
        rate_per_s: server.rate_max(*subscribers, None),
    };
    counts.iter().map(point).collect()
}

#[test]
fn a_frontier_says_nothing_that_it_cannot_know() {
    let server = Server::default();
    let counts = [500, 1_000, 2_000, 4_000];
    let refused = |points| FrontierFit::of(points).unwrap_err();
    assert!(refused(points(&server, &counts[..3])).contains("capacities at 3 numbers of subscribers"));
    assert!(refused(points(&server, &[500, 500, 1_000, 2_000])).contains("capacities at 3 numbers"));
    let bent = Server { knee: Some((2_000, 4.0)), ..server.clone() };
    assert!(refused(points(&bent, &counts)).contains("no straight line"));
    let fit = FrontierFit::of(points(&server, &counts)).unwrap();
    assert!(fit.rate_at(8_000).is_ok());
    assert!(fit.rate_at(8_001).unwrap_err().contains("more than 2 times the 4,000"));
    // Posts that cost next to nothing by themselves, within what is let pass of a line: where N is small, the cost may be 0.
    let cheap = [(1_000, 1.03), (2_000, 0.97), (3_000, 1.03), (4_000, 0.98)].map(|(subscribers, off)| {
        FrontierPoint { subscribers, rate_per_s: off * 1e6 / f64::from(subscribers) }
    });
    let fit = FrontierFit::of(cheap.to_vec()).unwrap();
    assert!(fit.rate_at(2_000).is_ok());
    let endless = fit.rate_at(10).unwrap_err();
    assert!(endless.contains("the 95 % band at 10 subscribers has no upper end"), "{endless}");
}

#[test]
fn an_exact_frontier_is_the_truth() {
    let server = Server::default();
    let record = FrontierFit::of(points(&server, &[500, 1_000, 2_000, 4_000])).unwrap().record();
    assert!((record.fixed_s.value / server.fixed_s - 1.0).abs() < 1e-9, "{record:?}");
    assert!((record.per_subscriber_s.value / server.per_subscriber_s - 1.0).abs() < 1e-9, "{record:?}");
    let (first, last) = (record.band.first().unwrap().subscribers, record.band.last().unwrap().subscribers);
    assert_eq!((first, last), (500, 8_000));
}

#[test]
fn an_exact_law_is_the_truth_and_knows_its_peak() {
    let server = Server { scaling: (0.05, 0.01), ..Server::default() };
    let of = |counts: &[u32]| {
        let point = |cores: &u32| ScalabilityPoint {
            cores: *cores,
            rate_per_s: server.rate_max(1_000, Some(*cores)),
        };
        Scalability::of(counts.iter().map(point).collect())
    };
    let law = of(&[1, 2, 3, 4, 6, 8]).unwrap();
    assert!(
        (law.contention.value - 0.05).abs() < 1e-9 && (law.coherency.value - 0.01).abs() < 1e-9,
        "{law:?}"
    );
    // sqrt((1 - c) / k), which is 9.7.
    assert!((law.peak_cores.unwrap() - 95f64.sqrt()).abs() < 1e-6, "{law:?}");
    assert!(of(&[1, 2, 3, 4, 6]).unwrap_err().contains("at 5 numbers of cores, and it takes 6"));
    // A peak beyond twice the cores that were measured is not spoken of.
    let flat = Server { scaling: (0.05, 0.0001), ..Server::default() };
    let point = |cores: u32| ScalabilityPoint { cores, rate_per_s: flat.rate_max(1_000, Some(cores)) };
    assert_eq!(Scalability::of([1, 2, 3, 4, 6, 8].map(point).to_vec()).unwrap().peak_cores, None);
}

#[test]
fn a_law_that_does_not_describe_them_is_refused() {
    let point = |(cores, rate_per_s)| ScalabilityPoint { cores, rate_per_s };
    let jumping = [(1, 100.0), (2, 200.0), (3, 120.0), (4, 400.0), (6, 150.0), (8, 800.0)].map(point);
    assert!(Scalability::of(jumping.to_vec()).unwrap_err().contains("off what the others predict"));
}
