//! The views that a command line can ask for, each a subscriber of the snapshots.

use std::io::IsTerminal as _;

use clap::ValueEnum;
use ratatui::crossterm::terminal::size;

use super::Snapshots;
use super::lines::{LINE_EVERY_NS, line, plain};
use super::rows::{Form, RowFile};
use super::terminal::{Palette, SIZE_MIN, full, is_ours};

/// Time between two plain lines of what takes many runs.
const LINE_OF_LONG_EVERY_NS: u64 = 60_000_000_000;

/// What a person may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Wanted {
    /// The whole terminal.
    Full,
    /// One line that changes, on a terminal.
    Line,
    /// A line every few seconds.
    Plain,
    /// Nothing.
    None,
}

/// One view.
#[derive(Debug)]
pub enum View {
    /// The whole terminal.
    Full(Palette),
    /// One line that changes.
    Line,
    /// A line every so many ns.
    Plain(u64),
    /// A line for every second in a file.
    Rows(RowFile),
}

/// What stderr is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// A terminal that knows control characters.
    pub is_terminal: bool,
    /// Nobody else has it.
    pub is_ours: bool,
    /// Columns and rows.
    pub size: (u16, u16),
}

impl Place {
    /// Of this process.
    pub fn of_stderr() -> Self {
        let knows_control = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
        Self {
            is_terminal: std::io::stderr().is_terminal() && knows_control,
            is_ours: is_ours(),
            size: size().unwrap_or_default(),
        }
    }

    fn has_room(&self) -> bool {
        self.size.0 >= SIZE_MIN.0 && self.size.1 >= SIZE_MIN.1
    }
}

impl View {
    /// What suits the place, unless somebody wants something else.
    ///
    /// # Errors
    /// When a whole terminal is wanted, and there is none.
    pub fn choose(wanted: Option<Wanted>, place: &Place, palette: Palette) -> Result<Option<Self>, String> {
        let can_fill = place.is_terminal && place.is_ours && place.has_room();
        Ok(Some(match wanted {
            Some(Wanted::None) => return Ok(None),
            Some(Wanted::Full) if !can_fill => {
                let (columns, rows) = SIZE_MIN;
                return Err(format!(
                    "--view full: standard error is no terminal of {columns} x {rows} or more in the foreground: use \
                     --view line, or plain"
                ));
            }
            Some(Wanted::Plain) => Self::Plain(LINE_EVERY_NS),
            // Never a control character into a file.
            _ if !place.is_terminal => Self::Plain(LINE_EVERY_NS),
            Some(Wanted::Line) => Self::Line,
            _ if can_fill => Self::Full(palette),
            _ => Self::Line,
        }))
    }

    /// The same for what goes on for minutes or hours: a file gets fewer lines of it.
    pub fn for_long(self) -> Self {
        match self {
            Self::Plain(_) => Self::Plain(LINE_OF_LONG_EVERY_NS),
            other => other,
        }
    }

    /// A line for every second in this file, which is begun anew with the first one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn rows(form: Form, path: &std::path::Path) -> Result<Self, String> {
        RowFile::open(form, path).map(Self::Rows)
    }

    /// Shows the snapshots until they end.
    pub(super) async fn show(self, snapshots: Snapshots) -> Result<(), String> {
        match self {
            Self::Full(palette) => full(snapshots, palette).await,
            Self::Line => line(snapshots).await,
            Self::Plain(every_ns) => plain(snapshots, every_ns).await,
            Self::Rows(file) => return file.write(snapshots).await,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(wanted: Option<Wanted>, is_terminal: bool, is_ours: bool, size: (u16, u16)) -> &'static str {
        match View::choose(wanted, &Place { is_terminal, is_ours, size }, Palette::plain()) {
            Ok(Some(View::Full(_))) => "full",
            Ok(Some(View::Line)) => "line",
            Ok(Some(View::Plain(_))) => "plain",
            Ok(Some(View::Rows(_))) => "rows",
            Ok(None) => "none",
            Err(_) => "error",
        }
    }

    #[test]
    fn the_view_suits_the_place_unless_another_is_wanted() {
        let roomy = (80, 24);
        let here = |wanted| chosen(wanted, true, true, roomy);
        assert_eq!(here(None), "full");
        assert_eq!(
            [Wanted::Full, Wanted::Line, Wanted::Plain, Wanted::None].map(|w| here(Some(w))),
            ["full", "line", "plain", "none"]
        );
        assert_eq!(chosen(None, true, true, (40, 11)), "line");
        assert_eq!(chosen(None, true, false, roomy), "line", "in the background");
        assert_eq!(chosen(Some(Wanted::Full), true, true, (39, 12)), "error");
        let in_file = |wanted| chosen(wanted, false, false, (0, 0));
        assert_eq!(in_file(None), "plain");
        assert_eq!(
            [Wanted::Full, Wanted::Line, Wanted::Plain, Wanted::None].map(|w| in_file(Some(w))),
            ["error", "plain", "plain", "none"]
        );
    }
}
