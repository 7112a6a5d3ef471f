//! Cross-checks: figures that have to agree, but were found in different ways.

use maud::html;

use crate::capacity::CapacityResult;
use crate::capacity::frontier::LEAVE_ONE_OUT_MAX;
use crate::capacity::judge::{
    LITTLE_DIFFERENCE_MAX, OVERLOAD_DIFFERENCE_MAX, little_difference, overload_difference,
};
use crate::capacity::search_result::{SearchResult, fixed_text};
use crate::html::page::Section;
use crate::terminal::capacity::left_out;
use crate::units::{change, counted, number, percent};

/// One check.
struct Check {
    name: &'static str,
    compared: String,
    difference: Option<f64>,
    allowed: f64,
}

impl Check {
    /// The class of its row, and its word.
    fn result(&self) -> (&'static str, &'static str) {
        match self.difference {
            None => ("unknown", "not measured"),
            Some(difference) if difference.abs() <= self.allowed => ("held", "agrees"),
            Some(_) => ("found", "finding"),
        }
    }
}

pub(super) fn section(capacity: &CapacityResult) -> Option<Section> {
    let checks: Vec<Check> =
        overload(capacity).into_iter().chain([little(capacity)]).chain(fits(capacity)).collect();
    let left_out = left_out(capacity);
    let body = html! {
        div.scroll tabindex="0" role="group" aria-label="cross-checks" {
            table.checks {
                thead { tr { @for head in ["check", "what is compared", "difference", "allowed", "result"] { th scope="col" { (head) } } } }
                tbody {
                    @for check in &checks {
                        @let (class, word) = check.result();
                        tr.(class) {
                            th scope="row" { (check.name) }
                            td.text { (check.compared) }
                            td { (check.difference.map_or_else(|| "n/a".to_owned(), change)) }
                            td { "± " (percent(check.allowed)) }
                            td { (word) }
                        }
                    }
                }
            }
        }
        @for (title, sentences) in [("Findings", &capacity.findings), ("Left out", &left_out)] {
            @if !sentences.is_empty() {
                h3 { (title) }
                ul.notes { @for sentence in sentences { li { (sentence) } } }
            }
        }
    };
    let question = "Can it be believed, and what was left out?";
    (!capacity.steps.is_empty()).then_some(Section {
        id: "checks",
        title: "Findings and cross-checks",
        question,
        body,
    })
}

/// What the target takes while it is offered more, against the bracket.
fn overload(capacity: &CapacityResult) -> Vec<Check> {
    let check = |search: &SearchResult| {
        let difference = overload_difference(search)?;
        let estimate = search.overload_estimate_per_s?;
        let compared = format!(
            "{}: what it takes by the growth of its latency, {} posts/s, against {}",
            fixed_text(&search.fixed),
            number((estimate * 10.0).round() / 10.0),
            super::answer::bracket_text(search)
        );
        Some(Check {
            name: "overload",
            compared,
            difference: Some(difference),
            allowed: OVERLOAD_DIFFERENCE_MAX,
        })
    };
    capacity.searches.iter().filter_map(check).collect()
}

/// The step that is off most.
fn little(capacity: &CapacityResult) -> Check {
    let differences: Vec<f64> = capacity.steps.iter().filter_map(little_difference).collect();
    let worst = differences.iter().copied().max_by(|one, other| one.abs().total_cmp(&other.abs()));
    let compared = format!(
        "deliveries outstanding against rate x subscribers x mean latency: the worst of {}",
        counted(differences.len() as u64, "step", "steps")
    );
    Check { name: "Little's law", compared, difference: worst, allowed: LITTLE_DIFFERENCE_MAX }
}

/// How well the points of a fit predict each other.
fn fits(capacity: &CapacityResult) -> Vec<Check> {
    let check = |name, difference| Check {
        name,
        compared: "the point that the others predict worst, against what they predict".to_owned(),
        difference: Some(difference),
        allowed: LEAVE_ONE_OUT_MAX,
    };
    let frontier = capacity.frontier.iter().map(|fit| check("frontier", fit.leave_one_out_error));
    let cores = capacity.scalability.iter().map(|fit| check("scalability", fit.leave_one_out_error));
    frontier.chain(cores).collect()
}
