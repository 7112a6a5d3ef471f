//! The same session once more: as a command, and as a scenario.

use maud::html;

use crate::capacity::CapacityResult;
use crate::html::page::Section;
use crate::scenario_text::{capacity_command, file};
use crate::units::bytes;

pub(super) fn section(capacity: &CapacityResult) -> Option<Section> {
    let plan = &capacity.plan;
    let body = html! {
        p { "Each step has the seed of the one before + 1. Values of headers and auth payloads are not kept." }
        h3 { "Command" }
        pre tabindex="0" { code { (capacity_command(capacity)) } }
        h3 { "scenario.toml" }
        pre tabindex="0" { code { (file(&plan.scenario, plan.seed)) } }
        @if let Some(host) = &capacity.host {
            p.remark {
                "Measured by feedmark " (capacity.feedmark_version) " on " (host.os) ", " (host.cpu) ", " (host.cpus) " CPUs, "
                (bytes(host.memory_bytes)) " of memory."
            }
        }
    };
    Some(Section { id: "reproduce", title: "Run it again", question: "How is this repeated?", body })
}
