//! When to open which connection: paced, bounded in flight, retried a bounded number of times.
//!
//! Pure: time is an argument. The window of attempts in flight starts at one, grows by one with every
//! success (so it doubles per round trip) and halves with every refusal (AIMD, RFC 5681 in spirit):
//! as fast as the target accepts without refusing. Until a first connection has proven the target,
//! nothing is retried, so that a wrong address fails at once and with one attempt. A target that takes
//! nobody any more for as long as a few attempts may last is given up for all that are left: the phase
//! ends in bounded time, however many subscribers wait.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Most attempts in flight of one reactor.
const WINDOW_MAX: f64 = 512.0;
/// Attempts for one subscriber, the first included.
const ATTEMPTS_MAX: u32 = 4;
/// Attempts that may time out one after the other before the target counts as gone.
const PATIENCE_ATTEMPTS: u64 = 3;
/// Wait before the second attempt; it doubles with each further one.
const RETRY_AFTER_NS: u64 = 100_000_000;

/// One attempt to open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Attempt {
    pub(super) subscriber: u32,
    /// From 1.
    pub(super) number: u32,
}

/// What follows from a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterFailure {
    Retry,
    GiveUp,
    /// On this one, and on so many more that are not in flight: the target takes nobody any more.
    GiveUpAll(u32),
}

/// The queue of connections to open.
#[derive(Debug)]
pub(super) struct Connector {
    next_subscriber: u32,
    subscribers: u32,
    retries: BinaryHeap<Reverse<(u64, Attempt)>>,
    in_flight: u32,
    window: f64,
    proven: bool,
    /// Since then attempts have failed and none succeeded.
    failing_since_ns: Option<u64>,
    /// That may last this long.
    patience_ns: u64,
    /// Time between two attempts; 0 without `--connect-rate`.
    gap_ns: u64,
    next_ns: u64,
    started: bool,
}

impl Connector {
    pub(super) fn new(subscribers: u32, rate_per_s: Option<f64>, attempt_timeout_ns: u64) -> Self {
        Self {
            next_subscriber: 0,
            subscribers,
            retries: BinaryHeap::new(),
            in_flight: 0,
            window: 1.0,
            proven: false,
            failing_since_ns: None,
            patience_ns: PATIENCE_ATTEMPTS * attempt_timeout_ns,
            gap_ns: rate_per_s.map_or(0, |rate| (1e9 / rate) as u64),
            next_ns: 0,
            started: false,
        }
    }

    /// The attempt to start now, if there is one.
    pub(super) fn next(&mut self, now_ns: u64) -> Option<Attempt> {
        if f64::from(self.in_flight) >= self.window.floor() || now_ns < self.next_ns {
            return None;
        }
        let attempt = match self.retries.peek() {
            Some(&Reverse((due_ns, attempt))) if due_ns <= now_ns => {
                self.retries.pop();
                attempt
            }
            _ if self.next_subscriber < self.subscribers => {
                self.next_subscriber += 1;
                Attempt { subscriber: self.next_subscriber - 1, number: 1 }
            }
            _ => return None,
        };
        self.in_flight += 1;
        // An attempt that comes late does not push the later ones back, unless it is very late.
        const CATCH_UP_NS: u64 = 1_000_000_000;
        let earliest_ns = if self.started { now_ns.saturating_sub(CATCH_UP_NS) } else { now_ns };
        self.started = true;
        self.next_ns = self.next_ns.max(earliest_ns) + self.gap_ns;
        Some(attempt)
    }

    /// Run time at which [`Connector::next`] is worth another call; `None` if only an outcome helps.
    pub(super) fn wake_ns(&self) -> Option<u64> {
        if f64::from(self.in_flight) >= self.window.floor() {
            return None;
        }
        let retry_ns = self.retries.peek().map(|Reverse((due_ns, _))| *due_ns);
        let first_ns = (self.next_subscriber < self.subscribers).then_some(self.next_ns);
        retry_ns.into_iter().chain(first_ns).min().map(|at_ns| at_ns.max(self.next_ns))
    }

    pub(super) fn succeeded(&mut self) {
        self.in_flight -= 1;
        self.proven = true;
        self.failing_since_ns = None;
        self.window = (self.window + 1.0).min(WINDOW_MAX);
    }

    pub(super) fn failed(&mut self, attempt: Attempt, now_ns: u64) -> AfterFailure {
        self.in_flight -= 1;
        self.window = (self.window / 2.0).max(1.0);
        let since_ns = *self.failing_since_ns.get_or_insert(now_ns);
        if self.proven && now_ns.saturating_sub(since_ns) > self.patience_ns {
            let rest = self.subscribers - self.next_subscriber + self.retries.len() as u32;
            self.next_subscriber = self.subscribers;
            self.retries.clear();
            return AfterFailure::GiveUpAll(rest);
        }
        if !self.proven || attempt.number >= ATTEMPTS_MAX {
            return AfterFailure::GiveUp;
        }
        let due_ns = now_ns + (RETRY_AFTER_NS << (attempt.number - 1));
        self.retries.push(Reverse((due_ns, Attempt { number: attempt.number + 1, ..attempt })));
        AfterFailure::Retry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT_NS: u64 = 10_000_000_000;

    #[test]
    fn a_target_that_takes_nobody_any_more_is_given_up_for_all() {
        let mut connector = Connector::new(100, None, TIMEOUT_NS);
        connector.next(1).unwrap();
        connector.succeeded();
        let (first, second) = (connector.next(1).unwrap(), connector.next(1).unwrap());
        assert_eq!(connector.failed(first, TIMEOUT_NS), AfterFailure::Retry);
        assert_eq!(connector.failed(second, 4 * TIMEOUT_NS), AfterFailure::Retry);
        let last = connector.next(4 * TIMEOUT_NS).unwrap();
        // Of 100, one is live, one waits for its second attempt, 97 have not been tried.
        assert_eq!(connector.failed(last, 4 * TIMEOUT_NS + 1), AfterFailure::GiveUpAll(98));
        assert_eq!((connector.next(u64::MAX / 2), connector.wake_ns()), (None, None));
    }

    #[test]
    fn a_target_that_never_accepts_gets_one_attempt_at_a_time() {
        let mut connector = Connector::new(10, None, TIMEOUT_NS);
        let attempt = connector.next(1).unwrap();
        assert_eq!(connector.next(1), None);
        assert_eq!(connector.wake_ns(), None);
        assert_eq!(connector.failed(attempt, 2), AfterFailure::GiveUp);
    }

    #[test]
    fn the_window_doubles_per_round_and_halves_on_refusal() {
        let mut connector = Connector::new(10_000, None, TIMEOUT_NS);
        for round in 0..8 {
            let started: Vec<Attempt> = std::iter::from_fn(|| connector.next(1)).collect();
            assert_eq!(started.len(), 1 << round);
            started.iter().for_each(|_| connector.succeeded());
        }
        let attempt = connector.next(1).unwrap();
        connector.failed(attempt, 1);
        assert_eq!(std::iter::from_fn(|| connector.next(1)).count(), 128);
    }

    #[test]
    fn a_failed_attempt_is_retried_later_and_a_bounded_number_of_times() {
        let mut connector = Connector::new(2, None, TIMEOUT_NS);
        connector.next(1).unwrap();
        connector.succeeded();
        let mut attempt = connector.next(1).unwrap();
        for number in 2..=ATTEMPTS_MAX {
            assert_eq!(connector.failed(attempt, 1), AfterFailure::Retry);
            assert_eq!(connector.next(2), None);
            let due_ns = connector.wake_ns().unwrap();
            assert_eq!(due_ns, 1 + (RETRY_AFTER_NS << (number - 2)));
            attempt = connector.next(due_ns).unwrap();
            assert_eq!(attempt.number, number);
        }
        assert_eq!(connector.failed(attempt, 1), AfterFailure::GiveUp);
    }

    #[test]
    fn a_rate_spaces_the_attempts() {
        let mut connector = Connector::new(10, Some(1000.0), TIMEOUT_NS);
        let mut now_ns = 5_000_000_000;
        for _ in 0..10 {
            connector.next(now_ns).unwrap();
            connector.succeeded();
            assert_eq!(connector.next(now_ns), None);
            now_ns += 1_000_000;
        }
    }
}
