//! The checks by which the generator judges itself.

use maud::{Markup, html};

use super::page::Section;
use super::view::View;
use crate::units::{count, duration, number, percent};
use crate::validity::{Bound, CHECKS, Check, Consequence, Unit};

pub(super) fn section(view: &View<'_>) -> Option<Section> {
    let checks = &view.result.validity;
    let body = html! {
        p.remark {
            (CHECKS) " checks; those marked “finding” are about the target and decide nothing. " code { "docs/method.md" }
            " says what each compares, and why its limit is what it is."
        }
        (table(checks))
    };
    Some(Section { id: "validity", title: "Validity", question: "Can it be believed?", body })
}

/// Every check, with what it means where it tripped.
pub(super) fn table(checks: &[Check]) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label="checks" {
            table.checks {
                thead { tr { @for head in ["check", "what is compared", "measured", "allowed", "result"] { th scope="col" { (head) } } } }
                tbody {
                    @for check in checks {
                        tr.{ (class(check)) } {
                            th scope="row" { (check.id) }
                            td.text { (check.name) @if let Some(remedy) = &check.remedy { br; small { (remedy) } } }
                            td { (check.value.map_or("n/a".to_owned(), |value| text(value, check.unit))) }
                            td { (bound(check.bound)) " " (text(check.limit, check.unit)) }
                            td { (word(check)) }
                        }
                    }
                }
            }
        }
    }
}

fn class(check: &Check) -> &'static str {
    match (check.passed, check.consequence()) {
        (Some(true), _) => "held",
        (None, _) => "unknown",
        (Some(false), Consequence::Finding) => "found",
        (Some(false), _) => "tripped",
    }
}

fn word(check: &Check) -> &'static str {
    match (check.passed, check.consequence()) {
        (Some(true), _) => "ok",
        (None, _) => "not measured",
        (Some(false), Consequence::Finding) => "finding",
        (Some(false), Consequence::Unresolved) => "too short",
        (Some(false), Consequence::Invalid) => "invalid",
    }
}

const fn bound(bound: Bound) -> &'static str {
    match bound {
        Bound::AtMost => "≤",
        Bound::AtLeast => "≥",
    }
}

fn text(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Ns => duration(value.max(0.0) as u64),
        Unit::Ratio => percent(value),
        Unit::Count => count(value.max(0.0) as u64),
        Unit::A2 => number(value),
    }
}
