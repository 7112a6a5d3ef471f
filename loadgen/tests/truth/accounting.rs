//! T4 to T9, T27: what the report says was lost, and for whom.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;

use feedmark_reports::quantile::Quantile;
use feedmark_reports::{RunResult, Status};

use crate::bed::{Plan, Run, scaled, tell};

/// Pairs of the steady phase that never came, as the report lists them.
fn missing(run: &Run) -> BTreeSet<(u32, SocketAddr)> {
    let missing = run.misses.iter().filter(|miss| miss.outcome == "missing");
    missing.map(|miss| (miss.seq, miss.address)).collect()
}

/// Pairs of the steady phase that were dropped, as the server did it.
fn dropped(run: &Run) -> BTreeSet<(u32, SocketAddr)> {
    let steady = run.truth.dropped.iter().filter(|(seq, _)| run.is_steady(*seq));
    steady.map(|&(seq, socket)| (seq, run.address(socket))).collect()
}

/// Copies beyond the first that went out for pairs of the steady phase.
fn extra_copies(run: &Run) -> u64 {
    let extra = run.truth.writes.iter().filter(|write| write.copy > 0 && run.is_steady(write.seq));
    extra.count() as u64
}

pub(crate) fn t4(mutant: Option<&'static str>) {
    // The probe is spared.
    let run = Plan::new(&["kind=drop,share=0.001,posts=1..1000000"]).mutant(mutant).run();
    let (missing, dropped) = (missing(&run), dropped(&run));
    let delivery = &run.result.latency_ns.delivery;
    let p9995 = delivery.value_at(0.9995);
    tell("T4", &format!("{} of {} dropped pairs missing, p99.95 {p9995:?}", missing.len(), dropped.len()));
    assert_eq!(missing, dropped);
    assert!(dropped.len() as f64 > 0.0005 * delivery.count as f64);
    assert_eq!(run.result.deliveries.missing_by_cause, [("unknown".to_owned(), dropped.len() as u64)].into());
    assert_eq!(p9995, Quantile::BeyondDeadline);
    assert_eq!(run.code, 99, "{:?}", run.result.verdict);
}

#[test]
fn t04_exactly_the_dropped_pairs_are_missing() {
    t4(None);
}

#[test]
fn t05_duplicates_are_counted_exactly() {
    let run = Plan::new(&[
        "kind=duplicate,share=0.05,max=450,posts=160..10000",
        "kind=duplicate,copies=2,share=0.01,max=50,posts=160..10000",
    ])
    .run();
    let deliveries = &run.result.deliveries;
    let thrice = run.truth.writes.iter().filter(|write| write.copy == 2).count();
    tell(
        "T5",
        &format!(
            "{} duplicates ({} extra copies, {thrice} pairs three times)",
            deliveries.duplicate,
            extra_copies(&run)
        ),
    );
    assert_eq!(extra_copies(&run), 550);
    assert!(thrice >= 50);
    assert_eq!(deliveries.duplicate, 550);
    assert_eq!(deliveries.delivered, deliveries.owed, "completeness 100 %");
    assert_eq!(run.code, 0, "{:?}", run.result.verdict);
}

#[test]
fn t06_swapped_posts_are_reordered() {
    // One writer: only its own posts have an order.
    let run = Plan::new(&["kind=swap,share=0.02,max=200,posts=160..10000"]).with(&["--in-flight", "1"]).run();
    let deliveries = &run.result.deliveries;
    let swapped = run.truth.swapped.iter().filter(|(seq, _)| run.is_steady(*seq)).count();
    tell("T6", &format!("{} reordered of {swapped} swapped", deliveries.reordered));
    assert_eq!((swapped, deliveries.reordered), (200, 200));
    assert_eq!((deliveries.duplicate, deliveries.missing), (0, 0));
    assert_eq!(run.code, 0, "{:?}", run.result.verdict);
}

#[test]
fn t07_a_loss_does_not_hide_a_duplicate() {
    let run = Plan::new(&[
        "kind=drop,share=0.01,max=1,posts=160..170",
        "kind=duplicate,share=0.01,max=1,posts=180..190",
    ])
    .run();
    let deliveries = &run.result.deliveries;
    tell("T7", &format!("{} missing, {} duplicate", deliveries.missing, deliveries.duplicate));
    assert_eq!((deliveries.missing, deliveries.duplicate), (1, 1));
    assert_eq!((missing(&run), extra_copies(&run)), (dropped(&run), 1));
    assert_eq!(run.code, 99, "{:?}", run.result.verdict);
}

#[test]
fn t08_late_is_not_missing_and_the_tail_is_not_cut() {
    let (deadline_ns, late, tail, posts) = scaled(
        (10_000_000_000, "kind=delay,law=fixed,by=11s,share=0.01,posts=1..1000", "by=5s", 601..701),
        (3_000_000_000, "kind=delay,law=fixed,by=4s,share=0.01,posts=1..1000", "by=1500ms", 201..301),
    );
    let tail = format!("kind=delay,law=fixed,{tail},posts={}..{}", posts.start, posts.end);
    let deadline = format!("{}s", deadline_ns / 1_000_000_000);
    let run = Plan::new(&[late, &tail]).with(&["--arrivals", "constant", "--deadline", &deadline]).run();
    let first = run.truth.first_writes();
    let truly_late = first
        .iter()
        .filter(|((seq, _), at_ns)| run.is_steady(*seq) && **at_ns > run.intended_ns(*seq) + deadline_ns)
        .count() as u64;
    let deliveries = &run.result.deliveries;
    let share = truly_late as f64 / deliveries.owed as f64;
    tell(
        "T8",
        &format!(
            "{} late ({truly_late} in truth, {:.2} %), {} missing",
            deliveries.late,
            share * 100.0,
            deliveries.missing
        ),
    );
    assert_eq!((deliveries.late, deliveries.missing), (truly_late, 0));
    assert!((0.008..0.012).contains(&share));
    let last: Vec<_> = run.posts.iter().rev().take(100).collect();
    assert!(last.iter().all(|post| post.owed == 500 && post.delivered + post.late == 500), "{last:?}");
    assert!(last.iter().all(|post| post.full_latency_ns.is_none_or(|ns| ns >= 1_400_000_000)));
    assert_eq!(run.code, 99, "{:?}", run.result.verdict);
}

fn not_owed(result: &RunResult, cause: &str) -> u64 {
    result.deliveries.not_owed_by_cause.get(cause).copied().unwrap_or_default()
}

#[test]
fn t09_who_comes_late_or_is_killed_is_owed_nothing() {
    let faults = ["kind=kill,at=10s,share=0.05", "kind=slow-handshake,by=9s,share=0.05"];
    let run = Plan::new(&faults)
        .with(&["--connect-within", "2s", "--connect-timeout", "20s", "--deadline", "5s"])
        .run();
    let (deliveries, connections) = (&run.result.deliveries, &run.result.connections);
    let (late, lost) = (not_owed(&run.result, "connected_late"), not_owed(&run.result, "connection_lost"));
    tell(
        "T9",
        &format!(
            "{} killed in truth, {} lost, {late} pairs of late comers, {lost} of the killed, {} missing",
            run.truth.killed.len(),
            connections.lost,
            deliveries.missing
        ),
    );
    assert_eq!((connections.established, connections.failed), (500, 0));
    assert_eq!(connections.lost, run.truth.killed.len() as u64);
    assert!((10..45).contains(&connections.lost) && late > 0 && lost > 0);
    assert_eq!((deliveries.missing, deliveries.late, deliveries.not_owed), (0, 0, late + lost));
    // Nobody is owed less than the truth: exactly the pairs of sockets that lived from a second before to the deadline.
    let owed: u64 = deliveries.owed + deliveries.not_owed;
    assert_eq!(owed, 500 * run.steady().count() as u64);
    assert_eq!(run.code, 99, "{:?}", run.result.verdict);
}

#[test]
fn t27_everything_at_once_is_told_apart() {
    let faults = [
        "kind=drop,share=0.01,posts=4..1000",
        "kind=duplicate,share=0.005,posts=4..1000",
        "kind=kill,at=8s,share=0.1",
    ];
    let args = ["-c", "200", "-r", "10/s", "--arrivals", "constant", "-d", "5s", "--deadline", "3s"];
    let run = Plan::new(&faults).with(&args).run();
    let (deliveries, connections) = (&run.result.deliveries, &run.result.connections);
    let killed: BTreeSet<SocketAddr> = run.truth.killed.keys().map(|&socket| run.address(socket)).collect();
    // Whoever was killed before a post's deadline was owed nothing of it.
    let deaths: HashMap<SocketAddr, u64> =
        run.truth.killed.iter().map(|(&socket, &at_ns)| (run.address(socket), at_ns)).collect();
    let is_owed = |seq: u32, address: SocketAddr| {
        deaths
            .get(&address)
            .is_none_or(|&at_ns| at_ns > run.intended_ns(seq) + run.result.scenario.deadline_ns)
    };
    let expected: BTreeSet<_> =
        dropped(&run).into_iter().filter(|&(seq, address)| is_owed(seq, address)).collect();
    let duplicates = run
        .truth
        .writes
        .iter()
        .filter(|write| write.copy > 0 && run.is_steady(write.seq))
        .filter(|write| is_owed(write.seq, run.address(write.socket)))
        .count() as u64;
    let owed: u64 = run
        .steady()
        .map(|post| run.truth.peers.values().filter(|address| is_owed(post.seq, **address)).count() as u64)
        .sum();
    tell(
        "T27",
        &format!(
            "{} missing ({} in truth), {} duplicate ({duplicates}), {} lost ({}), {} owed ({owed}), exit {}",
            deliveries.missing,
            expected.len(),
            deliveries.duplicate,
            connections.lost,
            killed.len(),
            deliveries.owed,
            run.code
        ),
    );
    assert_eq!(run.steady().count(), 50);
    assert_eq!(missing(&run), expected);
    assert!(!expected.is_empty() && !killed.is_empty() && duplicates > 0);
    assert_eq!((deliveries.duplicate, deliveries.owed), (duplicates, owed));
    assert_eq!(connections.lost, killed.len() as u64);
    assert_eq!(deliveries.not_owed, not_owed(&run.result, "connection_lost"));
    assert!(run.misses.iter().all(|miss| miss.cause == "unknown"), "{:?}", run.misses);
    assert_eq!((run.code, run.result.verdict.status), (99, Status::Fail), "{:?}", run.result.verdict);
}
