//! `feedmark run`.

use std::path::PathBuf;

use clap::Args;
use feedmark_reports::export::Outcome;
use feedmark_reports::run_result::Deliveries;
use feedmark_reports::terminal;
use feedmark_reports::units::count;

use super::baseline::{BaselineArgs, BaselinePlan};
use super::export::ExportArgs;
use super::live::{self, LiveArgs};
use super::outlets::{self, OutletArgs};
use super::{FAILED, INTERRUPTED, USAGE, concluded, fail, print, report, resolve, style, warn};
use crate::blame::Blame;
use crate::floor::Store;
use crate::outlets::Outlets;
use crate::run::{self, FinishedRun};
use crate::settings::Settings;
use crate::{interrupt, save};

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Scenario file; flags override what it says
    pub(super) scenario: Option<PathBuf>,
    #[command(flatten)]
    pub(super) settings: Settings,
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
    /// Leave report.html out of the folder; `feedmark report` makes it from the other files
    #[arg(long, help_heading = "Output")]
    no_report: bool,
    /// Where a session finds whom the error of its run is to be blamed on
    #[arg(long, value_name = "FILE", hide = true)]
    blame_file: Option<PathBuf>,
    /// Print run.json instead of the summary
    #[arg(long, help_heading = "Output")]
    json: bool,
    /// No colors (NO_COLOR works too)
    #[arg(long, help_heading = "Output")]
    no_color: bool,
    #[command(flatten)]
    live: LiveArgs,
    #[command(flatten)]
    outlets: OutletArgs,
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
    let wanted = match args.outlets.wanted() {
        Ok(wanted) => wanted,
        Err(error) => return fail(USAGE, &error),
    };
    let views = match args.live.views(args.no_color) {
        Ok(views) => views,
        Err(error) => return fail(USAGE, &error),
    };
    if let Err(error) = live::listen() {
        return fail(FAILED, &error);
    }
    // Without a place for a store there is no floor, and a run does not need one.
    let mut live = match live::start(views) {
        Ok(live) => live,
        Err(error) => return fail(FAILED, &error),
    };
    let mut outlets = match Outlets::open(wanted, &mut live) {
        Ok(outlets) => outlets,
        Err(error) => return fail(FAILED, &error),
    };
    outlets::tell(&outlets, &mut live, args.live.is_silent());
    let run = run::run(&scenario, args.out.as_deref(), store.as_ref().ok(), &mut live).map(|mut run| {
        // While it is still shown, so that the page leads to the report once it is there.
        let saved = save::save(&mut run);
        let reported = saved.is_ok() && !args.no_report;
        let reported = reported.then(|| report::write_in(&run.folder).map(|()| live.reported()));
        (run, saved, reported)
    });
    // What is printed from here on is below what was shown.
    let shown_live = live.finish();
    outlets::finish(&mut outlets);
    let (run, saved, reported) = match run {
        Ok(run) => run,
        Err(error) if interrupt::stop_asked() => return fail(INTERRUPTED, &error),
        Err(error) => {
            error.blame().leave_in(args.blame_file.as_deref());
            return fail(error.exit_code(), &error);
        }
    };
    let shown = show(&run, args.json, args.no_color);
    let exported = args.export.deliver(&Outcome::of_run(&run.result));
    if let Err((error, refuge)) = saved {
        Blame::Folder.leave_in(args.blame_file.as_deref());
        let kept = match refuge {
            Some(folder) => format!("the results are in {} instead", folder.display()),
            None => "nothing could be saved: run again with --json > FILE or another --out".to_owned(),
        };
        return fail(FAILED, &format!("{error}: {kept}"));
    }
    if let Some(Err(error)) = reported {
        warn(&error);
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
    outlets::stay(&outlets);
    concluded(code, exported.and(shown_live))
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
