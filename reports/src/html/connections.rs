//! How the subscribers came up, and how long each step of a connection took.

use maud::{Render as _, html};

use super::axis::Axis;
use super::chart::{Chart, Form, Series};
use super::page::Section;
use super::table::Table;
use super::view::{View, quantile_text};
use crate::LatencySummary;
use crate::run_result::{ConnectedAt, Connections};
use crate::units::{count, duration};

pub(super) fn section(view: &View<'_>) -> Option<Section> {
    let connections = &view.result.connections;
    let mut steps = Table::new(["step", "p50", "p90", "p99", "p99.9", "max"]);
    for (name, summary) in [
        ("TCP handshake", &connections.connect_ns.tcp),
        ("upgrade to WebSocket", &connections.connect_ns.upgrade),
        ("Engine.IO and Socket.IO", &connections.connect_ns.socketio),
        ("all of it", &connections.connect_ns.total),
    ] {
        steps.push(row(name, summary));
    }
    let body = html! {
        p.remark {
            (count(connections.requested)) " requested, " (count(connections.established)) " established in " (duration(connections.duration_ns)) ", "
            (count(connections.lost)) " lost, " (count(connections.failed)) " failed, " (count(connections.retries)) " attempts repeated."
        }
        @if connections.ramp.len() > 1 { (ramp(connections)) }
        h3 { "Time of each step" }
        (steps.render())
    };
    Some(Section {
        id: "connections",
        title: "Connections",
        question: "How fast does the target take subscribers up, and does it keep them?",
        body,
    })
}

fn row(name: &str, summary: &LatencySummary) -> [String; 6] {
    let text = |quantile| quantile_text(quantile, "never");
    [
        name.to_owned(),
        text(summary.p50),
        text(summary.p90),
        text(summary.p99),
        text(summary.p999),
        text(summary.max),
    ]
}

fn ramp(connections: &Connections) -> Chart {
    let ramp = &connections.ramp;
    let start_ns = ramp.first().map_or(0, |at| at.at_ns);
    let end_ns = ramp.last().map_or(0, |at| at.at_ns);
    let elapsed = |at: &ConnectedAt| at.at_ns.saturating_sub(start_ns);
    let greatest = ramp.iter().map(|at| at.connected).max().unwrap_or(0);
    let mut chart = Chart::new(
        "ramp",
        "Subscribers connected",
        Axis::elapsed(end_ns.saturating_sub(start_ns), "time since the first attempt to connect"),
        Axis::count(greatest as f64, "subscribers"),
    );
    chart.caption =
        if connections.lost > 0 { "A step down is a lost connection.".to_owned() } else { String::new() };
    chart.summary = format!("Up to {} subscribers were connected at the same time.", count(greatest));
    let points = ramp.iter().map(|at| (elapsed(at) as f64, Some(at.connected as f64))).collect();
    chart.series = vec![Series { name: "connected".to_owned(), color: 0, form: Form::Steps, points }];
    chart.table = Table::new(["time", "connected"]);
    for at in ramp {
        let cells = vec![duration(elapsed(at)), count(at.connected)];
        chart.table.push_at(chart.x.scale.place(elapsed(at) as f64), cells);
    }
    chart
}
