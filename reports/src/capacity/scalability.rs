//! The Universal Scalability Law over cores: `X(p) = l p / (1 + c (p - 1) + k p (p - 1))`.
//!
//! `l` is the rate of one core, `c` the share of the work that only one core at a time can do (contention), `k` what the
//! cores spend on agreeing with each other, for every pair of them (coherency).
//!
//! `p / X(p)` is linear in `1 / l`, `c / l` and `k / l`, so it is fitted by weighted least squares, with weights `(X / p)^2`
//! because the error of a capacity is a share of it. The band is that of the linear fit, exact where errors are normal;
//! `c` and `k` are ratios of coefficients, and their intervals are by the delta method: a bootstrap of six to ten points
//! draws too few different samples, and leaves some of them without a fit.
//!
//! Source: Gunther, Guerrilla Capacity Planning (2007), chapters 4 to 6.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FIT_BRACKET_MAX;
use super::frontier::{EXTRAPOLATION_MAX, Estimate, LEAVE_ONE_OUT_MAX, spread};
use crate::stats::weighted::{Fit, Interval, Point, fit, leave_one_out_error};
use crate::units::percent;

/// Least numbers of cores.
pub const CORE_COUNTS_MIN: usize = 6;

/// How the greatest rate grows with cores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scalability {
    /// `l`: posts per second of one core.
    pub one_core_per_s: Estimate,
    /// `c`: share of the work that only one core at a time can do.
    pub contention: Estimate,
    /// `k`: what every pair of cores spends on each other, as a share of the work.
    pub coherency: Estimate,
    /// Cores from which on more of them make it slower; `null` where `k` cannot be told from 0, or it is further off than
    /// anything is said of.
    pub peak_cores: Option<f64>,
    /// How far off the others predict the point that they predict worst, as a share.
    pub leave_one_out_error: f64,
    /// What was measured.
    pub points: Vec<ScalabilityPoint>,
    /// Greatest rate along the numbers of cores of which something can be said.
    pub band: Vec<ScalabilityBand>,
}

/// A capacity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScalabilityPoint {
    /// Cores.
    pub cores: u32,
    /// Posts per second: the geometric middle of the greatest that held and the least that failed.
    pub rate_per_s: f64,
}

/// The band at one number of cores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScalabilityBand {
    /// Cores.
    pub cores: f64,
    /// Greatest posts per second.
    pub rate_per_s: Estimate,
}

impl Scalability {
    /// Fits the capacities, or says why not.
    ///
    /// # Errors
    /// With fewer than [`CORE_COUNTS_MIN`] numbers of cores, and where the law does not describe them.
    pub fn of(points: Vec<ScalabilityPoint>) -> Result<Self, String> {
        let mut counts: Vec<u32> = points.iter().map(|point| point.cores).collect();
        counts.sort_unstable();
        counts.dedup();
        if counts.len() < CORE_COUNTS_MIN {
            return Err(format!(
                "no law of scaling: capacities at {} numbers of cores, and it takes {CORE_COUNTS_MIN} with brackets of at most {}",
                counts.len(),
                percent(FIT_BRACKET_MAX)
            ));
        }
        let weighted: Vec<Point<3>> = points
            .iter()
            .map(|point| {
                let y = f64::from(point.cores) / point.rate_per_s;
                Point { x: terms(f64::from(point.cores)), y, weight: 1.0 / (y * y) }
            })
            .collect();
        let fitted = fit(&weighted).zip(leave_one_out_error(&weighted));
        let (fit, leave_one_out_error) =
            fitted.ok_or_else(|| "no law of scaling: the points do not tell".to_owned())?;
        if leave_one_out_error > LEAVE_ONE_OUT_MAX {
            return Err(format!(
                "no law of scaling: a point is {} off what the others predict (at most {})",
                percent(leave_one_out_error),
                percent(LEAVE_ONE_OUT_MAX)
            ));
        }
        let one_core_per_s = reciprocal(fit.coefficient(0))
            .ok_or_else(|| "no law of scaling: the rate of one core has no upper end".to_owned())?;
        let (least, largest) =
            (f64::from(counts[0]), f64::from(counts[counts.len() - 1]) * EXTRAPOLATION_MAX);
        let coherency = ratio(&fit, 2);
        let contention = ratio(&fit, 1);
        let peak = ((1.0 - contention.value) / coherency.value).sqrt();
        let at = |cores: f64| {
            let work = reciprocal(fit.at(&terms(cores)))?;
            let [value, low, high] = [work.value, work.low, work.high].map(|rate| rate * cores);
            Some(ScalabilityBand { cores, rate_per_s: Estimate { value, low, high } })
        };
        let measured = counts.iter().copied().map(f64::from);
        let mut cores: Vec<f64> = spread(least, largest).chain(measured).collect();
        cores.sort_unstable_by(f64::total_cmp);
        cores.dedup();
        Ok(Self {
            one_core_per_s,
            contention,
            coherency,
            peak_cores: (coherency.low > 0.0 && peak <= largest).then_some(peak),
            leave_one_out_error,
            band: cores.into_iter().filter_map(at).collect(),
            points,
        })
    }
}

/// What `1 / l`, `c / l` and `k / l` are multiplied by.
fn terms(cores: f64) -> [f64; 3] {
    [1.0, cores - 1.0, cores * (cores - 1.0)]
}

/// The ends change places; `None` where the interval reaches 0.
fn reciprocal(Interval { value, low, high }: Interval) -> Option<Estimate> {
    (low > 0.0).then(|| Estimate { value: 1.0 / value, low: 1.0 / high, high: 1.0 / low })
}

/// Coefficient `k` over the first one.
fn ratio(fit: &Fit<3>, k: usize) -> Estimate {
    let one = fit.coefficients[0];
    let value = fit.coefficients[k] / one;
    let mut gradient = [-value / one, 0.0, 0.0];
    gradient[k] = 1.0 / one;
    fit.linear(value, &gradient).into()
}
