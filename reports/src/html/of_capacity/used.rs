//! What the target used against load: as shares of what there is, so that what gives way first is seen, and as amounts; and
//! its memory against subscribers, where several numbers of them were searched.

use super::search::{View, medians, step_load};
use crate::capacity::limit::{Limit, gauges};
use crate::capacity::{CapacityResult, Step, StepResources, Vary};
use crate::html::axis::Axis;
use crate::html::chart::{Chart, Form, Series};
use crate::html::table::Table;
use crate::units::{bytes, count, counted, percent};

/// What can be used up, each with its color.
const LIMITS: [Limit; 7] = [
    Limit::TargetCpu,
    Limit::CpuQuota,
    Limit::Memory,
    Limit::Descriptors,
    Limit::Storage,
    Limit::SocketBuffers,
    Limit::Network,
];

pub(super) fn charts(view: &View<'_>) -> Vec<Chart> {
    let over = Over {
        steps: &view.steps,
        place: &|step| view.load(step),
        text: &|step| step_load(view.search, step),
        chart: &|id, title, axis| view.chart(id, title, axis),
    };
    [shares(view, &over)]
        .into_iter()
        .chain(AMOUNTS.iter().map(|amounts| drawn(&over, amounts)))
        .flatten()
        .collect()
}

/// Memory by number of subscribers, over all searches of a frontier: each of them by itself has but one number.
pub(super) fn memory_by_subscribers(capacity: &CapacityResult) -> Option<Chart> {
    let place = |step: &Step| f64::from(step.subscribers);
    let mut steps: Vec<(usize, &Step)> = (1..).zip(&capacity.steps).collect();
    steps.sort_by_key(|(_, step)| step.subscribers);
    let (fewest, most) = (place(steps.first()?.1), place(steps.last()?.1));
    if capacity.plan.vary != Vary::Both || fewest == most {
        return None;
    }
    let over = Over {
        steps: &steps,
        place: &place,
        text: &|step| counted(u64::from(step.subscribers), "subscriber", "subscribers"),
        chart: &|id, _, axis| {
            let id = format!("{id}-by-subscribers");
            Chart::new(&id, "Memory by number of subscribers", Axis::count(most, "subscribers"), axis)
        },
    };
    let mut chart = drawn(&over, &MEMORY)?;
    chart.caption =
        "A dot is a step, at whatever rate; a line is the median of the steps with as many subscribers. Its slope is what one more \
         takes."
            .to_owned();
    Some(chart)
}

/// Steps upwards by what they are drawn over.
struct Over<'a> {
    /// Each with its number.
    steps: &'a [(usize, &'a Step)],
    place: &'a dyn Fn(&Step) -> f64,
    text: &'a dyn Fn(&Step) -> String,
    /// An empty one.
    chart: &'a dyn Fn(&str, &str, Axis) -> Chart,
}

impl Over<'_> {
    fn valid(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().map(|(_, step)| *step).filter(|step| step.outcome.is_valid())
    }

    /// A line through the medians of the valid steps, with a dot for each.
    fn series(&self, name: &str, color: usize, of: impl Fn(&Step) -> Option<f64>) -> [Series; 2] {
        let points: Vec<(f64, Option<f64>)> =
            self.valid().map(|step| ((self.place)(step), of(step))).collect();
        let part = |form, points| Series { name: name.to_owned(), color, form, points };
        [part(Form::Line, medians(&points)), part(Form::Dots, points)]
    }
}

/// The greatest of what stands for a limit. Of refusals and kills it is a number: any is as much as there is.
fn share(step: &Step, limit: Limit) -> Option<f64> {
    let of_limit = gauges(&step.resources).into_iter().filter(|gauge| gauge.limit == limit);
    of_limit.map(|gauge| gauge.share.min(1.0)).reduce(f64::max)
}

/// `None` where nothing could be seen.
fn shares(view: &View<'_>, over: &Over<'_>) -> Option<Chart> {
    let seen: Vec<(usize, Limit)> = LIMITS
        .into_iter()
        .enumerate()
        .filter(|(_, limit)| view.steps.iter().any(|(_, step)| share(step, *limit).is_some()))
        .collect();
    if seen.is_empty() {
        return None;
    }
    let mut chart = view.chart("shares", "What was used of what there is", Axis::share("share"));
    chart.caption =
        "The line that is first at the top is what gives way first. Refused packets and killed processes count as all of it."
            .to_owned();
    let failing = view.search.limit.as_ref().map_or("nothing has failed", |limit| limit.sentence.as_str());
    chart.summary = format!("Shares of {} resources. {failing}.", seen.len());
    chart.table = Table::new(["load"]);
    chart.table.head.extend(seen.iter().map(|(_, limit)| limit.name().to_owned()));
    for (_, step) in &view.steps {
        let used = |limit| share(step, limit).map_or_else(|| "n/a".to_owned(), percent);
        let cells =
            std::iter::once(step_load(view.search, step)).chain(seen.iter().map(|(_, limit)| used(*limit)));
        chart.table.push_at(chart.x.scale.place(view.load(step)), cells.collect());
    }
    for (color, limit) in seen {
        chart.series.extend(over.series(limit.name(), color, |step| share(step, limit)));
    }
    Some(chart)
}

/// Amounts of one kind.
struct Amounts {
    id: &'static str,
    title: &'static str,
    axis: fn(f64) -> Axis,
    text: fn(f64) -> String,
    of: &'static [Amount],
}

/// A name, its color, and where it stands.
type Amount = (&'static str, usize, fn(&StepResources) -> Option<f64>);

const MEMORY: Amounts = Amounts {
    id: "memory",
    title: "Memory",
    axis: |greatest| Axis::bytes(greatest, "bytes"),
    text: |size| bytes(size as u64),
    of: &[
        ("resident", 2, |used| used.memory_bytes.map(|bytes| bytes as f64)),
        ("of the kernel for its sockets", 4, |used| used.socket_memory_bytes.map(|bytes| bytes as f64)),
    ],
};

const AMOUNTS: [Amounts; 4] = [
    Amounts {
        id: "cpu",
        title: "CPU",
        axis: Axis::cpus,
        text: percent,
        of: &[
            ("target", 0, |used| used.cpus_used),
            ("its busiest thread", 3, |used| used.busiest_thread_share),
        ],
    },
    MEMORY,
    Amounts {
        id: "descriptors",
        title: "Open descriptors",
        axis: |greatest| Axis::count(greatest, "descriptors"),
        text: |descriptors| count(descriptors as u64),
        of: &[("open descriptors", 3, |used| used.descriptors.map(|descriptors| descriptors as f64))],
    },
    Amounts {
        id: "network",
        title: "Network",
        axis: |greatest| Axis::bytes(greatest, "bytes per second"),
        text: |rate| format!("{}/s", bytes(rate as u64)),
        of: &[("sent and received", 6, |used| used.network_bytes_per_s)],
    },
];

/// `None` where none of them could be seen in two steps.
fn drawn(over: &Over<'_>, amounts: &Amounts) -> Option<Chart> {
    let values = |of: fn(&StepResources) -> Option<f64>| {
        over.valid().filter_map(move |step| of(&step.resources)).filter(|value| value.is_finite())
    };
    let seen: Vec<&Amount> = amounts.of.iter().filter(|(.., of)| values(*of).count() > 1).collect();
    let greatest = seen.iter().flat_map(|(.., of)| values(*of)).reduce(f64::max)?;
    let mut chart = (over.chart)(amounts.id, amounts.title, (amounts.axis)(greatest));
    chart.summary = seen
        .iter()
        .map(|(name, _, of)| format!("{name}: {} at most.", (amounts.text)(values(*of).fold(0.0, f64::max))))
        .collect::<Vec<_>>()
        .join(" ");
    chart.table = Table::new(["load", "step"]);
    chart.table.head.extend(seen.iter().map(|(name, ..)| (*name).to_owned()));
    for (step_number, step) in over.steps {
        let lead = [(over.text)(step), step_number.to_string()];
        let used = seen.iter().map(|(.., of)| {
            of(&step.resources).map_or_else(|| "n/a".to_owned(), |value| (amounts.text)(value))
        });
        let cells = lead.into_iter().chain(used).collect();
        chart.table.push_at(chart.x.scale.place((over.place)(step)), cells);
    }
    for (name, color, of) in seen {
        chart.series.extend(over.series(name, *color, |step| of(&step.resources)));
    }
    Some(chart)
}
