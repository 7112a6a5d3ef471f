//! What a ledger says: of one post, of one subscriber, of the whole pass.

#[cfg(doc)]
use super::LISTED_MISSES_MAX;
use super::Life;

/// Counts of one post, or sums of many: `owed = delivered + late + missing`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pairs owed.
    pub owed: u32,
    /// Arrived within the deadline.
    pub delivered: u32,
    /// Arrived after it.
    pub late: u32,
    /// Never arrived.
    pub missing: u32,
    /// Extra copies of owed pairs.
    pub duplicate: u32,
    /// First copies of owed pairs that came after a later post of the same writer.
    pub reordered: u32,
    /// Copies that nobody was owed.
    pub unexpected: u32,
    /// Pairs not owed, by what the subscriber lacked.
    pub not_owed: NotOwed,
    /// Of the missing pairs, those of a post of which not everything had been read even at the end: the
    /// reader is to blame, not the target.
    pub unread: u32,
}

/// What has gone wrong with the settled posts so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// Owed pairs that have not arrived, of the posts that were asked about.
    pub missing: u64,
    /// Owed pairs that arrived after the deadline.
    pub late: u64,
    /// Extra copies of owed pairs.
    pub duplicate: u64,
    /// First copies that came after a later post of the same writer.
    pub reordered: u64,
    /// Copies that nobody was owed.
    pub unexpected: u64,
}

impl Faults {
    /// Those of another shard, too.
    pub fn add(&mut self, other: &Self) {
        self.missing += other.missing;
        self.late += other.late;
        self.duplicate += other.duplicate;
        self.reordered += other.reordered;
        self.unexpected += other.unexpected;
    }
}

/// Settled posts, added up: `owed = delivered + late + missing`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Pairs owed.
    pub owed: u64,
    /// Arrived within the deadline.
    pub delivered: u64,
    /// What has gone wrong.
    pub faults: Faults,
}

impl Tally {
    pub(super) fn of(counts: &Counts) -> Self {
        let faults = Faults {
            missing: counts.missing.into(),
            late: counts.late.into(),
            duplicate: counts.duplicate.into(),
            reordered: counts.reordered.into(),
            unexpected: counts.unexpected.into(),
        };
        Self { owed: counts.owed.into(), delivered: counts.delivered.into(), faults }
    }

    /// Those of other posts, or of another shard, too.
    pub fn add(&mut self, other: &Self) {
        self.owed += other.owed;
        self.delivered += other.delivered;
        self.faults.add(&other.faults);
    }

    /// Without these posts, which are among its own.
    pub(super) fn subtract(&mut self, other: &Self) {
        self.owed -= other.owed;
        self.delivered -= other.delivered;
        self.faults.missing -= other.faults.missing;
        self.faults.late -= other.faults.late;
        self.faults.duplicate -= other.faults.duplicate;
        self.faults.reordered -= other.faults.reordered;
        self.faults.unexpected -= other.faults.unexpected;
    }
}

/// Pairs that were not owed: the subscriber was not connected for long enough.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NotOwed {
    /// It was never connected.
    pub never_connected: u32,
    /// It was connected too late for this post.
    pub connected_late: u32,
    /// It had been connected, and lost the connection before the deadline.
    pub connection_lost: u32,
}

impl NotOwed {
    /// Who has not come yet may come late.
    pub(super) fn add(&mut self, life: &Life, intended_ns: u64) {
        if life.was_confirmed_for(intended_ns) {
            self.connection_lost += 1;
        } else {
            self.connected_late += 1;
        }
    }

    /// All of them.
    pub fn all(&self) -> u32 {
        self.never_connected + self.connected_late + self.connection_lost
    }
}

/// An owed pair that did not arrive in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Miss {
    /// Sequence of the post.
    pub seq: u32,
    /// Subscriber of the shard.
    pub subscriber: u32,
    /// It came after the deadline.
    pub late: bool,
}

/// A post at its deadline, as one shard saw it.
#[derive(Debug, PartialEq, Eq)]
pub struct SettledPost {
    /// Its sequence.
    pub seq: u32,
    /// Pairs owed in this shard.
    pub owed: u32,
    /// Arrival - intended time of the owed pairs that arrived in time, in no order.
    pub latencies_ns: Vec<u64>,
}

/// What one subscriber did not get in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Misses {
    /// Owed pairs that never arrived.
    pub missing: u32,
    /// Owed pairs that arrived late.
    pub late: u32,
}

/// The whole ledger of one shard at the end of a pass.
#[derive(Debug, PartialEq, Eq)]
pub struct LedgerReport {
    /// By sequence.
    pub posts: Vec<Counts>,
    /// By subscriber of the shard; of the posts from `first_judged` on.
    pub misses: Vec<Misses>,
    /// The pairs behind `misses`, post by post, at most [`LISTED_MISSES_MAX`] of them.
    pub listed: Vec<Miss>,
    /// When each subscriber of the shard was connected.
    pub lives: Vec<Life>,
    /// Arrivals with a marker of another run or of a post that was not due.
    pub foreign: u64,
}
