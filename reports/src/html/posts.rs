//! The posts: when they were sent, acknowledged and everywhere; and the ten that took longest.

use maud::html;

use super::axis::{Axis, moment};
use super::chart::{Along, Chart, Flag, Form, Series as Drawn};
use super::fanout::REACHES;
use super::over_time::finite;
use super::page::Section;
use super::table::{Row, Table};
use super::view::{View, quantile_text};
use crate::Quantile;
use crate::hdr_files::Series;
use crate::post_row::PostRow;
use crate::units::{count, counted};

/// Posts that are listed.
const WORST: usize = 10;
/// Numbers on the chart that lie closer to each other would not be readable.
const FLAG_GAP_MIN: f64 = 0.03;

pub(super) fn section(view: &View<'_>) -> Option<Section> {
    let worst = worst(view);
    if worst.is_empty() {
        return None;
    }
    let posts = &view.result.posts;
    let body = html! {
        p.remark {
            (counted(posts.scheduled, "post", "posts")) " scheduled, " (count(posts.sent)) " sent, " (count(posts.acknowledged)) " acknowledged, "
            (count(posts.failed)) " failed"
            @if posts.dropped > 0 { ", " (count(posts.dropped)) " never sent" }
            @if posts.waited_at_cap > 0 { ", " (count(posts.waited_at_cap)) " waited because the most posts were in flight" }
            "."
        }
        @if !view.bins().is_empty() { (chart(view, &worst)) }
        (courses(view, &worst))
    };
    Some(Section {
        id: "posts",
        title: "Posts",
        question: "Is it the writing or the passing on that takes long, and which posts were the worst?",
        body,
    })
}

/// The judged posts with the longest full fan-out; those that missed most before all others.
fn worst<'a>(view: &View<'a>) -> Vec<&'a PostRow> {
    let mut posts: Vec<&PostRow> = view.judged().filter(|post| post.owed > 0).collect();
    let rank = |post: &&PostRow| {
        let slowest = post.full_latency_ns.map_or((1, u64::from(post.untimely())), |ns| (0, ns));
        (std::cmp::Reverse(slowest), post.seq)
    };
    posts.sort_by_key(rank);
    posts.truncate(WORST);
    posts
}

fn row_id(post: &PostRow) -> String {
    format!("post-{}", post.seq)
}

fn chart(view: &View<'_>, worst: &[&PostRow]) -> Chart {
    let full = view.points(Series::FullFanout, |spot| spot.p50);
    let longest = view.points(Series::FullFanout, |spot| spot.finite_max);
    let first = view.points(Series::FirstDelivery, |spot| spot.p50);
    let reply = view.points(Series::ResponseTime, |spot| spot.p50);
    let all = || finite(&full).chain(finite(&longest)).chain(finite(&first)).chain(finite(&reply));
    let (least, greatest) = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max));
    let axis = Axis::latency(if least.is_finite() { least as u64 } else { 1 }, greatest as u64);
    let top = axis.ticks.last().map_or(greatest, |(tick, _)| tick.max(greatest));
    let title = format!("From the intended time to …, per {}", view.every());
    let mut chart = Chart::new("post-times", &title, view.time.clone(), axis);
    chart.linked = Some("time");
    chart.row_width = view.row_width();
    chart.bands = view.marks();
    chart.caption = "Medians over the posts; the numbers lead to the worst ones below.".to_owned();
    chart.summary = format!(
        "Medians of first delivery, reply and full fan-out over time, and the {} worst posts.",
        worst.len()
    );
    let line = |name: &str, color, points| Drawn { name: name.to_owned(), color, form: Form::Line, points };
    chart.series = vec![
        line("full fan-out, slowest post", 2, longest),
        line("full fan-out", 1, full),
        line("reply (response time)", 3, reply),
        line("first delivery", 0, first),
    ];
    let flags = worst.iter().enumerate().map(|(index, post)| Flag {
        x: post.intended_ns as f64,
        y: post.full_latency_ns.map_or(top, |ns| ns as f64),
        text: (index + 1).to_string(),
        meaning: format!("post {}: full fan-out {}", post.seq, latency(view, post.full_latency_ns)),
        to: row_id(post),
    });
    // Of those that would lie over each other, the worst.
    for flag in flags {
        let near =
            |other: &Flag| (chart.x.scale.place(other.x) - chart.x.scale.place(flag.x)).abs() < FLAG_GAP_MIN;
        if !chart.flags.iter().any(near) {
            chart.flags.push(flag);
        }
    }
    chart.table = Table::new(["time", "first delivery", "reply", "full fan-out", "slowest full fan-out"]);
    for bin in view.bins() {
        let p50 = |series| bin.spot(series).map_or(Quantile::NotAvailable, |spot| spot.p50);
        let slowest = bin.spot(Series::FullFanout).map_or(Quantile::NotAvailable, |spot| spot.max);
        let cells = vec![
            moment(bin.start_ns),
            view.quantile(p50(Series::FirstDelivery)),
            quantile_text(p50(Series::ResponseTime), "no reply"),
            view.quantile(p50(Series::FullFanout)),
            view.quantile(slowest),
        ];
        chart.table.push_at(view.time.scale.place(view.middle_ns(bin)), cells);
    }
    chart
}

/// The course of each of the worst posts: sent, answered, and from the first subscriber to the last.
fn courses(view: &View<'_>, worst: &[&PostRow]) -> Chart {
    let times = |post: &PostRow| [post.response_ns(), post.full_latency_ns, post.reach_99_latency_ns];
    let greatest = worst.iter().flat_map(|post| times(post)).flatten().max().unwrap_or(0);
    let names: Vec<String> = worst.iter().map(|post| format!("#{}", post.seq)).collect();
    let mut chart = Chart::new(
        "worst",
        &format!("The {} that took longest", worst.len()),
        Axis::elapsed(greatest, "time since the intended time of the post"),
        Axis::names(&names),
    );
    chart.caption = "The line goes from the first subscriber to the last. One that did not reach everyone ranks before all that \
                     did, and its line ends at the last share that it reached."
        .to_owned();
    chart.summary = format!("The course of {} posts; the table below has all of it.", worst.len());
    chart.rows_along = Along::Y;
    let lines = |index| Some(Axis::line(index, worst.len()));
    let dots = |name: &str, color, of: fn(&PostRow) -> Option<u64>| Drawn {
        name: name.to_owned(),
        color,
        form: Form::Dots,
        points: worst
            .iter()
            .enumerate()
            .filter_map(|(index, post)| Some((of(post)? as f64, lines(index))))
            .collect(),
    };
    let mut fanouts = dots("first to last subscriber", 1, |_| None);
    fanouts.form = Form::Line;
    for (index, post) in worst.iter().enumerate() {
        let reached = REACHES.iter().filter_map(|(.., of)| of(post)).max();
        if let Some((first_ns, last_ns)) = post.first_latency_ns.zip(reached) {
            let at = |ns: u64| (ns as f64, lines(index));
            fanouts.points.extend([at(first_ns), at(last_ns), (last_ns as f64, None)]);
        }
    }
    chart.series = vec![
        fanouts,
        dots("sent", 5, PostRow::send_lag_ns),
        dots("reply", 3, PostRow::response_ns),
        dots("50 %", 0, |post| post.reach_50_latency_ns),
        dots("everyone", 2, |post| post.full_latency_ns),
    ];
    chart.table = table(view, worst);
    for (index, row) in chart.table.rows.iter_mut().enumerate() {
        row.at = lines(index).map(|line| chart.y.scale.place(line));
    }
    chart.is_table_open = true;
    chart
}

fn latency(view: &View<'_>, ns: Option<u64>) -> String {
    view.quantile(ns.map_or(Quantile::BeyondDeadline, Quantile::Ns))
}

fn table(view: &View<'_>, worst: &[&PostRow]) -> Table {
    let mut table = Table::new([
        "post", "intended", "send lag", "reply", "first", "50 %", "90 %", "99 %", "everyone", "owed", "late",
        "missing", "failure",
    ]);
    for (index, post) in worst.iter().enumerate() {
        let reply = |ns: Option<u64>, none: &str| {
            quantile_text(ns.map_or(Quantile::BeyondDeadline, Quantile::Ns), none)
        };
        let cells = vec![
            format!("{}: #{}", index + 1, post.seq),
            moment(post.intended_ns),
            reply(post.send_lag_ns(), "not sent"),
            reply(post.response_ns(), "no reply"),
            latency(view, post.first_latency_ns),
            latency(view, post.reach_50_latency_ns),
            latency(view, post.reach_90_latency_ns),
            latency(view, post.reach_99_latency_ns),
            latency(view, post.full_latency_ns),
            count(u64::from(post.owed)),
            count(u64::from(post.late)),
            count(u64::from(post.missing)),
            post.failure.clone().unwrap_or_default(),
        ];
        table.rows.push(Row { at: None, id: Some(row_id(post)), cells });
    }
    if worst.iter().all(|post| post.failure.is_none()) {
        table.head.pop();
        table.rows.iter_mut().for_each(|row| row.cells.truncate(table.head.len()));
    }
    table
}
