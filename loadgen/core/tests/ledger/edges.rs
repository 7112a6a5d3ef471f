//! Each edge of the definitions once.

use feedmark_core::SECOND_NS;
use feedmark_core::ledger::{Counts, Ledger, Miss, Misses, NotOwed};
use feedmark_core::marker::Marker;

use crate::history::{BASE_NS, DEADLINE_NS, RUN, pass_of};

const MS: u64 = 1_000_000;

fn marker(writer: u16, seq: u32) -> Marker {
    Marker { run: RUN, writer, seq }
}

/// Posts at these seconds, subscribers confirmed long before.
fn ledger(subscribers: u32, seconds: &[u64]) -> Ledger {
    let mut ledger = Ledger::new(subscribers);
    (0..subscribers).for_each(|subscriber| ledger.confirm(subscriber, BASE_NS - 10 * SECOND_NS));
    let offsets: Vec<u64> = seconds.iter().map(|second| second * SECOND_NS).collect();
    ledger.begin(pass_of(RUN, BASE_NS, &offsets));
    ledger
}

fn settle_all(ledger: &mut Ledger) {
    ledger.settle(u64::MAX, true, |_| ());
}

/// The counts of the only post.
fn counts(ledger: &mut Ledger) -> Counts {
    settle_all(ledger);
    let report = ledger.report(0);
    assert_eq!((report.posts.len(), report.foreign), (1, 0));
    report.posts[0]
}

const DELIVERED: Counts = Counts {
    owed: 1,
    delivered: 1,
    late: 0,
    missing: 0,
    duplicate: 0,
    reordered: 0,
    unexpected: 0,
    not_owed: NotOwed { never_connected: 0, connected_late: 0, connection_lost: 0 },
    unread: 0,
};
const LATE: Counts = Counts { delivered: 0, late: 1, ..DELIVERED };
const MISSING: Counts = Counts { delivered: 0, missing: 1, ..DELIVERED };
const NEVER: Counts = not_owed(NotOwed { never_connected: 1, connected_late: 0, connection_lost: 0 });
const TOO_LATE: Counts = not_owed(NotOwed { never_connected: 0, connected_late: 1, connection_lost: 0 });
const LOST: Counts = not_owed(NotOwed { never_connected: 0, connected_late: 0, connection_lost: 1 });

const fn not_owed(not_owed: NotOwed) -> Counts {
    Counts { owed: 0, delivered: 0, not_owed, ..DELIVERED }
}

#[test]
fn owed_from_exactly_one_second_after_the_confirmation() {
    for (before_ns, expected) in [(SECOND_NS, MISSING), (SECOND_NS - 1, TOO_LATE), (SECOND_NS + 1, MISSING)] {
        let mut ledger = ledger(1, &[0]);
        ledger.confirm(0, BASE_NS - before_ns);
        assert_eq!(counts(&mut ledger), expected, "confirmed {before_ns} ns before");
    }
    let mut never = Ledger::new(1);
    never.begin(pass_of(RUN, BASE_NS, &[0]));
    assert_eq!(counts(&mut never), NEVER);
}

#[test]
fn owed_only_if_lost_after_the_deadline() {
    for (lost_ns, expected) in [(DEADLINE_NS - 1, LOST), (DEADLINE_NS, LOST), (DEADLINE_NS + 1, MISSING)] {
        let mut ledger = ledger(1, &[0]);
        ledger.lose(0, BASE_NS + lost_ns);
        assert_eq!(counts(&mut ledger), expected, "lost {lost_ns} ns after");
    }
}

#[test]
fn a_connection_is_lost_when_it_was_first_lost() {
    let mut ledger = ledger(1, &[0]);
    ledger.lose(0, BASE_NS + SECOND_NS);
    ledger.lose(0, BASE_NS + 9 * SECOND_NS);
    assert_eq!(counts(&mut ledger), LOST);
}

#[test]
fn late_from_the_first_nanosecond_after_the_deadline() {
    for (arrival_ns, expected) in
        [(DEADLINE_NS - 1, DELIVERED), (DEADLINE_NS, DELIVERED), (DEADLINE_NS + 1, LATE)]
    {
        let mut ledger = ledger(1, &[0]);
        ledger.arrive(0, marker(0, 0), BASE_NS + arrival_ns);
        assert_eq!(counts(&mut ledger), expected, "{arrival_ns}");
    }
}

#[test]
fn a_post_is_settled_only_after_its_deadline() {
    let mut ledger = ledger(1, &[0, 5]);
    let deadline_ns = BASE_NS + DEADLINE_NS;
    assert_eq!(ledger.next_deadline_ns(), Some(deadline_ns));
    ledger.settle(deadline_ns, true, |post| panic!("{post:?} at its deadline"));
    let mut settled = Vec::new();
    ledger.settle(deadline_ns + 1, true, |post| settled.push((post.seq, post.owed, post.latencies_ns.len())));
    assert_eq!((settled, ledger.outstanding()), (vec![(0, 1, 0)], 1));
    assert_eq!(ledger.next_deadline_ns(), Some(deadline_ns + 5 * SECOND_NS));
}

#[test]
fn a_copy_of_a_late_one_is_a_duplicate_before_and_after_settling() {
    for settle_after in 0..3 {
        let mut ledger = ledger(1, &[0]);
        for copy in 0..3 {
            if copy == settle_after {
                settle_all(&mut ledger);
            }
            ledger.arrive(0, marker(0, 0), BASE_NS + DEADLINE_NS + 1 + copy);
        }
        assert_eq!(counts(&mut ledger), Counts { duplicate: 2, ..LATE });
        assert_eq!(ledger.report(0).misses, [Misses { missing: 0, late: 1 }]);
        assert_eq!(ledger.report(1).misses, [Misses::default()]);
        assert_eq!(ledger.outstanding(), 0);
    }
}

#[test]
fn every_copy_of_a_pair_not_owed_is_unexpected_before_and_after_settling() {
    for settle_after in 0..3 {
        let mut ledger = ledger(1, &[0]);
        ledger.confirm(0, BASE_NS);
        for copy in 0..3 {
            if copy == settle_after {
                settle_all(&mut ledger);
            }
            ledger.arrive(0, marker(0, 0), BASE_NS + DEADLINE_NS + 1);
        }
        assert_eq!(counts(&mut ledger), Counts { unexpected: 3, ..TOO_LATE });
    }
}

#[test]
fn an_arrival_before_the_intended_time_counts_within_the_clock_slack() {
    for (early_ns, latency_ns) in [(1, Some(1)), (MS, Some(1)), (MS + 1, None)] {
        let mut ledger = ledger(1, &[1]);
        ledger.arrive(0, marker(0, 0), BASE_NS + SECOND_NS - early_ns);
        let mut latencies_ns = Vec::new();
        ledger.settle(u64::MAX, true, |post| latencies_ns.extend(post.latencies_ns));
        let report = ledger.report(0);
        assert_eq!(latencies_ns, latency_ns.into_iter().collect::<Vec<_>>(), "{early_ns}");
        assert_eq!(report.posts[0], if latency_ns.is_some() { DELIVERED } else { MISSING });
        assert_eq!(report.foreign, u64::from(latency_ns.is_none()));
    }
}

#[test]
fn markers_of_another_run_or_beyond_the_schedule_are_foreign() {
    let mut ledger = ledger(1, &[0]);
    for marker in [Marker { run: RUN + 1, ..marker(0, 0) }, marker(0, 1), marker(0, u32::MAX)] {
        ledger.arrive(0, marker, BASE_NS + SECOND_NS);
    }
    settle_all(&mut ledger);
    assert_eq!((ledger.report(0).posts[0], ledger.report(0).foreign), (MISSING, 3));
}

#[test]
fn copies_of_a_pass_before_are_no_mistake() {
    let mut ledger = ledger(1, &[0]);
    ledger.begin(pass_of(RUN + 1, BASE_NS + SECOND_NS, &[0]));
    assert!(!ledger.arrive(0, marker(0, 0), BASE_NS + 2 * SECOND_NS));
    settle_all(&mut ledger);
    assert_eq!((ledger.report(0).posts[0], ledger.report(0).foreign), (MISSING, 0));
}

#[test]
fn nothing_is_foreign_to_no_schedule_but_everything() {
    let mut ledger = Ledger::new(1);
    ledger.arrive(0, Marker { run: 0, writer: 0, seq: 0 }, 1);
    ledger.settle(u64::MAX, true, |post| panic!("{post:?}"));
    assert_eq!((ledger.report(0).foreign, ledger.next_deadline_ns()), (1, None));
}

/// Writer and sequence by arrival, and which arrivals are reordered.
#[test]
fn reordered_counts_within_one_writer_only() {
    for (arrivals, reordered) in [
        (&[(0, 0), (0, 1), (0, 2)][..], [0, 0, 0]),
        (&[(0, 1), (0, 0), (0, 2)], [1, 0, 0]),
        (&[(0, 2), (0, 1), (0, 0)], [1, 1, 0]),
        (&[(1, 1), (0, 0), (0, 2)], [0, 0, 0]),
        (&[(1, 1), (1, 2), (0, 0)], [0, 0, 0]),
        (&[(0, 2), (1, 1), (0, 0)], [1, 0, 0]),
        // A duplicate of the later one overtakes nothing anew; one of the earlier one is no first copy.
        (&[(0, 0), (0, 1), (0, 0), (0, 1)], [0, 0, 0]),
    ] {
        let mut ledger = ledger(1, &[0, 0, 0]);
        for &(writer, seq) in arrivals {
            ledger.arrive(0, marker(writer, seq), BASE_NS + 1);
        }
        settle_all(&mut ledger);
        let counted: Vec<u32> = ledger.report(0).posts.iter().map(|counts| counts.reordered).collect();
        assert_eq!(counted, reordered, "{arrivals:?}");
    }
}

#[test]
fn reordered_counts_per_subscriber() {
    let mut ledger = ledger(2, &[0, 0]);
    ledger.arrive(0, marker(0, 1), BASE_NS + 1);
    ledger.arrive(1, marker(0, 0), BASE_NS + 2);
    ledger.arrive(1, marker(0, 1), BASE_NS + 3);
    settle_all(&mut ledger);
    assert_eq!(ledger.report(0).posts[0].reordered, 0);
    // Even when it comes after everything is settled.
    ledger.arrive(0, marker(0, 0), BASE_NS + 9 * SECOND_NS);
    assert_eq!(ledger.report(0).posts[0].reordered, 1);
}

/// A post that nobody got before its deadline has no writer but that of its late marker.
#[test]
fn posts_that_came_late_only_are_reordered_within_their_writer() {
    for (other_writer, reordered) in [(3, 1), (0, 0)] {
        let mut ledger = ledger(1, &[0, 0]);
        settle_all(&mut ledger);
        ledger.arrive(0, marker(other_writer, 1), BASE_NS + 3 * SECOND_NS);
        ledger.arrive(0, marker(3, 0), BASE_NS + 4 * SECOND_NS);
        assert_eq!(ledger.report(0).posts[0], Counts { reordered, ..LATE }, "{other_writer}");
    }
}

#[test]
fn a_pair_not_owed_is_never_reordered() {
    for settle_first in [true, false] {
        let mut ledger = ledger(1, &[0, 0]);
        ledger.confirm(0, BASE_NS);
        if settle_first {
            settle_all(&mut ledger);
        }
        ledger.arrive(0, marker(0, 1), BASE_NS + 3 * SECOND_NS);
        ledger.arrive(0, marker(0, 0), BASE_NS + 3 * SECOND_NS);
        settle_all(&mut ledger);
        assert_eq!(ledger.report(0).posts[0], Counts { unexpected: 1, ..TOO_LATE });
    }
}

#[test]
fn a_cut_keeps_what_is_settled_and_forgets_the_rest() {
    let mut ledger = ledger(1, &[0, 1, 2, 3]);
    ledger.arrive(0, marker(0, 1), BASE_NS + SECOND_NS + 1);
    ledger.settle(BASE_NS + SECOND_NS + DEADLINE_NS + 1, true, |_| ());
    ledger.cut(0);
    assert_eq!(ledger.next_deadline_ns(), None);
    ledger.arrive(0, marker(0, 2), BASE_NS + 2 * SECOND_NS + 1);
    ledger.arrive(0, marker(0, 0), BASE_NS + 9 * SECOND_NS);
    let report = ledger.report(0);
    assert_eq!(report.posts, [Counts { reordered: 1, ..LATE }, DELIVERED]);
    assert_eq!((report.foreign, ledger.outstanding()), (0, 0), "a cut post is nobody's, not foreign");
}

/// What is missing because nobody has read it is told from what the target did not send, and what
/// comes after all is late either way.
#[test]
fn a_post_settled_unread_has_unread_misses() {
    let mut ledger = ledger(3, &[0, 0]);
    ledger.arrive(0, marker(0, 0), BASE_NS + 1);
    ledger.settle(BASE_NS + DEADLINE_NS + 1, false, |_| ());
    ledger.arrive(2, marker(0, 1), BASE_NS + 9 * SECOND_NS);
    let report = ledger.report(0);
    let unread = Counts { owed: 3, delivered: 1, missing: 2, unread: 2, ..DELIVERED };
    assert_eq!(report.posts, [unread, Counts { delivered: 0, late: 1, ..unread }]);
    let miss = |seq, subscriber, late| Miss { seq, subscriber, late };
    assert_eq!(
        report.listed,
        [miss(0, 1, false), miss(0, 2, false), miss(1, 0, false), miss(1, 1, false), miss(1, 2, true)]
    );
}

/// A reader that catches up has nothing to do with what is still missing then.
#[test]
fn once_everything_is_read_what_is_missing_is_the_targets() {
    let mut ledger = ledger(2, &[0, 1]);
    ledger.settle(BASE_NS + DEADLINE_NS + 1, false, |_| ());
    ledger.arrive(0, marker(0, 0), BASE_NS + 9 * SECOND_NS);
    ledger.settle(BASE_NS + DEADLINE_NS + 2, true, |post| panic!("{post:?}"));
    ledger.settle(BASE_NS + SECOND_NS + DEADLINE_NS + 1, false, |_| ());
    let missing = Counts { owed: 2, ..MISSING };
    let expected = [Counts { late: 1, ..missing }, Counts { missing: 2, unread: 2, ..missing }];
    assert_eq!(ledger.report(0).posts, expected);
}
