//! When frames arrived: what the kernel's stamps say, and what they leave open.
//!
//! A read carries one stamp, that of its last segment. A frame that its read ends with arrived then; frames before it
//! arrived then or earlier, after the socket was last known to be empty. That time is known better than from the
//! socket's own last read, because epoll reports sockets in the order in which they became readable: when all of them
//! were empty and one has been read whose stamp is exact, whatever is reported after it arrived later. Where that does not
//! help, because the first read of many holds several frames (a target that flushes now and then), the reactor looks
//! often for a while: then the sockets were last known to be empty a moment ago.

use feedmark_core::recorder::Recorder;
use feedmark_reports::quantile::new_histogram;
use hdrhistogram::Histogram;

use crate::clock::{Pairing, RunClock};

/// How often the clocks are paired.
const PAIR_NS: u64 = 100_000_000;
/// Longest sleep of a reactor: commands wake it, the rest is housekeeping.
const SLEEP_NS_MAX: u64 = 50_000_000;
/// Longest sleep while arrivals are uncertain by more than that.
const SHORT_SLEEP_NS_MAX: u64 = 1_000_000;
/// For how long after such an arrival the sleeps are short.
const SHORT_SLEEPS_NS: u64 = 1_000_000_000;

/// Delivery latencies of frames that shared a read with a later one, whose stamp they got: they arrived at
/// that stamp or before.
#[derive(Debug)]
pub struct SharedReads {
    /// As recorded: by the stamp.
    pub latest: Histogram<u64>,
    /// The least that they can have been: the socket was empty before, or the post not yet due.
    pub earliest: Histogram<u64>,
}

impl SharedReads {
    fn new() -> Self {
        Self { latest: new_histogram(), earliest: new_histogram() }
    }

    fn record(&mut self, intended_ns: u64, earliest_ns: u64, latest_ns: u64) {
        // The ledger, too, takes 1 ns for the least.
        self.earliest.saturating_record(earliest_ns.saturating_sub(intended_ns).max(1));
        self.latest.saturating_record(latest_ns.saturating_sub(intended_ns).max(1));
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (mine, theirs) in [(&mut self.latest, &other.latest), (&mut self.earliest, &other.earliest)] {
            mine.add(theirs).expect("all latency histograms share their bounds");
        }
    }
}

/// One read that returned data.
#[derive(Debug, Clone, Copy)]
pub(super) struct Read {
    /// The clock after it.
    pub(super) now_ns: u64,
    /// By the stamp; without one, when it was read.
    pub(super) arrival_ns: u64,
    /// Nothing of it had arrived before.
    empty_ns: u64,
    pub(super) is_stamped: bool,
}

/// What a reactor knows of arrivals.
pub(super) struct Arrivals {
    clock: RunClock,
    pairing: Pairing,
    next_pairing_ns: u64,
    /// Greatest jump of the realtime clock against the run clock.
    pub(super) clock_jump_ns: u64,
    /// What has not been read arrived after this.
    all_empty_ns: u64,
    /// Sockets are reported in the order in which they became readable.
    in_order: bool,
    /// When an arrival was last uncertain by more than a short sleep.
    uncertain_ns: Option<u64>,
    /// Start of the pass that frames are judged in.
    base_ns: u64,
    pub(super) receive_delay: Recorder,
    pub(super) shared_reads: SharedReads,
    /// Judged deliveries without a stamp.
    pub(super) unstamped: u64,
}

impl Arrivals {
    pub(super) fn new(clock: RunClock) -> Self {
        Self {
            clock,
            pairing: clock.pair(),
            next_pairing_ns: 0,
            clock_jump_ns: 0,
            all_empty_ns: 0,
            in_order: false,
            uncertain_ns: None,
            base_ns: 0,
            receive_delay: Recorder::new(&new_histogram()),
            shared_reads: SharedReads::new(),
            unstamped: 0,
        }
    }

    /// Starts to judge a pass.
    pub(super) fn begin(&mut self, base_ns: u64) {
        self.base_ns = base_ns;
        self.receive_delay = Recorder::new(&new_histogram());
        self.shared_reads = SharedReads::new();
        self.unstamped = 0;
    }

    /// Realtime moves against the run clock; a pairing that was interrupted is not believed.
    pub(super) fn renew_pairing(&mut self, now_ns: u64) {
        if now_ns < self.next_pairing_ns {
            return;
        }
        let pairing = self.clock.pair();
        if pairing.is_tight() {
            self.clock_jump_ns = self.clock_jump_ns.max(pairing.jump_ns(&self.pairing));
            self.pairing = pairing;
            self.next_pairing_ns = now_ns + PAIR_NS;
        }
    }

    /// How long a reactor may sleep without losing sight of when frames arrive.
    pub(super) fn sleep_ns_max(&self, now_ns: u64) -> u64 {
        match self.uncertain_ns {
            Some(uncertain_ns) if now_ns.saturating_sub(uncertain_ns) < SHORT_SLEEPS_NS => SHORT_SLEEP_NS_MAX,
            _ => SLEEP_NS_MAX,
        }
    }

    /// Everything that had arrived by `asked_ns` has been read, or `all` of it has not.
    pub(super) fn read_up(&mut self, asked_ns: u64, all: bool) {
        self.in_order = all;
        if all {
            self.all_empty_ns = self.all_empty_ns.max(asked_ns);
        }
    }

    /// A read ended at `now_ns`; its socket had last been known to be empty at `emptied_ns`.
    #[inline]
    pub(super) fn read(&self, stamp_realtime_ns: Option<u64>, now_ns: u64, emptied_ns: u64) -> Read {
        let stamp_ns = stamp_realtime_ns.map(|realtime_ns| self.pairing.run_ns(realtime_ns));
        let arrival_ns = stamp_ns.unwrap_or(now_ns).min(now_ns);
        // Without a stamp nothing is known of when it came.
        let empty_ns = if stamp_ns.is_some() { emptied_ns.max(self.all_empty_ns) } else { arrival_ns };
        Read { now_ns, arrival_ns, empty_ns, is_stamped: stamp_ns.is_some() }
    }

    /// A delivery that its read ended with: it arrived when the stamp says.
    #[inline]
    pub(super) fn last_in_read(&mut self, read: &Read) {
        self.record_delay(read, read.arrival_ns);
    }

    /// A delivery that more of the same read came after.
    pub(super) fn before_others(&mut self, read: &Read, intended_ns: u64) {
        let earliest_ns = read.empty_ns.max(intended_ns).min(read.arrival_ns);
        if read.arrival_ns - earliest_ns > SHORT_SLEEP_NS_MAX {
            self.uncertain_ns = Some(read.now_ns);
        }
        self.record_delay(read, earliest_ns);
        self.shared_reads.record(intended_ns, earliest_ns, read.arrival_ns);
    }

    /// Nothing else than one frame was in the read.
    #[inline]
    pub(super) fn was_alone(&mut self, read: &Read) {
        if self.in_order && read.is_stamped {
            self.all_empty_ns = self.all_empty_ns.max(read.arrival_ns);
        }
    }

    fn record_delay(&mut self, read: &Read, arrived_ns: u64) {
        self.receive_delay.record(read.now_ns.saturating_sub(self.base_ns), read.now_ns - arrived_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// A read whose stamp is `arrival_ns` of run time.
    fn read(arrivals: &Arrivals, arrival_ns: u64, now_ns: u64, emptied_ns: u64) -> Read {
        let realtime_ns = arrivals.clock.realtime_ns();
        let offset_ns = realtime_ns - arrivals.pairing.run_ns(realtime_ns);
        arrivals.read(Some(arrival_ns + offset_ns), now_ns, emptied_ns)
    }

    fn earliest_of(arrivals: &mut Arrivals, read: &Read, intended_ns: u64) -> u64 {
        let before = arrivals.shared_reads.earliest.len();
        arrivals.before_others(read, intended_ns);
        assert_eq!(arrivals.shared_reads.earliest.len(), before + 1);
        arrivals.shared_reads.earliest.max()
    }

    #[test]
    fn a_shared_frame_came_after_the_socket_was_empty_and_after_its_post_was_due() {
        for (emptied_ms, intended_ms, expected_ms) in [(1000, 1003, 0), (1005, 1003, 2), (1030, 1003, 17)] {
            let mut arrivals = Arrivals::new(RunClock::start());
            let read = read(&arrivals, 1020 * MS, 1022 * MS, emptied_ms * MS);
            let earliest_ns = earliest_of(&mut arrivals, &read, intended_ms * MS);
            assert!(earliest_ns.abs_diff(expected_ms * MS) < MS / 10, "{emptied_ms}: {earliest_ns}");
        }
    }

    #[test]
    fn an_exact_stamp_bounds_what_is_reported_after_it() {
        let mut arrivals = Arrivals::new(RunClock::start());
        arrivals.read_up(1000 * MS, true);
        let alone = read(&arrivals, 1010 * MS, 1020 * MS, 900 * MS);
        arrivals.was_alone(&alone);
        let shared = read(&arrivals, 1020 * MS, 1021 * MS, 900 * MS);
        let earliest_ns = earliest_of(&mut arrivals, &shared, 1000 * MS);
        assert!(earliest_ns.abs_diff(10 * MS) < MS / 10, "{earliest_ns}");
    }

    #[test]
    fn sleeps_are_short_for_a_while_after_an_uncertain_arrival() {
        let mut arrivals = Arrivals::new(RunClock::start());
        let certain = read(&arrivals, 1000 * MS, 1001 * MS, 1000 * MS - MS / 2);
        arrivals.before_others(&certain, 900 * MS);
        assert_eq!(arrivals.sleep_ns_max(1001 * MS), SLEEP_NS_MAX);
        let uncertain = read(&arrivals, 1010 * MS, 1011 * MS, 1005 * MS);
        arrivals.before_others(&uncertain, 900 * MS);
        for (now_ns, expected_ns) in
            [(1011 * MS, SHORT_SLEEP_NS_MAX), (2010 * MS, SHORT_SLEEP_NS_MAX), (2011 * MS, SLEEP_NS_MAX)]
        {
            assert_eq!(arrivals.sleep_ns_max(now_ns), expected_ns, "{now_ns}");
        }
    }

    #[test]
    fn it_bounds_nothing_while_older_frames_may_lie_unread() {
        let mut arrivals = Arrivals::new(RunClock::start());
        arrivals.read_up(1000 * MS, true);
        arrivals.read_up(1005 * MS, false);
        let alone = read(&arrivals, 1010 * MS, 1020 * MS, 900 * MS);
        arrivals.was_alone(&alone);
        let shared = read(&arrivals, 1020 * MS, 1021 * MS, 900 * MS);
        assert_eq!(earliest_of(&mut arrivals, &shared, 1000 * MS), 1);
    }

    #[test]
    fn without_a_stamp_a_frame_came_when_it_was_read() {
        let mut arrivals = Arrivals::new(RunClock::start());
        let read = arrivals.read(None, 1020 * MS, 900 * MS);
        assert!(!read.is_stamped);
        let earliest_ns = earliest_of(&mut arrivals, &read, 1000 * MS);
        assert!(earliest_ns.abs_diff(20 * MS) < MS / 10, "{earliest_ns}");
        assert_eq!(arrivals.receive_delay.total().max(), 0);
    }
}
