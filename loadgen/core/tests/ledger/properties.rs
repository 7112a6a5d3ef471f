//! What holds for any history.

use std::collections::HashSet;

use feedmark_core::ledger::{Counts, Faults, Ledger, LedgerReport, Tally};
use feedmark_core::marker::Marker;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::history::{BASE_NS, DEADLINE_NS, Happening, RUN, history, pass_of, tell};
use crate::model::Model;

fn settle_times() -> impl Strategy<Value = Vec<bool>> {
    prop_oneof![prop::collection::vec(any::<bool>(), 0..300), Just(Vec::new()), Just(vec![true; 1000])]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// The ledger says what the definitions say, post by post, subscriber by subscriber, latency by
    /// latency, whenever it was settled.
    #[test]
    fn the_ledger_equals_the_definitions(history in history(), settle in settle_times(), judged in 0..12u32) {
        let model = Model::of(&history);
        let (ledger, settled) = history.replay(&settle);
        prop_assert_eq!(ledger.report(judged), model.report(judged));
        prop_assert_eq!(settled, model.settled());
        prop_assert_eq!(ledger.next_deadline_ns(), None);
    }

    /// At any moment `outstanding` is the number of owed pairs past their deadline that have not come,
    /// and every post that is settled closes: `owed = delivered + late + missing`.
    #[test]
    fn outstanding_and_conservation_hold_at_any_moment(history in history(), settle in settle_times()) {
        let model = Model::of(&history);
        let mut ledger = Ledger::new(history.subscribers);
        ledger.begin(history.pass());
        let mut drained_ns = 0;
        for (place, &(at_ns, happening)) in history.happenings.iter().enumerate() {
            if settle.get(place).copied().unwrap_or_default() {
                ledger.settle(at_ns, true, |_| ());
                drained_ns = at_ns;
            }
            prop_assert_eq!(ledger.outstanding(), model.outstanding(drained_ns, place));
            for Counts { owed, delivered, late, missing, not_owed, .. } in ledger.report(0).posts {
                prop_assert_eq!(owed, delivered + late + missing);
                prop_assert_eq!(owed + not_owed.all(), history.subscribers);
            }
            tell(&mut ledger, at_ns, happening);
        }
        ledger.settle(history.end_ns(), true, |_| ());
        let missing: u64 = ledger.report(0).posts.iter().map(|counts| u64::from(counts.missing)).sum();
        prop_assert_eq!(ledger.outstanding(), missing);
    }

    /// The tally of the posts from any one on is the sum of their counts, at any moment.
    #[test]
    fn the_tally_is_the_sum_of_the_counts(history in history(), settle in settle_times(), first in 0..12u32) {
        let mut ledger = Ledger::new(history.subscribers);
        ledger.begin(history.pass());
        let is_the_sum = |ledger: &Ledger| {
            let mut sum = Tally::default();
            for counts in ledger.report(0).posts.iter().skip(first as usize) {
                let faults = Faults {
                    missing: counts.missing.into(),
                    late: counts.late.into(),
                    duplicate: counts.duplicate.into(),
                    reordered: counts.reordered.into(),
                    unexpected: counts.unexpected.into(),
                };
                sum.add(&Tally { owed: counts.owed.into(), delivered: counts.delivered.into(), faults });
            }
            ledger.tally(first) == sum
        };
        for (place, &(at_ns, happening)) in history.happenings.iter().enumerate() {
            if settle.get(place).copied().unwrap_or_default() {
                ledger.settle(at_ns, true, |_| ());
            }
            tell(&mut ledger, at_ns, happening);
            prop_assert!(is_the_sum(&ledger));
        }
        ledger.settle(history.end_ns(), true, |_| ());
        prop_assert!(is_the_sum(&ledger));
    }

    /// Every accepted arrival is in exactly one count: delivered, late, duplicate or unexpected; what
    /// was not accepted is foreign.
    #[test]
    fn every_arrival_is_counted_once(history in history(), settle in settle_times()) {
        let report = history.report(&settle);
        let counted: u64 = report
            .posts
            .iter()
            .map(|counts| u64::from(counts.delivered + counts.late + counts.duplicate + counts.unexpected))
            .sum();
        let is_arrival = |happening: &Happening| matches!(happening, Happening::Arrived { .. });
        let given = history.happenings.iter().filter(|(_, happening)| is_arrival(happening)).count();
        prop_assert_eq!(counted + report.foreign, given as u64);
    }

    /// Subscribers do not touch each other: in which order a read loop visits their sockets changes
    /// nothing, as long as each one's own order stays.
    #[test]
    fn the_order_among_subscribers_changes_nothing(history in history(), settle in settle_times()) {
        let mut visited = history.clone();
        visited.happenings.sort_by_key(|(_, happening)| match *happening {
            Happening::Arrived { subscriber, .. }
            | Happening::Confirmed { subscriber }
            | Happening::Lost { subscriber } => subscriber,
        });
        // Times go back between subscribers now: it is settled at the end only.
        prop_assert_eq!(visited.report(&[]), history.report(&settle));
    }

    /// With one copy of each pair, the order of all arrivals decides on `reordered` and nothing else.
    #[test]
    fn the_order_of_single_copies_decides_on_reordered_only(
        mut history in history(),
        places in prop::collection::vec(any::<Index>(), 64),
    ) {
        let but_order = |mut report: LedgerReport| {
            report.posts.iter_mut().for_each(|counts| counts.reordered = 0);
            report
        };
        let (mut arrivals, lives): (Vec<_>, Vec<_>) =
            history.happenings.iter().partition(|(_, happening)| matches!(happening, Happening::Arrived { .. }));
        let mut seen = HashSet::new();
        arrivals.retain(|(_, happening)| match *happening {
            Happening::Arrived { subscriber, marker } => seen.insert((subscriber, marker)),
            _ => false,
        });
        history.happenings = [lives.clone(), arrivals.clone()].concat();
        let in_order = but_order(history.report(&[]));
        for (from, to) in (0..arrivals.len()).zip(&places) {
            let to = to.index(arrivals.len());
            arrivals.swap(from, to);
        }
        history.happenings = [lives, arrivals].concat();
        prop_assert_eq!(but_order(history.report(&[])), in_order);
    }

    /// A schedule that was cut is the shorter schedule, for whatever was not settled yet.
    #[test]
    fn a_cut_ledger_equals_the_ledger_of_the_shorter_schedule(history in history(), at: Index) {
        let posts = at.index(history.intended_ns.len() + 1);
        let mut short = history.clone();
        short.intended_ns.truncate(posts);
        let mut ledger = Ledger::new(history.subscribers);
        ledger.begin(history.pass());
        ledger.cut(posts as u32);
        ledger.cut(u32::MAX);
        for &(at_ns, happening) in &history.happenings {
            tell(&mut ledger, at_ns, happening);
        }
        ledger.settle(history.end_ns(), true, |_| ());
        let (cut, short) = (ledger.report(0), short.report(&[]));
        // Arrivals of posts that were cut are nobody's; in the shorter schedule they are foreign.
        prop_assert!(cut.foreign <= short.foreign);
        prop_assert_eq!((cut.posts, cut.misses), (short.posts, short.misses));
    }

    /// A second pass starts from nothing but the lives of the subscribers and the run of the first: whatever that one
    /// saw, the second one's counts are the same.
    #[test]
    fn a_second_pass_keeps_the_lives_and_nothing_else(history in history(), settle in settle_times()) {
        let (mut ledger, _) = history.replay(&settle);
        let mut fresh = Ledger::new(history.subscribers);
        fresh.begin(history.pass());
        for &(at_ns, happening) in &history.happenings {
            if !matches!(happening, Happening::Arrived { .. }) {
                tell(&mut fresh, at_ns, happening);
            }
        }
        let base_ns = history.end_ns();
        let shift_ns = base_ns - BASE_NS;
        for ledger in [&mut ledger, &mut fresh] {
            ledger.begin(pass_of(RUN + 2, base_ns, &history.pass().offsets_ns));
            for &(at_ns, happening) in &history.happenings {
                let Happening::Arrived { subscriber, marker } = happening else { continue };
                // A late copy of the first pass, then the same arrival in the second.
                ledger.arrive(subscriber, Marker { run: RUN, ..marker }, at_ns + shift_ns);
                ledger.arrive(subscriber, Marker { run: RUN + 2, ..marker }, at_ns + shift_ns);
            }
            ledger.settle(history.end_ns() + shift_ns + DEADLINE_NS, true, |_| ());
        }
        prop_assert_eq!(ledger.report(0), fresh.report(0));
        prop_assert_eq!(ledger.outstanding(), fresh.outstanding());
    }
}
