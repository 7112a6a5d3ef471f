//! What became of every owed pair, and why.

use std::collections::BTreeMap;

use maud::{Markup, Render as _, html};

use super::page::Section;
use super::path::fixed;
use super::table::Table;
use super::view::View;
use crate::run_result::Deliveries;
use crate::units::{count, counted, share};

/// Causes that are listed, most frequent first; the others are added up.
const CAUSES_MAX: usize = 20;

pub(super) fn section(view: &View<'_>) -> Option<Section> {
    let (result, ledger) = (view.result, &view.result.deliveries);
    let mut counts = Table::new(["what", "deliveries", "share of those owed"]);
    for (name, n) in [
        ("owed", ledger.owed),
        ("delivered in time", ledger.delivered),
        ("late (after the deadline)", ledger.late),
        ("missing (never came)", ledger.missing),
        ("duplicate (extra copies)", ledger.duplicate),
        ("reordered (overtaken by a later post of the same writer)", ledger.reordered),
    ] {
        counts.push([name.to_owned(), count(n), share(n, ledger.owed)]);
    }
    counts.push(["unexpected (nobody was owed them)".to_owned(), count(ledger.unexpected), String::new()]);
    counts.push([
        "not owed (not connected for long enough)".to_owned(),
        count(ledger.not_owed),
        String::new(),
    ]);
    let causes = [
        ("Why deliveries are missing", &ledger.missing_by_cause),
        ("Why pairs were not owed", &ledger.not_owed_by_cause),
        ("Why posts failed", &result.posts.failures),
        ("Why connections were lost", &result.connections.lost_by_cause),
        ("Why subscribers could not connect", &result.connections.failed_by_cause),
    ];
    let body = html! {
        (bar(ledger))
        p.remark {
            (count(ledger.owed)) " owed = " (count(ledger.delivered)) " delivered + " (count(ledger.late)) " late + " (count(ledger.missing)) " missing"
            @if ledger.residual != 0 { "; residual " (ledger.residual) ": the ledger does not close, a defect of feedmark" }
        }
        div.columns {
            div { h3 { "The ledger" } (counts.render()) }
            @for (title, causes) in causes.into_iter().filter(|(_, causes)| !causes.is_empty()) {
                div { h3 { (title) } (by_cause(causes).render()) }
            }
            @if !ledger.worst_subscribers.is_empty() {
                div {
                    h3 { "Who missed most, of " (counted(ledger.subscribers_with_misses, "subscriber", "subscribers")) " with misses" }
                    (worst_subscribers(ledger).render())
                }
            }
        }
    };
    Some(Section { id: "ledger", title: "Ledger", question: "What was lost, and why?", body })
}

/// One bar of everything that was owed. What is there at all is wide enough to be seen.
fn bar(ledger: &Deliveries) -> Markup {
    let owed = ledger.owed.max(1) as f64;
    let width = |n: u64| if n == 0 { 0.0 } else { (n as f64 / owed * 1000.0).max(4.0) };
    let (late, missing) = (width(ledger.late), width(ledger.missing));
    let delivered = if ledger.delivered == 0 { 0.0 } else { (1000.0 - late - missing).max(4.0) };
    let text = format!(
        "{} delivered in time, {} late, {} missing",
        share(ledger.delivered, ledger.owed),
        share(ledger.late, ledger.owed),
        share(ledger.missing, ledger.owed)
    );
    html! {
        svg.bar role="img" aria-label=(text) height="28" viewBox="0 0 1000 28" preserveAspectRatio="none" {
            rect.delivered x="0" y="0" width=(fixed(delivered)) height="28" { title { (share(ledger.delivered, ledger.owed)) " delivered in time" } }
            rect.late x=(fixed(delivered)) y="0" width=(fixed(late)) height="28" { title { (share(ledger.late, ledger.owed)) " late" } }
            rect.missing x=(fixed(delivered + late)) y="0" width=(fixed(missing)) height="28" { title { (share(ledger.missing, ledger.owed)) " missing" } }
        }
        p.caption { (text) }
    }
}

fn by_cause(causes: &BTreeMap<String, u64>) -> Table {
    let mut ordered: Vec<(&String, u64)> = causes.iter().map(|(cause, n)| (cause, *n)).collect();
    ordered.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let mut table = Table::new(["cause", "count"]);
    for (cause, n) in ordered.iter().take(CAUSES_MAX) {
        table.push([(*cause).clone(), count(*n)]);
    }
    if ordered.len() > CAUSES_MAX {
        let others = &ordered[CAUSES_MAX..];
        let sum = others.iter().fold(0_u64, |sum, (_, n)| sum.saturating_add(*n));
        table.push([counted(others.len() as u64, "other cause", "other causes"), count(sum)]);
    }
    table
}

fn worst_subscribers(ledger: &Deliveries) -> Table {
    let mut table = Table::new(["subscriber", "missing", "late"]);
    for misses in &ledger.worst_subscribers {
        table.push([format!("#{}", misses.subscriber), count(misses.missing), count(misses.late)]);
    }
    table
}
