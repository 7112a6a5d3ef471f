//! The only place of the server that reads clocks.

use jiff::Timestamp;
use nix::{
    sys::time::TimeSpec,
    time::{ClockId, clock_gettime},
};

const NS_PER_S: u64 = 1_000_000_000;

/// The time of day, cut to the milliseconds that the feed shows.
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// Nanoseconds of `CLOCK_MONOTONIC`: the same clock for every process of this host.
pub(crate) fn monotonic_ns() -> u64 {
    read_ns(ClockId::CLOCK_MONOTONIC)
}

/// Nanoseconds of `CLOCK_REALTIME`, since 1970.
pub(crate) fn realtime_ns() -> u64 {
    read_ns(ClockId::CLOCK_REALTIME)
}

fn read_ns(clock: ClockId) -> u64 {
    // Neither clock can be missing on a system that this runs on, and neither is negative.
    let time = clock_gettime(clock).unwrap_or(TimeSpec::new(0, 0));
    time.tv_sec().cast_unsigned() * NS_PER_S + time.tv_nsec().cast_unsigned()
}
