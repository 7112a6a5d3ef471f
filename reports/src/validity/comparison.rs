//! One measured value against its limit.

use super::{Bound, Check, Unit};
use crate::units::{count, duration, number, percent, short_duration};

pub(super) const MS_NS: f64 = 1e6;
pub(super) const S_NS: f64 = 1e9;

pub(super) fn at_most(
    what: (&str, &str),
    value: Option<f64>,
    limit: f64,
    unit: Unit,
    remedy: impl FnOnce(&str, &str) -> String,
) -> Check {
    check(what, value, limit, Bound::AtMost, unit, remedy)
}

pub(super) fn check(
    (id, name): (&str, &str),
    value: Option<f64>,
    limit: f64,
    bound: Bound,
    unit: Unit,
    remedy: impl FnOnce(&str, &str) -> String,
) -> Check {
    let passed = value.map(|value| match bound {
        Bound::AtMost => value <= limit,
        Bound::AtLeast => value >= limit,
    });
    let tripped = value.filter(|_| passed == Some(false));
    let remedy = tripped.map(|value| remedy(&show(value, unit), &show(limit, unit)));
    Check { id: id.to_owned(), name: name.to_owned(), value, limit, bound, unit, passed, remedy }
}

/// A value with its unit, as people read it.
fn show(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Ns if value == 0.0 => "0 s".to_owned(),
        Unit::Ns if value % MS_NS == 0.0 => short_duration(value as u64),
        Unit::Ns => duration(value as u64),
        Unit::Ratio => percent(value),
        Unit::Count => count(value as u64),
        Unit::A2 => number(round(value, 1000.0)),
    }
}

pub(super) fn round(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}
