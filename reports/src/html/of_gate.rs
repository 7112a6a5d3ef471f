//! The page of a gate.

use maud::{Markup, html};

use super::axis::Axis;
use super::changes::{self, Change};
use super::chart::{Band, BandKind, Chart, Form, Series};
use super::definitions;
use super::headline;
use super::page::{Section, page};
use super::table::{Column, Table};
use crate::gate::{GateResult, Pair};
use crate::scenario_text;
use crate::terminal::gate::{HEAD, metric_row, pairs_words, scenario_words};
use crate::units::change;

/// The page of a gate.
pub fn gate(gate: &GateResult) -> String {
    let mut sections = vec![Section {
        id: "metrics",
        title: "Metrics",
        question: "Is the candidate worse than the base by more than is allowed?",
        body: metrics(gate),
    }];
    if !gate.pairs.is_empty() {
        let question = "Do the pairs agree with each other?";
        sections.push(Section { id: "pairs", title: "Pairs", question, body: pairs(gate) });
    }
    if !gate.repeats.is_empty() {
        let question = "Which runs could not be trusted, and were made again?";
        sections.push(Section { id: "repeats", title: "Repeated runs", question, body: repeats(gate) });
    }
    sections.push(Section {
        id: "plan",
        title: "What was run",
        question: "How is this repeated?",
        body: plan(gate),
    });
    sections.push(definitions::section());
    let title = format!("{} · feedmark gate", gate.verdict.status.word());
    page(&title, &head(gate), &sections)
}

fn head(gate: &GateResult) -> Markup {
    let reasons = &gate.verdict.reasons;
    html! {
        div.verdict.(headline::class(gate.verdict.status)) {
            h1 { span.word { (gate.verdict.status.word()) } }
            p.lead { (reasons.first().map_or("", String::as_str)) }
            @if reasons.len() > 1 { ul { @for reason in &reasons[1..] { li { (reason) } } } }
            @for (label, side) in [("base", &gate.plan.base), ("candidate", &gate.plan.candidate)] {
                p.facts { b { (label) } ": " code { (side) } }
            }
            p.facts { b { "pairs" } ": " (pairs_words(gate).join(" · ")) }
            p.facts { b { "each run" } ": " (scenario_words(gate).join(", ")) }
        }
    }
}

fn metrics(gate: &GateResult) -> Markup {
    let changes: Vec<Change> = gate
        .metrics
        .iter()
        .filter_map(|metric| {
            Some(Change {
                name: metric.name.clone(),
                estimate: metric.change.filter(|change| change.is_finite())?,
                interval: metric.change_low.zip(metric.change_high),
                allowed: Some(metric.allowed),
            })
        })
        .collect();
    let mut table = Table::new(HEAD);
    gate.metrics.iter().for_each(|metric| table.push(metric_row(metric)));
    html! {
        (table)
        @if let Some(chart) = changes::chart(&changes) { (chart) }
    }
}

/// candidate / base - 1 of a metric, where both have it.
fn ratio(pair: &Pair, metric: usize) -> Option<f64> {
    let value = |values: &[Option<f64>]| values.get(metric).copied().flatten();
    let ratio = value(&pair.candidate.values)? / value(&pair.base.values)? - 1.0;
    ratio.is_finite().then_some(ratio)
}

fn pairs(gate: &GateResult) -> Markup {
    let of_metric = |metric: usize| -> Vec<(f64, Option<f64>)> {
        (1_u32..).zip(&gate.pairs).map(|(number, pair)| (f64::from(number), ratio(pair, metric))).collect()
    };
    let all: Vec<Vec<(f64, Option<f64>)>> = (0..gate.metrics.len()).map(of_metric).collect();
    let values = || all.iter().flatten().filter_map(|(_, value)| *value);
    let (least, greatest) = (values().fold(0.0, f64::min), values().fold(0.0, f64::max));
    let last = gate.plan.looks.last().map_or(gate.pairs.len(), |look| *look as usize).max(gate.pairs.len());
    let mut chart = Chart::new(
        "pair-changes",
        "Change in each pair",
        Axis::count(last as f64, "pair, in the order in which they were run"),
        Axis::change(least, greatest),
    );
    chart.caption = "Candidate against base, run directly after each other; a grey line is a look, where the gate asks for its answer.".to_owned();
    chart.summary =
        format!("Changes of {} pairs between {} and {}.", gate.pairs.len(), change(least), change(greatest));
    chart.bands = gate
        .looks_done
        .iter()
        .map(|look| Band {
            from: f64::from(*look) + 0.5,
            to: f64::from(*look) + 0.5,
            kind: BandKind::Mark,
            label: String::new(),
            meaning: format!("look after {look} pairs"),
        })
        .collect();
    for (color, (metric, points)) in gate.metrics.iter().zip(all).enumerate() {
        let part = |form, points| Series { name: metric.name.clone(), color: color % 8, form, points };
        chart.series.extend([part(Form::Broken, points.clone()), part(Form::Dots, points)]);
    }
    chart.table.head = ["pair", "first", "seed"]
        .into_iter()
        .map(str::to_owned)
        .chain(gate.metrics.iter().map(|metric| metric.name.clone()))
        .collect();
    for (number, pair) in (1_u32..).zip(&gate.pairs) {
        let ratios = (0..gate.metrics.len())
            .map(|metric| ratio(pair, metric).map_or_else(|| "n/a".to_owned(), change));
        let lead = [number.to_string(), pair.first.name().to_owned(), pair.seed.to_string()];
        chart.table.push_at(chart.x.scale.place(f64::from(number)), lead.into_iter().chain(ratios).collect());
    }
    html! { (chart) }
}

fn repeats(gate: &GateResult) -> Markup {
    let mut table = Table::new(["pair", "side", "run", "why"]);
    table.columns = vec![Column::Number, Column::Word, Column::Word, Column::Text];
    for repeat in &gate.repeats {
        table.push([
            repeat.pair.to_string(),
            repeat.variant.name().to_owned(),
            repeat.run_id.clone(),
            repeat.reasons.join("; "),
        ]);
    }
    html! { (table) }
}

fn plan(gate: &GateResult) -> Markup {
    html! {
        p { "Pair n has the seed of the first pair + n - 1 on both sides. Values of headers and auth payloads are not kept." }
        h3 { "Scenario of each run" }
        pre tabindex="0" { code { (scenario_text::file(&gate.plan.scenario, gate.plan.seed)) } }
        @if let Some(host) = &gate.host { p.remark { "Measured on " (host.os) ", " (host.cpu) ", " (host.cpus) " CPUs." } }
    }
}
