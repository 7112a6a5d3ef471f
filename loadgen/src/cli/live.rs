//! What is shown while it runs: which views, and what they could not do.

use std::path::PathBuf;

use clap::Args;

use super::wants_color;
use crate::clock::RunClock;
use crate::interrupt;
use crate::live::Live;
use crate::live::rows::Form;
use crate::live::terminal::Palette;
use crate::live::view::{Place, View, Wanted};

#[derive(Debug, Args)]
#[command(next_help_heading = "While it runs")]
pub(super) struct LiveArgs {
    /// What to show on stderr meanwhile [default: what suits it]
    #[arg(long, env = "FEEDMARK_VIEW", value_name = "VIEW")]
    view: Option<Wanted>,
    /// No progress on stderr
    #[arg(short, long)]
    quiet: bool,
    /// Write a line of CSV a second to this file (docs/live.md)
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// The same as an object of JSON a line
    #[arg(long, value_name = "FILE")]
    jsonl: Option<PathBuf>,
}

impl LiveArgs {
    /// Nothing is to be shown on stderr.
    pub(super) fn is_silent(&self) -> bool {
        self.quiet || matches!(self.view, Some(Wanted::None))
    }

    /// The views that are asked for, with their files open.
    ///
    /// # Errors
    /// What of it cannot be, as a sentence.
    pub(super) fn views(&self, no_color: bool) -> Result<Vec<View>, String> {
        let wanted = if self.quiet { Some(Wanted::None) } else { self.view };
        let palette = if wants_color(no_color) { Palette::colored() } else { Palette::plain() };
        let shown = View::choose(wanted, &Place::of_stderr(), palette)?;
        if let (Some(csv), Some(jsonl)) = (&self.csv, &self.jsonl)
            && csv == jsonl
        {
            return Err(format!(
                "--csv and --jsonl: {} is named twice: give each a file of its own",
                csv.display()
            ));
        }
        let files = [(Form::Csv, &self.csv), (Form::Jsonl, &self.jsonl)];
        let files = files.into_iter().filter_map(|(form, path)| Some((form, path.as_deref()?)));
        let mut views = files.map(|(form, path)| View::rows(form, path)).collect::<Result<Vec<_>, _>>()?;
        views.extend(shown);
        Ok(views)
    }
}

/// Ctrl-C is heard from now on.
///
/// # Errors
/// If it cannot be.
pub(super) fn listen() -> Result<(), String> {
    interrupt::listen().map_err(|error| format!("cannot listen for Ctrl-C: {error}"))
}

/// Lines of what goes on, unless it is to be quiet; Ctrl-C is heard.
///
/// # Errors
/// If it cannot be, or the view cannot be started.
pub(super) fn lines(quiet: bool) -> Result<Live, String> {
    listen()?;
    let wanted = if quiet { Wanted::None } else { Wanted::Line };
    let view = View::choose(Some(wanted), &Place::of_stderr(), Palette::plain())?;
    start(view.map(View::for_long).into_iter().collect())
}

/// Starts the views, and the run's time.
///
/// # Errors
/// If one of them cannot be started.
pub(super) fn start(views: Vec<View>) -> Result<Live, String> {
    Live::start(RunClock::start(), views)
        .map_err(|error| format!("cannot show how the run gets on: {error}: --quiet does without"))
}
