//! Whether the planned loads fit.

use maud::html;

use crate::capacity::CapacityResult;
use crate::capacity::headroom::Fits;
use crate::html::page::Section;
use crate::terminal::capacity::{HEADROOM_HEAD, headroom_row};

/// What marks in charts lead to.
pub(super) fn id(number: usize) -> String {
    format!("planned-{number}")
}

pub(super) fn section(capacity: &CapacityResult) -> Option<Section> {
    let body = html! {
        div.scroll tabindex="0" role="group" aria-label="planned loads" {
            table {
                thead { tr { th scope="col" { "no." } @for head in HEADROOM_HEAD { th.word scope="col" { (head) } } th.text scope="col" { "why" } } }
                tbody {
                    @for (number, headroom) in (1..).zip(&capacity.headroom) {
                        @let [planned, answer, spare] = headroom_row(headroom);
                        tr id=(id(number)) {
                            td { (number) }
                            th.word scope="row" { (planned) }
                            td.word { span.chip.(class(headroom.answer)) { (answer) } }
                            td.word { (spare) }
                            td.text { (headroom.sentence.splitn(3, ": ").last().unwrap_or_default()) }
                        }
                    }
                }
            }
        }
    };
    let question = "Does what is planned fit, and with how much to spare?";
    (!capacity.headroom.is_empty()).then_some(Section { id: "headroom", title: "Headroom", question, body })
}

const fn class(answer: Fits) -> &'static str {
    match answer {
        Fits::Fits => "pass",
        Fits::DoesNotFit => "fail",
        Fits::Unresolved => "unsure",
    }
}
