//! What things cost the target.

use maud::{Render as _, html};

use super::used;
use crate::capacity::CapacityResult;
use crate::html::page::Section;
use crate::html::table::{Column, Row, Table};
use crate::terminal::capacity::{COSTS_HEAD, cost_row};

pub(super) fn section(capacity: &CapacityResult) -> Option<Section> {
    let mut table = Table::new(COSTS_HEAD);
    table.head.push("what the range is".to_owned());
    table.columns = vec![Column::Word, Column::Number, Column::Number, Column::Text];
    for cost in &capacity.costs {
        let cells = cost_row(cost).into_iter().chain([cost.basis.clone()]).collect();
        table.rows.push(Row { cells, ..Row::default() });
    }
    let memory = used::memory_by_subscribers(capacity);
    let body = html! {
        @if !table.rows.is_empty() { (table.render()) }
        @if let Some(memory) = &memory { (memory) }
    };
    let question = "What does a subscriber cost, what a post, what a delivery?";
    (!table.rows.is_empty() || memory.is_some()).then_some(Section {
        id: "costs",
        title: "Costs",
        question,
        body,
    })
}
