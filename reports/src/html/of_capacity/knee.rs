//! Latency against load: where it turns up, what was allowed, and what encloses the capacity.

use super::search::{View, medians, step_load};
use crate::Quantile;
use crate::capacity::step::Readings;
use crate::capacity::{Outcome, Step};
use crate::html::axis::Axis;
use crate::html::chart::{Chart, Form, Level, Series};
use crate::html::table::{Column, Table};
use crate::metric::{Metric, Rank, Series as Latency};
use crate::units::duration;

/// A figure that is drawn.
struct Figure {
    name: &'static str,
    color: usize,
    metric: Metric,
    of: fn(&Readings) -> Quantile,
}

static FIGURES: [Figure; 4] = [
    Figure {
        name: "delivery p50",
        color: 0,
        metric: Metric::Latency(Latency::Delivery, Rank::Quantile(0.5)),
        of: |readings| readings.delivery_p50_ns,
    },
    Figure {
        name: "delivery p99",
        color: 3,
        metric: Metric::Latency(Latency::Delivery, Rank::Quantile(0.99)),
        of: |readings| readings.delivery_p99_ns,
    },
    Figure {
        name: "full fan-out p50",
        color: 4,
        metric: Metric::Latency(Latency::FullFanout, Rank::Quantile(0.5)),
        of: |readings| readings.full_fanout_p50_ns,
    },
    Figure {
        name: "full fan-out p99",
        color: 1,
        metric: Metric::Latency(Latency::FullFanout, Rank::Quantile(0.99)),
        of: |readings| readings.full_fanout_p99_ns,
    },
];
/// The axis reaches so much higher than what was measured, so that marks on top are seen.
const ROOM: f64 = 1.2;
/// Marks of what is beyond the deadline lie so much higher than what was measured.
const ON_TOP: f64 = 1.12;
/// The color of what failed.
pub(super) const FAILED: usize = 2;
/// The color of what says nothing.
pub(super) const VOID: usize = 5;

/// `None` where no step has a latency.
pub(super) fn chart(view: &View<'_>) -> Option<Chart> {
    let levels = levels(view);
    let values = || {
        let of_steps = view
            .steps
            .iter()
            .flat_map(|(_, step)| FIGURES.iter().filter_map(move |figure| known(figure, step)));
        of_steps.filter(|ns| ns.is_finite()).chain(levels.iter().map(|level| level.y))
    };
    let (least, greatest) = (values().reduce(f64::min)?, values().reduce(f64::max)?);
    let axis = Axis::latency(least as u64, (greatest * ROOM) as u64);
    let mut chart = view.chart("knee", "Latency against load", axis);
    chart.caption = "A dot is a step, a line the median of the steps at a load. Squares are steps that failed: at their greatest \
                     figure, or on top where that is beyond the deadline; grey dots say nothing of the target. In the red \
                     stretch the load failed, the yellow one encloses the capacity; a line across is what is allowed."
        .to_owned();
    for figure in &FIGURES {
        let part = |form, points| Series { name: figure.name.to_owned(), color: figure.color, form, points };
        chart
            .series
            .extend([part(Form::Line, through(view, figure)), part(Form::Dots, dots(view, figure, true))]);
    }
    let part = |name: &str, color, form, points| Series { name: name.to_owned(), color, form, points };
    let void = FIGURES.iter().flat_map(|figure| dots(view, figure, false)).collect();
    chart.series.push(part("invalid or unsettled", VOID, Form::Dots, void));
    chart.series.push(part("failed", FAILED, Form::Squares, failed(view, greatest * ON_TOP)));
    chart.series.retain(|series| series.points.iter().any(|(_, value)| value.is_some()));
    chart.summary = summary(view, least, greatest);
    chart.levels = levels;
    chart.table = table(view, &chart);
    Some(chart)
}

/// In ns; infinite beyond the deadline.
fn known(figure: &Figure, step: &Step) -> Option<f64> {
    match (figure.of)(&step.readings) {
        Quantile::Ns(ns) => Some(ns as f64),
        Quantile::BeyondDeadline => Some(f64::INFINITY),
        Quantile::NotAvailable => None,
    }
}

/// Of the steps that say something of the target, load by load.
fn through(view: &View<'_>, figure: &Figure) -> Vec<(f64, Option<f64>)> {
    let valid = view.steps.iter().map(|(_, step)| *step).filter(|step| step.outcome.is_valid());
    medians(&valid.map(|step| (view.load(step), known(figure, step))).collect::<Vec<_>>())
}

fn dots(view: &View<'_>, figure: &Figure, valid: bool) -> Vec<(f64, Option<f64>)> {
    let steps = view.steps.iter().filter(|(_, step)| step.outcome.is_valid() == valid);
    let dot = |step: &Step| (view.load(step), known(figure, step).filter(|value| value.is_finite()));
    steps.map(|(_, step)| dot(step)).collect()
}

/// At their greatest figure; what is beyond the deadline, or was not measured at all, on top.
fn failed(view: &View<'_>, top: f64) -> Vec<(f64, Option<f64>)> {
    let steps = view.steps.iter().filter(|(_, step)| step.outcome == Outcome::Fail);
    let greatest = |step: &Step| FIGURES.iter().filter_map(|figure| known(figure, step)).reduce(f64::max);
    steps.map(|(_, step)| (view.load(step), Some(greatest(step).unwrap_or(top).min(top)))).collect()
}

/// What is allowed, in the color of the figure that it concerns.
fn levels(view: &View<'_>) -> Vec<Level> {
    let thresholds = view.capacity.plan.scenario.thresholds.iter().filter(|threshold| threshold.decides());
    let level = |threshold: &crate::threshold::Threshold| {
        let Metric::Latency(Latency::Delivery | Latency::FullFanout, _) = threshold.metric else {
            return None;
        };
        let figure = FIGURES.iter().find(|figure| figure.metric == threshold.metric);
        let color = figure.map_or(VOID, |figure| figure.color);
        Some(Level { y: threshold.limit.ns() as f64, color, text: threshold.to_string() })
    };
    thresholds.filter_map(level).collect()
}

fn summary(view: &View<'_>, least: f64, greatest: f64) -> String {
    format!(
        "Latencies of {} steps between {} and {}. {}.",
        view.steps.len(),
        duration(least as u64),
        duration(greatest as u64),
        view.search.sentence
    )
}

fn table(view: &View<'_>, chart: &Chart) -> Table {
    let mut table = Table::new(["load", "step", "for", "outcome"]);
    table.columns = vec![Column::Number, Column::Number, Column::Word, Column::Word];
    table.head.extend(FIGURES.iter().map(|figure| figure.name.to_owned()));
    for (number, step) in &view.steps {
        let lead = [
            step_load(view.search, step),
            number.to_string(),
            step.role.name().to_owned(),
            step.outcome.name().to_owned(),
        ];
        let figures = FIGURES.iter().map(|figure| view.quantile((figure.of)(&step.readings)));
        table.push_at(chart.x.scale.place(view.load(step)), lead.into_iter().chain(figures).collect());
    }
    table
}
