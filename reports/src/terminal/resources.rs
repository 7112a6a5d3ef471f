//! What the run cost on both sides.

use super::layout::Page;
use crate::run_result::{ProcessUse, Resources};
use crate::units::{bytes, seconds};

const HEAD: [&str; 4] = ["resources", "CPU", "CPU per 1M deliveries", "peak memory"];

pub(super) fn print(page: &mut Page, resources: &Resources) {
    let target = resources.target.as_ref().map(|target| row("target", target));
    let rows: Vec<Vec<String>> =
        std::iter::once(row("generator", &resources.generator)).chain(target).collect();
    page.table(&HEAD, &rows);
}

fn row(name: &str, process: &ProcessUse) -> Vec<String> {
    vec![
        name.to_owned(),
        seconds(process.cpu_s),
        process.cpu_s_per_million_deliveries.map_or("n/a".to_owned(), seconds),
        bytes(process.peak_memory_bytes),
    ]
}
