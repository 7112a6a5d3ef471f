//! What happened in a run, in the order in which the ledger learned of it, and a random one.

use std::sync::Arc;

use feedmark_core::SECOND_NS;
use feedmark_core::ledger::{Ledger, LedgerReport, Pass, SettledPost};
use feedmark_core::marker::Marker;
use proptest::prelude::*;

pub(crate) const RUN: u32 = 7;
pub(crate) const BASE_NS: u64 = 100 * SECOND_NS;
pub(crate) const DEADLINE_NS: u64 = 2 * SECOND_NS;
/// Random times lie on this raster, or 1 ns beside it, so that edges are hit often.
const TICK_NS: u64 = SECOND_NS / 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happening {
    Arrived { subscriber: u32, marker: Marker },
    Confirmed { subscriber: u32 },
    Lost { subscriber: u32 },
}

/// A schedule, its writers by post, and what happened when.
#[derive(Debug, Clone)]
pub(crate) struct History {
    pub(crate) subscribers: u32,
    /// Intended times, absolute.
    pub(crate) intended_ns: Vec<u64>,
    pub(crate) writers: Vec<u16>,
    /// In the order in which the ledger learns of it; if it is settled on the way, times never go back.
    pub(crate) happenings: Vec<(u64, Happening)>,
}

impl History {
    pub(crate) fn pass(&self) -> Pass {
        let offsets: Vec<u64> = self.intended_ns.iter().map(|intended| intended - BASE_NS).collect();
        Pass { run: RUN, base_ns: BASE_NS, offsets_ns: offsets.into(), deadline_ns: DEADLINE_NS }
    }

    /// A run time at which everything has happened and every deadline is over.
    pub(crate) fn end_ns(&self) -> u64 {
        let last = self.happenings.iter().map(|(at_ns, _)| *at_ns).max().unwrap_or_default();
        last.max(self.intended_ns.last().copied().unwrap_or_default() + DEADLINE_NS) + 1
    }

    /// Gives it all to a ledger that is settled before the happenings whose bit is set, up to the very
    /// time of the happening, and once at the end.
    pub(crate) fn replay(&self, settle_before: &[bool]) -> (Ledger, Vec<SettledPost>) {
        let mut ledger = Ledger::new(self.subscribers);
        ledger.begin(self.pass());
        let mut settled = Vec::new();
        for (index, &(at_ns, happening)) in self.happenings.iter().enumerate() {
            if settle_before.get(index).copied().unwrap_or_default() {
                ledger.settle(at_ns, true, |post| settled.push(post));
            }
            tell(&mut ledger, at_ns, happening);
        }
        ledger.settle(self.end_ns(), true, |post| settled.push(post));
        settled.iter_mut().for_each(|post| post.latencies_ns.sort_unstable());
        (ledger, settled)
    }

    pub(crate) fn report(&self, settle_before: &[bool]) -> LedgerReport {
        self.replay(settle_before).0.report(0)
    }
}

pub(crate) fn tell(ledger: &mut Ledger, at_ns: u64, happening: Happening) {
    match happening {
        Happening::Arrived { subscriber, marker } => {
            ledger.arrive(subscriber, marker, at_ns);
        }
        Happening::Confirmed { subscriber } => ledger.confirm(subscriber, at_ns),
        Happening::Lost { subscriber } => ledger.lose(subscriber, at_ns),
    }
}

/// A pass of these intended times, by offset.
pub(crate) fn pass_of(run: u32, base_ns: u64, offsets_ns: &[u64]) -> Pass {
    Pass { run, base_ns, offsets_ns: Arc::from(offsets_ns), deadline_ns: DEADLINE_NS }
}

/// On the raster, or 1 ns off.
fn time(ticks: std::ops::Range<u64>) -> impl Strategy<Value = u64> {
    (ticks, prop_oneof![6 => Just(1), 1 => Just(0), 1 => Just(2)])
        .prop_map(|(tick, near)| tick * TICK_NS + near - 1)
}

/// When a copy comes, after the intended time: mostly in time, sometimes late, or a little too early.
fn delay() -> impl Strategy<Value = i64> {
    prop_oneof![
        12 => time(1..8).prop_map(|ns| ns as i64),
        3 => time(8..9).prop_map(|ns| ns as i64),
        4 => time(9..20).prop_map(|ns| ns as i64),
        1 => Just(-1_000_000),
        1 => Just(-1_000_001),
        1 => Just(0),
    ]
}

/// Confirmed and lost, since [`BASE_NS`] - 2 s; some never are.
fn life() -> impl Strategy<Value = (Option<u64>, Option<u64>)> {
    let confirmed = prop_oneof![4 => Just(Some(1)), 3 => time(1..30).prop_map(Some), 1 => Just(None)];
    let lost = prop_oneof![3 => Just(None), 2 => time(5..40).prop_map(Some)];
    (confirmed, lost)
}

/// The delays of all copies of a pair: mostly one, sometimes none or more.
fn copies() -> impl Strategy<Value = Vec<i64>> {
    prop_oneof![
        6 => prop::collection::vec(delay(), 1),
        1 => Just(Vec::new()),
        2 => prop::collection::vec(delay(), 2..4),
    ]
}

/// Posts, lives, losses, duplicates, late copies, copies out of order, and markers of somebody else.
pub(crate) fn history() -> impl Strategy<Value = History> {
    let shape = (1..12usize, prop_oneof![4 => 1..5usize, 1 => 63..67usize]);
    let parts = shape.prop_flat_map(|(posts, subscribers)| {
        (
            prop::collection::vec((time(1..24), 0..3u16), posts),
            prop::collection::vec(life(), subscribers),
            prop::collection::vec(copies(), posts * subscribers),
            prop::collection::vec((time(1..40), 0..subscribers as u32, any::<bool>()), 0..4),
        )
    });
    parts.prop_map(|(mut posts, lives, copies, foreign)| {
        posts.sort_unstable();
        let intended_ns: Vec<u64> = posts.iter().map(|(offset, _)| BASE_NS + offset).collect();
        let writers: Vec<u16> = posts.iter().map(|(_, writer)| *writer).collect();
        let mut happenings = Vec::new();
        for (subscriber, &(confirmed, lost)) in (0..).zip(&lives) {
            let at = |since: u64| BASE_NS - 2 * SECOND_NS + since;
            happenings.extend(confirmed.map(|since| (at(since), Happening::Confirmed { subscriber })));
            happenings.extend(lost.map(|since| (at(since), Happening::Lost { subscriber })));
            for (seq, &writer) in (0..).zip(&writers) {
                for delay in &copies[seq as usize * lives.len() + subscriber as usize] {
                    let at_ns = intended_ns[seq as usize].strict_add_signed(*delay);
                    let marker = Marker { run: RUN, writer, seq };
                    happenings.push((at_ns, Happening::Arrived { subscriber, marker }));
                }
            }
        }
        for (since, subscriber, is_other_run) in foreign {
            let marker = match is_other_run {
                true => Marker { run: RUN + 1, writer: 0, seq: 0 },
                false => Marker { run: RUN, writer: 0, seq: posts.len() as u32 },
            };
            happenings.push((BASE_NS + since, Happening::Arrived { subscriber, marker }));
        }
        // At one time, a confirmation comes first and a loss last.
        happenings.sort_by_key(|&(at_ns, happening)| {
            let rank = match happening {
                Happening::Confirmed { .. } => 0,
                Happening::Arrived { .. } => 1,
                Happening::Lost { .. } => 2,
            };
            (at_ns, rank)
        });
        forget_the_dead(&lives, &mut happenings);
        History { subscribers: lives.len() as u32, intended_ns, writers, happenings }
    })
}

/// A lost connection brings nothing any more, and one that never was is not lost.
fn forget_the_dead(lives: &[(Option<u64>, Option<u64>)], happenings: &mut Vec<(u64, Happening)>) {
    let mut is_dead = vec![false; lives.len()];
    happenings.retain(|(_, happening)| match *happening {
        Happening::Lost { subscriber } => !std::mem::replace(&mut is_dead[subscriber as usize], true),
        Happening::Arrived { subscriber, .. } | Happening::Confirmed { subscriber } => {
            !is_dead[subscriber as usize]
        }
    });
}
