//! Where everything goes: by what the window has room for.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;

use super::SIZE_MIN;
use super::palette::Palette;
use super::parts::{checks, figures, footer, latency, ledger, notes, phase, processes, title};
use crate::live::snapshot::LiveSnapshot;

/// Rows from which on there is room for empty ones.
const ROOMY_ROWS: u16 = 24;
/// Columns from which on there is a margin.
const ROOMY_COLUMNS: u16 = 60;
/// Most rows of a sparkline.
const SPARK_ROWS_MAX: u16 = 5;
/// Rows for sparklines and notes from which on there is a gap between the former.
const LEFT_FOR_SPARK_GAPS: u16 = 12;
/// Sparklines.
const SPARKS: u16 = 3;

/// Rows of each part.
struct Rows {
    title: u16,
    gap: u16,
    spark: u16,
    spark_gap: u16,
    ledger: u16,
    checks: u16,
    notes: u16,
}

impl Rows {
    /// What fits into so many rows: a roomy window has gaps, and shares what is left between sparklines and notes.
    fn of(height: u16) -> Self {
        if height < ROOMY_ROWS {
            // Title, phase, two of figures, heading, three sparklines, ledger, checks, processes, footer.
            let notes = height.saturating_sub(SIZE_MIN.1);
            return Self { title: 1, gap: 0, spark: 1, spark_gap: 0, ledger: 1, checks: 1, notes };
        }
        // Two of title, phase, two of figures, heading, two of ledger, two of checks, processes, footer; five gaps.
        let left = height - 17;
        let spark_gap = u16::from(left >= LEFT_FOR_SPARK_GAPS);
        let spark = ((left - 1 - (SPARKS - 1) * spark_gap) / SPARKS).clamp(1, SPARK_ROWS_MAX);
        let rows = Self { title: 2, gap: 1, spark, spark_gap, ledger: 2, checks: 2, notes: 0 };
        Self { notes: left - rows.sparks(), ..rows }
    }

    /// Of all sparklines together.
    fn sparks(&self) -> u16 {
        SPARKS * self.spark + (SPARKS - 1) * self.spark_gap
    }
}

/// Draws a run; `asked` is how often it was told to stop.
pub(super) fn draw(frame: &mut Frame<'_>, now: &LiveSnapshot, asked: u8, palette: &Palette) {
    let window = frame.area();
    if window.width < SIZE_MIN.0 || window.height < SIZE_MIN.1 {
        frame.render_widget(Line::raw(format!("{}: {}", now.phase.name, now.phase.line)), window);
        return;
    }
    let margin = u16::from(window.width >= ROOMY_COLUMNS);
    let area = Rect { x: window.x + margin, width: window.width - 2 * margin, ..window };
    let rows = Rows::of(window.height);
    let parts = [
        rows.title,
        rows.gap,
        1,
        rows.gap,
        2,
        rows.gap,
        1 + rows.sparks(),
        rows.gap,
        rows.ledger,
        rows.checks,
        1,
        rows.gap,
        rows.notes,
        1,
    ];
    let areas: [Rect; 14] = Layout::vertical(parts.map(Constraint::Length)).areas(area);
    let [top, _, at, _, middle, _, sparks, _, account, lights, used, _, said, bottom] = areas;
    title(frame, top, now, palette);
    phase(frame, at, now, palette);
    figures(frame, middle, now, palette);
    latency(frame, sparks, rows.spark_gap, now, palette);
    ledger(frame, account, now, palette);
    checks(frame, lights, now, palette);
    processes(frame, used, now, palette);
    notes(frame, said, now, palette);
    footer(frame, bottom, asked, palette);
}
