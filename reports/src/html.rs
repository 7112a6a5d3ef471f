//! Pages: one self-contained HTML file for a run, for several, for a comparison, for a gate and for a capacity session.
//!
//! Invariants:
//! * A page opens offline: style and script are in it, nothing is fetched, and its content security policy says so.
//! * Every text is escaped by `maud`; what the policy lets run is the script of this crate, named by its hash.
//! * Everything is there without the script: it adds read-outs, zooming and unpacked downloads.
//! * A figure is what `run.json` says, or what its files say where `run.json` does not go second by second.
//!
//! Must not know: clocks, the network, who asked.

pub mod axis;
mod changes;
pub mod chart;
mod connections;
mod definitions;
mod downloads;
mod fanout;
mod generator;
mod headline;
pub mod heat;
mod host;
mod ledger;
pub mod live;
mod of_capacity;
mod of_comparison;
mod of_gate;
mod over_time;
mod overlay;
mod page;
mod path;
mod percentiles;
mod posts;
mod reproduce;
mod resources;
mod sampled;
pub mod scale;
mod stall;
pub mod table;
#[cfg(test)]
pub(crate) mod tests;
mod thresholds;
mod timeline;
mod validity;
mod view;

use crate::hdr_files::ReadError;
use crate::run_folder::RunFolder;
pub use of_capacity::capacity;
pub use of_comparison::comparison;
pub use of_gate::gate;
pub use page::STYLE;
use page::Section;
use view::View;

/// Runs that are laid over each other: as many as there are colors.
pub const OVERLAID_MAX: usize = 8;

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The interval log is broken.
    #[error("{name}/run.hlog: {error}")]
    Hlog {
        /// The run folder.
        name: String,
        /// What is wrong with it.
        error: ReadError,
    },
    /// More runs than can be told apart.
    #[error(
        "{runs} runs are more than the {OVERLAID_MAX} that can be told apart: name fewer, or use `feedmark compare`"
    )]
    TooMany {
        /// How many were asked for.
        runs: usize,
    },
}

/// The report of one run.
///
/// # Errors
/// If its interval log cannot be read.
pub fn run(folder: &RunFolder) -> Result<String, ReportError> {
    let view = view_of(folder)?;
    let sections: [fn(&View<'_>) -> Option<Section>; 12] = [
        over_time::section,
        percentiles::section,
        fanout::section,
        posts::section,
        ledger::section,
        connections::section,
        generator::section,
        resources::section,
        validity::section,
        thresholds::section,
        host::section,
        reproduce::section,
    ];
    let mut sections: Vec<Section> = sections.iter().filter_map(|section| section(&view)).collect();
    sections.push(definitions::section());
    let title = format!("{} · feedmark run {}", view.result.verdict.status.word(), view.result.run_id);
    let page = |sections: &[Section]| page::page(&title, &headline::headline(&view), sections);
    let room = downloads::room_beside(&page(&sections));
    sections.insert(sections.len() - 1, downloads::section(&view, room));
    Ok(page(&sections))
}

/// Several runs over each other.
///
/// # Errors
/// If an interval log cannot be read, or there are more than [`OVERLAID_MAX`].
pub fn overlay(folders: &[RunFolder]) -> Result<String, ReportError> {
    if folders.len() > OVERLAID_MAX {
        return Err(ReportError::TooMany { runs: folders.len() });
    }
    let views: Vec<View<'_>> = folders.iter().map(view_of).collect::<Result<_, _>>()?;
    Ok(overlay::overlay(&views))
}

fn view_of(folder: &RunFolder) -> Result<View<'_>, ReportError> {
    View::new(folder).map_err(|error| ReportError::Hlog { name: folder.name.clone(), error })
}
