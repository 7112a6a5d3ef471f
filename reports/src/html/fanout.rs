//! The fan-out profile: which share of the subscribers had a post, and when.

use maud::{Render as _, html};

use super::axis::Axis;
use super::chart::{Along, Chart, Form, Series};
use super::page::Section;
use super::table::{Row, Table};
use super::view::{View, quantile_text};
use crate::Quantile;
use crate::post_row::PostRow;
use crate::quantile::is_supported;
use crate::units::{counted, duration};

/// A share of the owed pairs, and when a post had served it; `None` if it never did.
type Reach = (f64, &'static str, fn(&PostRow) -> Option<u64>);

/// The shares that `posts.csv` has.
pub(super) const REACHES: [Reach; 8] = [
    (0.0, "the first", |post| post.first_latency_ns),
    (0.10, "10 %", |post| post.reach_10_latency_ns),
    (0.25, "25 %", |post| post.reach_25_latency_ns),
    (0.50, "50 %", |post| post.reach_50_latency_ns),
    (0.75, "75 %", |post| post.reach_75_latency_ns),
    (0.90, "90 %", |post| post.reach_90_latency_ns),
    (0.99, "99 %", |post| post.reach_99_latency_ns),
    (1.0, "everyone", |post| post.full_latency_ns),
];

/// When each share was reached.
type Reached = Vec<(f64, Quantile)>;

/// A profile of posts, ready to be drawn.
pub(super) struct Profile {
    name: String,
    color: usize,
    reached: Reached,
    /// What stands for what was not reached.
    infinite: String,
}

impl Profile {
    /// At each share, the quantile over the posts of when it was served.
    pub(super) fn new(
        name: String,
        color: usize,
        posts: &[&PostRow],
        quantile: f64,
        infinite: String,
    ) -> Self {
        Self { name, color, reached: reached(posts, quantile), infinite }
    }
}

pub(super) fn section(view: &View<'_>) -> Option<Section> {
    let posts: Vec<&PostRow> = view.judged().filter(|post| post.owed > 0).collect();
    if posts.is_empty() {
        return None;
    }
    let of =
        |name: &str, color, quantile| Profile::new(name.to_owned(), color, &posts, quantile, view.beyond());
    let ninety = is_supported(posts.len() as f64, 0.9).then(|| of("nine posts in ten", 1, 0.9));
    let mut profiles = vec![of("median post", 0, 0.5)];
    profiles.extend(ninety);
    profiles.push(of("slowest post, share by share", 2, 1.0));
    let chart = chart(&profiles);
    let fanout = &view.result.fanout;
    let body = html! {
        (chart.render())
        @if let Some(slope_ns) = fanout.slope_ns_per_rank {
            p.remark {
                (super::definitions::term("fan-out slope")) ": " (duration(slope_ns.max(0.0) as u64)) " per subscriber, median over "
                (counted(posts.len() as u64, "post", "posts")) ": what one more subscriber costs the target, one after the other."
            }
        }
    };
    Some(Section {
        id: "fan-out",
        title: "Fan-out profile",
        question: "Who waits longest: is everybody served at once, or one after the other?",
        body,
    })
}

/// At each share, the quantile over the posts of when it was served; shares that no post knows are left out.
fn reached(posts: &[&PostRow], quantile: f64) -> Reached {
    let is_known = |reach: &&Reach| posts.iter().any(|post| (reach.2)(post).is_some()) || reach.0 == 1.0;
    REACHES.iter().filter(is_known).map(|(share, _, of)| (*share, over(posts, *of, quantile))).collect()
}

/// A quantile over the posts, of which those that never got so far are infinite.
fn over(posts: &[&PostRow], of: fn(&PostRow) -> Option<u64>, quantile: f64) -> Quantile {
    let mut values: Vec<u64> = posts.iter().map(|post| of(post).unwrap_or(u64::MAX)).collect();
    values.sort_unstable();
    let rank = ((values.len() as f64 * quantile - 1e-6).ceil() as usize).clamp(1, values.len());
    match values[rank - 1] {
        u64::MAX => Quantile::BeyondDeadline,
        ns => Quantile::Ns(ns),
    }
}

/// The profiles over each other.
pub(super) fn chart(profiles: &[Profile]) -> Chart {
    let all = profiles.iter().flat_map(|profile| &profile.reached);
    let finite = all.filter_map(|(_, quantile)| match quantile {
        Quantile::Ns(ns) => Some(*ns),
        _ => None,
    });
    let (least, greatest) =
        finite.fold((u64::MAX, 1), |(least, greatest), ns| (least.min(ns), greatest.max(ns)));
    let mut x = Axis::latency(least.min(greatest), greatest);
    x.title = x.title.replace("latency", "time since the intended time of the post");
    let mut chart = Chart::new(
        "profile",
        "Share of the subscribers that had the post",
        x,
        Axis::share("share of those owed"),
    );
    chart.caption = "A steep line serves everybody at once; a slanted one serves them one after the other; a foot on the left is what \
                     passes before the first."
        .to_owned();
    chart.rows_along = Along::Y;
    for profile in profiles {
        // Between the shares that are known, straight lines.
        let points = profile.reached.iter().filter_map(|(share, quantile)| match quantile {
            Quantile::Ns(ns) => Some((*ns as f64, Some(*share))),
            _ => None,
        });
        chart.series.push(Series {
            name: profile.name.clone(),
            color: profile.color,
            form: Form::Line,
            points: points.collect(),
        });
    }
    chart.table = table(profiles);
    chart.summary = profiles
        .iter()
        .filter_map(|profile| {
            let last = profile.reached.last()?;
            Some(format!("{}: everyone after {}.", profile.name, quantile_text(last.1, &profile.infinite)))
        })
        .collect::<Vec<_>>()
        .join(" ");
    chart
}

fn table(profiles: &[Profile]) -> Table {
    let names = profiles.iter().map(|profile| profile.name.clone());
    let head = std::iter::once("share".to_owned()).chain(names).collect();
    let mut table = Table { head, ..Table::default() };
    for (share, name, _) in REACHES {
        let at = |profile: &Profile| {
            profile.reached.iter().find(|(found, _)| *found == share).map(|(_, quantile)| *quantile)
        };
        if profiles.iter().all(|profile| at(profile).is_none()) {
            continue;
        }
        let text = |profile: &Profile| {
            quantile_text(at(profile).unwrap_or(Quantile::NotAvailable), &profile.infinite)
        };
        let cells = std::iter::once(name.to_owned()).chain(profiles.iter().map(text)).collect();
        table.rows.push(Row { at: Some(share), cells, ..Row::default() });
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::tests::post;

    #[test]
    fn a_profile_ranks_posts_at_each_share_and_leaves_out_what_nobody_knows() {
        let mut posts: Vec<PostRow> = (1..=4).map(|seq| post(seq, 0)).collect();
        for (post, ms) in posts.iter_mut().zip([1, 2, 3, 4]) {
            (post.first_latency_ns, post.full_latency_ns) = (Some(ms * 1_000_000), Some(ms * 10_000_000));
            (post.reach_10_latency_ns, post.reach_25_latency_ns) = (None, None);
        }
        posts[3].full_latency_ns = None;
        let posts: Vec<&PostRow> = posts.iter().collect();
        let median = reached(&posts, 0.5);
        assert_eq!(median[0], (0.0, Quantile::Ns(2_000_000)));
        assert_eq!(*median.last().unwrap(), (1.0, Quantile::Ns(20_000_000)));
        assert!(median.iter().all(|(share, _)| *share != 0.10 && *share != 0.25));
        assert_eq!(reached(&posts, 1.0).last().unwrap().1, Quantile::BeyondDeadline);
    }
}
