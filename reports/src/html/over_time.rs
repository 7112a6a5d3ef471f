//! Latency over time: lines of the percentiles, and a heat map of all deliveries.

use maud::{Markup, html};

use super::axis::{Axis, moment};
use super::chart::{Chart, Form, Series as Drawn};
use super::heat::{Column, Heat};
use super::page::Section;
use super::stall::{Stall, longest};
use super::table::Table;
use super::timeline::{Bin, Spot};
use super::view::{STALLS_MARKED_MAX, View, stall_text};
use crate::Quantile;
use crate::hdr_files::Series;
use crate::units::{count, counted};

/// Stalls that are listed at once.
const STALLS_LISTED_MAX: usize = 5;
/// Share of the axis that the label of what never came needs for itself.
const LOST_LABEL_ROOM: f64 = 0.07;

pub(super) fn section(view: &View<'_>) -> Option<Section> {
    if view.bins().is_empty() {
        return None;
    }
    let body = html! {
        (lines(view))
        (stalls(view))
        (heat_map(view))
    };
    Some(Section {
        id: "over-time",
        title: "Latency over time",
        question: "Was it always like this, or were there moments when everybody waited?",
        body,
    })
}

/// The longest stalls, and the others that are marked, folded up.
fn stalls(view: &View<'_>) -> Markup {
    let listed = longest(&view.stalls, STALLS_LISTED_MAX);
    let marked = longest(&view.stalls, STALLS_MARKED_MAX);
    let shorter: Vec<&Stall> = marked.into_iter().filter(|stall| !listed.contains(stall)).collect();
    let unmarked = view.stalls.len() - listed.len() - shorter.len();
    let list = |stalls: &[&Stall]| {
        html! {
            ul.notes {
                @for stall in stalls { li { "Stall at " (moment(stall.from_ns)) ": " (stall_text(stall)) "." } }
            }
        }
    };
    html! {
        @if !listed.is_empty() { (list(&listed)) }
        @if !shorter.is_empty() {
            details {
                summary { (counted(shorter.len() as u64, "shorter stall", "shorter stalls")) }
                div.scroll tabindex="0" role="group" aria-label="shorter stalls" { (list(&shorter)) }
                @if unmarked > 0 { p.remark { (count(unmarked as u64)) " more, shorter still, are not marked." } }
            }
        }
    }
}

/// The finite values of a series' figure.
pub(super) fn finite(points: &[(f64, Option<f64>)]) -> impl Iterator<Item = f64> {
    points.iter().filter_map(|(_, value)| *value)
}

fn lines(view: &View<'_>) -> Chart {
    let of = |of: fn(&Spot) -> Quantile| view.points(Series::Delivery, of);
    let (p50, p99, max) = (of(|spot| spot.p50), of(|spot| spot.p99), of(|spot| spot.finite_max));
    let least = finite(&p50).fold(f64::INFINITY, f64::min);
    let greatest = finite(&max).fold(0.0, f64::max);
    let axis = Axis::latency(if least.is_finite() { least as u64 } else { 1 }, greatest as u64);
    let top = axis.ticks.last().map_or(greatest, |(tick, _)| tick.max(greatest));
    let lost: Vec<(f64, Option<f64>)> = view
        .bins()
        .iter()
        .filter(|bin| bin.untimely > 0)
        .map(|bin| (view.middle_ns(bin), Some(top)))
        .collect();
    let every = view.every();
    let mut chart = Chart::new("latency", &format!("Delivery latency, per {every}"), view.time.clone(), axis);
    chart.linked = Some("time");
    chart.row_width = view.row_width();
    chart.bands = view.marks();
    chart.caption = "Each delivery counts from its post's intended time. Red: nobody got anything. Grey lines: the generator itself was paused."
        .to_owned();
    chart.summary = summary(view);
    let line = |name: &str, color, points| Drawn { name: name.to_owned(), color, form: Form::Line, points };
    let max_name = if lost.is_empty() { "max" } else { "max of what arrived in time" };
    chart.series = vec![line(max_name, 2, max), line("p99", 1, p99), line("p50", 0, p50)];
    if !lost.is_empty() {
        chart.series.push(Drawn { form: Form::Dots, ..line("late or missing", 3, lost) });
    }
    chart.table = Table::new(["time", "deliveries", "p50", "p99", "max", "late or missing"]);
    for bin in view.bins() {
        let Some(spot) = bin.spot(Series::Delivery) else { continue };
        let figures = [spot.p50, spot.p99, spot.max].map(|quantile| view.quantile(quantile));
        let [p50, p99, max] = figures;
        let cells = vec![moment(bin.start_ns), count(spot.count), p50, p99, max, count(bin.untimely)];
        chart.table.push_at(view.time.scale.place(view.middle_ns(bin)), cells);
    }
    chart
}

fn summary(view: &View<'_>) -> String {
    let worst = view.bins().iter().filter_map(|bin| Some((bin, bin.spot(Series::Delivery)?.max))).max_by_key(
        |(_, max)| match max {
            Quantile::Ns(ns) => *ns,
            Quantile::BeyondDeadline => u64::MAX,
            Quantile::NotAvailable => 0,
        },
    );
    let stalls = counted(view.stalls.len() as u64, "stall", "stalls");
    worst.map_or(String::new(), |(bin, max)| {
        format!("The greatest latency was {}, at {}; {stalls}.", view.quantile(max), moment(bin.start_ns))
    })
}

fn heat_map(view: &View<'_>) -> Chart {
    let bands = view.bands;
    let is_lossy = view.bins().iter().any(|bin| bin.untimely > 0);
    // What never came has a band of its own, above the greatest latency.
    let rows = bands.count + usize::from(is_lossy);
    let top_ns = bands.low_ns * (bands.high_ns / bands.low_ns).powf(rows as f64 / bands.count as f64);
    let mut axis = Axis::log_latency(bands.low_ns, top_ns);
    if is_lossy {
        let room_ns = top_ns / (bands.high_ns / bands.low_ns).powf(LOST_LABEL_ROOM);
        axis.ticks.retain(|(tick, _)| *tick <= room_ns);
        axis.ticks.push((top_ns, view.beyond()));
    }
    let width_ns = view.timeline.as_ref().map_or(0, |timeline| timeline.width_ns);
    let place = |ns: u64| view.time.scale.place(ns as f64);
    let column = |bin: &Bin| {
        let lost = is_lossy.then_some(bin.untimely);
        let counts = bin.heat.iter().copied().chain(lost).collect();
        Column { from: place(bin.start_ns), to: place(bin.start_ns + width_ns), counts }
    };
    let columns = view.bins().iter().filter(|bin| bin.spot(Series::Delivery).is_some()).map(column).collect();
    let mut chart = Chart::new("heat", "All deliveries over time", view.time.clone(), axis);
    chart.linked = Some("time");
    chart.row_width = view.row_width();
    chart.bands = view.marks();
    chart.caption = "The stronger the shade, the more deliveries took that long at that time; shades are logarithmic, so that \
                     a few stragglers are seen beside the many."
        .to_owned();
    chart.summary = format!(
        "{} deliveries between {} and {}.",
        count(view.result.latency_ns.delivery.count),
        view.quantile(view.result.latency_ns.delivery.min),
        view.quantile(view.result.latency_ns.delivery.max)
    );
    chart.heat = Some(Heat { rows, columns });
    chart.table = Table::new(["time", "deliveries", "least", "p50", "p90", "p99", "max"]);
    for bin in view.bins() {
        let Some(spot) = bin.spot(Series::Delivery) else { continue };
        let figures =
            [spot.min, spot.p50, spot.p90, spot.p99, spot.max].map(|quantile| view.quantile(quantile));
        let cells = [moment(bin.start_ns), count(spot.count)].into_iter().chain(figures).collect();
        chart.table.push_at(view.time.scale.place(view.middle_ns(bin)), cells);
    }
    chart
}
