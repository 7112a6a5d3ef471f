//! A search as its charts see it: its steps by load, and what it shares with the other searches.

use maud::{Markup, html};

use super::{knee, used};
use crate::Quantile;
use crate::capacity::search_result::{SearchResult, fixed_text, load_text};
use crate::capacity::{CapacityResult, Step};
use crate::html::axis::Axis;
use crate::html::chart::{Band, BandKind, Chart};
use crate::html::page::Section;
use crate::html::view::quantile_text;
use crate::stats::median::median;
use crate::units::short_duration;

/// A search, ready to be drawn.
pub(super) struct View<'a> {
    pub(super) capacity: &'a CapacityResult,
    pub(super) search: &'a SearchResult,
    index: usize,
    /// Upwards by load, each with its number.
    pub(super) steps: Vec<(usize, &'a Step)>,
    pub(super) axis: Axis,
}

impl<'a> View<'a> {
    /// `None` of a search that has not begun.
    fn new(capacity: &'a CapacityResult, index: usize) -> Option<Self> {
        let search = &capacity.searches[index];
        let own = (1..).zip(&capacity.steps).filter(|(_, step)| step.search as usize == index);
        let mut steps: Vec<(usize, &Step)> = own.collect();
        let load = |step: &Step| step.load(&search.fixed);
        steps.sort_by(|(_, one), (_, other)| load(one).total_cmp(&load(other)));
        // From 0 on, although a ramp goes by a factor: what grows in proportion is a straight line, and a knee is none.
        let axis = Axis::count(load(steps.last()?.1), unit(search));
        Some(Self { capacity, search, index, axis, steps })
    }

    /// Where a step lies on the axis.
    pub(super) fn load(&self, step: &Step) -> f64 {
        step.load(&self.search.fixed)
    }

    /// An empty chart over the load, with what encloses the capacity.
    pub(super) fn chart(&self, name: &str, title: &str, y: Axis) -> Chart {
        let mut chart = Chart::new(&format!("{name}-{}", self.index + 1), title, self.axis.clone(), y);
        // Charts of several searches have different axes.
        chart.linked = (self.capacity.searches.len() == 1).then_some("load");
        chart.bands = self.bands();
        chart
    }

    /// A latency in words.
    pub(super) fn quantile(&self, quantile: Quantile) -> String {
        quantile_of(self.capacity, quantile)
    }

    fn bands(&self) -> Vec<Band> {
        let (held, failing) = (self.search.bracket.held, self.search.bracket.failing);
        let band = |from, to, kind, meaning: &str| Band {
            from,
            to,
            kind,
            label: super::answer::bracket_text(self.search),
            meaning: meaning.to_owned(),
        };
        let beyond = failing.map(|failing| {
            band(failing, f64::INFINITY, BandKind::Failing, "from the least load that failed on")
        });
        let bracket = held.zip(failing).map(|(held, failing)| {
            band(
                held,
                failing,
                BandKind::Bracket,
                "from the greatest load that held to the least that failed",
            )
        });
        beyond.into_iter().chain(bracket).collect()
    }
}

/// A latency in words; of one beyond the deadline, that.
pub(super) fn quantile_of(capacity: &CapacityResult, quantile: Quantile) -> String {
    quantile_text(quantile, &format!("> {}", short_duration(capacity.plan.scenario.deadline_ns)))
}

/// A line through the medians of what lies at one place; the points go upwards.
pub(super) fn medians(points: &[(f64, Option<f64>)]) -> Vec<(f64, Option<f64>)> {
    let at_place = |points: &[(f64, Option<f64>)]| {
        let mut values: Vec<f64> = points.iter().filter_map(|(_, value)| *value).collect();
        (points[0].0, median(&mut values).filter(|value| value.is_finite()))
    };
    points.chunk_by(|one, other| one.0 == other.0).map(at_place).collect()
}

/// What is searched for.
pub(super) fn unit(search: &SearchResult) -> &'static str {
    if search.fixed.varies_subscribers() { "subscribers" } else { "posts/s" }
}

/// A step's load in words.
pub(super) fn step_load(search: &SearchResult, step: &Step) -> String {
    load_text(&search.fixed, step.load(&search.fixed))
}

pub(super) fn section(capacity: &CapacityResult) -> Option<Section> {
    let views: Vec<View<'_>> =
        (0..capacity.searches.len()).filter_map(|index| View::new(capacity, index)).collect();
    let body = match views.as_slice() {
        [] => return None,
        [one] => charts(one),
        several => html! {
            @for (index, view) in several.iter().enumerate() {
                details.part open[index == 0] {
                    summary { b { (fixed_text(&view.search.fixed)) } " " (super::answer::bracket_text(view.search)) }
                    p { (super::answer::without_name(&view.search.sentence)) }
                    (charts(view))
                }
            }
        },
    };
    let question = "How does latency grow with the load, and what is used up where it fails?";
    Some(Section { id: "searches", title: "Latency and resources against load", question, body })
}

fn charts(view: &View<'_>) -> Markup {
    html! {
        @if let Some(chart) = knee::chart(view) { (chart) }
        @for chart in used::charts(view) { (chart) }
    }
}
