//! The page of a run that goes on: what the terminal view shows, with the charts of the report.
//!
//! It is drawn whole for whoever opens it, and its body again with every snapshot; the script puts in what has changed.
//! Latencies are those of what has arrived so far, and the page says so.

mod charts;
#[cfg(test)]
mod tests;

use maud::{Markup, PreEscaped, html};

use super::definitions;
use super::headline::class;
use super::page::{Frame, frame};
use super::validity;
use crate::live::{DeliverySoFar, LiveSnapshot, Point};
use crate::terminal::clean;
use crate::units::{bytes, count, counted, number, percent, short_duration};
use crate::validity::Check;

const STYLE: &str = include_str!("live/live.css");
const SCRIPT: &str = include_str!("live/live.js");
/// Longest text of a user or a target.
const TEXT_COLUMNS_MAX: usize = 300;
/// Notes that are shown, the latest ones.
const NOTES_MAX: usize = 20;

/// The whole page around a body.
pub fn page(body: &str) -> String {
    let words = definitions::section();
    frame(&Frame {
        title: "feedmark, live",
        main: &html! { div id="live" { (PreEscaped(body)) } (words) p id="connection" role="status" hidden {} },
        footer: "Latencies are of what has arrived so far; the report counts what was owed.",
        style: STYLE,
        script: SCRIPT,
        connects: true,
    })
}

/// What changes: parts with ids, in order.
pub fn body(run: &LiveSnapshot) -> String {
    let parts = html! {
        (headline(run))
        (tiles(run))
        @for chart in charts::charts(run) { (chart) }
        (ledger(run))
        (checks(&run.checks))
        (notes(run))
    };
    parts.into_string()
}

fn headline(run: &LiveSnapshot) -> Markup {
    let (class, word) = match &run.conclusion {
        Some(conclusion) => (class(conclusion.status), conclusion.status.word()),
        None if run.stopping => ("running", "stopping"),
        None => ("running", run.phase.name),
    };
    let sentences = match &run.conclusion {
        Some(conclusion) => conclusion.sentences.clone(),
        None => vec![run.phase.line.clone()],
    };
    html! {
        div.verdict.(class) id="now" data-title={ (word) " · feedmark" } {
            h1 { span.word { (word) } }
            @if let Some((first, others)) = sentences.split_first() {
                p.lead { (clean(first, TEXT_COLUMNS_MAX)) }
                @if !others.is_empty() { ul { @for sentence in others { li { (clean(sentence, TEXT_COLUMNS_MAX)) } } } }
            }
            @if run.conclusion.is_none() {
                progress max="1" value=(run.phase.done) { (percent(run.phase.done)) }
                p.facts { (percent(run.phase.done)) " of this phase" }
            }
            @if run.conclusion.as_ref().is_some_and(|conclusion| conclusion.has_report) {
                p { a.report href="report.html" { "The full report" } }
            }
            @if let Some(words) = &run.run {
                p.facts { (clean(&words.target, TEXT_COLUMNS_MAX)) " · " (clean(&words.scenario, TEXT_COLUMNS_MAX)) " · run " (words.run_id) }
            }
        }
    }
}

fn tiles(run: &LiveSnapshot) -> Markup {
    let wanted = run.run.as_ref().map_or(0, |words| words.subscribers);
    let of_subscribers = format!("of {}", counted(wanted, "subscriber", "subscribers"));
    let of_posts = format!("{} of {} sent", count(run.posts.sent), count(run.posts.scheduled));
    let so_far = |text: String| format!("{text} so far");
    let per_s = |figure: fn(&Point) -> f64| latest(run, |point| Some(number(figure(point).round())));
    let latency = |name: &str, figure: fn(&Point) -> Option<u64>, total: fn(&DeliverySoFar) -> u64| {
        let total = run.delivery.as_ref().map(|delivery| short_duration(total(delivery)));
        match run.conclusion {
            Some(_) => tile(name, &total.unwrap_or_else(nothing), "of what arrived"),
            None => {
                let now = latest(run, |point| figure(point).map(short_duration));
                tile(&format!("{name}, last second"), &now, &total.map_or(String::new(), so_far))
            }
        }
    };
    html! {
        dl.tiles id="tiles" {
            (tile("connected", &count(run.connections.connected), &of_subscribers))
            @if run.conclusion.is_some() {
                (tile("posts", &count(run.posts.acknowledged), &of_posts))
                (tile("deliveries", &count(run.deliveries), "with the warm-up"))
            } @else {
                (tile("posts/s", &per_s(|point| point.posts_per_s), &of_posts))
                (tile("deliveries/s", &per_s(|point| point.deliveries_per_s), &so_far(count(run.deliveries))))
            }
            (latency("p50", |point| point.p50_ns, |delivery| delivery.p50_ns))
            (latency("p99", |point| point.p99_ns, |delivery| delivery.p99_ns))
            (latency("slowest", |point| point.max_ns, |delivery| delivery.max_ns))
        }
    }
}

/// A figure of the last second.
fn latest(run: &LiveSnapshot, figure: impl Fn(&Point) -> Option<String>) -> String {
    run.latest.as_ref().and_then(figure).unwrap_or_else(nothing)
}

/// Stands where there is no figure.
fn nothing() -> String {
    "–".to_owned()
}

fn tile(name: &str, value: &str, more: &str) -> Markup {
    html! { div { dt { (name) } dd.figure { (value) } dd { (more) } } }
}

fn ledger(run: &LiveSnapshot) -> Markup {
    let ledger = &run.ledger;
    let wrong = [
        ("late", ledger.late, "arrived after the deadline"),
        ("missing", ledger.missing, "past the deadline, and not here"),
        ("duplicate", ledger.duplicate, "extra copies"),
        ("reordered", ledger.reordered, "overtaken by a later post of the same writer"),
        ("unexpected", ledger.unexpected, "nobody was owed them"),
        ("lost connections", run.connections.lost, "subscribers that were connected"),
        ("failed connections", run.connections.failed, "subscribers that gave up"),
        ("failed posts", run.posts.failed, "refused, or without a reply"),
    ];
    html! {
        section id="ledger" {
            h2 { "Ledger" }
            p.question { "What was lost?" }
            p {
                (count(ledger.owed)) " deliveries are past their deadline: " (count(ledger.delivered)) " of them came in time. "
                @if ledger.under_way > 0 { "About " (count(ledger.under_way)) " are under way." }
            }
            div.scroll tabindex="0" role="group" aria-label="ledger" {
                table.ledger {
                    tbody {
                        @for (name, value, meaning) in wrong {
                            tr.trouble[value > 0] { th scope="row" { (name) } td { (count(value)) } td.text { (meaning) } }
                        }
                    }
                }
            }
        }
    }
}

fn checks(checks: &[Check]) -> Markup {
    html! {
        @if !checks.is_empty() {
            section id="checks" {
                h2 { "Checks of the generator" }
                p.question { "Is it the server, or the generator?" }
                (validity::table(checks))
            }
        }
    }
}

fn notes(run: &LiveSnapshot) -> Markup {
    let latest = &run.notes[run.notes.len().saturating_sub(NOTES_MAX)..];
    html! {
        @if !latest.is_empty() {
            section id="notes" {
                h2 { "What was said" }
                ol.said { @for note in latest { li { time { (super::axis::moment(note.at_ns)) } " " (clean(&note.text, TEXT_COLUMNS_MAX)) } } }
            }
        }
        @if let Some(process) = run.generator {
            p.facts id="sides" {
                "generator: " (bytes(process.memory_bytes)) ", " (percent(process.cpu_cores)) " of a CPU"
                @if let Some(target) = run.target { " · target: " (bytes(target.memory_bytes)) ", " (percent(target.cpu_cores)) " of a CPU" }
            }
        }
    }
}
