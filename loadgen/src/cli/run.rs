//! `feedmark run`.

use std::path::PathBuf;

use clap::Args;
use feedmark_reports::export::Outcome;
use feedmark_reports::run_result::Deliveries;
use feedmark_reports::terminal;
use feedmark_reports::units::count;

use super::baseline::{BaselineArgs, BaselinePlan};
use super::export::ExportArgs;
use super::{FAILED, INTERRUPTED, USAGE, concluded, fail, print, resolve, style};
use crate::floor::Store;
use crate::run::{self, FinishedRun};
use crate::settings::Settings;
use crate::{interrupt, save};

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Scenario file; flags override what it says
    scenario: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    /// Folder for the results [default: runs/<time>-<run>]
    #[arg(short, long, env = "FEEDMARK_OUT", value_name = "DIR", help_heading = "Output")]
    out: Option<PathBuf>,
    /// Folder that keeps floors and baselines [default: $XDG_DATA_HOME/feedmark, or ~/.local/share/feedmark]
    #[arg(long, env = "FEEDMARK_STORE", value_name = "DIR", help_heading = "Output")]
    store: Option<PathBuf>,
    #[command(flatten)]
    baseline: BaselineArgs,
    #[command(flatten)]
    export: ExportArgs,
    /// Print run.json instead of the summary
    #[arg(long, help_heading = "Output")]
    json: bool,
    /// No progress on stderr
    #[arg(short, long, help_heading = "Output")]
    quiet: bool,
    /// No colors (NO_COLOR works too)
    #[arg(long, help_heading = "Output")]
    no_color: bool,
}

pub(super) fn run(args: RunArgs) -> u8 {
    let scenario = match resolve(args.settings, args.scenario.as_deref()) {
        Ok(scenario) => scenario,
        Err(error) => return fail(USAGE, &error),
    };
    if let Err(error) = args.export.check(args.out.as_deref()) {
        return fail(USAGE, &error);
    }
    let store = Store::find(args.store.as_deref());
    let plan = match BaselinePlan::new(args.baseline, store.as_ref(), &scenario) {
        Ok(plan) => plan,
        Err(error) => return fail(USAGE, &error),
    };
    if let Err(error) = interrupt::listen() {
        return fail(FAILED, &format!("cannot listen for Ctrl-C: {error}"));
    }
    // Without a place for a store there is no floor, and a run does not need one.
    let mut run = match run::run(&scenario, args.out.as_deref(), store.as_ref().ok(), args.quiet) {
        Ok(run) => run,
        Err(error) if interrupt::stop_asked() => return fail(INTERRUPTED, &error),
        Err(error) => return fail(error.exit_code(), &error),
    };
    let saved = save::save(&mut run);
    let shown = show(&run, args.json, args.no_color);
    let exported = args.export.deliver(&Outcome::of_run(&run.result));
    if let Err((error, refuge)) = saved {
        let kept = match refuge {
            Some(folder) => format!("the results are in {} instead", folder.display()),
            None => "nothing could be saved: run again with --json > FILE or another --out".to_owned(),
        };
        return fail(FAILED, &format!("{error}: {kept}"));
    }
    let folder = run.folder.display();
    let cut = cut_misses(&run.result.deliveries, run.rows.misses.len() as u64).unwrap_or_default();
    let named = if args.json { Ok(()) } else { print(&format!("\nresults: {folder}\n{cut}")) };
    let compared = plan.conclude(&run, args.json, args.no_color);
    if let Err(error) = shown.and(named).and(compared) {
        return fail(FAILED, &format!("{error}: the results are in {folder}"));
    }
    let code = match run.result.interrupted {
        true => INTERRUPTED,
        false => run.result.verdict.status.exit_code(),
    };
    concluded(code, exported)
}

/// What misses.csv leaves out, as a line, where there was too much for it.
fn cut_misses(deliveries: &Deliveries, listed: u64) -> Option<String> {
    let all = deliveries.late + deliveries.missing;
    let left_out = all.checked_sub(listed).filter(|n| *n > 0)?;
    Some(format!(
        "misses.csv is cut: {} of {} late or missing deliveries are not in it\n",
        count(left_out),
        count(all)
    ))
}

fn show(run: &FinishedRun, json: bool, no_color: bool) -> Result<(), String> {
    if json {
        let json = serde_json::to_string_pretty(&run.result)
            .map_err(|error| format!("cannot print the result as JSON: {error}"))?;
        return print(&format!("{json}\n"));
    }
    print(&terminal::summary(&run.result, &style(no_color)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_list_says_how_much_is_not_in_it() {
        let deliveries = Deliveries { late: 500_000, missing: 1_000_000, ..Deliveries::default() };
        assert_eq!(cut_misses(&deliveries, 1_500_000), None);
        let note = cut_misses(&deliveries, 1_000_000).unwrap();
        assert_eq!(
            note,
            "misses.csv is cut: 500,000 of 1,500,000 late or missing deliveries are not in it\n"
        );
    }
}
