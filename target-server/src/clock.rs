//! The only place of the server that reads the wall clock.

use jiff::Timestamp;

/// The time of day, cut to the milliseconds that the feed shows.
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
