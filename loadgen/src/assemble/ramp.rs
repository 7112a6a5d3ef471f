//! How many subscribers were connected, from the first attempt to the end.

use feedmark_core::ledger::LedgerReport;
use feedmark_reports::run_result::ConnectedAt;

/// Moments that are kept.
const MOMENTS_MAX: usize = 300;

/// The moments at which it changed. Of too many, those after equal numbers of changes are kept, and the last: they lie close
/// where much happens.
pub(super) fn ramp(ledgers: &[LedgerReport], start_ns: u64) -> Vec<ConnectedAt> {
    let lives = || ledgers.iter().flat_map(|ledger| &ledger.lives);
    let came = lives().map(|life| (life.confirmed_ns, 1));
    let went = lives().map(|life| (life.lost_ns, -1));
    // Who never came, or never went, did so at the end of time.
    let mut changes: Vec<(u64, i64)> = came.chain(went).filter(|(at_ns, _)| *at_ns < u64::MAX).collect();
    changes.sort_unstable();
    let every = changes.len().div_ceil(MOMENTS_MAX).max(1);
    let (mut connected, last) = (0_i64, changes.len());
    let mut ramp = vec![ConnectedAt { at_ns: start_ns, connected: 0 }];
    for (index, (at_ns, change)) in (1..).zip(changes) {
        connected += change;
        if index % every == 0 || index == last {
            ramp.push(ConnectedAt { at_ns, connected: connected.max(0) as u64 });
        }
    }
    ramp
}

#[cfg(test)]
mod tests {
    use feedmark_core::ledger::Life;

    use super::*;

    fn ledger(lives: Vec<Life>) -> LedgerReport {
        LedgerReport { posts: Vec::new(), misses: Vec::new(), listed: Vec::new(), lives, foreign: 0 }
    }

    #[test]
    fn it_goes_up_and_down_over_all_shards() {
        let life = |confirmed_ns, lost_ns| Life { confirmed_ns, lost_ns };
        let never = life(u64::MAX, u64::MAX);
        let ramp = ramp(&[ledger(vec![life(20, u64::MAX), never]), ledger(vec![life(10, 30)])], 5);
        let expected = [(5, 0), (10, 1), (20, 2), (30, 1)];
        assert_eq!(ramp, expected.map(|(at_ns, connected)| ConnectedAt { at_ns, connected }));
    }

    #[test]
    fn it_is_bounded_and_ends_with_the_last_change() {
        let lives = (1..=10_000).map(|at| Life { confirmed_ns: at, lost_ns: u64::MAX }).collect();
        let ramp = ramp(&[ledger(lives)], 0);
        assert!(ramp.len() <= MOMENTS_MAX + 2, "{}", ramp.len());
        assert_eq!(ramp.last(), Some(&ConnectedAt { at_ns: 10_000, connected: 10_000 }));
    }
}
