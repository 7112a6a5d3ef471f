//! What to do next.

use maud::html;

use crate::capacity::CapacityResult;
use crate::capacity::advice::{Advice, advice};
use crate::html::page::Section;

pub(super) fn section(capacity: &CapacityResult) -> Option<Section> {
    let advice = advice(capacity);
    let body = html! {
        ul.notes {
            @for Advice { sentence, command } in &advice {
                li { (sentence) @if let Some(command) = command { ": " code { (command) } } }
            }
        }
    };
    (!advice.is_empty()).then_some(Section {
        id: "next",
        title: "What to do next",
        question: "What would move the limit, and what is still to be found out?",
        body,
    })
}
