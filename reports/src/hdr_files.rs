//! The two files of the HdrHistogram world (METHOD section 7): `.hlog`, one histogram per interval
//! and series, and `.hgrm`, the percentile distribution of one histogram as text.
//!
//! Invariants:
//! * Values are nanoseconds with the bounds that every latency series shares; what is printed for
//!   people is milliseconds.
//! * Late and missing deliveries have no value, so neither file holds them: a `#` comment in each
//!   says how many there are.

mod coarser;
mod hgrm;
mod hlog;
mod read;

pub(crate) use coarser::coarser;
pub use hgrm::write_hgrm;
pub use hlog::{IntervalLog, IntervalLogError, Series};
pub use read::{Interval, ReadError, intervals};

/// Nanoseconds in the unit that both files print, the millisecond.
const NS_PER_PRINTED_UNIT: f64 = 1e6;

/// The comment on what a histogram cannot hold, without its `#`.
fn beyond_deadline_comment(beyond_deadline: u64, file: &str) -> String {
    let (deliveries, are) = if beyond_deadline == 1 { ("delivery", "is") } else { ("deliveries", "are") };
    format!(" {beyond_deadline} late or missing {deliveries} {are} not in this {file}")
}
