//! The same run once more: as a command, and as a scenario.

use maud::html;

use super::page::Section;
use super::view::View;
use crate::scenario_text::{command, file};

pub(super) fn section(view: &View<'_>) -> Option<Section> {
    let (scenario, seed) = (&view.result.scenario, view.result.seed);
    let body = html! {
        p { "The same seed posts the same bytes at the same times. Values of headers and auth payloads are not kept." }
        h3 { "Command" }
        pre tabindex="0" { code { (command(scenario, seed)) } }
        h3 { "Scenario" }
        pre tabindex="0" { code { (file(scenario, seed)) } }
    };
    Some(Section { id: "reproduce", title: "Run it again", question: "How is this repeated?", body })
}
