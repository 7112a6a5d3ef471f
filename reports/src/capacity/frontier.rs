//! The frontier of one server: `1 / rate_max(N) = a + s N`, what a post occupies it for by itself and for each subscriber.
//!
//! Fitted with weights `rate_max^2`: a bracket is a share of the rate wide, so the error of `1 / rate_max` is a share of it.
//! Wide brackets are no points of it. Refused (METHOD section 6): with fewer than [`SUBSCRIBER_COUNTS_MIN`] numbers of subscribers, without a band, where one
//! point is predicted worse than [`LEAVE_ONE_OUT_MAX`] by the others, and beyond [`EXTRAPOLATION_MAX`] times the largest.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FIT_BRACKET_MAX;
use crate::stats::weighted::{Fit, Interval, Point, fit, leave_one_out_error};
use crate::units::{count, percent};

/// Least numbers of subscribers.
pub const SUBSCRIBER_COUNTS_MIN: usize = 4;
/// Greatest error of a point that the others predict.
pub const LEAVE_ONE_OUT_MAX: f64 = 0.1;
/// How far beyond the largest number that was measured anything is said.
pub const EXTRAPOLATION_MAX: f64 = 2.0;
/// Points of a band, evenly on a logarithmic axis.
pub(super) const BAND_POINTS: u32 = 33;

/// What one post costs a server, fitted to the capacities at several numbers of subscribers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Frontier {
    /// `a`: what a post occupies the server for by itself, seconds.
    pub fixed_s: Estimate,
    /// `s`: what it does for every subscriber, seconds.
    pub per_subscriber_s: Estimate,
    /// How far off the others predict the point that they predict worst, as a share.
    pub leave_one_out_error: f64,
    /// What was measured.
    pub points: Vec<FrontierPoint>,
    /// Greatest rate along the numbers of subscribers of which something can be said.
    pub band: Vec<FrontierBand>,
}

/// A value with its interval at 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// A capacity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FrontierPoint {
    /// Subscribers.
    pub subscribers: u32,
    /// Posts per second: the geometric middle of the greatest that held and the least that failed.
    pub rate_per_s: f64,
}

/// The band at one number of subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FrontierBand {
    /// Subscribers.
    pub subscribers: u32,
    /// Greatest posts per second.
    pub rate_per_s: Estimate,
}

/// A fit that can be asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FrontierFit {
    fit: Fit<2>,
    points: Vec<FrontierPoint>,
    leave_one_out_error: f64,
}

impl From<Interval> for Estimate {
    fn from(Interval { value, low, high }: Interval) -> Self {
        Self { value, low, high }
    }
}

impl FrontierFit {
    /// Fits the capacities, or says why not.
    pub(super) fn of(points: Vec<FrontierPoint>) -> Result<Self, String> {
        let mut counts: Vec<u32> = points.iter().map(|point| point.subscribers).collect();
        counts.sort_unstable();
        counts.dedup();
        if counts.len() < SUBSCRIBER_COUNTS_MIN {
            return Err(format!(
                "no frontier: capacities at {} numbers of subscribers, and it takes {SUBSCRIBER_COUNTS_MIN} with brackets of at \
                 most {}",
                counts.len(),
                percent(FIT_BRACKET_MAX)
            ));
        }
        let weighted: Vec<Point<2>> = points
            .iter()
            .map(|point| Point {
                x: [1.0, f64::from(point.subscribers)],
                y: 1.0 / point.rate_per_s,
                weight: point.rate_per_s * point.rate_per_s,
            })
            .collect();
        let fitted = fit(&weighted).zip(leave_one_out_error(&weighted));
        let (fit, leave_one_out_error) =
            fitted.ok_or_else(|| "no frontier: the points are no line".to_owned())?;
        if leave_one_out_error > LEAVE_ONE_OUT_MAX {
            return Err(format!(
                "no frontier: a point is {} off what the others predict (at most {}): the cost of a post is no straight \
                 line of the subscribers",
                percent(leave_one_out_error),
                percent(LEAVE_ONE_OUT_MAX)
            ));
        }
        Ok(Self { fit, points, leave_one_out_error })
    }

    /// Greatest posts per second to so many subscribers, or why nothing is said of it.
    pub(super) fn rate_at(&self, subscribers: u32) -> Result<Estimate, String> {
        let largest = self.largest();
        if f64::from(subscribers) > f64::from(largest) * EXTRAPOLATION_MAX {
            return Err(format!(
                "{} subscribers are more than {EXTRAPOLATION_MAX} times the {} that were measured",
                count(u64::from(subscribers)),
                count(u64::from(largest))
            ));
        }
        let Interval { value, low, high } = self.fit.at(&[1.0, f64::from(subscribers)]);
        // The reciprocals change places; a band that reaches 0 has no upper end.
        if low > 0.0 {
            Ok(Estimate { value: 1.0 / value, low: 1.0 / high, high: 1.0 / low })
        } else {
            Err(format!("the 95 % band at {} subscribers has no upper end", count(u64::from(subscribers))))
        }
    }

    /// As it stands in `capacity.json`.
    pub(super) fn record(&self) -> Frontier {
        let least = self.points.iter().map(|point| point.subscribers).min().unwrap_or(1);
        let mut counts: Vec<u32> = spread(f64::from(least), f64::from(self.largest()) * EXTRAPOLATION_MAX)
            .map(|subscribers| subscribers.round() as u32)
            .chain(self.points.iter().map(|point| point.subscribers))
            .collect();
        counts.sort_unstable();
        counts.dedup();
        let at =
            |subscribers| Some(FrontierBand { subscribers, rate_per_s: self.rate_at(subscribers).ok()? });
        Frontier {
            fixed_s: self.fit.coefficient(0).into(),
            per_subscriber_s: self.fit.coefficient(1).into(),
            leave_one_out_error: self.leave_one_out_error,
            points: self.points.clone(),
            band: counts.into_iter().filter_map(at).collect(),
        }
    }

    fn largest(&self) -> u32 {
        self.points.iter().map(|point| point.subscribers).max().unwrap_or(0)
    }
}

/// Values from `least` to `greatest`, evenly on a logarithmic axis.
pub(super) fn spread(least: f64, greatest: f64) -> impl Iterator<Item = f64> {
    let step = (greatest / least).ln() / f64::from(BAND_POINTS - 1);
    (0..BAND_POINTS).map(move |index| least * (step * f64::from(index)).exp())
}
