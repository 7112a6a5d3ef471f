//! The run clock: the only reader of time.
//!
//! Run time is `CLOCK_MONOTONIC` in integer nanoseconds since the start of the run (plus one, so
//! that 0 never names an instant). Kernel receive stamps are realtime; a [`Pairing`], renewed through
//! the run, maps them to run time.

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};

/// Clock readings of which the tightest makes a pairing.
const PAIRING_TRIES: usize = 3;
/// A reading that took longer was interrupted.
const TIGHT_NS: u64 = 20_000;
const SECOND_NS: i64 = 1_000_000_000;

/// A point to count from; copies share it.
#[derive(Debug, Clone, Copy)]
pub struct RunClock {
    origin_ns: u64,
}

/// Realtime and run time, read together.
#[derive(Debug, Clone, Copy)]
pub struct Pairing {
    realtime_minus_run_ns: i64,
    /// Run time between the readings: the pairing is right within half of it.
    pub(crate) width_ns: u64,
}

impl RunClock {
    /// Starts the run's time.
    pub fn start() -> Self {
        Self { origin_ns: read(ClockId::CLOCK_MONOTONIC) - 1 }
    }

    /// Run time now.
    #[inline]
    pub fn now_ns(&self) -> u64 {
        read(ClockId::CLOCK_MONOTONIC) - self.origin_ns
    }

    /// `CLOCK_MONOTONIC` at this run time: what other programs of the host call it.
    pub fn monotonic_ns(&self, run_ns: u64) -> u64 {
        self.origin_ns + run_ns
    }

    /// Wall clock now, ns since the Unix epoch.
    pub fn realtime_ns(&self) -> u64 {
        read(ClockId::CLOCK_REALTIME)
    }

    /// Sleeps until the absolute run time, however often it is woken: no drift, no rounding to ms.
    pub fn sleep_until(&self, run_ns: u64) {
        let until = to_timespec(run_ns + self.origin_ns);
        while clock_nanosleep(ClockId::CLOCK_MONOTONIC, ClockNanosleepFlags::TIMER_ABSTIME, &until)
            == Err(nix::errno::Errno::EINTR)
        {}
    }

    /// Pairs the two clocks: of three readings the one in which least time passed.
    pub fn pair(&self) -> Pairing {
        let readings = (0..PAIRING_TRIES).map(|_| {
            let before_ns = self.now_ns();
            let realtime_ns = self.realtime_ns();
            let after_ns = self.now_ns();
            (after_ns - before_ns, realtime_ns as i64 - (before_ns + (after_ns - before_ns) / 2) as i64)
        });
        let (width_ns, realtime_minus_run_ns) = readings.min().unwrap_or_default();
        Pairing { realtime_minus_run_ns, width_ns }
    }
}

impl Pairing {
    /// Run time of a realtime stamp; stamps from before the run become its start.
    #[inline]
    pub fn run_ns(&self, realtime_ns: u64) -> u64 {
        (realtime_ns as i64 - self.realtime_minus_run_ns).max(1) as u64
    }

    /// The thread was not interrupted between the readings.
    pub fn is_tight(&self) -> bool {
        self.width_ns <= TIGHT_NS
    }

    /// How far the realtime clock moved against this run's since `earlier`.
    pub fn jump_ns(&self, earlier: &Self) -> u64 {
        self.realtime_minus_run_ns.abs_diff(earlier.realtime_minus_run_ns)
    }
}

/// # Panics
/// Never on Linux: both clocks always exist.
#[inline]
fn read(clock: ClockId) -> u64 {
    let time = clock_gettime(clock).expect("the clock exists on every Linux");
    (time.tv_sec() * SECOND_NS + time.tv_nsec()) as u64
}

fn to_timespec(ns: u64) -> TimeSpec {
    TimeSpec::new(ns as i64 / SECOND_NS, ns as i64 % SECOND_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_time_starts_above_zero_and_increases() {
        let clock = RunClock::start();
        let times: Vec<u64> = (0..100).map(|_| clock.now_ns()).collect();
        assert!(times[0] > 0);
        assert!(times.is_sorted());
    }

    #[test]
    fn sleeps_to_an_absolute_time() {
        let clock = RunClock::start();
        let until_ns = clock.now_ns() + 3_000_000;
        clock.sleep_until(until_ns);
        assert!(clock.now_ns() >= until_ns);
        clock.sleep_until(1);
    }

    #[test]
    fn a_realtime_stamp_maps_into_the_interval_it_was_taken_in() {
        let clock = RunClock::start();
        let pairing = clock.pair();
        let before_ns = clock.now_ns();
        let run_ns = pairing.run_ns(clock.realtime_ns());
        let after_ns = clock.now_ns();
        assert!(before_ns.saturating_sub(50_000) <= run_ns && run_ns <= after_ns + 50_000);
        assert_eq!(pairing.run_ns(0), 1);
    }
}
