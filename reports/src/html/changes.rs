//! Changes with their intervals beside each other: what a comparison and a gate have in common.

use super::axis::Axis;
use super::chart::{Along, Chart, Form, Series};
use super::table::{Row, Table};
use crate::units::change;

/// One figure's change, as a share of the base.
pub(super) struct Change {
    pub(super) name: String,
    pub(super) estimate: f64,
    pub(super) interval: Option<(f64, f64)>,
    /// A change from here on is too much; `None` where nothing says so.
    pub(super) allowed: Option<f64>,
}

/// Each change as a dot on a line of its own, its interval around it.
pub(super) fn chart(changes: &[Change]) -> Option<Chart> {
    let values = || {
        changes.iter().flat_map(|one| {
            let (low, high) = one.interval.unwrap_or((one.estimate, one.estimate));
            [low, high, one.estimate, one.allowed.unwrap_or(0.0)]
        })
    };
    let least = values().filter(|value| value.is_finite()).reduce(f64::min)?;
    let greatest = values().filter(|value| value.is_finite()).reduce(f64::max)?;
    let mut chart = Chart::new(
        "changes",
        "Change of each figure",
        Axis::change(least, greatest),
        Axis::names(&changes.iter().map(|one| one.name.clone()).collect::<Vec<_>>()),
    );
    chart.caption =
        "A dot is the estimate, the line its 95 % interval; to the right is more than the base has."
            .to_owned();
    chart.rows_along = Along::Y;
    let line = |name: &str, color, form, points| Series { name: name.to_owned(), color, form, points };
    let mut zero = line("no change", 5, Form::Broken, Vec::new());
    zero.points = vec![(0.0, Some(-0.5)), (0.0, Some(changes.len() as f64 - 0.5))];
    let (mut intervals, mut dots, mut limits) = (Vec::new(), Vec::new(), Vec::new());
    chart.table = Table::new(["figure", "change", "95 % interval", "allowed"]);
    for (index, one) in changes.iter().enumerate() {
        let up = Axis::line(index, changes.len());
        dots.push((one.estimate, Some(up)));
        if let Some((low, high)) = one.interval {
            intervals.extend([(low, Some(up)), (high, Some(up)), (high, None)]);
        }
        if let Some(allowed) = one.allowed {
            limits.extend([(allowed, Some(up - 0.3)), (allowed, Some(up + 0.3)), (allowed, None)]);
        }
        let none = || "n/a".to_owned();
        let cells = vec![
            one.name.clone(),
            change(one.estimate),
            one.interval.map_or_else(none, |(low, high)| format!("{} to {}", change(low), change(high))),
            one.allowed.map_or_else(none, change),
        ];
        chart.table.rows.push(Row { at: Some(chart.y.scale.place(up)), cells, ..Row::default() });
    }
    chart.series = vec![
        zero,
        line("interval", 0, Form::Line, intervals),
        line("estimate", 0, Form::Dots, dots),
        line("allowed", 2, Form::Line, limits),
    ];
    chart.series.retain(|series| !series.points.is_empty());
    chart.summary = changes
        .iter()
        .map(|one| format!("{}: {}.", one.name, change(one.estimate)))
        .collect::<Vec<_>>()
        .join(" ");
    Some(chart)
}
