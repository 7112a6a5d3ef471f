//! METHOD.md section 1, read naively: every arrival of every pair in a map, judged at the end.

use std::collections::HashMap;

use feedmark_core::SECOND_NS;
use feedmark_core::ledger::{Counts, LedgerReport, Life, Miss, Misses, NotOwed, SettledPost};

use crate::history::{DEADLINE_NS, Happening, History, RUN};

/// How far a kernel stamp may lie before the intended time.
const CLOCK_SLACK_NS: u64 = 1_000_000;

/// What becomes of a history.
pub(crate) struct Model<'a> {
    history: &'a History,
    /// By (post, subscriber): place in the history and time of every copy.
    arrivals: HashMap<(u32, u32), Vec<(usize, u64)>>,
    confirmed_ns: HashMap<u32, u64>,
    lost_ns: HashMap<u32, u64>,
    foreign: u64,
}

impl<'a> Model<'a> {
    pub(crate) fn of(history: &'a History) -> Self {
        let mut model = Self {
            history,
            arrivals: HashMap::new(),
            confirmed_ns: HashMap::new(),
            lost_ns: HashMap::new(),
            foreign: 0,
        };
        for (place, &(at_ns, happening)) in history.happenings.iter().enumerate() {
            match happening {
                Happening::Confirmed { subscriber } => {
                    model.confirmed_ns.insert(subscriber, at_ns);
                }
                Happening::Lost { subscriber } => {
                    model.lost_ns.insert(subscriber, at_ns);
                }
                Happening::Arrived { subscriber, marker } => {
                    let intended = history.intended_ns.get(marker.seq as usize);
                    let is_due = intended.is_some_and(|intended| at_ns + CLOCK_SLACK_NS >= *intended);
                    if marker.run == RUN && is_due {
                        model.arrivals.entry((marker.seq, subscriber)).or_default().push((place, at_ns));
                    } else {
                        model.foreign += 1;
                    }
                }
            }
        }
        model
    }

    fn posts(&self) -> impl Iterator<Item = u32> {
        0..self.history.intended_ns.len() as u32
    }

    fn intended_ns(&self, seq: u32) -> u64 {
        self.history.intended_ns[seq as usize]
    }

    /// Confirmed at least 1 s before the intended time, connected until the deadline.
    fn is_owed(&self, seq: u32, subscriber: u32) -> bool {
        let confirmed = self.confirmed_ns.get(&subscriber);
        let lost = self.lost_ns.get(&subscriber);
        confirmed.is_some_and(|confirmed| confirmed + SECOND_NS <= self.intended_ns(seq))
            && lost.is_none_or(|lost| *lost > self.intended_ns(seq) + DEADLINE_NS)
    }

    fn count_not_owed(&self, seq: u32, subscriber: u32, not_owed: &mut NotOwed) {
        match self.confirmed_ns.get(&subscriber) {
            None => not_owed.never_connected += 1,
            Some(confirmed) if confirmed + SECOND_NS <= self.intended_ns(seq) => {
                not_owed.connection_lost += 1
            }
            Some(_) => not_owed.connected_late += 1,
        }
    }

    fn copies(&self, seq: u32, subscriber: u32) -> &[(usize, u64)] {
        self.arrivals.get(&(seq, subscriber)).map_or(&[], Vec::as_slice)
    }

    fn is_late(&self, seq: u32, arrival_ns: u64) -> bool {
        arrival_ns > self.intended_ns(seq) + DEADLINE_NS
    }

    /// A later post of the same writer had reached the subscriber before this place.
    fn is_overtaken(&self, seq: u32, subscriber: u32, place: usize) -> bool {
        let writers = &self.history.writers;
        self.posts()
            .filter(|&later| later > seq && writers[later as usize] == writers[seq as usize])
            .any(|later| self.copies(later, subscriber).first().is_some_and(|(earlier, _)| *earlier < place))
    }

    fn counts(&self, seq: u32) -> Counts {
        let mut counts = Counts::default();
        for subscriber in 0..self.history.subscribers {
            let copies = self.copies(seq, subscriber);
            if !self.is_owed(seq, subscriber) {
                self.count_not_owed(seq, subscriber, &mut counts.not_owed);
                counts.unexpected += copies.len() as u32;
                continue;
            }
            counts.owed += 1;
            let Some(&(place, arrival_ns)) = copies.first() else {
                counts.missing += 1;
                continue;
            };
            match self.is_late(seq, arrival_ns) {
                true => counts.late += 1,
                false => counts.delivered += 1,
            }
            counts.duplicate += copies.len() as u32 - 1;
            counts.reordered += u32::from(self.is_overtaken(seq, subscriber, place));
        }
        counts
    }

    pub(crate) fn report(&self, first_judged: u32) -> LedgerReport {
        let mut misses = vec![Misses::default(); self.history.subscribers as usize];
        let mut listed = Vec::new();
        for seq in self.posts().filter(|&seq| seq >= first_judged) {
            for (subscriber, misses) in (0..).zip(&mut misses) {
                let first = self.copies(seq, subscriber).first();
                let is_late = first.is_some_and(|&(_, arrival_ns)| self.is_late(seq, arrival_ns));
                if self.is_owed(seq, subscriber) {
                    misses.missing += u32::from(first.is_none());
                    misses.late += u32::from(is_late);
                    if first.is_none() || is_late {
                        listed.push(Miss { seq, subscriber, late: is_late });
                    }
                }
            }
        }
        let at = |times: &HashMap<u32, u64>, subscriber| times.get(&subscriber).copied().unwrap_or(u64::MAX);
        let life = |subscriber| Life {
            confirmed_ns: at(&self.confirmed_ns, subscriber),
            lost_ns: at(&self.lost_ns, subscriber),
        };
        LedgerReport {
            posts: self.posts().map(|seq| self.counts(seq)).collect(),
            misses,
            listed,
            lives: (0..self.history.subscribers).map(life).collect(),
            foreign: self.foreign,
        }
    }

    /// Posts as they are handed on at their deadlines, latencies sorted.
    pub(crate) fn settled(&self) -> Vec<SettledPost> {
        let post = |seq| {
            let owed: Vec<u32> =
                (0..self.history.subscribers).filter(|&subscriber| self.is_owed(seq, subscriber)).collect();
            let arrivals = owed.iter().filter_map(|&subscriber| self.copies(seq, subscriber).first());
            let mut latencies_ns: Vec<u64> = arrivals
                .filter(|(_, arrival_ns)| !self.is_late(seq, *arrival_ns))
                .map(|(_, arrival_ns)| arrival_ns.saturating_sub(self.intended_ns(seq)).max(1))
                .collect();
            latencies_ns.sort_unstable();
            SettledPost { seq, owed: owed.len() as u32, latencies_ns }
        };
        self.posts().map(post).collect()
    }

    /// Owed pairs of posts whose deadline lies before `drained_ns` that nothing reached until `place`.
    pub(crate) fn outstanding(&self, drained_ns: u64, place: usize) -> u64 {
        let due = self.posts().filter(|&seq| self.intended_ns(seq) + DEADLINE_NS < drained_ns);
        due.map(|seq| {
            let misses = |&subscriber: &u32| {
                let first = self.copies(seq, subscriber).first();
                self.is_owed(seq, subscriber) && first.is_none_or(|(came, _)| *came >= place)
            };
            (0..self.history.subscribers).filter(misses).count() as u64
        })
        .sum()
    }
}
