//! How the search went: step by step, and the bracket as it narrows.

use maud::{Markup, Render as _, html};

use super::knee::{FAILED, VOID};
use super::search::{quantile_of, step_load, unit};
use crate::capacity::search::Bracket;
use crate::capacity::search_result::{SearchResult, fixed_text};
use crate::capacity::{CapacityResult, Outcome, Role, Step};
use crate::html::axis::Axis;
use crate::html::chart::{Band, BandKind, Chart, Form, Series};
use crate::html::page::Section;
use crate::html::table::{Column, Table};
use crate::units::{counted, flag_duration};

/// The color of what held.
const HELD: usize = 4;
/// More rows are only shown when they are asked for.
const OPEN_ROWS_MAX: usize = 40;

/// A step with its number, and the search that it belongs to.
struct Numbered<'a> {
    number: usize,
    step: &'a Step,
    search: &'a SearchResult,
}

impl Numbered<'_> {
    fn x(&self) -> f64 {
        self.number as f64
    }

    fn load(&self) -> f64 {
        self.step.load(&self.search.fixed)
    }
}

pub(super) fn section(capacity: &CapacityResult) -> Option<Section> {
    let steps: Vec<Numbered<'_>> = (1..)
        .zip(&capacity.steps)
        .filter_map(|(number, step)| {
            let search = capacity.searches.get(step.search as usize)?;
            Some(Numbered { number, step, search })
        })
        .collect();
    let body: Markup = html! { (chart(capacity, &steps)?.render()) };
    Some(Section {
        id: "course",
        title: "How the search went",
        question: "What was measured, in which order, and what came of it?",
        body,
    })
}

/// `None` before the first step.
fn chart(capacity: &CapacityResult, steps: &[Numbered<'_>]) -> Option<Chart> {
    // A probe is far below what matters: where there is more to see, it lies at the lower edge.
    let is_probe = |at: &&Numbered<'_>| at.step.role == Role::Probe;
    let loads = || steps.iter().filter(|at| !is_probe(at)).map(Numbered::load);
    let probed = || steps.iter().map(Numbered::load);
    let least = loads().reduce(f64::min).or(probed().reduce(f64::min))?;
    let greatest = probed().reduce(f64::max)?;
    let mut chart = Chart::new(
        "bracket",
        "The bracket as it narrows",
        Axis::count(steps.last()?.x() + 1.0, "step"),
        Axis::load(least, greatest, unit(steps[0].search)),
    );
    chart.caption = "The lower line is the greatest load that held so far, the upper one the least that failed; between them lies \
                     the capacity."
        .to_owned();
    chart.summary = format!(
        "{}: {} held, {} failed, {} said nothing.",
        counted(steps.len() as u64, "step", "steps"),
        count_of(steps, |outcome| outcome == Outcome::Pass),
        count_of(steps, |outcome| outcome == Outcome::Fail),
        count_of(steps, |outcome| !outcome.is_valid())
    );
    let (held, failing) = narrowing(steps);
    let part = |name: &str, color, form, points| Series { name: name.to_owned(), color, form, points };
    let dots = |is: fn(Outcome) -> bool| -> Points {
        steps.iter().filter(move |at| is(at.step.outcome)).map(|at| (at.x(), Some(at.load()))).collect()
    };
    chart.series = vec![
        part("held", HELD, Form::Steps, held),
        part("failed", FAILED, Form::Steps, failing),
        part("held", HELD, Form::Dots, dots(|outcome| outcome == Outcome::Pass)),
        part("failed", FAILED, Form::Squares, dots(|outcome| outcome == Outcome::Fail)),
        part("invalid or unsettled", VOID, Form::Dots, dots(|outcome| !outcome.is_valid())),
    ];
    chart.series.retain(|series| series.points.iter().any(|(_, value)| value.is_some()));
    if capacity.searches.len() > 1 {
        chart.bands = stretches(steps);
    }
    chart.table = table(capacity, steps, &chart);
    chart.is_table_open = steps.len() <= OPEN_ROWS_MAX;
    Some(chart)
}

fn count_of(steps: &[Numbered<'_>], is: impl Fn(Outcome) -> bool) -> usize {
    steps.iter().filter(|at| is(at.step.outcome)).count()
}

fn of_searches<'a, 's>(steps: &'s [Numbered<'a>]) -> impl Iterator<Item = &'s [Numbered<'a>]> {
    steps.chunk_by(|one, other| one.step.search == other.step.search)
}

type Points = Vec<(f64, Option<f64>)>;

/// The ends of the bracket after each step of its search.
fn narrowing(steps: &[Numbered<'_>]) -> (Points, Points) {
    let (mut held, mut failing) = (Points::new(), Points::new());
    for own in of_searches(steps) {
        for (index, at) in own.iter().enumerate() {
            let so_far = own[..=index].iter().map(|at| at.step);
            let bracket = Bracket::of(&at.search.fixed, so_far);
            held.push((at.x(), bracket.held));
            failing.push((at.x(), bracket.failing));
        }
        // What one search found says nothing of the next.
        if let Some(last) = own.last() {
            for (line, value) in
                [(&mut held, last.search.bracket.held), (&mut failing, last.search.bracket.failing)]
            {
                line.extend([(last.x() + 0.5, value), (last.x() + 0.5, None)]);
            }
        }
    }
    (held, failing)
}

/// One of each search, every other one shaded.
fn stretches(steps: &[Numbered<'_>]) -> Vec<Band> {
    let stretch = |(index, own): (usize, &[Numbered<'_>])| {
        let (first, last) = (own.first()?, own.last()?);
        let kind = if index.is_multiple_of(2) { BandKind::Phase } else { BandKind::Steady };
        let label = fixed_text(&first.search.fixed);
        Some(Band { from: first.x() - 0.5, to: last.x() + 0.5, kind, meaning: label.clone(), label })
    };
    of_searches(steps).enumerate().filter_map(stretch).collect()
}

fn table(capacity: &CapacityResult, steps: &[Numbered<'_>], chart: &Chart) -> Table {
    use Column::{Number, Text, Word};
    let mut table = Table::new([
        "step",
        "for",
        "load",
        "outcome",
        "delivery p50",
        "p99",
        "full fan-out p99",
        "length",
        "why",
    ]);
    table.columns = vec![Number, Word, Number, Word, Number, Number, Number, Number, Text];
    let is_one = capacity.searches.len() == 1;
    if !is_one {
        table.head.insert(1, "search".to_owned());
        table.columns.insert(1, Word);
    }
    for at in steps {
        let (step, readings) = (at.step, &at.step.readings);
        let mut cells = vec![
            at.number.to_string(),
            step.role.name().to_owned(),
            step_load(at.search, step),
            step.outcome.name().to_owned(),
            quantile_of(capacity, readings.delivery_p50_ns),
            quantile_of(capacity, readings.delivery_p99_ns),
            quantile_of(capacity, readings.full_fanout_p99_ns),
            flag_duration(step.steady_ns / 1_000_000_000 * 1_000_000_000),
            step.reasons.join("; "),
        ];
        if !is_one {
            cells.insert(1, fixed_text(&at.search.fixed));
        }
        table.push_at(chart.x.scale.place(at.x()), cells);
    }
    table
}
