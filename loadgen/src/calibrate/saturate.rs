//! The most deliveries per second that the null target and the subscribers of this process manage together.

use std::sync::Arc;

use feedmark_reports::units::count;

use crate::collector::{Judged, SettledPosts};
use crate::engine::Engine;
use crate::interrupt;
use crate::live::Live;
use crate::pass::{PassProgress, Wish, pass_from_now, run_pass};
use crate::run::{RunError, connect, engine_config, writers_config};
use crate::scenario::Scenario;
use crate::target::Target;

/// What happens before is not counted.
const SETTLE_NS: u64 = 1_000_000_000;
/// What happens in this time is.
const WINDOW_NS: u64 = 3_000_000_000;
/// Time between two intended times: far less than a post takes.
const POST_EVERY_NS: u64 = 1_000;
/// Pairs of post and subscriber that may be kept, 8 bytes each; when all have arrived, it is over sooner.
const PAIRS_MAX: u64 = 8_000_000;
/// Posts that may be kept.
const POSTS_MAX: u64 = 200_000;
/// Nothing is settled before the end, so that the pass costs what receiving costs.
const DEADLINE_NS: u64 = 60_000_000_000;

/// Connects the scenario's subscribers and posts as fast as replies come, with this many posts in flight, of which the
/// target writes those that arrive together together; `None` if it was over too soon to tell.
///
/// # Errors
/// If nobody could connect, or a thread cannot be started.
pub(super) fn deliveries_per_s_max(
    in_flight_max: u16,
    scenario: &Scenario,
    target: &Target,
    live: &mut Live,
) -> Result<Option<f64>, RunError> {
    let scenario = Scenario { in_flight_max, ..scenario.clone() };
    let clock = live.clock();
    let engine = Engine::start(&engine_config(&scenario, target), clock)?;
    let engine = connect(&scenario, engine, live, &target.name)?;
    let totals = engine.totals();
    let connected = (totals.established - totals.lost).max(1);
    let posts = (PAIRS_MAX / connected).clamp(1, POSTS_MAX);
    let offsets_ns: Arc<[u64]> = (0..posts).map(|post| post * POST_EVERY_NS).collect();
    let mut seen = Vec::new();
    let look = |progress: &PassProgress<'_>, _: &SettledPosts| {
        let PassProgress { elapsed_ns, totals: now, .. } = *progress;
        seen.push((elapsed_ns, now.deliveries));
        let mean = now.deliveries as f64 / (elapsed_ns.max(1) as f64 / 1e9);
        let done = elapsed_ns as f64 / (SETTLE_NS + WINDOW_NS) as f64;
        live.progress("saturate", done, None, || format!("{} deliveries/s", count(mean as u64)));
        // The null target drops a subscriber that falls too far behind: then the reader is the slower one, and
        // has been measured.
        let enough = elapsed_ns >= SETTLE_NS + WINDOW_NS
            || now.deliveries >= connected * posts
            || now.lost > totals.lost
            || interrupt::stop_asked();
        Wish::enough_if(enough)
    };
    let writers = writers_config(&scenario, target, rand::random());
    let pass = pass_from_now(clock, writers.run, offsets_ns, DEADLINE_NS);
    run_pass(&engine, writers, clock, pass, Judged::ALL, None, look)?;
    engine.finish(true);
    Ok(per_second(&seen))
}

/// Deliveries per second from the end of the settling on. `seen`: ns since the start and deliveries until then.
fn per_second(seen: &[(u64, u64)]) -> Option<f64> {
    let (from_ns, before) = seen.iter().find(|(at_ns, _)| *at_ns >= SETTLE_NS)?;
    let (until_ns, until) = seen.last()?;
    let window_ns = until_ns - from_ns;
    (window_ns > 0 && until > before).then(|| (until - before) as f64 / (window_ns as f64 / 1e9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_left_out() {
        const S: u64 = 1_000_000_000;
        assert_eq!(per_second(&[(0, 0), (S / 2, 10), (S, 100), (2 * S, 300), (4 * S, 700)]), Some(200.0));
        assert_eq!(per_second(&[(S, 100)]), None, "no window");
        assert_eq!(per_second(&[(S, 100), (2 * S, 100)]), None, "nothing arrived");
        assert_eq!(per_second(&[(0, 0), (S / 2, 10)]), None, "over before it had settled");
        assert_eq!(per_second(&[]), None);
    }
}
