//! The page of a comparison.

use maud::{Markup, Render as _, html};

use super::axis::{Axis, percentile};
use super::changes::{self, Change};
use super::chart::{Chart, Form, Series};
use super::definitions;
use super::page::{Section, page};
use super::table::Table;
use super::view::quantile_text;
use crate::Quantile;
use crate::comparison::{Comparison, HEAD, MetricChange, QuantileShift, Word};
use crate::units::signed_duration;

/// The page of two sets of runs side by side.
pub fn comparison(comparison: &Comparison) -> String {
    let mut sections = vec![Section {
        id: "figures",
        title: "Figures",
        question: "What has changed, and can that be told from chance?",
        body: figures(comparison),
    }];
    if let Some(body) = shift(&comparison.delivery_shift) {
        let question = "Where in the distribution has it changed? All deliveries of a side together: for diagnosis, not for a verdict.";
        sections.push(Section { id: "shift", title: "Quantile shift", question, body });
    }
    sections.push(Section {
        id: "runs",
        title: "Runs",
        question: "What was compared?",
        body: runs(comparison),
    });
    sections.push(definitions::section());
    let title = format!("{} · feedmark compare", comparison.word.name());
    page(&title, &head(comparison), &sections)
}

fn head(comparison: &Comparison) -> Markup {
    let class = match comparison.word {
        Word::Worse => "fail",
        Word::Better | Word::Same => "pass",
        Word::Unresolved => "unsure",
    };
    let findings = comparison.findings();
    let first = findings.first().map_or("", String::as_str);
    // The first finding names figures, and leaves it to the word what became of them.
    let lead = match comparison.word {
        Word::Worse | Word::Better => format!("{}: {first}", comparison.word.name()),
        Word::Same | Word::Unresolved => first.to_owned(),
    };
    html! {
        div.verdict.(class) {
            h1 { span.word { (comparison.word.name().to_uppercase()) } }
            p.lead { (lead) }
            @if findings.len() > 1 { ul { @for finding in &findings[1..] { li { (finding) } } } }
            @for (label, list) in [("base", &comparison.base), ("candidate", &comparison.candidate)] {
                p.facts { b { (label) } ": " (list.title()) " · " (list.description().join(", ")) }
            }
        }
    }
}

fn figures(comparison: &Comparison) -> Markup {
    let changes: Vec<Change> = comparison.metrics.iter().filter_map(of_metric).collect();
    html! {
        div.scroll tabindex="0" role="group" aria-label="figures" {
            table {
                thead { tr { @for head in HEAD { th scope="col" { (head) } } } }
                tbody {
                    @for row in comparison.rows() {
                        tr { @for (column, cell) in row.iter().enumerate() { @if column == 0 { th scope="row" { (definitions::term(cell)) } } @else { td { (cell) } } } }
                    }
                }
            }
        }
        @for reason in comparison.reasons() { p.remark { (reason) } }
        @if let Some(chart) = changes::chart(&changes) { (chart) }
    }
}

fn of_metric(metric: &MetricChange) -> Option<Change> {
    Some(Change {
        name: metric.metric.clone(),
        estimate: metric.change.filter(|change| change.is_finite())?,
        interval: metric.interval.map(|interval| (interval.low, interval.high)),
        allowed: None,
    })
}

fn shift(shifts: &[QuantileShift]) -> Option<Markup> {
    let known: Vec<(f64, u64, u64)> = shifts
        .iter()
        .filter_map(|shift| match (shift.base, shift.candidate) {
            (Quantile::Ns(base), Quantile::Ns(candidate)) => Some((shift.quantile, base, candidate)),
            _ => None,
        })
        .collect();
    let all = || known.iter().flat_map(|(_, base, candidate)| [*base, *candidate]);
    let (least, greatest) = (all().min()?, all().max()?);
    let nines = known.iter().map(|(quantile, ..)| -(1.0 - quantile).log10()).fold(2.0, f64::max);
    let mut chart = Chart::new(
        "quantiles",
        "Delivery latency of both sides",
        Axis::percentile(nines.ceil()),
        Axis::latency(least, greatest),
    );
    let line = |name: &str, color, of: fn(&(f64, u64, u64)) -> u64| Series {
        name: name.to_owned(),
        color,
        form: Form::Line,
        points: known.iter().map(|known| (known.0, Some(of(known) as f64))).collect(),
    };
    chart.series = vec![line("base", 5, |known| known.1), line("candidate", 0, |known| known.2)];
    chart.summary = "Delivery latency of base and candidate by percentile.".to_owned();
    chart.table = Table::new(["percentile", "base", "candidate", "shift"]);
    for shift in shifts {
        let cells = vec![
            percentile(shift.quantile),
            quantile_text(shift.base, "> deadline"),
            quantile_text(shift.candidate, "> deadline"),
            shift.shift_ns.map_or_else(|| "n/a".to_owned(), signed_duration),
        ];
        chart.table.push_at(chart.x.scale.place(shift.quantile), cells);
    }
    Some(chart.render())
}

fn runs(comparison: &Comparison) -> Markup {
    let mut table = Table::new(["run", "side", "started", "verdict"]);
    for (side, list) in [("base", &comparison.base), ("candidate", &comparison.candidate)] {
        for run in &list.runs {
            table.push([
                run.run_id.clone(),
                side.to_owned(),
                run.started_at.clone(),
                run.status.word().to_owned(),
            ]);
        }
    }
    let differences = comparison.differences_named();
    html! {
        @for (label, differences) in ["Overruled, although it forbids the comparison", "Other differences of the runs"].into_iter().zip(&differences) {
            @if !differences.is_empty() { h3 { (label) } ul { @for difference in differences { li { (difference) } } } }
        }
        (table)
    }
}
