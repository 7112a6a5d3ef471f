//! Percentile curves on the axis of the HDR world: delivery, first delivery, full fan-out, and the floor of the host.

use hdrhistogram::Histogram;

use super::axis::{Axis, percentile};
use super::chart::{Chart, Form, Series as Drawn};
use super::page::Section;
use super::table::Table;
use super::view::View;
use crate::quantile::{decode, is_supported, value_at};
use crate::{LatencySummary, Quantile};
use maud::Render as _;

/// Points of a curve per nine.
const POINTS_PER_NINE: u32 = 24;
/// Nines that the axis has at least and at most.
const NINES: (f64, f64) = (2.0, 6.0);
/// Rows of the table up to two nines.
const QUANTILES: [f64; 7] = [0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99];

/// A distribution, ready to be asked.
pub(super) struct Curve {
    pub(super) name: String,
    pub(super) color: usize,
    histogram: Histogram<u64>,
    beyond: u64,
    effective: f64,
    /// What stands for an infinite latency.
    infinite: String,
}

impl Curve {
    /// `None` of a summary without values, or one that cannot be read.
    pub(super) fn new(name: &str, color: usize, summary: &LatencySummary, infinite: &str) -> Option<Self> {
        let histogram = decode(&summary.hdr).ok().filter(|_| summary.count > 0)?;
        // A file may say anything; more than this is no number of deliveries.
        let (beyond, effective) = (summary.beyond_deadline.min(u64::MAX / 2), summary.effective_samples);
        let (name, infinite) = (name.to_owned(), infinite.to_owned());
        Some(Self { name, color, histogram, beyond, effective, infinite })
    }

    fn at(&self, quantile: f64) -> Quantile {
        value_at(&self.histogram, self.beyond, quantile)
    }

    /// What may be said: nothing beyond what the samples support.
    fn text(&self, quantile: f64) -> String {
        let is_known = quantile <= 0.0 || quantile >= 1.0 || is_supported(self.effective, quantile);
        let known = if is_known { self.at(quantile) } else { Quantile::NotAvailable };
        super::view::quantile_text(known, &self.infinite)
    }
}

pub(super) fn section(view: &View<'_>) -> Option<Section> {
    let latencies = &view.result.latency_ns;
    let curves = [
        ("delivery", 0, Some(&latencies.delivery)),
        ("first delivery", 4, Some(&latencies.first_delivery)),
        ("full fan-out", 1, Some(&latencies.full_fanout)),
        (
            "floor of this host",
            5,
            view.result.evidence.floor.as_ref().and_then(|floor| floor.delivery.as_ref()),
        ),
    ];
    let curves: Vec<Curve> = curves
        .into_iter()
        .filter_map(|(name, color, summary)| Curve::new(name, color, summary?, &view.beyond()))
        .collect();
    let body = chart(&curves)?.render();
    Some(Section {
        id: "percentiles",
        title: "Percentiles",
        question: "How long did the unlucky ones wait, and how much of that is the host itself?",
        body,
    })
}

/// The curves over each other; `None` without any.
pub(super) fn chart(curves: &[Curve]) -> Option<Chart> {
    let effective = curves.iter().map(|curve| curve.effective).reduce(f64::max)?;
    let nines = (effective.max(1.0).log10().ceil() + 1.0).clamp(NINES.0, NINES.1);
    let greatest = curves.iter().map(|curve| curve.histogram.max()).max()?;
    let least =
        curves.iter().filter(|curve| !curve.histogram.is_empty()).map(|curve| curve.histogram.min()).min()?;
    let mut chart = Chart::new(
        "percentile-curves",
        "Latency by percentile",
        Axis::percentile(nines),
        Axis::latency(least, greatest),
    );
    chart.caption = "Every further nine takes the same room. A curve is broken where fewer than ten posts lie beyond: what it shows \
                     there is what happened, not what to expect."
        .to_owned();
    for curve in curves {
        let (known, rest) = parts(curve, nines);
        let part = |form, points| Drawn { name: curve.name.clone(), color: curve.color, form, points };
        chart.series.extend([part(Form::Line, known), part(Form::Broken, rest)]);
    }
    chart.summary = curves
        .iter()
        .map(|curve| format!("{}: median {}, greatest {}.", curve.name, curve.text(0.5), curve.text(1.0)))
        .collect::<Vec<_>>()
        .join(" ");
    chart.table = Table::default();
    chart.table.head =
        std::iter::once("percentile".to_owned()).chain(curves.iter().map(|c| c.name.clone())).collect();
    let further = (3..=nines as i32).map(|nines| 1.0 - 10_f64.powi(-nines));
    for quantile in QUANTILES.into_iter().chain(further).chain([1.0]) {
        let name = match quantile {
            0.0 => "least".to_owned(),
            1.0 => "greatest".to_owned(),
            quantile => percentile(quantile),
        };
        let cells = std::iter::once(name).chain(curves.iter().map(|curve| curve.text(quantile))).collect();
        chart.table.push_at(chart.x.scale.place(quantile), cells);
    }
    Some(chart)
}

type Points = Vec<(f64, Option<f64>)>;

/// What the samples support, and the rest, which begins where that ends.
fn parts(curve: &Curve, nines: f64) -> (Points, Points) {
    let steps = nines as u32 * POINTS_PER_NINE;
    let quantiles = (0..=steps).map(|step| 1.0 - 10_f64.powf(-f64::from(step) / f64::from(POINTS_PER_NINE)));
    // Beyond the last sample nothing is known.
    let last = 1.0 - 1.0 / curve.histogram.len().saturating_add(curve.beyond).max(1) as f64;
    let point = |quantile: f64| match curve.at(quantile) {
        Quantile::Ns(ns) => (quantile, Some(ns as f64)),
        _ => (quantile, None),
    };
    let (known, mut rest): (Points, Points) = quantiles
        .filter(|quantile| *quantile <= last.max(0.5))
        .map(point)
        .partition(|(quantile, _)| is_supported(curve.effective, *quantile));
    if let Some(seam) = known.last() {
        rest.insert(0, *seam);
    }
    (known, rest)
}
