//! The generator beside the target: how late it sent, how long frames lay in its kernel, and when it was paused itself.

use maud::{Render as _, html};

use super::axis::{Axis, moment};
use super::chart::{Chart, Form, Series as Drawn};
use super::over_time::finite;
use super::page::Section;
use super::table::Table;
use super::view::View;
use crate::Quantile;
use crate::evidence::ThreadUse;
use crate::hdr_files::Series;
use crate::units::{percent, seconds};

pub(super) fn section(view: &View<'_>) -> Option<Section> {
    let threads = &view.result.evidence.threads;
    let body = html! {
        @if !view.bins().is_empty() { (chart(view)) }
        @if !threads.is_empty() { h3 { "Its threads in the steady phase" } (table(threads).render()) }
    };
    let is_known = !view.bins().is_empty() || !threads.is_empty();
    is_known.then_some(Section {
        id: "generator",
        title: "Send lag and hiccups",
        question: "Is it the server or the generator?",
        body,
    })
}

fn chart(view: &View<'_>) -> Chart {
    let max = |series| view.points(series, |spot| spot.max);
    let (lag, delay, hiccup) = (max(Series::SendLag), max(Series::ReceiveDelay), max(Series::Hiccup));
    let median = view.points(Series::Delivery, |spot| spot.p50);
    let all = || finite(&lag).chain(finite(&delay)).chain(finite(&hiccup)).chain(finite(&median));
    let (least, greatest) = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max));
    let axis = Axis::latency(if least.is_finite() { least as u64 } else { 1 }, greatest as u64);
    let title = format!("The generator's own delays, greatest of each {}", view.every());
    let mut chart = Chart::new("own-delays", &title, view.time.clone(), axis);
    chart.linked = Some("time");
    chart.row_width = view.row_width();
    chart.bands = view.marks();
    chart.caption = "Where these stay low while the latency rises, it is the target. Receive delay is not part of any latency that the kernel \
                     stamped."
        .to_owned();
    let greatest =
        |points: &[(f64, Option<f64>)]| crate::units::duration(finite(points).fold(0.0, f64::max) as u64);
    chart.summary = format!(
        "Greatest send lag {}, receive delay {}, hiccup {}.",
        greatest(&lag),
        greatest(&delay),
        greatest(&hiccup)
    );
    let line = |name: &str, color, points| Drawn { name: name.to_owned(), color, form: Form::Line, points };
    chart.series = vec![
        line("send lag", 1, lag),
        line("receive delay", 4, delay),
        line("hiccup", 2, hiccup),
        Drawn { form: Form::Broken, ..line("delivery p50, to compare", 5, median) },
    ];
    chart.table = Table::new(["time", "send lag", "receive delay", "hiccup", "delivery p50"]);
    for bin in view.bins() {
        let max = |series| view.quantile(bin.spot(series).map_or(Quantile::NotAvailable, |spot| spot.max));
        let median = bin.spot(Series::Delivery).map_or(Quantile::NotAvailable, |spot| spot.p50);
        let cells = vec![
            moment(bin.start_ns),
            max(Series::SendLag),
            max(Series::ReceiveDelay),
            max(Series::Hiccup),
            view.quantile(median),
        ];
        chart.table.push_at(view.time.scale.place(view.middle_ns(bin)), cells);
    }
    chart
}

fn table(threads: &[ThreadUse]) -> Table {
    let mut table = Table::new([
        "thread",
        "CPU time",
        "busiest second",
        "at",
        "most of a second that it waited for a CPU",
    ]);
    for thread in threads {
        table.push([
            thread.name.clone(),
            seconds(thread.cpu_s),
            percent(thread.cpu_share_max),
            moment(thread.at_ns),
            thread.run_delay_share_max.map_or("n/a".to_owned(), percent),
        ]);
    }
    table
}
