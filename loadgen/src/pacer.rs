//! The pacer: hands every post to the writers at its intended time, and never anything else.
//!
//! A dedicated thread with an absolute-time sleep. It never skips a post and never re-bases: a post
//! that is late is handed over at once and keeps its intended time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;

use tokio::sync::mpsc;

use crate::clock::RunClock;
use crate::mutant::{Mutant, active};
use crate::urgency::{go_first, wake_on_time};

/// Longest sleep, so that a stop is noticed.
const SLICE_NS: u64 = 100_000_000;

/// The running pacer.
pub struct Pacer {
    thread: JoinHandle<bool>,
    stop: Arc<AtomicBool>,
    handed_over: Arc<AtomicU32>,
}

impl Pacer {
    /// Starts the schedule at run time `base_ns`. `posts` has room for the whole schedule, so the
    /// pacer never waits for the writers.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(
        clock: RunClock,
        base_ns: u64,
        offsets_ns: Arc<[u64]>,
        posts: mpsc::Sender<u32>,
    ) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let handed_over = Arc::new(AtomicU32::new(0));
        let (stopped, counter) = (Arc::clone(&stop), Arc::clone(&handed_over));
        let thread = std::thread::Builder::new().name("pacer".into()).spawn(move || {
            wake_on_time();
            let goes_first = go_first();
            for (seq, offset_ns) in (0..).zip(offsets_ns.iter()) {
                if !sleep_until(clock, base_ns + offset_ns, &stopped) {
                    return goes_first;
                }
                if active(Mutant::SkippedTicks) && seq % 10 == 9 {
                    counter.store(seq + 1, Ordering::Release);
                    continue;
                }
                // The queue holds the whole schedule: only writers that are gone can refuse.
                if posts.try_send(seq).is_err() {
                    return goes_first;
                }
                counter.store(seq + 1, Ordering::Release);
            }
            goes_first
        })?;
        Ok(Self { thread, stop, handed_over })
    }

    /// Every post has been handed over.
    pub fn is_done(&self) -> bool {
        self.thread.is_finished()
    }

    /// Posts handed over so far.
    pub fn handed_over(&self) -> u32 {
        self.handed_over.load(Ordering::Acquire)
    }

    /// Ends the schedule and says how many of its posts were handed over, and whether it went before ordinary threads.
    ///
    /// # Panics
    /// If the pacer's thread panicked.
    pub fn stop(self) -> (u32, bool) {
        self.stop.store(true, Ordering::Release);
        let goes_first = self.thread.join().expect("the pacer does not panic");
        (self.handed_over.load(Ordering::Acquire), goes_first)
    }
}

/// False if stopped before.
fn sleep_until(clock: RunClock, until_ns: u64, stopped: &AtomicBool) -> bool {
    loop {
        if stopped.load(Ordering::Acquire) {
            return false;
        }
        let now_ns = clock.now_ns();
        if now_ns >= until_ns {
            return true;
        }
        clock.sleep_until(until_ns.min(now_ns + SLICE_NS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hands_over_everything_in_order_and_not_before_its_time() {
        let clock = RunClock::start();
        let offsets_ns: Arc<[u64]> = (0..50).map(|i| i * 1_000_000).collect();
        let (sender, mut posts) = mpsc::channel(50);
        let base_ns = clock.now_ns() + 5_000_000;
        let pacer = Pacer::start(clock, base_ns, Arc::clone(&offsets_ns), sender).unwrap();
        for seq in 0..50 {
            assert_eq!(posts.blocking_recv(), Some(seq));
            assert!(clock.now_ns() >= base_ns + offsets_ns[seq as usize]);
        }
        assert_eq!(pacer.stop().0, 50);
    }

    #[test]
    fn a_stop_ends_the_schedule_where_it_is() {
        let clock = RunClock::start();
        let offsets_ns: Arc<[u64]> = [0, 3_600_000_000_000].into();
        let (sender, mut posts) = mpsc::channel(2);
        let pacer = Pacer::start(clock, clock.now_ns(), offsets_ns, sender).unwrap();
        assert_eq!(posts.blocking_recv(), Some(0));
        assert_eq!(pacer.stop().0, 1);
    }
}
