//! What the run had to keep to, and what became of it.

use maud::html;

use super::headline;
use super::page::Section;
use super::view::View;

pub(super) fn section(view: &View<'_>) -> Option<Section> {
    let thresholds = &view.result.thresholds;
    let deadline_ns = view.result.scenario.deadline_ns;
    let body = html! {
        div.scroll tabindex="0" role="group" aria-label="thresholds" {
            table {
                thead { tr { @for head in ["threshold", "observed", "result"] { th scope="col" { (head) } } } }
                tbody {
                    @for threshold in thresholds {
                        tr {
                            th scope="row" { (threshold.expression) }
                            td { (threshold.observed_text(deadline_ns)) }
                            td {
                                span.chip.{ (headline::class(threshold.status)) } { (threshold.status.word()) }
                                @if threshold.advisory { " advisory" }
                            }
                        }
                    }
                }
            }
        }
    };
    let section =
        Section { id: "thresholds", title: "Thresholds", question: "Did it keep to what was asked?", body };
    (!thresholds.is_empty()).then_some(section)
}
