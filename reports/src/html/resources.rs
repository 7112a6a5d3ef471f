//! CPU and memory of both sides, on the same time axis as the latencies.

use maud::{Render as _, html};

use super::axis::{Axis, moment};
use super::chart::{Chart, Form, Series};
use super::over_time::finite;
use super::page::Section;
use super::sampled::{Points, Sampled};
use super::table::Table;
use super::view::View;
use crate::capacity::StepResources;
use crate::run_result::ProcessUse;
use crate::target_use::{MetricSample, MetricSeries, TargetSample, TargetUse};
use crate::units::{bytes, count, number, percent, seconds};

/// Two samples at the same moment say nothing of a rate.
const SHARE_S_MIN: f64 = 0.05;

pub(super) fn section(view: &View<'_>) -> Option<Section> {
    let resources = &view.result.resources;
    let sides: Vec<(&str, usize, &ProcessUse)> =
        [("generator", 0, Some(&resources.generator)), ("target", 1, resources.target.as_ref())]
            .into_iter()
            .filter_map(|(name, color, used)| Some((name, color, used?)))
            .collect();
    let mut used = Table::new(["process", "CPU", "CPU per 1M deliveries", "peak memory"]);
    for (name, _, process) in &sides {
        let per_million = process.cpu_s_per_million_deliveries.map_or("n/a".to_owned(), seconds);
        used.push([
            (*name).to_owned(),
            seconds(process.cpu_s),
            per_million,
            bytes(process.peak_memory_bytes),
        ]);
    }
    let charts = [cpu(view, &sides), memory(view, &sides), descriptors(view)].into_iter().flatten();
    let charts: Vec<Chart> = charts.chain(figures(view)).collect();
    let means = resources.target_use.as_ref().map(|seen| means(&StepResources::of(view.result), seen));
    let body = html! {
        (used.render())
        @if let Some(means) = means.filter(|means| !means.rows.is_empty()) { (means.render()) }
        @for chart in &charts { (chart) }
        @if resources.target.is_none() {
            p.remark {
                "The target's process is not known: --target-pid watches that of a server on this host, --target-metrics one \
                 that tells its figures."
            }
        }
    };
    Some(Section {
        id: "resources",
        title: "CPU and memory",
        question: "What did it cost, and who ran out first?",
        body,
    })
}

/// What the target used of what it may use, in the steady phase.
fn means(of: &StepResources, seen: &TargetUse) -> Table {
    let mut table = Table::new(["of the target", "used", "of"]);
    let mut row = |name: String, used: Option<String>, limit: Option<String>| {
        if let Some(used) = used {
            table.push([name, used, limit.unwrap_or_else(|| "n/a".to_owned())]);
        }
    };
    if seen.processes_left_out_max > 0 {
        let found = u64::from(seen.processes_max) + u64::from(seen.processes_left_out_max);
        row(
            "processes that were watched".to_owned(),
            Some(count(seen.processes_max.into())),
            Some(count(found)),
        );
    }
    let two_digits = |cpus: f64| number((cpus * 100.0).round() / 100.0);
    row("CPUs".to_owned(), of.cpus_used.map(two_digits), of.cpus.map(number));
    let busiest = seen.busiest_thread.as_ref();
    let thread = busiest.map(|thread| format!("busiest thread ({})", thread.name));
    row(
        thread.unwrap_or_default(),
        busiest.map(|thread| percent(thread.cpu_share)),
        Some("a CPU".to_owned()),
    );
    row(
        "held back by a CPU quota".to_owned(),
        of.throttled_share.map(percent),
        Some("the time that it would have run".to_owned()),
    );
    let (resident, group) = (of.memory_bytes.map(bytes), of.group_memory_bytes.map(bytes));
    let limit = of.memory_limit_bytes.map(bytes);
    match group {
        Some(_) => row("memory of its control group".to_owned(), group, limit),
        None => row("memory".to_owned(), resident, limit),
    }
    row("descriptors".to_owned(), of.descriptors.map(count), of.descriptors_limit.map(count));
    row("waiting for the disk".to_owned(), of.storage_busy_share.map(percent), Some("the time".to_owned()));
    table
}

fn descriptors(view: &View<'_>) -> Option<Chart> {
    let used = view.result.resources.target_use.as_ref()?;
    let sample = |sample: &TargetSample| (sample.at_ns as f64, sample.descriptors.map(|open| open as f64));
    let points = used.samples.iter().map(sample).collect();
    let axis = |_, greatest| Axis::count(greatest, "open descriptors");
    let text = |open| count(open as u64);
    drawn(view, "descriptors", "Descriptors", axis, text, vec![("target", 1, points)])
}

/// What the target said of itself, one chart for each series; one that never was anything but 0 is left out.
fn figures(view: &View<'_>) -> Vec<Chart> {
    let series = view.result.resources.series.iter().enumerate();
    let moving = series.filter(|(_, series)| series.samples.iter().any(|sample| sample.value != 0.0));
    let chart = |(index, series): (usize, &MetricSeries)| {
        let (title, points) = match series.is_counter {
            true => (format!("{} per second", series.selector), growth(series)),
            false => (series.selector.clone(), series.samples.iter().map(value).collect()),
        };
        let axis = |least, greatest| Axis::signed(least, greatest, "as the target tells it");
        drawn(view, &format!("figure-{index}"), &title, axis, number, vec![("target", 1, points)])
    };
    moving.filter_map(chart).collect()
}

fn value(sample: &MetricSample) -> (f64, Option<f64>) {
    (sample.at_ns as f64, Some(sample.value))
}

/// A counter per second, from each sample to the next; one that was set back has none.
fn growth(series: &MetricSeries) -> Points {
    rates(series.samples.iter().map(|sample| (sample.at_ns, sample.value)))
}

type Side<'a> = (&'a str, usize, &'a ProcessUse);

/// CPU seconds per second from each sample to the next.
fn shares(process: &ProcessUse) -> Points {
    rates(process.samples.iter().map(|sample| (sample.at_ns, sample.cpu_s)))
}

/// Per second from each sample of what only grows to the next, at the time between them.
fn rates(samples: impl Iterator<Item = (u64, f64)>) -> Points {
    let samples: Vec<(u64, f64)> = samples.collect();
    let rate = |pair: &[(u64, f64)]| {
        let length_s = pair[1].0.saturating_sub(pair[0].0) as f64 / 1e9;
        let grown = pair[1].1 - pair[0].1;
        let rate = (grown >= 0.0).then(|| grown / length_s);
        (length_s > SHARE_S_MIN).then_some(((pair[0].0 as f64 + pair[1].0 as f64) / 2.0, rate))
    };
    samples.windows(2).filter_map(rate).collect()
}

fn memories(process: &ProcessUse) -> Points {
    process.samples.iter().map(|sample| (sample.at_ns as f64, Some(sample.memory_bytes as f64))).collect()
}

fn cpu(view: &View<'_>, sides: &[Side<'_>]) -> Option<Chart> {
    let mut lines: Vec<_> =
        sides.iter().map(|(name, color, process)| (*name, *color, shares(process))).collect();
    if let Some(used) = &view.result.resources.target_use {
        let share = |sample: &TargetSample| (sample.at_ns as f64, sample.busiest_thread_share);
        lines.push(("target's busiest thread", 2, used.samples.iter().map(share).collect()));
    }
    drawn(view, "cpu", "CPU", |_, greatest| Axis::cpus(greatest), percent, lines)
}

fn memory(view: &View<'_>, sides: &[Side<'_>]) -> Option<Chart> {
    let sides = sides.iter().map(|(name, color, process)| (*name, *color, memories(process)));
    let axis = |_, greatest| Axis::memory(greatest);
    drawn(view, "memory", "Memory", axis, |size| bytes(size as u64), sides.collect())
}

/// One line for each side that was sampled; `None` without any. The rows of the table are those of the first, with the
/// nearest value of the other.
fn drawn(
    view: &View<'_>,
    id: &str,
    title: &str,
    axis: impl Fn(f64, f64) -> Axis,
    text: fn(f64) -> String,
    sides: Vec<(&str, usize, Points)>,
) -> Option<Chart> {
    // What was before the warm-up lies beyond the axis.
    let (from, to) = (view.from_ns as f64, view.to_ns as f64);
    let is_shown = |(at_ns, _): &(f64, Option<f64>)| (from..=to).contains(at_ns);
    let sides: Vec<(&str, usize, Points)> = sides
        .into_iter()
        .map(|(name, color, points)| (name, color, points.into_iter().filter(is_shown).collect()))
        .filter(|(.., points): &(_, _, Points)| finite(points).count() > 1)
        .collect();
    if sides.is_empty() {
        return None;
    }
    let values = || sides.iter().flat_map(|(.., points)| finite(points));
    let (least, greatest) = (values().fold(0.0, f64::min), values().reduce(f64::max).unwrap_or(0.0));
    let mut chart = Chart::new(id, title, view.time.clone(), axis(least, greatest));
    chart.linked = Some("time");
    chart.bands = view.marks();
    chart.summary = sides
        .iter()
        .map(|(name, _, points)| {
            let most = finite(points).reduce(f64::max).map_or_else(|| "n/a".to_owned(), text);
            format!("{name}: {most} at most.")
        })
        .collect::<Vec<_>>()
        .join(" ");
    chart.table.head =
        std::iter::once("time").chain(sides.iter().map(|(name, ..)| *name)).map(str::to_owned).collect();
    let sides: Vec<(&str, usize, Sampled)> =
        sides.into_iter().map(|(name, color, points)| (name, color, Sampled::new(points))).collect();
    let rows = sides.first().map_or(&[][..], |(.., sampled)| sampled.points.as_slice());
    for (at_ns, _) in rows {
        let near = |sampled: &Sampled| sampled.near(*at_ns).map_or_else(|| "n/a".to_owned(), text);
        let values = sides.iter().map(|(.., sampled)| near(sampled));
        let cells = std::iter::once(moment(*at_ns as u64)).chain(values).collect();
        chart.table.push_at(view.time.scale.place(*at_ns), cells);
    }
    chart.series = sides
        .into_iter()
        .map(|(name, color, sampled)| Series {
            name: name.to_owned(),
            color,
            form: Form::Line,
            points: sampled.line(),
        })
        .collect();
    Some(chart)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::tests::folder_of;
    use crate::sample;

    /// The chart of a series that a target tells, second by second.
    fn chart(is_counter: bool, values: &[f64]) -> Chart {
        let mut result = sample::run();
        let at_ns = |second: usize| (10 + second as u64) * 1_000_000_000;
        let samples = values.iter().enumerate();
        let samples = samples.map(|(second, value)| MetricSample { at_ns: at_ns(second), value: *value });
        let series = &mut result.resources.series;
        series.truncate(1);
        (series[0].is_counter, series[0].samples) = (is_counter, samples.collect());
        figures(&View::new(&folder_of(result, 30, 10)).unwrap()).remove(0)
    }

    #[test]
    fn what_is_below_0_is_said_and_drawn() {
        let chart = chart(false, &[-8.0, -2.0, -5.0]);
        assert_eq!(chart.summary, "target: -2 at most.");
        assert!(chart.y.scale.place(-8.0) > 0.0 && chart.y.scale.place(-2.0) < 1.0);
    }

    #[test]
    fn a_counter_that_was_set_back_breaks_its_line() {
        let chart = chart(true, &[0.0, 10.0, 30.0, 1.0, 5.0, 6.0]);
        let values: Vec<Option<f64>> = chart.series[0].points.iter().map(|(_, value)| *value).collect();
        assert_eq!(values, [Some(10.0), Some(20.0), None, Some(4.0), Some(1.0)]);
        assert_eq!(chart.summary, "target: 20 at most.");
    }
}
