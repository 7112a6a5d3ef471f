//! A row of `posts.csv`: what became of one post.

use serde::{Deserialize, Serialize};

/// One post. Times are ns since the start of the run; those that end in `_latency_ns` count from the intended time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PostRow {
    /// Its place in the schedule, from 0.
    pub seq: u32,
    /// Whether it is judged.
    pub phase: PostPhase,
    /// Index of the writer that sent it.
    pub writer: Option<u16>,
    /// When it should be sent.
    pub intended_ns: u64,
    /// It waited, because the most posts were in flight.
    pub waited_at_cap: bool,
    /// Time that it took to open a connection for it; 0 where one was open.
    pub connect_ns: u64,
    /// Its first byte was handed to the kernel.
    pub sent_ns: Option<u64>,
    /// Its reply was complete.
    pub complete_ns: Option<u64>,
    /// Why it failed.
    pub failure: Option<String>,
    /// Subscribers that were owed it.
    pub owed: u32,
    /// Owed pairs that arrived within the deadline.
    pub delivered: u32,
    /// Owed pairs that arrived after it.
    pub late: u32,
    /// Owed pairs that never arrived.
    pub missing: u32,
    /// Extra copies of an owed pair.
    pub duplicate: u32,
    /// First copies that came after a later post of the same writer.
    pub reordered: u32,
    /// Deliveries that nobody was owed.
    pub unexpected: u32,
    /// Subscribers that were not connected for long enough to be owed it.
    pub not_owed: u32,
    /// Its first delivery.
    pub first_latency_ns: Option<u64>,
    /// When 10 % of the owed pairs had been served.
    #[serde(default)]
    pub reach_10_latency_ns: Option<u64>,
    /// 25 %.
    #[serde(default)]
    pub reach_25_latency_ns: Option<u64>,
    /// 50 %.
    pub reach_50_latency_ns: Option<u64>,
    /// 75 %.
    #[serde(default)]
    pub reach_75_latency_ns: Option<u64>,
    /// 90 %.
    pub reach_90_latency_ns: Option<u64>,
    /// 99 %.
    pub reach_99_latency_ns: Option<u64>,
    /// Everyone that was owed it.
    pub full_latency_ns: Option<u64>,
    /// Least squares over its arrivals.
    pub slope_ns_per_rank: Option<f64>,
}

/// The phase that a post's intended time lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PostPhase {
    /// Measured, not judged.
    #[serde(rename = "warm-up")]
    WarmUp,
    /// Judged.
    #[serde(rename = "steady")]
    Steady,
}

impl PostRow {
    /// Owed pairs that did not arrive in time.
    pub fn untimely(&self) -> u32 {
        self.late.saturating_add(self.missing)
    }

    /// First byte - intended time, less the time to open a connection.
    pub fn send_lag_ns(&self) -> Option<u64> {
        Some(self.sent_ns?.saturating_sub(self.intended_ns).saturating_sub(self.connect_ns))
    }

    /// Reply complete - intended time.
    pub fn response_ns(&self) -> Option<u64> {
        Some(self.complete_ns?.saturating_sub(self.intended_ns))
    }
}
