//! What a fault is: what it does, to what, and what it is called.

use std::{collections::BTreeMap, ops::Range};

use serde::{Deserialize, Serialize};

use super::{grammar::Scalar, keys::Pairs};

/// One thing that the server does wrong on command. How it is described is in `grammar`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, Scalar>", into = "Pairs")]
pub struct Fault {
    pub(super) pairs: Pairs,
    pub(super) effect: Effect,
    pub(super) select: Select,
}

/// What happens to what is selected. Times are nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Effect {
    Delay(Law),
    Stall(Window),
    /// The reply waits so long, or without a time to the end of the window.
    StallReplies {
        by_ns: Option<u64>,
    },
    Drop,
    Duplicate {
        copies: u32,
    },
    Swap,
    Pace {
        per_post_ns: u64,
        per_socket_ns: u64,
    },
    Flush {
        every_ns: u64,
    },
    Split,
    Kill {
        at_ns: u64,
        ending: Ending,
    },
    Refuse(Refusal),
    SlowHandshake {
        by_ns: u64,
    },
    SlowCommit {
        by_ns: u64,
    },
}

/// The distribution of a delay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Law {
    Fixed { by_ns: u64 },
    Uniform { from_ns: u64, to_ns: u64 },
    LogNormal { median_ns: u64, sigma: f64 },
}

/// How a connection is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// RST.
    Reset,
    /// FIN, without a word before it.
    Close,
}

/// How a post is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Refusal {
    /// The connection of the poster is reset.
    Reset,
    /// An answer with this status.
    Status(u16),
}

impl Refusal {
    /// The status of an answer that says so.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::Reset => 500,
            Self::Status(status) => status,
        }
    }
}

/// A window of time, counted from the first post: `[at, at + for)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) at_ns: u64,
    pub(super) for_ns: u64,
}

impl Window {
    /// The end of the window when `since_first_ns` is inside.
    pub(super) fn end_around(self, since_first_ns: u64) -> Option<u64> {
        let end = self.at_ns.saturating_add(self.for_ns);
        (self.at_ns..end).contains(&since_first_ns).then_some(end)
    }
}

/// To what a fault happens.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Select {
    pub(super) share: Option<f64>,
    pub(super) sockets: Option<f64>,
    pub(super) posts: Option<Range<u64>>,
    pub(super) max: Option<u64>,
    pub(super) window: Option<Window>,
}

/// What a fault is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Delay,
    Stall,
    StallReplies,
    Drop,
    Duplicate,
    Swap,
    Pace,
    Flush,
    Split,
    Kill,
    Refuse,
    SlowHandshake,
    SlowCommit,
}

impl Kind {
    /// In the order of their discriminants.
    pub(crate) const ALL: [Self; 13] = [
        Self::Delay,
        Self::Stall,
        Self::StallReplies,
        Self::Drop,
        Self::Duplicate,
        Self::Swap,
        Self::Pace,
        Self::Flush,
        Self::Split,
        Self::Kill,
        Self::Refuse,
        Self::SlowHandshake,
        Self::SlowCommit,
    ];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Delay => "delay",
            Self::Stall => "stall",
            Self::StallReplies => "stall-replies",
            Self::Drop => "drop",
            Self::Duplicate => "duplicate",
            Self::Swap => "swap",
            Self::Pace => "pace",
            Self::Flush => "flush",
            Self::Split => "split",
            Self::Kill => "kill",
            Self::Refuse => "refuse",
            Self::SlowHandshake => "slow-handshake",
            Self::SlowCommit => "slow-commit",
        }
    }
}

impl Effect {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Delay(_) => Kind::Delay,
            Self::Stall(_) => Kind::Stall,
            Self::StallReplies { .. } => Kind::StallReplies,
            Self::Drop => Kind::Drop,
            Self::Duplicate { .. } => Kind::Duplicate,
            Self::Swap => Kind::Swap,
            Self::Pace { .. } => Kind::Pace,
            Self::Flush { .. } => Kind::Flush,
            Self::Split => Kind::Split,
            Self::Kill { .. } => Kind::Kill,
            Self::Refuse(_) => Kind::Refuse,
            Self::SlowHandshake { .. } => Kind::SlowHandshake,
            Self::SlowCommit { .. } => Kind::SlowCommit,
        }
    }
}
