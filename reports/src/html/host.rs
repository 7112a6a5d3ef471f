//! Where the generator ran.

use maud::html;

use super::page::Section;
use super::view::View;
use crate::run_result::Timestamps;
use crate::units::{bytes, count};

pub(super) fn section(view: &View<'_>) -> Option<Section> {
    let (result, host) = (view.result, &view.result.host);
    let clock = match result.timestamps {
        Timestamps::Kernel => "the kernel, when the segment came in",
        Timestamps::User => "the generator, after the read",
    };
    let facts = [
        ("system", host.os.clone()),
        ("CPU", host.cpu.clone()),
        ("CPUs", count(u64::from(host.cpus))),
        ("memory", bytes(host.memory_bytes)),
        ("open files allowed", count(host.open_files_max)),
        ("arrivals stamped by", clock.to_owned()),
        ("real-time priority", if result.evidence.real_time_priority { "yes" } else { "no" }.to_owned()),
        ("feedmark", result.feedmark_version.clone()),
        ("scenario hash", result.scenario_hash.clone()),
    ];
    let body = html! { dl.facts { @for (name, value) in facts { dt { (name) } dd { (value) } } } };
    Some(Section { id: "host", title: "Host", question: "Where was it measured?", body })
}
