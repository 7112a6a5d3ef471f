//! T4 to T9, T27: what the report says was lost, and for whom.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use feedmark_reports::Status;
use feedmark_reports::quantile::Quantile;

use crate::bed::{Plan, Run, row, scaled};
use crate::owed::assert_pair_by_pair;

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
    assert_eq!(missing, dropped);
    assert!(dropped.len() as f64 > 0.0005 * delivery.count as f64);
    assert_eq!(run.result.deliveries.missing_by_cause, [("unknown".to_owned(), dropped.len() as u64)].into());
    assert_eq!(p9995, Quantile::BeyondDeadline);
    run.assert_status(Status::Fail);
    row(
        "T4",
        format!("{} pairs missing, p99.95 beyond the deadline, FAIL", missing.len()),
        format!("{} dropped, the same pairs", dropped.len()),
    );
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
    assert_eq!(extra_copies(&run), 550);
    assert!(thrice >= 50);
    assert_eq!(deliveries.duplicate, 550);
    assert_eq!(deliveries.delivered, deliveries.owed, "completeness 100 %");
    run.assert_no_fault();
    row(
        "T5",
        format!(
            "{} duplicates, {} of {} delivered",
            deliveries.duplicate, deliveries.delivered, deliveries.owed
        ),
        format!("{} extra copies, {thrice} pairs three times", extra_copies(&run)),
    );
}

#[test]
fn t06_swapped_posts_are_reordered() {
    // One writer: only its own posts have an order.
    let run = Plan::new(&["kind=swap,share=0.02,max=200,posts=160..10000"]).with(&["--in-flight", "1"]).run();
    let deliveries = &run.result.deliveries;
    let swapped = run.truth.swapped.iter().filter(|(seq, _)| run.is_steady(*seq)).count();
    assert_eq!((swapped, deliveries.reordered), (200, 200));
    assert_eq!((deliveries.duplicate, deliveries.missing), (0, 0));
    run.assert_no_fault();
    row("T6", format!("{} reordered", deliveries.reordered), format!("{swapped} swapped"));
}

#[test]
fn t07_a_loss_does_not_hide_a_duplicate() {
    let run = Plan::new(&[
        "kind=drop,share=0.01,max=1,posts=160..170",
        "kind=duplicate,share=0.01,max=1,posts=180..190",
    ])
    .run();
    let deliveries = &run.result.deliveries;
    assert_eq!((deliveries.missing, deliveries.duplicate), (1, 1));
    assert_eq!((missing(&run), extra_copies(&run)), (dropped(&run), 1));
    run.assert_status(Status::Fail);
    row(
        "T7",
        format!("{} missing, {} duplicate, FAIL", deliveries.missing, deliveries.duplicate),
        format!("{} dropped, {} extra copy", dropped(&run).len(), extra_copies(&run)),
    );
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
    assert_eq!((deliveries.late, deliveries.missing), (truly_late, 0));
    assert!((0.008..0.012).contains(&share));
    let last: Vec<_> = run.posts.iter().rev().take(100).collect();
    assert!(last.iter().all(|post| post.owed == 500 && post.delivered + post.late == 500), "{last:?}");
    assert!(last.iter().all(|post| post.full_latency_ns.is_none_or(|ns| ns >= 1_400_000_000)));
    run.assert_status(Status::Fail);
    row(
        "T8",
        format!("{} late, {} missing, FAIL", deliveries.late, deliveries.missing),
        format!("{truly_late} late ({:.2} %), none dropped", share * 100.0),
    );
}

#[test]
fn t09_who_comes_late_or_is_killed_is_owed_nothing() {
    let faults = ["kind=kill,at=10s,share=0.05", "kind=slow-handshake,by=9s,share=0.05"];
    let run = Plan::new(&faults)
        .with(&["--connect-within", "2s", "--connect-timeout", "20s", "--deadline", "5s"])
        .run();
    let (deliveries, connections) = (&run.result.deliveries, &run.result.connections);
    assert_eq!((connections.established, connections.failed), (500, 0));
    // 5 % of 500, as chance has it.
    assert!((10..45).contains(&connections.lost));
    assert!(
        ["connected_late", "connection_lost"].iter().all(|cause| deliveries.not_owed_by_cause[*cause] > 0)
    );
    assert_eq!((deliveries.missing, deliveries.late), (0, 0));
    run.assert_status(Status::Fail);
    assert_pair_by_pair("T9", &run);
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
    assert_eq!((run.steady().count(), connections.established), (50, 200));
    assert!(deliveries.missing > 0 && deliveries.duplicate > 0 && connections.lost > 0);
    run.assert_status(Status::Fail);
    assert_pair_by_pair("T27", &run);
}
