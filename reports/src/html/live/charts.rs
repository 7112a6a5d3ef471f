//! The charts of the live page: one point per second of the schedule, or per longer stretch of a long run.

use crate::html::axis::{Axis, moment};
use crate::html::chart::{Band, BandKind, Chart, Form, Series};
use crate::html::table::Table;
use crate::live::{LiveSnapshot, Point, RunWords};
use crate::units::{bytes, duration, number, percent};

/// The time axis shows at least this much, so that a young run does not jump.
const TIME_NS_MIN: u64 = 30_000_000_000;

/// One line of a chart: its name, its color (that of the same line in the report), its value of a point. Later ones are drawn above.
type Line = (&'static str, usize, fn(&Point) -> Option<f64>);

/// All of them; none before anything has been measured.
pub(super) fn charts(run: &LiveSnapshot) -> Vec<Chart> {
    if run.history.is_empty() {
        return Vec::new();
    }
    let drawing = Drawing::new(run);
    let latency: [Line; 3] = [
        ("max", 2, |point| ns(point.max_ns)),
        ("p99", 1, |point| ns(point.p99_ns)),
        ("p50", 0, |point| ns(point.p50_ns)),
    ];
    let deliveries: [Line; 1] = [("deliveries", 0, |point| Some(point.deliveries_per_s))];
    let posts: [Line; 1] = [("posts", 0, |point| Some(point.posts_per_s))];
    let lateness: [Line; 2] = [
        ("send lag", 1, |point| ns(point.send_lag_ns)),
        ("hiccup", 2, |point| ns(point.hiccup_ns.filter(|ns| *ns > 0))),
    ];
    let cpu: [Line; 2] =
        [("generator", 0, |point| point.generator_cores), ("target", 1, |point| point.target_cores)];
    let memory: [Line; 2] =
        [("generator", 0, |point| ns(point.generator_bytes)), ("target", 1, |point| ns(point.target_bytes))];
    let ns_text = |value: f64| duration(value as u64);
    vec![
        drawing.chart(
            ("latency", "Delivery latency"),
            "Of what arrived in each second, counted from the intended time of its post.",
            drawing.latency_axis(&latency),
            &latency,
            &ns_text,
        ),
        drawing.chart(
            ("deliveries", "Deliveries per second"),
            "",
            Axis::count(drawing.greatest(&deliveries), "per second"),
            &deliveries,
            &number,
        ),
        drawing.chart(
            ("posts", "Posts per second"),
            "",
            Axis::count(drawing.greatest(&posts), "per second"),
            &posts,
            &number,
        ),
        drawing.chart(("cpu", "CPU"), "", Axis::cpus(drawing.greatest(&cpu)), &cpu, &percent),
        drawing.chart(("memory", "Memory"), "", Axis::memory(drawing.greatest(&memory)), &memory, &|value| {
            bytes(value as u64)
        }),
        drawing.chart(
            ("lateness", "The generator's own lateness"),
            "The greatest of each second: of its posts, and of a sleeper beside it that does nothing else.",
            drawing.latency_axis(&lateness),
            &lateness,
            &ns_text,
        ),
    ]
}

fn ns(value: Option<u64>) -> Option<f64> {
    value.map(|value| value as f64)
}

/// What all charts share.
struct Drawing<'a> {
    points: &'a [Point],
    time: Axis,
    bands: Vec<Band>,
}

impl<'a> Drawing<'a> {
    fn new(run: &'a LiveSnapshot) -> Self {
        let end_ns = run.history.last().map_or(0, |point| point.end_ns);
        let mut time = Axis::time(0, end_ns.max(TIME_NS_MIN));
        "time since the start of the schedule".clone_into(&mut time.title);
        let until_ns = end_ns.max(TIME_NS_MIN);
        Self {
            points: &run.history,
            time,
            bands: run.run.iter().flat_map(|words| phases(words, until_ns)).collect(),
        }
    }

    fn values(&self, of: fn(&Point) -> Option<f64>) -> impl Iterator<Item = f64> {
        self.points.iter().filter_map(of)
    }

    fn greatest(&self, lines: &[Line]) -> f64 {
        lines.iter().flat_map(|(_, _, of)| self.values(*of)).fold(0.0, f64::max)
    }

    fn latency_axis(&self, lines: &[Line]) -> Axis {
        let least = lines.iter().flat_map(|(_, _, of)| self.values(*of)).fold(f64::INFINITY, f64::min);
        Axis::latency(if least.is_finite() { least as u64 } else { 1 }, self.greatest(lines) as u64)
    }

    fn chart(
        &self,
        (id, title): (&str, &str),
        caption: &str,
        axis: Axis,
        lines: &[Line],
        text: &dyn Fn(f64) -> String,
    ) -> Chart {
        let mut chart = Chart::new(id, title, self.time.clone(), axis);
        caption.clone_into(&mut chart.caption);
        chart.linked = Some("time");
        chart.bands.clone_from(&self.bands);
        let middle_ns = |point: &Point| (point.end_ns - point.length_ns / 2) as f64;
        chart.series = lines
            .iter()
            .map(|(name, color, of)| Series {
                name: (*name).to_owned(),
                color: *color,
                form: Form::Line,
                points: self.points.iter().map(|point| (middle_ns(point), of(point))).collect(),
            })
            .collect();
        let latest = self.points.last();
        let now = |(name, _, of): &Line| {
            let value = latest.and_then(of).map_or("not known".to_owned(), text);
            format!("{name} {value}")
        };
        chart.summary = format!("Now: {}.", lines.iter().map(now).collect::<Vec<_>>().join(", "));
        let heads = std::iter::once("time").chain(lines.iter().map(|(name, ..)| *name));
        chart.table = Table { head: heads.map(str::to_owned).collect(), ..Table::default() };
        for point in self.points {
            let figures = lines.iter().map(|(_, _, of)| of(point).map_or("–".to_owned(), text));
            let cells = std::iter::once(moment(point.end_ns)).chain(figures).collect();
            chart.table.push_at(self.time.scale.place(middle_ns(point)), cells);
        }
        chart
    }
}

/// Warm-up, steady phase and drain, as far as they are on the axis.
fn phases(words: &RunWords, until_ns: u64) -> impl Iterator<Item = Band> {
    let steady_ns = words.warmup_ns + words.duration_ns;
    let phases = [
        ("warm-up", 0, words.warmup_ns, BandKind::Phase),
        ("steady", words.warmup_ns, steady_ns, BandKind::Steady),
        ("drain", steady_ns, steady_ns + words.deadline_ns, BandKind::Phase),
    ];
    phases.into_iter().filter(move |(_, from_ns, to_ns, _)| from_ns < to_ns && *from_ns < until_ns).map(
        move |(name, from_ns, to_ns, kind)| Band {
            from: from_ns as f64,
            to: to_ns.min(until_ns) as f64,
            kind,
            label: name.to_owned(),
            meaning: name.to_owned(),
        },
    )
}
