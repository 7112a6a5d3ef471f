//! Charts as SVG: lines, steps and dots over two axes, with a legend that toggles them, and a table of the same figures.
//!
//! Why not a chart library: what it draws has fixed colors and sizes. Here classes leave colors to the style, so that dark mode,
//! print and toggling work without a script; texts are never stretched, so that a phone shows them as large as a screen;
//! and the table that a screen reader gets is the one that the read-outs come from.
//!
//! Invariants: text is escaped by `maud`; a chart without its script and without its style still has its table.

use maud::{Markup, Render, html};

use super::axis::Axis;
use super::heat::Heat;
use super::path::{self, HEIGHT, Place, WIDTH, fixed, x, y};
use super::table::Table;

/// One chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Unique on the page; what links to it name.
    pub id: String,
    /// What it shows.
    pub title: String,
    /// How to read it: one sentence.
    pub caption: String,
    /// What is seen in it, for those who do not see it.
    pub summary: String,
    /// To the right.
    pub x: Axis,
    /// Upwards.
    pub y: Axis,
    /// Charts with the same word are zoomed together.
    pub linked: Option<&'static str>,
    /// Along which axis the rows of the table lie.
    pub rows_along: Along,
    /// Shades behind the lines.
    pub heat: Option<Heat>,
    /// Stretches of the axis to the right.
    pub bands: Vec<Band>,
    /// What is drawn.
    pub series: Vec<Series>,
    /// Values of the axis upwards to know of.
    pub levels: Vec<Level>,
    /// Points with a name and a link.
    pub flags: Vec<Flag>,
    /// The same figures in words.
    pub table: Table,
    /// Share of the axis that each row stands for, where rows are stretches of it, named after their start; 0 of points.
    pub row_width: f64,
    /// The table is shown without being asked for.
    pub is_table_open: bool,
}

/// An axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Along {
    /// To the right.
    X,
    /// Upwards.
    Y,
}

/// One series of values.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Its color, one of the style's: 0 to 7.
    pub color: usize,
    /// How it is drawn.
    pub form: Form,
    /// Places on both axes as values, `None` where there is no value.
    pub points: Vec<(f64, Option<f64>)>,
}

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// From point to point.
    Line,
    /// The same, broken: what the samples do not support.
    Broken,
    /// Each value holds until the next.
    Steps,
    /// Dots.
    Dots,
    /// Squares: they are told from dots without their color, too.
    Squares,
    /// What lies within the points, filled.
    Area,
}

/// A stretch of the axis to the right.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// Its start, a value of the axis.
    pub from: f64,
    /// Its end.
    pub to: f64,
    /// What it stands for.
    pub kind: BandKind,
    /// Written above it, if there is room.
    pub label: String,
    /// What it means.
    pub meaning: String,
}

/// What a band stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BandKind {
    /// The judged phase.
    Steady,
    /// Another phase.
    Phase,
    /// Nothing came.
    Stall,
    /// A moment to know of.
    Mark,
    /// What is looked for lies in it.
    Bracket,
    /// From here on it fails.
    Failing,
}

impl BandKind {
    const fn class(self) -> &'static str {
        match self {
            Self::Steady => "band steady",
            Self::Phase => "band phase",
            Self::Stall => "band stall",
            Self::Mark => "band mark",
            Self::Bracket => "band bracket",
            Self::Failing => "band failing",
        }
    }

    const fn is_phase(self) -> bool {
        matches!(self, Self::Steady | Self::Phase)
    }
}

/// A value of the axis upwards: a line across, with its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    /// The value.
    pub y: f64,
    /// Its color, one of the style's: that of the series which it concerns.
    pub color: usize,
    /// Written above it.
    pub text: String,
}

/// A point with a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Flag {
    /// On the axis to the right.
    pub x: f64,
    /// On the axis upwards.
    pub y: f64,
    /// Written beside it.
    pub text: String,
    /// What it is.
    pub meaning: String,
    /// The `id` of the place that it leads to.
    pub to: String,
}

/// A label further to the right ends where it stands, so that it does not leave the page.
const LABEL_END: f64 = 0.97;
/// The same of a label as long as a sentence.
const LONG_LABEL_END: f64 = 0.8;
/// Labels with more letters need more room on the left.
const WIDE_FROM: usize = 10;
/// Stretches narrower than this get no label.
const LABEL_WIDTH_MIN: f64 = 0.07;

impl Chart {
    /// A chart of run time with nothing in it yet.
    pub fn new(id: &str, title: &str, x: Axis, y: Axis) -> Self {
        Self {
            id: id.to_owned(),
            title: title.to_owned(),
            caption: String::new(),
            summary: String::new(),
            x,
            y,
            linked: None,
            rows_along: Along::X,
            heat: None,
            bands: Vec::new(),
            series: Vec::new(),
            levels: Vec::new(),
            flags: Vec::new(),
            table: Table::default(),
            row_width: 0.0,
            is_table_open: false,
        }
    }

    fn places(&self, series: &Series) -> Vec<Place> {
        let place = |&(across, up): &(f64, Option<f64>)| {
            let up = up.filter(|up| up.is_finite())?;
            Some((self.x.scale.place(across), self.y.scale.place(up)))
        };
        series.points.iter().map(place).collect()
    }

    fn path(&self, series: &Series) -> Markup {
        let places = self.places(series);
        let (data, form) = match series.form {
            Form::Line => (path::line(&places), "line"),
            Form::Broken => (path::line(&places), "line broken"),
            Form::Steps => (path::steps(&places), "line"),
            Form::Dots => (path::dots(&places), "dots"),
            Form::Squares => (path::dots(&places), "dots squares"),
            Form::Area => (path::line(&places), "area"),
        };
        html! { path class={ (form) " s" (series.color) } d=(data) {} }
    }

    /// Behind everything: stretches, then the lines of the axes.
    fn ground(&self) -> Markup {
        let ups = self.y.ticks.iter().map(|(tick, _)| y(self.y.scale.place(*tick)));
        let acrosses = self.x.ticks.iter().map(|(tick, _)| x(self.x.scale.place(*tick)));
        let grid: String = ups
            .map(|up| format!("M0 {up}H{WIDTH}"))
            .chain(acrosses.map(|across| format!("M{across} 0V{HEIGHT}")))
            .collect();
        html! {
            @for band in &self.bands {
                @let (from, to) = (self.x.scale.place(band.from), self.x.scale.place(band.to));
                @if band.kind == BandKind::Mark {
                    path class=(band.kind.class()) d={ "M" (x(from)) " 0V" (HEIGHT) } { title { (band.meaning) } }
                } @else {
                    // What is too short to be seen would not be there.
                    rect class=(band.kind.class()) x=(x(from)) y="0" width=(fixed(((to - from) * WIDTH).max(2.0))) height=(HEIGHT) {
                        @if !band.kind.is_phase() { title { (band.meaning) } }
                    }
                }
            }
            path.grid d=(grid) {}
            @for level in &self.levels {
                path class={ "line broken s" (level.color) } d={ "M0 " (y(self.y.scale.place(level.y))) "H" (WIDTH) } {}
            }
        }
    }

    /// What is written around the box; places across are in per cent, because the box is stretched.
    fn texts(&self) -> Markup {
        html! {
            g.ticks.up aria-hidden="true" {
                @for (tick, label) in &self.y.ticks {
                    text x="-8" y=(y(self.y.scale.place(*tick))) dy="0.32em" text-anchor="end" { (label) }
                }
            }
            g.ticks.across aria-hidden="true" {
                @for (tick, label) in &self.x.ticks {
                    @let place = self.x.scale.place(*tick);
                    text x={ (fixed(place * 100.0)) "%" } data-u=(x(place)) y=(HEIGHT) dy="1.5em" text-anchor=(if place > LABEL_END { "end" } else { "middle" }) { (label) }
                }
            }
            g.labels aria-hidden="true" {
                @for band in &self.bands {
                    @let (from, to) = (self.x.scale.place(band.from), self.x.scale.place(band.to));
                    @if band.kind.is_phase() && to - from >= LABEL_WIDTH_MIN {
                        text x={ (fixed((from + to) * 50.0)) "%" } data-u=(x((from + to) / 2.0)) y="-6" text-anchor="middle" { (band.label) }
                    } @else if band.kind == BandKind::Bracket {
                        text x={ (fixed(from * 100.0)) "%" } data-u=(x(from)) y="-6" text-anchor=(if from > LONG_LABEL_END { "end" } else { "middle" }) { (band.label) }
                    }
                }
                @for level in &self.levels {
                    text x="0" y=(y(self.y.scale.place(level.y))) dx="6" dy="-0.4em" { (level.text) }
                }
            }
            // Outside of what is hidden: they are followed with the keyboard, too, and by name.
            g.labels {
                @for flag in &self.flags {
                    @let (across, up) = (self.x.scale.place(flag.x), self.y.scale.place(flag.y));
                    a href={ "#" (flag.to) } aria-label={ (flag.text) ": " (flag.meaning) } {
                        text.flag x={ (fixed(across * 100.0)) "%" } data-u=(x(across)) y=(y(up)) dy="-0.5em" text-anchor="middle" {
                            title { (flag.meaning) }
                            (flag.text)
                        }
                    }
                }
            }
        }
    }

    fn legend(&self) -> Markup {
        // What is drawn in parts is one entry.
        let mut entries: Vec<(&str, usize)> = Vec::new();
        for series in &self.series {
            if !entries.iter().any(|(_, color)| *color == series.color) {
                entries.push((&series.name, series.color));
            }
        }
        html! {
            @if entries.len() > 1 {
                div.legend role="group" aria-label="series shown" {
                    @for (name, color) in entries {
                        label.key { input.toggle type="checkbox" checked data-color=(color); span.swatch.{ "s" (color) } {} (name) }
                    }
                }
            }
        }
    }
}

impl Render for Chart {
    fn render(&self) -> Markup {
        let (title_id, desc_id) = (format!("{}-title", self.id), format!("{}-desc", self.id));
        let half = (self.row_width > 0.0).then(|| x(self.row_width / 2.0));
        // What is an image has nothing in it that could be followed.
        let role = if self.flags.is_empty() { "img" } else { "group" };
        let along = if self.rows_along == Along::Y { "y" } else { "x" };
        html! {
            figure.chart id=(self.id) data-linked=[self.linked] data-along=(along) data-half=[half] {
                figcaption {
                    h3 id=(title_id) { (self.title) }
                    @if !self.caption.is_empty() { p { (self.caption) } }
                }
                (self.legend())
                div.plot.wide[self.y.ticks.iter().any(|(_, label)| label.len() > WIDE_FROM)] tabindex="0" role="group" aria-labelledby=(title_id) {
                    p.axis-title { (self.y.title) }
                    svg.frame role=(role) aria-labelledby={ (title_id) " " (desc_id) } height=(HEIGHT) {
                        desc id=(desc_id) { (self.summary) }
                        svg.box width="100%" height=(HEIGHT) viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" {
                            (self.ground())
                            @if let Some(heat) = &self.heat { (heat) }
                            @for series in &self.series { (self.path(series)) }
                        }
                        (self.texts())
                        line.cursor hidden {}
                    }
                    p.axis-title.below { (self.x.title) }
                    div.readout role="status" hidden {}
                }
                details.shown[self.is_table_open] open[self.is_table_open] { summary { "Figures of this chart" } (self.table) }
            }
        }
    }
}
