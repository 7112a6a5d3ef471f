//! How long a run has to be to say more.

use crate::RunResult;
use crate::run_result::ArrivalLaw;
use crate::units::flag_duration;

const NS_PER_S: f64 = 1e9;
/// A Poisson process that is this many deviations short of its mean is rare (1 in 40).
const POISSON_MARGIN: f64 = 2.0;
/// A longer run than this is no advice; it is left out.
const ADVICE_S_MAX: f64 = 7.0 * 24.0 * 3600.0;

/// The steady phase that gives `needed` effective samples at the rate of this run, which gave `effective`, as a flag
/// takes it; `None` where the run cannot say.
pub(crate) fn duration_for(result: &RunResult, needed: f64, effective: f64) -> Option<String> {
    let posts_per_sample = (result.posts.scheduled as f64 / effective).max(1.0);
    let posts = needed * posts_per_sample;
    let margin = match result.scenario.arrivals {
        ArrivalLaw::Constant => 0.0,
        ArrivalLaw::Poisson => POISSON_MARGIN * posts.sqrt(),
    };
    let duration_s = ((posts + margin) / result.scenario.rate_per_s).ceil();
    (duration_s.is_finite() && (1.0..=ADVICE_S_MAX).contains(&duration_s))
        .then(|| flag_duration((duration_s * NS_PER_S) as u64))
}
