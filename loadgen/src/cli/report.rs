//! `feedmark report`, and the report that a run, a gate and a capacity session leave in their folders: the same, made from the same files.

use std::path::{Path, PathBuf};

use clap::Args;
use feedmark_reports::run_folder::RunFolder;
use feedmark_reports::run_set::RUN_FILE;
use feedmark_reports::{capacity, files, gate, html};

use super::{FAILED, USAGE, fail, printed, warn};
use crate::capacity::CAPACITY_FILE;
use crate::gate::GATE_FILE;

/// The report in a folder.
const FILE: &str = "report.html";

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// A run folder, a run.json, or the folder of a gate or a capacity session; several runs are laid over each other
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// File to write [default: report.html in the folder; of several runs, report.html here]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn report(args: &ReportArgs) -> u8 {
    let (page, place) = match args.runs.as_slice() {
        [one] => (page(one), beside(one)),
        several => (overlay(several), PathBuf::from(FILE)),
    };
    let page = match page {
        Ok(page) => page,
        Err(error) => return fail(USAGE, &error),
    };
    let file = args.out.clone().unwrap_or(place);
    match files::replace(&file, page.as_bytes()) {
        Ok(()) => printed(&format!("report: {}\n", file.display())),
        Err(error) => fail(FAILED, &format!("{error}: choose another --out")),
    }
}

/// Writes the report of a run, a gate or a capacity session into its folder. Nobody asked for it, so what goes wrong is told, and fails nothing.
pub(super) fn leave_in(folder: &Path) {
    if let Err(error) = write_in(folder) {
        warn(&error);
    }
}

/// Writes that report.
///
/// # Errors
/// What is in the way, as a sentence.
pub(super) fn write_in(folder: &Path) -> Result<(), String> {
    let written = page(folder)
        .and_then(|page| files::replace(&beside(folder), page.as_bytes()).map_err(|error| error.to_string()));
    written.map_err(|error| format!("no report: {error}"))
}

fn page(folder: &Path) -> Result<String, String> {
    let of_gate = folder.join(GATE_FILE);
    if of_gate.exists() {
        let result = files::read_bounded(&of_gate, gate::FILE_BYTES_MAX, gate::SCHEMA_VERSION);
        return result.map(|result| html::gate(&result)).map_err(|error| error.to_string());
    }
    let of_capacity = folder.join(CAPACITY_FILE);
    if of_capacity.exists() {
        return capacity::read(&of_capacity)
            .map(|result| html::capacity(&result))
            .map_err(|error| error.to_string());
    }
    html::run(&run(folder)?).map_err(|error| error.to_string())
}

fn overlay(runs: &[PathBuf]) -> Result<String, String> {
    let folders: Result<Vec<RunFolder>, String> = runs.iter().map(|one| run(one)).collect();
    html::overlay(&folders?).map_err(|error| error.to_string())
}

fn run(path: &Path) -> Result<RunFolder, String> {
    if path.is_dir() && !path.join(RUN_FILE).exists() {
        return Err(format!(
            "{} has no {RUN_FILE}: give the folder of a run; alone, it may be one of a gate ({GATE_FILE}) or a capacity session ({CAPACITY_FILE})",
            path.display()
        ));
    }
    RunFolder::read(path).map_err(|error| error.to_string())
}

/// The report's place: in the folder, or beside the `run.json`.
fn beside(run: &Path) -> PathBuf {
    if run.is_dir() { run.join(FILE) } else { run.with_file_name(FILE) }
}
