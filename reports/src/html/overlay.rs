//! Several runs over each other.

use maud::{Markup, Render as _, html};

use super::axis::{Axis, moment};
use super::chart::{Chart, Form, Series as Drawn};
use super::definitions;
use super::fanout::{self, Profile};
use super::headline;
use super::over_time::finite;
use super::page::{Section, page};
use super::percentiles::{self, Curve};
use super::table::Table;
use super::timeline::Spot;
use super::view::View;
use crate::Quantile;
use crate::comparable::differences;
use crate::hdr_files::Series;
use crate::post_row::PostRow;
use crate::units::{count, flag_duration, number, seconds};

/// The page of several runs.
pub(super) fn overlay(views: &[View<'_>]) -> String {
    let mut sections = vec![
        Section {
            id: "runs",
            title: "Runs",
            question: "How do they stand beside each other?",
            body: runs(views),
        },
        Section {
            id: "differences",
            title: "Differences",
            question: "Did they ask for the same, in the same place?",
            body: differences_of(views),
        },
    ];
    let charts = [
        over_time(views, "Median delivery latency over time", "p50-over-time", |spot| spot.p50),
        over_time(views, "p99 of the delivery latency over time", "p99-over-time", |spot| spot.p99),
    ];
    if charts.iter().any(Option::is_some) {
        let body = html! { @for chart in charts.iter().flatten() { (chart) } };
        let question = "Were they alike all the time?";
        sections.push(Section { id: "over-time", title: "Latency over time", question, body });
    }
    let curves: Vec<Curve> = named(views)
        .filter_map(|(name, color, view)| {
            Curve::new(&name, color, &view.result.latency_ns.delivery, &view.beyond())
        })
        .collect();
    if let Some(chart) = percentiles::chart(&curves) {
        let question = "Where in the distribution do they differ?";
        sections.push(Section { id: "percentiles", title: "Percentiles", question, body: chart.render() });
    }
    sections.extend(profiles(views));
    sections.push(definitions::section());
    page(&format!("{} runs · feedmark", views.len()), &head(views), &sections)
}

/// The runs with their names and colors.
fn named<'v, 'a>(views: &'v [View<'a>]) -> impl Iterator<Item = (String, usize, &'v View<'a>)> {
    views
        .iter()
        .enumerate()
        .map(|(index, view)| (format!("{}: {}", index + 1, view.result.run_id), index, view))
}

fn head(views: &[View<'_>]) -> Markup {
    html! {
        div.verdict.plain {
            h1 { span.word { (views.len()) " RUNS" } }
            p.lead { "Beside each other, for looking at; " code { "feedmark compare" } " says what can be told from chance." }
        }
    }
}

fn runs(views: &[View<'_>]) -> Markup {
    let head = [
        "run",
        "verdict",
        "subscribers",
        "posts/s",
        "for",
        "delivery p50",
        "p90",
        "p99",
        "max",
        "full fan-out p50",
        "late or missing",
        "target CPU per 1M",
    ];
    let mut rows = Vec::new();
    for (name, _, view) in named(views) {
        let (result, latencies) = (view.result, &view.result.latency_ns);
        let delivery = &latencies.delivery;
        let quantiles = [delivery.p50, delivery.p90, delivery.p99, delivery.max, latencies.full_fanout.p50];
        let cpu = result.resources.target.as_ref().and_then(|target| target.cpu_s_per_million_deliveries);
        let facts = [
            count(u64::from(result.scenario.subscribers)),
            number(result.scenario.rate_per_s),
            flag_duration(result.scenario.duration_ns),
        ];
        let rest = [
            count(result.deliveries.late.saturating_add(result.deliveries.missing)),
            cpu.map_or_else(|| "n/a".to_owned(), seconds),
        ];
        let cells: Vec<String> =
            facts.into_iter().chain(quantiles.map(|quantile| view.quantile(quantile))).chain(rest).collect();
        rows.push((name, view, cells));
    }
    html! {
        div.scroll tabindex="0" role="group" aria-label="runs" {
            table.many {
                thead { tr { @for head in head { th scope="col" { (definitions::term(head)) } } } }
                tbody {
                    @for (name, view, cells) in &rows {
                        @let status = view.result.verdict.status;
                        tr {
                            th scope="row" title=(view.folder.name) { (name) br; small { (view.result.started_at) } }
                            td { span.chip.(headline::class(status)) { (status.word()) } }
                            @for cell in cells { td { (cell) } }
                        }
                    }
                }
            }
        }
    }
}

/// How each differs from the first.
fn differences_of(views: &[View<'_>]) -> Markup {
    let Some((first, others)) = views.split_first() else { return html! {} };
    let of =
        |view: &View<'_>| differences(std::slice::from_ref(first.result), std::slice::from_ref(view.result));
    html! {
        ul.notes {
            @for (index, view) in (2..).zip(others) {
                @let found = of(view);
                li {
                    "run " (index) " against run 1: "
                    @if found.is_empty() { "no difference" } @else {
                        @for (index, difference) in found.iter().enumerate() {
                            @if index > 0 { "; " }
                            (difference.what) " " code { (difference.base) } " → " code { (difference.candidate) }
                        }
                    }
                }
            }
        }
    }
}

/// One figure of every run, since the start of its steady phase.
fn over_time(views: &[View<'_>], title: &str, id: &str, of: fn(&Spot) -> Quantile) -> Option<Chart> {
    let start_ns = |view: &View<'_>| view.steady().map_or(0, |phase| phase.start_ns) as f64;
    let lines: Vec<(&View<'_>, Drawn)> = named(views)
        .filter(|(.., view)| !view.bins().is_empty())
        .map(|(name, color, view)| {
            let points = view.points(Series::Delivery, of);
            let points = points.into_iter().map(|(at_ns, value)| (at_ns - start_ns(view), value)).collect();
            (view, Drawn { name, color, form: Form::Line, points })
        })
        .collect();
    let values = || lines.iter().flat_map(|(_, line)| finite(&line.points));
    let (least, greatest) = (values().reduce(f64::min)?, values().reduce(f64::max)?);
    let end_ns = views.iter().map(View::steady_length_ns).max()?;
    let mut x = Axis::time(0, end_ns);
    x.title = "time since the start of the steady phase".to_owned();
    let mut chart = Chart::new(id, title, x, Axis::latency(least as u64, greatest as u64));
    chart.linked = Some("steady");
    chart.summary = format!("{} runs, one line each.", lines.len());
    chart.table = Table::default();
    let names = lines.iter().map(|(_, line)| line.name.clone());
    chart.table.head = std::iter::once("time".to_owned()).chain(names).collect();
    let (_, longest) = lines.iter().max_by_key(|(_, line)| line.points.len())?;
    for (at_ns, _) in &longest.points {
        // Runs of other lengths have other stretches: what stands beside each other is of the same moment.
        let text = |view: &View<'_>| {
            let spot = view.bin_at(at_ns + start_ns(view)).and_then(|bin| bin.spot(Series::Delivery));
            view.quantile(spot.map_or(Quantile::NotAvailable, of))
        };
        let cells =
            std::iter::once(moment(*at_ns as u64)).chain(lines.iter().map(|(view, _)| text(view))).collect();
        chart.table.push_at(chart.x.scale.place(*at_ns), cells);
    }
    chart.series = lines.into_iter().map(|(_, line)| line).collect();
    Some(chart)
}

fn profiles(views: &[View<'_>]) -> Option<Section> {
    let profiles: Vec<Profile> = named(views)
        .filter_map(|(name, color, view)| {
            let posts: Vec<&PostRow> = view.judged().filter(|post| post.owed > 0).collect();
            (!posts.is_empty()).then(|| Profile::new(name, color, &posts, 0.5, view.beyond()))
        })
        .collect();
    let question = "Is everybody served at once, or one after the other? The median post of each run.";
    (!profiles.is_empty()).then(|| Section {
        id: "fan-out",
        title: "Fan-out profile",
        question,
        body: fanout::chart(&profiles).render(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::tests::folder_of;
    use crate::run_folder::RunFolder;
    use crate::sample;

    const S: u64 = 1_000_000_000;

    /// A run whose steady phase is so long; in its second `lost` nothing arrived.
    fn lasting(seconds: u64, lost: u64, deadline_ns: u64) -> RunFolder {
        let mut result = sample::run();
        result.scenario.duration_ns = seconds * S;
        result.scenario.deadline_ns = deadline_ns;
        let steady = result.phases.iter_mut().find(|phase| phase.name == "steady").unwrap();
        steady.end_ns = steady.start_ns + seconds * S;
        let start_ns = steady.start_ns;
        let mut folder = folder_of(result, seconds, 100);
        let is_lost = |post: &&mut PostRow| post.intended_ns.saturating_sub(start_ns) / S == lost;
        for post in folder.posts.iter_mut().filter(is_lost) {
            (post.delivered, post.missing) = (0, post.owed);
            (post.first_latency_ns, post.full_latency_ns) = (None, None);
        }
        folder
    }

    #[test]
    fn what_stands_beside_each_other_is_of_the_same_moment() {
        let folders = [lasting(30, 20, 5 * S), lasting(600, 40, 10 * S)];
        let views: Vec<View<'_>> = folders.iter().map(|folder| View::new(folder).unwrap()).collect();
        let chart = over_time(&views, "", "", |spot| spot.p50).unwrap();
        let row = |time: &str| &chart.table.rows.iter().find(|row| row.cells[0] == time).unwrap().cells[1..];
        let at = |seconds: u64, view: &View<'_>| {
            let bin = view.bin_at(((view.steady().unwrap().start_ns) + seconds * S) as f64).unwrap();
            view.quantile(bin.spot(Series::Delivery).unwrap().p50)
        };
        assert_eq!(row("9 s"), [at(9, &views[0]), at(9, &views[1])]);
        assert_eq!(row("21 s")[0], "> 5 s", "what was lost is said, with the run's own deadline");
        assert_eq!(row("41 s"), ["n/a", "> 10 s"], "nothing is known beyond the end of a run");
    }

    #[test]
    fn every_run_has_its_own_deadline() {
        let folders = [lasting(30, 20, 5 * S), lasting(30, 20, 10 * S)];
        let views: Vec<View<'_>> = folders.iter().map(|folder| View::new(folder).unwrap()).collect();
        let body = profiles(&views).unwrap().body.into_string();
        assert!(!body.contains("&gt; "), "the median post reached everyone");
        let mut folders = folders;
        for folder in &mut folders {
            folder.posts.iter_mut().for_each(|post| post.full_latency_ns = None);
        }
        let views: Vec<View<'_>> = folders.iter().map(|folder| View::new(folder).unwrap()).collect();
        let body = profiles(&views).unwrap().body.into_string();
        assert!(body.contains("&gt; 5 s") && body.contains("&gt; 10 s"), "{body}");
    }
}
