//! The parts of the picture, each drawn into the area that it is given.

use std::iter::repeat_n;

use feedmark_reports::units::{bytes, count, duration, number, percent, short_duration};
use feedmark_reports::validity::Check;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Sparkline;

use super::palette::Palette;
use crate::live::history::Point;
use crate::live::snapshot::{LiveSnapshot, ProcessNow};

/// Columns of one value beside a sparkline.
const VALUE: u16 = 12;
/// Columns from which on there is room for two of them, and for names.
const WIDE: u16 = 76;
/// Columns from which on checks have their ids, too.
const VERY_WIDE: u16 = 110;
/// Eighths of a row that the least value has: something is not nothing.
const EIGHTHS: u64 = 8;

/// Columns of what stands at the left of a row.
fn label_columns(area: Rect) -> u16 {
    if area.width < WIDE { 9 } else { 11 }
}

/// What stands there.
fn label<'a>(name: &str, area: Rect, palette: &Palette) -> Span<'a> {
    Span::styled(format!("{name:<width$}", width = usize::from(label_columns(area))), palette.strong)
}

/// What the run is.
pub(super) fn title(frame: &mut Frame<'_>, area: Rect, now: &LiveSnapshot, palette: &Palette) {
    let (target, scenario) =
        now.run.as_ref().map_or(("", ""), |run| (run.target.as_str(), run.scenario.as_str()));
    let first = Line::from(vec![
        Span::styled("feedmark  ", palette.strong),
        Span::raw(shortened(target, area.width.saturating_sub(10))),
    ]);
    let second = Line::styled(shortened(scenario, area.width), palette.dim);
    rows(frame, area, [first, second]);
}

/// The phase, how much of it is done, how long it goes on.
pub(super) fn phase(frame: &mut Frame<'_>, area: Rect, now: &LiveSnapshot, palette: &Palette) {
    let phase = &now.phase;
    let left = match phase.left_ns {
        Some(left_ns) => format!("{} s left", left_ns.div_ceil(1_000_000_000)),
        None => String::new(),
    };
    let end = format!(" {:>5}  {left:>10}", percent((phase.done * 100.0).floor() / 100.0));
    let name = if now.stopping { "stopping" } else { phase.name };
    let bar = usize::from(area.width).saturating_sub(usize::from(label_columns(area)) + end.chars().count());
    let full = ((phase.done * bar as f64) as usize).min(bar);
    let line = Line::from(vec![
        label(name, area, palette),
        Span::styled("█".repeat(full), palette.accent),
        Span::styled("░".repeat(bar - full), palette.dim),
        Span::raw(end),
    ]);
    frame.render_widget(line, area);
}

/// What goes on, in large.
pub(super) fn figures(frame: &mut Frame<'_>, area: Rect, now: &LiveSnapshot, palette: &Palette) {
    let rate = |per_s: fn(&Point) -> f64| {
        now.latest.as_ref().map_or_else(|| "-".to_owned(), |second| number(tenths(per_s(second))))
    };
    let (connections, dim) = (&now.connections, palette.dim);
    let gone = connections.lost + connections.failed;
    let connected = match gone {
        0 => (count(connections.connected), palette.strong),
        _ => (format!("{}, {} lost", count(connections.connected), count(gone)), palette.bad),
    };
    let sent = match now.posts.scheduled {
        0 => "-".to_owned(),
        scheduled => format!("{} of {}", count(now.posts.sent), count(scheduled)),
    };
    let posts = match now.posts.failed {
        0 => ("posts sent".to_owned(), dim),
        failed => (format!("sent, {} failed", count(failed)), palette.bad),
    };
    let (label, strong) = (|label: &str| (label.to_owned(), dim), |value| (value, palette.strong));
    let mut columns = vec![
        (label("connected"), connected),
        (label("posts/s"), strong(rate(|second| second.posts_per_s))),
        (label("deliveries/s"), strong(rate(|second| second.deliveries_per_s.round()))),
    ];
    if area.width >= WIDE {
        columns.push((posts, strong(sent)));
        columns.push((label("under way"), strong(count(now.ledger.under_way))));
    }
    let cells = Layout::horizontal(vec![Constraint::Fill(1); columns.len()]).split(area);
    for ((label, value), cell) in columns.into_iter().zip(cells.iter()) {
        let line = |(text, style): (String, Style)| {
            Line::styled(shortened(&text, cell.width.saturating_sub(1)), style)
        };
        rows(frame, *cell, [line(label), line(value)]);
    }
}

/// One latency of a point.
type OfPoint = fn(&Point) -> Option<u64>;

/// The latency of what has arrived, second by second, and its latest and overall values; with a gap of so many rows
/// between the sparklines.
pub(super) fn latency(frame: &mut Frame<'_>, area: Rect, gap: u16, now: &LiveSnapshot, palette: &Palette) {
    let [heading, below] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    let is_wide = area.width >= WIDE;
    let values = if is_wide { 2 * VALUE } else { VALUE };
    let columns = |area: Rect| -> [Rect; 3] {
        Layout::horizontal([
            Constraint::Length(label_columns(area)),
            Constraint::Fill(1),
            Constraint::Length(values),
        ])
        .areas(area)
    };
    let [_, spark, beside] = columns(heading);
    frame.render_widget(Span::styled("delivery", palette.strong), heading);
    let length = now.history.first().map_or(1_000_000_000, |point| point.length_ns);
    let seconds = short_duration((length + 500_000_000) / 1_000_000_000 * 1_000_000_000);
    let scale = if is_wide { format!("of what has arrived, a bar for {seconds}") } else { String::new() };
    frame.render_widget(Span::styled(shortened(&scale, spark.width), palette.dim), spark);
    let names = if is_wide {
        format!("{:>12}{:>12}", "last second", "steady")
    } else {
        format!("{:>12}", "last second")
    };
    frame.render_widget(Span::styled(names, palette.dim), beside);

    let (latest, overall) = (now.latest.as_ref(), now.delivery.as_ref());
    let lines: [(_, OfPoint, _); 3] = [
        ("p50", |point| point.p50_ns, overall.map(|so_far| so_far.p50_ns)),
        ("p99", |point| point.p99_ns, overall.map(|so_far| so_far.p99_ns)),
        ("max", |point| point.max_ns, overall.map(|so_far| so_far.max_ns)),
    ];
    let areas: [Rect; 3] = Layout::vertical([Constraint::Fill(1); 3]).spacing(gap).areas(below);
    for (((name, of, so_far), row), style) in lines.into_iter().zip(areas).zip(palette.lines) {
        let [left, spark, beside] = columns(row);
        let bottom = |area: Rect| Rect { y: area.bottom().saturating_sub(1), height: 1, ..area };
        frame.render_widget(Span::raw(name), bottom(left));
        sparkline(frame, spark, now.history.iter().map(of), columns_of_bar(now, spark.width), style);
        let shown = |ns: Option<u64>| ns.map_or_else(|| "-".to_owned(), duration);
        let mut text = format!("{:>12}", shown(latest.and_then(of)));
        if is_wide {
            text.push_str(&format!("{:>12}", shown(so_far)));
        }
        frame.render_widget(Span::styled(text, palette.strong), bottom(beside));
    }
}

/// Columns of one bar: the whole schedule fills the row, as far as it fits.
fn columns_of_bar(now: &LiveSnapshot, width: u16) -> usize {
    let schedule_ns = now.run.as_ref().map_or(0, |run| run.warmup_ns + run.duration_ns);
    let length_ns = now.history.first().map_or(schedule_ns, |point| point.length_ns).max(1);
    usize::from(width) / usize::try_from(schedule_ns.div_ceil(length_ns)).unwrap_or(usize::MAX).max(1)
}

/// As many of the latest values as there is room for, to a scale of their own; a bar without a value stays empty.
fn sparkline(
    frame: &mut Frame<'_>,
    area: Rect,
    values: impl ExactSizeIterator<Item = Option<u64>>,
    columns: usize,
    style: Style,
) {
    let columns = columns.max(1);
    let skipped = values.len().saturating_sub(usize::from(area.width) / columns);
    let shown: Vec<Option<u64>> = values.skip(skipped).collect();
    let most = shown.iter().flatten().copied().max().unwrap_or_default();
    let least = most / (u64::from(area.height).max(1) * EIGHTHS) + 1;
    let bars = shown.into_iter().flat_map(|value| repeat_n(value.map(|value| value.max(least)), columns));
    frame.render_widget(Sparkline::default().data(bars).max(most.max(least)).style(style), area);
}

/// What became of what was owed.
pub(super) fn ledger(frame: &mut Frame<'_>, area: Rect, now: &LiveSnapshot, palette: &Palette) {
    let ledger = &now.ledger;
    let part = |n: u64, word: &str| {
        Span::styled(format!("{} {word}", count(n)), if n > 0 { palette.bad } else { Style::new() })
    };
    let label = label("ledger", area, palette);
    if ledger.owed == 0 {
        let text = match &now.run {
            Some(run) => format!("settled {} after each post's time", short_duration(run.deadline_ns)),
            None => String::new(),
        };
        let text =
            Span::styled(shortened(&text, area.width.saturating_sub(label_columns(area))), palette.dim);
        frame.render_widget(Line::from(vec![label, text]), area);
        return;
    }
    let owed = count(ledger.owed);
    if area.width < WIDE {
        let line = vec![
            label,
            part(ledger.late, "late, "),
            part(ledger.missing, "missing "),
            Span::raw(format!("of {owed}")),
        ];
        frame.render_widget(Line::from(line), area);
        return;
    }
    let first = Line::from(vec![
        label,
        Span::raw(format!("{owed} owed = {} delivered + ", count(ledger.delivered))),
        part(ledger.late, "late"),
        Span::raw(" + "),
        part(ledger.missing, "missing"),
    ]);
    let second = Line::from(vec![
        Span::raw(" ".repeat(label_columns(area).into())),
        part(ledger.duplicate, "duplicate"),
        Span::raw(", "),
        part(ledger.reordered, "reordered"),
        Span::raw(", "),
        part(ledger.unexpected, "unexpected"),
    ]);
    rows(frame, area, [first, second]);
}

/// A light for every check that can be told meanwhile, and what to do about the first that trips.
pub(super) fn checks(frame: &mut Frame<'_>, area: Rect, now: &LiveSnapshot, palette: &Palette) {
    let label = label("valid", area, palette);
    let indent = label_columns(area);
    let room = area.width.saturating_sub(indent);
    if now.checks.is_empty() {
        let text = shortened("judged from the steady phase on", room);
        frame.render_widget(Line::from(vec![label, Span::styled(text, palette.dim)]), area);
        return;
    }
    let mut line = vec![label];
    for (id, name) in NAMES {
        let (mark, style) = match light(&now.checks, id) {
            Some(true) => ("●", palette.good),
            Some(false) => ("✗", palette.bad),
            None => ("○", palette.dim),
        };
        line.push(Span::styled(mark, style));
        line.push(Span::raw(match area.width {
            ..WIDE => format!("{id} "),
            WIDE..VERY_WIDE => format!(" {name}  "),
            _ => format!(" {id} {name}   "),
        }));
    }
    let tripped = now.checks.iter().find_map(|check| check.remedy.as_deref());
    let below = match tripped {
        Some(remedy) => Span::styled(shortened(remedy, room), palette.bad),
        None => Span::styled(shortened("so far; the other checks are judged at the end", room), palette.dim),
    };
    let below = Line::from(vec![Span::raw(" ".repeat(indent.into())), below]);
    rows(frame, area, [Line::from(line), below]);
}

/// What each check is called here.
const NAMES: [(&str, &str); 6] = [
    ("V2", "send lag"),
    ("V3", "receive delay"),
    ("V4", "hiccups"),
    ("V5", "CPU"),
    ("V6", "clock"),
    ("V7", "probe"),
];

/// Whether all values of a check pass; `None` if nothing was measured.
fn light(checks: &[Check], id: &str) -> Option<bool> {
    checks
        .iter()
        .filter(|check| check.id == id)
        .filter_map(|check| check.passed)
        .reduce(|one, other| one && other)
}

/// CPU and memory.
pub(super) fn processes(frame: &mut Frame<'_>, area: Rect, now: &LiveSnapshot, palette: &Palette) {
    let is_wide = area.width >= WIDE;
    let cpu = |process: ProcessNow| format!("{:.2} CPU", process.cpu_cores);
    let both = |process: ProcessNow| format!("{}, {}", cpu(process), bytes(process.memory_bytes));
    let shown = |process: Option<ProcessNow>, how: &dyn Fn(ProcessNow) -> String| {
        process.map_or_else(|| "-".to_owned(), how)
    };
    let (name, generator) = match is_wide {
        true => ("    generator  ", shown(now.generator, &both)),
        false => ("  gen ", shown(now.generator, &cpu)),
    };
    let line = Line::from(vec![
        label("target", area, palette),
        Span::raw(shown(now.target, &both)),
        Span::styled(name, palette.strong),
        Span::raw(generator),
    ]);
    frame.render_widget(line, area);
}

/// The latest of what was said.
pub(super) fn notes(frame: &mut Frame<'_>, area: Rect, now: &LiveSnapshot, palette: &Palette) {
    let first = now.notes.len().saturating_sub(area.height.into());
    let lines =
        now.notes[first..].iter().map(|note| Line::styled(shortened(&note.text, area.width), palette.dim));
    rows(frame, area, lines);
}

/// What can be done.
pub(super) fn footer(frame: &mut Frame<'_>, area: Rect, asked: u8, palette: &Palette) {
    let text = match (asked, area.width) {
        (0, ..WIDE) => "q stops, twice ends now",
        (0, _) => "q stops and waits for what is out, twice ends now",
        (1, _) => "stopping; q ends now",
        _ => "ending",
    };
    frame.render_widget(Span::styled(text, if asked == 0 { palette.dim } else { palette.accent }), area);
}

/// One line after the other, as far as there is room.
fn rows<'a>(frame: &mut Frame<'_>, area: Rect, lines: impl IntoIterator<Item = Line<'a>>) {
    for (line, row) in lines.into_iter().zip(area.rows()) {
        frame.render_widget(line, row);
    }
}

/// A text, cut with a sign where there is no room for it.
fn shortened(text: &str, width: u16) -> String {
    let width = usize::from(width);
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

fn tenths(x: f64) -> f64 {
    (x * 10.0).round() / 10.0
}
