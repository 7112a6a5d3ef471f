//! `feedmark compare`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use feedmark_reports::comparison::{self, Comparison, METRICS};
use feedmark_reports::metric::Metric;
use feedmark_reports::run_set::RunSet;
use feedmark_reports::{html, markdown, terminal};

use super::{FAILED, USAGE, fail, printed, style};
use crate::baseline::BaselineName;
use crate::floor::Store;

/// Written before the name of a baseline, which could be a file's, too.
const BASELINE: &str = "baseline:";

#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// What to compare with: a run folder, a run.json, a folder of run folders, or baseline:NAME
    base: PathBuf,
    /// What is compared with it, likewise
    candidate: PathBuf,
    /// How to print the comparison
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// A metric to compare instead of the usual ones, such as "delivery p99.9"; repeatable
    #[arg(long, value_name = "METRIC")]
    metric: Vec<Metric>,
    /// Compare although the runs asked for other work, or one of them is INVALID
    #[arg(long)]
    force: bool,
    /// Folder that keeps baselines [default: $XDG_DATA_HOME/feedmark, or ~/.local/share/feedmark]
    #[arg(long, env = "FEEDMARK_STORE", value_name = "DIR")]
    store: Option<PathBuf>,
    /// No colors (NO_COLOR works too)
    #[arg(long)]
    no_color: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// For people at a terminal
    Text,
    /// For a pull request or the summary of a job
    Markdown,
    /// A page for the browser, to be written to a file
    Html,
    /// For programs; docs/comparison.schema.json says what is in it
    Json,
}

pub(super) fn compare(args: &CompareArgs) -> u8 {
    let comparison = match compared(args) {
        Ok(comparison) => comparison,
        Err(error) => return fail(USAGE, &error),
    };
    match args.format {
        Format::Text => printed(&terminal::comparison(&comparison, &style(args.no_color))),
        Format::Markdown => printed(&markdown::comparison(&comparison)),
        Format::Html => printed(&html::comparison(&comparison)),
        Format::Json => match serde_json::to_string_pretty(&comparison) {
            Ok(json) => printed(&format!("{json}\n")),
            Err(error) => fail(FAILED, &format!("cannot print the comparison as JSON: {error}")),
        },
    }
}

fn compared(args: &CompareArgs) -> Result<Comparison, String> {
    let base = read(&args.base, args.store.as_deref())?;
    let candidate = read(&args.candidate, args.store.as_deref())?;
    let metrics = if args.metric.is_empty() { &METRICS } else { args.metric.as_slice() };
    comparison::compare(&base, &candidate, metrics, args.force)
        .map_err(|error| format!("{error}; name runs of the same work, or --force it"))
}

fn read(named: &Path, store: Option<&Path>) -> Result<RunSet, String> {
    if let Some(name) = named.to_str().and_then(|text| text.strip_prefix(BASELINE)) {
        let name: BaselineName =
            name.parse().map_err(|problem| format!("`{}`: {problem}", named.display()))?;
        let store = Store::find(store).map_err(|error| error.to_string())?;
        return store.baselines().read(&name).map_err(|error| error.to_string());
    }
    RunSet::read(named).map_err(|error| match named.exists() {
        true => error.to_string(),
        false => format!("{error}; a baseline is named {BASELINE}NAME"),
    })
}
