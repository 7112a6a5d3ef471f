//! What was fitted to the capacities: the frontier over subscribers, and how the rate grows with cores. Each with its points,
//! its band, and how far it may be read.

use maud::{Markup, Render as _, html};

use crate::capacity::CapacityResult;
use crate::capacity::frontier::{EXTRAPOLATION_MAX, Estimate};
use crate::capacity::headroom::{Fits, Headroom};
use crate::capacity::search_result::SearchResult;
use crate::html::axis::Axis;
use crate::html::chart::{Band, BandKind, Chart, Flag, Form, Series};
use crate::html::page::Section;
use crate::html::table::Table;
use crate::terminal::capacity::{frontier_lines, scalability_lines};
use crate::units::number;

/// A capacity, and the bracket that it is the middle of.
struct Point {
    x: f64,
    held: f64,
    middle: f64,
    failing: f64,
}

/// Around what is drawn.
const ROOM: f64 = 1.1;

/// What was fitted, and to what.
struct Fit<'a> {
    id: &'static str,
    title: &'static str,
    /// What is counted to the right.
    unit: &'static str,
    points: Vec<Point>,
    /// Empty where the fit was refused.
    band: Vec<(f64, Estimate)>,
    planned: &'a [Headroom],
    /// Drawn for comparison.
    ideal: Option<Ideal>,
}

/// Rates in proportion.
struct Ideal {
    name: &'static str,
    per_unit: f64,
}

/// The greatest rate over the number of subscribers.
pub(super) fn frontier(capacity: &CapacityResult) -> Option<Section> {
    let refused = capacity.frontier_refused.as_ref();
    if capacity.frontier.is_none() && refused.is_none() {
        return None;
    }
    let band = capacity.frontier.iter().flat_map(|frontier| &frontier.band);
    let fit = Fit {
        id: "frontier-fit",
        title: "Greatest rate by number of subscribers",
        unit: "subscribers",
        points: points(capacity, |search| search.fixed.subscribers),
        band: band.map(|at| (f64::from(at.subscribers), at.rate_per_s)).collect(),
        planned: &capacity.headroom,
        ideal: None,
    };
    let says: Vec<String> =
        capacity.frontier.iter().flat_map(frontier_lines).chain(refused.cloned()).collect();
    let question = "How many posts per second for how many subscribers?";
    Some(Section { id: "frontier", title: "Frontier", question, body: body(&says, fit.chart()) })
}

/// The greatest rate over the number of cores.
pub(super) fn cores(capacity: &CapacityResult) -> Option<Section> {
    let refused = capacity.scalability_refused.as_ref();
    if capacity.scalability.is_none() && refused.is_none() {
        return None;
    }
    let law = capacity.scalability.as_ref();
    let fit = Fit {
        id: "cores-fit",
        title: "Greatest rate by number of cores",
        unit: "cores",
        points: points(capacity, |search| search.fixed.cores),
        band: law.iter().flat_map(|law| &law.band).map(|at| (at.cores, at.rate_per_s)).collect(),
        planned: &[],
        ideal: law
            .map(|law| Ideal { name: "in proportion to the cores", per_unit: law.one_core_per_s.value }),
    };
    let says: Vec<String> = law.into_iter().flat_map(scalability_lines).chain(refused.cloned()).collect();
    let question = "Does it get faster with more cores, and up to how many?";
    Some(Section { id: "cores", title: "Scalability", question, body: body(&says, fit.chart()) })
}

fn points(capacity: &CapacityResult, x: fn(&SearchResult) -> Option<u32>) -> Vec<Point> {
    let point = |search: &SearchResult| {
        Some(Point {
            x: f64::from(x(search)?),
            held: search.verified?,
            middle: search.middle()?,
            failing: search.bracket.failing?,
        })
    };
    capacity.searches.iter().filter_map(point).collect()
}

fn body(says: &[String], chart: Option<Chart>) -> Markup {
    html! {
        ul.notes { @for sentence in says { li { (sentence) } } }
        @if let Some(chart) = chart { (chart.render()) }
    }
}

impl Fit<'_> {
    /// `None` before there are two capacities to compare.
    fn chart(&self) -> Option<Chart> {
        if self.points.len() < 2 {
            return None;
        }
        let planned = || self.planned.iter().map(|headroom| headroom.planned);
        let xs = || {
            let measured = self.points.iter().map(|point| point.x).chain(self.band.iter().map(|(x, _)| *x));
            measured.chain(planned().map(|load| f64::from(load.subscribers)))
        };
        // A band may be open to infinity at its end, which must not press the rest together.
        let ys = || {
            let measured = self.points.iter().flat_map(|point| [point.held, point.failing]);
            let fitted = self.band.iter().map(|(_, rate)| rate.value);
            measured.chain(fitted).chain(planned().map(|load| load.rate_per_s))
        };
        let largest = self.points.iter().map(|point| point.x).reduce(f64::max)?;
        let mut chart = Chart::new(
            self.id,
            self.title,
            Axis::load(xs().reduce(f64::min)? / ROOM, xs().reduce(f64::max)? * ROOM, self.unit),
            Axis::load(ys().reduce(f64::min)? / ROOM, ys().reduce(f64::max)? * ROOM, "posts/s"),
        );
        chart.caption = self.caption();
        chart.summary = self.summary();
        if !self.band.is_empty() {
            chart.bands.push(Band {
                from: largest,
                to: self.band.iter().map(|(x, _)| *x).fold(largest, f64::max),
                kind: BandKind::Phase,
                label: "not measured".to_owned(),
                meaning: String::new(),
            });
        }
        chart.series = self.series(ys().reduce(f64::max)?);
        chart.flags = self.flags();
        chart.table = self.table(&chart);
        Some(chart)
    }

    fn caption(&self) -> String {
        let mut caption = "A bar goes from the greatest rate that held every time to the least that failed, its dot is the \
                           middle; most are narrower than the dot."
            .to_owned();
        if !self.band.is_empty() {
            caption.push_str(&format!(
                " The line is the fit, the shade its 95 % band; it ends at {} times the largest that was measured, beyond which \
                 nothing is said.",
                number(EXTRAPOLATION_MAX)
            ));
        }
        if !self.planned.is_empty() {
            caption.push_str(" Numbers are planned loads: green fits, red does not, orange cannot be told.");
        }
        caption
    }

    fn summary(&self) -> String {
        let point =
            |point: &Point| format!("{} {}: {} posts/s.", number(point.x), self.unit, rate(point.middle));
        self.points.iter().map(point).collect::<Vec<_>>().join(" ")
    }

    fn series(&self, greatest: f64) -> Vec<Series> {
        let part = |name: &str, color, form, points| Series { name: name.to_owned(), color, form, points };
        let fitted = |of: fn(&Estimate) -> f64| self.band.iter().map(move |(x, rate)| (*x, Some(of(rate))));
        let upper = fitted(|rate| rate.high);
        let lower = fitted(|rate| rate.low).rev();
        let bars = self
            .points
            .iter()
            .flat_map(|point| [(point.x, Some(point.held)), (point.x, Some(point.failing)), (point.x, None)]);
        let dots = self.points.iter().map(|point| (point.x, Some(point.middle))).collect();
        let ideal = self
            .ideal
            .iter()
            .flat_map(|ideal| self.band.iter().map(move |(x, _)| (*x, Some(*x * ideal.per_unit))))
            .filter(|(_, rate)| rate.is_some_and(|rate| rate <= greatest));
        let mut series = vec![
            part("fit, 95 % band", 0, Form::Area, upper.chain(lower).collect()),
            part("fit, 95 % band", 0, Form::Line, fitted(|rate| rate.value).collect()),
            part(self.ideal.as_ref().map_or("", |ideal| ideal.name), 5, Form::Broken, ideal.collect()),
            part("measured", 3, Form::Line, bars.collect()),
            part("measured", 3, Form::Dots, dots),
        ];
        series.extend(self.planned_loads());
        series.retain(|series| !series.points.is_empty());
        series
    }

    /// By what became of them: told apart by form, too.
    fn planned_loads(&self) -> [Series; 3] {
        [
            (Fits::Fits, "planned: fits", 7, Form::Dots),
            (Fits::DoesNotFit, "planned: does not fit", 2, Form::Squares),
            (Fits::Unresolved, "planned: cannot be told", 1, Form::Dots),
        ]
        .map(|(answer, name, color, form)| {
            let of = self.planned.iter().filter(|headroom| headroom.answer == answer);
            let place = |headroom: &Headroom| {
                (f64::from(headroom.planned.subscribers), Some(headroom.planned.rate_per_s))
            };
            Series { name: name.to_owned(), color, form, points: of.map(place).collect() }
        })
    }

    fn flags(&self) -> Vec<Flag> {
        let flag = |(number, headroom): (usize, &Headroom)| Flag {
            x: f64::from(headroom.planned.subscribers),
            y: headroom.planned.rate_per_s,
            text: number.to_string(),
            meaning: headroom.sentence.clone(),
            to: super::planned::id(number),
        };
        (1..).zip(self.planned).map(flag).collect()
    }

    fn table(&self, chart: &Chart) -> Table {
        let mut table = Table::new([self.unit, "held every time", "failed", "fit, posts/s", "95 % band"]);
        let none = || "n/a".to_owned();
        let mut push = |x: f64, fitted: Option<&Estimate>| {
            let point = self.points.iter().find(|point| point.x == x);
            let cells = vec![
                number((x * 10.0).round() / 10.0),
                point.map_or_else(none, |point| number(point.held)),
                point.map_or_else(none, |point| number(point.failing)),
                fitted.map_or_else(none, |fitted| rate(fitted.value)),
                fitted.map_or_else(none, |fitted| format!("{} to {}", rate(fitted.low), rate(fitted.high))),
            ];
            table.push_at(chart.x.scale.place(x), cells);
        };
        if self.band.is_empty() {
            self.points.iter().for_each(|point| push(point.x, None));
        }
        self.band.iter().for_each(|(x, fitted)| push(*x, Some(fitted)));
        table
    }
}

/// Posts per second as far as they can be told.
fn rate(per_s: f64) -> String {
    number((per_s * 10.0).round() / 10.0)
}
