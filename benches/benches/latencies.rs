//! Latencies as a run has them.

use feedmark_core::SECOND_NS;
use feedmark_core::schedule::{Arrivals, Schedule, Stage};

/// About so many: 2 ms and an exponential tail of 4 ms, the gaps between independent arrivals. Their noise is what a
/// histogram of a real run is hard to compress for.
pub(crate) fn latencies_ns(count: u32) -> impl Iterator<Item = u64> {
    let times =
        Schedule::new(1, Arrivals::Poisson, vec![Stage::steady(250.0, u64::from(count) * SECOND_NS / 250)]);
    times.scan(0, |previous_ns, time_ns| {
        let gap_ns = time_ns - std::mem::replace(previous_ns, time_ns);
        Some(2_000_000 + gap_ns)
    })
}
