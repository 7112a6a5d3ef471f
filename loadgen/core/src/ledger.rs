//! The ledger of one shard: which pair of post and subscriber was owed, and what became of it.
//!
//! A pair is **owed** if the subscriber was confirmed connected at least [`CONFIRMED_BEFORE_NS`]
//! before the post's intended time and stayed connected until its deadline (METHOD section 1). That
//! is known only at the deadline, so a post is **settled** then, in the order of the schedule: until
//! then its row holds one arrival time per subscriber, afterwards one bit per pair still missing.
//!
//! Invariants: `owed = delivered + late + missing` for every post at any moment after it settled; an
//! arrival costs one store, no lock, no allocation (a post costs one); memory is
//! `8 B x subscribers x posts in one deadline`, and `2 bits x subscribers` for a post that was not
//! complete at its deadline. When [`Ledger::settle`] is called changes nothing in the counts.

mod account;

use std::collections::VecDeque;
use std::sync::Arc;

pub use account::{Counts, Faults, LedgerReport, Miss, Misses, NotOwed, SettledPost, Tally};

use crate::SECOND_NS;
use crate::marker::Marker;

/// A subscriber must have been connected this long before a post to be owed it.
pub const CONFIRMED_BEFORE_NS: u64 = SECOND_NS;
/// Pairs of realtime stamps and monotonic times may disagree by this much.
const CLOCK_SLACK_NS: u64 = 1_000_000;
/// Extra copies of unsettled posts that are remembered one by one (4 bytes each); more are counted only.
const EXTRA_COPIES_MAX: usize = 1 << 20;
/// Posts looked at to decide whether an arrival was overtaken by a later one of its writer.
const REORDER_SCAN_MAX: u32 = 100_000;
/// Pairs that a report lists one by one (12 bytes each).
pub const LISTED_MISSES_MAX: usize = 1_000_000;
/// No arrival yet. Run times start above it.
const NONE: u64 = 0;

/// One schedule to keep the ledger of.
#[derive(Debug, Clone)]
pub struct Pass {
    /// The `run` of the markers that belong to it.
    pub run: u32,
    /// Run time of the schedule's start.
    pub base_ns: u64,
    /// Intended times since `base_ns`, by sequence.
    pub offsets_ns: Arc<[u64]>,
    /// A delivery after this long is late.
    pub deadline_ns: u64,
}

/// From when until when a subscriber was connected, in run time; what never happened did so at `u64::MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// Its CONNECT was confirmed.
    pub confirmed_ns: u64,
    /// Its connection was lost.
    pub lost_ns: u64,
}

impl Life {
    /// It began early enough to be owed a post.
    fn was_confirmed_for(&self, intended_ns: u64) -> bool {
        self.confirmed_ns.saturating_add(CONFIRMED_BEFORE_NS) <= intended_ns
    }

    fn owes(&self, intended_ns: u64, deadline_ns: u64) -> bool {
        self.was_confirmed_for(intended_ns) && self.lost_ns > intended_ns + deadline_ns
    }
}

/// A post that is not settled.
#[derive(Debug, Default)]
struct Row {
    /// Of the first arrival's marker.
    writer: Option<u16>,
    /// Arrival by subscriber; empty until the first one.
    arrivals_ns: Vec<u64>,
    /// Subscribers of extra copies.
    extra: Vec<u32>,
    /// Subscribers that a later post of the writer had reached first.
    reordered: Vec<u32>,
    uncounted_extra: u32,
}

/// A post that is settled.
#[derive(Debug)]
struct Settled {
    counts: Counts,
    writer: Option<u16>,
    /// What became of 64 subscribers each. `None` when all that was owed came in time.
    untimely: Option<Box<[Untimely]>>,
}

/// A bit per subscriber that was owed a post and did not get it in time.
#[derive(Debug, Clone, Copy, Default)]
struct Untimely {
    /// Not here yet.
    missing: u64,
    /// Came after the deadline.
    late: u64,
}

impl Settled {
    fn is_missing(&self, subscriber: u32) -> bool {
        let words = self.untimely.as_deref();
        words.is_some_and(|words| words[subscriber as usize / 64].missing >> (subscriber % 64) & 1 == 1)
    }
}

/// The ledger of one shard. Subscribers are numbered from 0 within it.
#[derive(Debug)]
pub struct Ledger {
    lives: Vec<Life>,
    highest_seq: Vec<Option<u32>>,
    pass: Pass,
    /// The runs of the passes before: what still comes of them is nobody's mistake.
    runs_before: Vec<u32>,
    /// Posts to account for: the whole schedule, or less after [`Ledger::cut`].
    posts: u32,
    settled: Vec<Settled>,
    /// Of the settled posts, as many from the first on have had everything read that came by their deadline.
    read_up: usize,
    /// Rows of the posts from `settled.len()` on.
    open: VecDeque<Row>,
    /// Remembered in the open rows' `extra`, all together.
    extra_copies: usize,
    /// Of all settled posts.
    tally: Tally,
    foreign: u64,
}

impl Ledger {
    /// A ledger of this many subscribers, none connected, and no post.
    pub fn new(subscribers: u32) -> Self {
        let never = Life { confirmed_ns: u64::MAX, lost_ns: u64::MAX };
        Self {
            lives: vec![never; subscribers as usize],
            highest_seq: vec![None; subscribers as usize],
            pass: Pass { run: 0, base_ns: 0, offsets_ns: Arc::new([]), deadline_ns: 0 },
            runs_before: Vec::new(),
            posts: 0,
            settled: Vec::new(),
            read_up: 0,
            open: VecDeque::new(),
            extra_copies: 0,
            tally: Tally::default(),
            foreign: 0,
        }
    }

    /// The subscriber's connection is confirmed.
    pub fn confirm(&mut self, subscriber: u32, now_ns: u64) {
        self.lives[subscriber as usize] = Life { confirmed_ns: now_ns, lost_ns: u64::MAX };
    }

    /// The subscriber's connection is lost. There is no second life: nothing is owed from then on.
    pub fn lose(&mut self, subscriber: u32, now_ns: u64) {
        let life = &mut self.lives[subscriber as usize];
        life.lost_ns = life.lost_ns.min(now_ns);
    }

    /// Starts a new schedule; the subscribers stay.
    pub fn begin(&mut self, pass: Pass) {
        self.posts = u32::try_from(pass.offsets_ns.len()).unwrap_or(u32::MAX);
        self.settled = Vec::with_capacity(self.posts as usize);
        self.read_up = 0;
        self.open.clear();
        self.highest_seq.fill(None);
        self.extra_copies = 0;
        self.tally = Tally::default();
        self.foreign = 0;
        if !self.pass.offsets_ns.is_empty() {
            self.runs_before.push(self.pass.run);
        }
        self.pass = pass;
    }

    /// The schedule was stopped: only its first `posts` count.
    pub fn cut(&mut self, posts: u32) {
        self.posts = self.posts.min(posts).max(self.settled.len() as u32);
    }

    /// A frame with `marker` arrived at `subscriber`. True for the first copy of a pair of this pass,
    /// owed or not.
    #[inline]
    pub fn arrive(&mut self, subscriber: u32, marker: Marker, arrival_ns: u64) -> bool {
        if marker.run != self.pass.run
            || marker.seq as usize >= self.pass.offsets_ns.len()
            || self.intended_ns(marker.seq) > arrival_ns + CLOCK_SLACK_NS
        {
            self.foreign += u64::from(!self.runs_before.contains(&marker.run));
            return false;
        }
        if (marker.seq as usize) < self.settled.len() {
            return self.arrive_settled(subscriber, marker);
        }
        if marker.seq >= self.posts {
            // Cut from the schedule: nobody accounts for it any more.
            return false;
        }
        let index = marker.seq as usize - self.settled.len();
        if index >= self.open.len() {
            self.open.resize_with(index + 1, Row::default);
        }
        let row = &mut self.open[index];
        if row.arrivals_ns.is_empty() {
            row.arrivals_ns = vec![NONE; self.lives.len()];
            row.writer = Some(marker.writer);
        }
        let slot = &mut row.arrivals_ns[subscriber as usize];
        if *slot == NONE {
            *slot = arrival_ns.max(1);
            if self.is_overtaken(subscriber, marker) {
                self.open[index].reordered.push(subscriber);
            }
            return true;
        }
        if self.extra_copies < EXTRA_COPIES_MAX {
            self.extra_copies += 1;
            row.extra.push(subscriber);
        } else {
            row.uncounted_extra += 1;
        }
        false
    }

    /// Whether a first copy that arrived then is a delivery, provided that the subscriber stays connected.
    pub fn is_in_time(&self, subscriber: u32, seq: u32, arrival_ns: u64) -> bool {
        let (intended_ns, deadline_ns) = (self.intended_ns(seq), self.pass.deadline_ns);
        self.lives[subscriber as usize].was_confirmed_for(intended_ns)
            && arrival_ns <= intended_ns + deadline_ns
    }

    /// Keeps the highest sequence of each subscriber; a lower one may have been overtaken.
    #[inline]
    fn is_overtaken(&mut self, subscriber: u32, marker: Marker) -> bool {
        let highest = &mut self.highest_seq[subscriber as usize];
        match *highest {
            Some(seen) if seen > marker.seq => self.was_overtaken(subscriber, marker, seen),
            _ => {
                *highest = Some(marker.seq);
                false
            }
        }
    }

    /// A later post of the same writer reached the subscriber first.
    fn was_overtaken(&self, subscriber: u32, marker: Marker, seen: u32) -> bool {
        (marker.seq + 1..=seen).take(REORDER_SCAN_MAX as usize).any(|seq| {
            let index = seq as usize;
            match self.settled.get(index) {
                Some(post) => {
                    post.writer == Some(marker.writer)
                        && self.owes(subscriber, seq)
                        && !post.is_missing(subscriber)
                }
                None => self.open.get(index - self.settled.len()).is_some_and(|row| {
                    row.writer == Some(marker.writer)
                        && row.arrivals_ns.get(subscriber as usize).is_some_and(|&at| at != NONE)
                }),
            }
        })
    }

    /// An arrival after the deadline: late, an extra copy, or owed to nobody.
    fn arrive_settled(&mut self, subscriber: u32, marker: Marker) -> bool {
        let owed = self.owes(subscriber, marker.seq);
        let post = &mut self.settled[marker.seq as usize];
        post.writer.get_or_insert(marker.writer);
        let is_missing = post.is_missing(subscriber);
        let counts = &mut post.counts;
        let faults = &mut self.tally.faults;
        if !owed {
            counts.unexpected += 1;
            faults.unexpected += 1;
        } else if let Some(words) = post.untimely.as_mut().filter(|_| is_missing) {
            let bit = 1 << (subscriber % 64);
            let word = &mut words[subscriber as usize / 64];
            word.missing &= !bit;
            word.late |= bit;
            counts.missing -= 1;
            counts.late += 1;
            faults.missing -= 1;
            faults.late += 1;
            if self.is_overtaken(subscriber, marker) {
                self.settled[marker.seq as usize].counts.reordered += 1;
                self.tally.faults.reordered += 1;
            }
            return true;
        } else {
            counts.duplicate += 1;
            faults.duplicate += 1;
        }
        false
    }

    /// Settles every post whose deadline lies before `until_ns`. `read_up` says that everything that had
    /// arrived by then has been given to [`Ledger::arrive`]; what is missing from a post for which that was never said
    /// counts as [`Counts::unread`].
    pub fn settle(&mut self, until_ns: u64, read_up: bool, mut on_settled: impl FnMut(SettledPost)) {
        while self.next_deadline_ns().is_some_and(|deadline| deadline < until_ns) {
            on_settled(self.settle_next());
        }
        if read_up {
            self.read_up = self.settled.len();
        }
    }

    /// Run time of the next post's deadline; `None` when all posts are settled.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        let next = self.settled.len() as u32;
        (next < self.posts).then(|| self.intended_ns(next) + self.pass.deadline_ns)
    }

    /// Owed pairs that were missing at their deadline and have not come since.
    pub fn outstanding(&self) -> u64 {
        self.tally.faults.missing
    }

    /// The settled posts from `first` on, added up; it costs what the posts before `first` do, and not what the run does.
    pub fn tally(&self, first: u32) -> Tally {
        let mut tally = self.tally;
        for post in self.settled.iter().take(first as usize) {
            tally.subtract(&Tally::of(&post.counts));
        }
        tally
    }

    /// What has gone wrong with the settled posts from `first` on; what is missing counts of those before `missing_until`
    /// alone, as it may still come.
    pub fn faults(&self, first: u32, missing_until: u32) -> Faults {
        let mut faults = Faults::default();
        for (seq, post) in (0..).zip(&self.settled).skip(first as usize) {
            let mut of_post = Tally::of(&post.counts).faults;
            if seq >= missing_until {
                of_post.missing = 0;
            }
            faults.add(&of_post);
        }
        faults
    }

    fn settle_next(&mut self) -> SettledPost {
        let seq = self.settled.len() as u32;
        let intended_ns = self.intended_ns(seq);
        let deadline_ns = self.pass.deadline_ns;
        let row = self.open.pop_front().unwrap_or_default();
        self.extra_copies -= row.extra.len();
        let mut counts = Counts { duplicate: row.uncounted_extra, ..Counts::default() };
        let mut latencies_ns = row.arrivals_ns;
        latencies_ns.resize(self.lives.len(), NONE);
        let mut untimely: Option<Box<[Untimely]>> = None;
        let mut kept = 0;
        for (subscriber, life) in self.lives.iter().enumerate() {
            let arrival_ns = latencies_ns[subscriber];
            if !life.owes(intended_ns, deadline_ns) {
                counts.not_owed.add(life, intended_ns);
                counts.unexpected += u32::from(arrival_ns != NONE);
                continue;
            }
            counts.owed += 1;
            let latency_ns = arrival_ns.saturating_sub(intended_ns).max(1);
            if arrival_ns != NONE && latency_ns <= deadline_ns {
                latencies_ns[kept] = latency_ns;
                kept += 1;
                continue;
            }
            let words = untimely
                .get_or_insert_with(|| vec![Untimely::default(); self.lives.len().div_ceil(64)].into());
            let word = &mut words[subscriber / 64];
            if arrival_ns == NONE {
                word.missing |= 1 << (subscriber % 64);
                counts.missing += 1;
            } else {
                word.late |= 1 << (subscriber % 64);
                counts.late += 1;
            }
        }
        for &subscriber in &row.extra {
            match self.lives[subscriber as usize].owes(intended_ns, deadline_ns) {
                true => counts.duplicate += 1,
                false => counts.unexpected += 1,
            }
        }
        let owed_of = |&&subscriber: &&u32| self.lives[subscriber as usize].owes(intended_ns, deadline_ns);
        counts.reordered = row.reordered.iter().filter(owed_of).count() as u32;
        latencies_ns.truncate(kept);
        counts.delivered = kept as u32;
        self.tally.add(&Tally::of(&counts));
        self.settled.push(Settled { counts, writer: row.writer, untimely });
        SettledPost { seq, owed: counts.owed, latencies_ns }
    }

    /// Everything, once all posts are settled; misses are counted from post `first_judged` on.
    ///
    /// # Panics
    /// If the ledger does not close: `owed = delivered + late + missing` for every post.
    pub fn report(&self, first_judged: u32) -> LedgerReport {
        for (seq, post) in self.settled.iter().enumerate() {
            let Counts { owed, delivered, late, missing, .. } = post.counts;
            assert_eq!(owed, delivered + late + missing, "the ledger of post {seq} does not close");
        }
        let mut misses = vec![Misses::default(); self.lives.len()];
        for Miss { subscriber, late, .. } in self.misses(first_judged) {
            let misses = &mut misses[subscriber as usize];
            *(if late { &mut misses.late } else { &mut misses.missing }) += 1;
        }
        // Only now is it known who never came at all.
        let never_connected = self.lives.iter().filter(|life| life.confirmed_ns == u64::MAX).count() as u32;
        let counts = |(index, post): (usize, &Settled)| {
            let NotOwed { connected_late, connection_lost, .. } = post.counts.not_owed;
            let connected_late = connected_late - never_connected;
            Counts {
                unread: if index < self.read_up { 0 } else { post.counts.missing },
                not_owed: NotOwed { never_connected, connected_late, connection_lost },
                ..post.counts
            }
        };
        LedgerReport {
            posts: self.settled.iter().enumerate().map(counts).collect(),
            misses,
            listed: self.misses(first_judged).take(LISTED_MISSES_MAX).collect(),
            lives: self.lives.clone(),
            foreign: self.foreign,
        }
    }

    /// Every owed pair of the posts from `first_judged` on that did not arrive in time, post by post.
    fn misses(&self, first_judged: u32) -> impl Iterator<Item = Miss> {
        let posts = (0..).zip(&self.settled).skip(first_judged as usize);
        let untimely = posts.filter_map(|(seq, post)| Some((seq, post.untimely.as_deref()?)));
        untimely.flat_map(|(seq, words)| {
            (0..).zip(words).flat_map(move |(index, word)| {
                (0..64).filter(move |bit| (word.missing | word.late) >> bit & 1 == 1).map(move |bit| Miss {
                    seq,
                    subscriber: index * 64 + bit,
                    late: word.late >> bit & 1 == 1,
                })
            })
        })
    }

    /// Run time at which the post should be sent.
    #[inline]
    pub fn intended_ns(&self, seq: u32) -> u64 {
        self.pass.base_ns + self.pass.offsets_ns[seq as usize]
    }

    fn owes(&self, subscriber: u32, seq: u32) -> bool {
        self.lives[subscriber as usize].owes(self.intended_ns(seq), self.pass.deadline_ns)
    }
}
