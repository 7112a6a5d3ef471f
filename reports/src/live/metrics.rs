//! A running run as metrics: names, units and values, once for whoever scrapes or is pushed to.
//!
//! Names are those of Prometheus; [`Family::full_name`] is how a query writes them.
//! Must not know: wire formats.

use super::distribution::Distribution;
use super::{LiveSnapshot, Point};
use crate::Status;
use crate::terminal::clean;
use crate::validity::Check;

const NS_PER_S: f64 = 1e9;
/// Greatest length of a text in a label.
const LABEL_COLUMNS_MAX: usize = 200;

/// The phases of a run, in order.
const PHASES: [&str; 5] = ["connect", "probe", "warm-up", "steady", "drain"];
const STATUSES: [Status; 4] = [Status::Pass, Status::Fail, Status::Invalid, Status::Unresolved];

/// What a family counts in; the end of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things, which the name tells.
    None,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// A share of one.
    Ratio,
}

impl Unit {
    /// As a name ends.
    pub const fn word(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Seconds => Some("seconds"),
            Self::Bytes => Some("bytes"),
            Self::Ratio => Some("ratio"),
        }
    }
}

/// Names and values that tell the samples of a family apart.
pub type Labels = Vec<(&'static str, String)>;

/// The samples of a family.
#[derive(Debug, Clone, PartialEq)]
pub enum Samples {
    /// They never decrease while a run goes on.
    Counter(Vec<(Labels, f64)>),
    /// They are what they are now.
    Gauge(Vec<(Labels, f64)>),
    /// How often each value was seen.
    Histogram(Distribution),
    /// Texts, in labels.
    Info(Labels),
}

/// Samples of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Name without unit and without the end that its kind gives it.
    pub name: &'static str,
    /// What it means.
    pub help: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// Its samples.
    pub samples: Samples,
}

impl Family {
    /// The name that a query writes; a histogram's is followed by `_bucket`, `_sum` or `_count`.
    pub fn full_name(&self) -> String {
        let unit = self.unit.word().map(|unit| format!("_{unit}")).unwrap_or_default();
        let kind = match self.samples {
            Samples::Counter(_) => "_total",
            Samples::Info(_) => "_info",
            Samples::Gauge(_) | Samples::Histogram(_) => "",
        };
        format!("{}{unit}{kind}", self.name)
    }
}

/// Every family that has samples.
pub fn families(run: &LiveSnapshot) -> Vec<Family> {
    let mut families = of_run(run);
    families.extend(of_load(run));
    families.extend(of_deliveries(run));
    families.extend(of_sides(run));
    families.retain(|family| match &family.samples {
        Samples::Counter(samples) | Samples::Gauge(samples) => !samples.is_empty(),
        Samples::Histogram(_) => true,
        Samples::Info(labels) => !labels.is_empty(),
    });
    families
}

/// What it is, and how far.
fn of_run(run: &LiveSnapshot) -> Vec<Family> {
    let words = run.run.as_ref().map(|words| {
        let text = |text: &str| clean(text, LABEL_COLUMNS_MAX);
        vec![
            ("run_id", text(&words.run_id)),
            ("target", text(&words.target)),
            ("scenario", text(&words.scenario)),
        ]
    });
    let phase = PHASES.map(|phase| (vec![("phase", phase.to_owned())], is(run.phase.name == phase)));
    let verdict = run.conclusion.iter().flat_map(|conclusion| {
        STATUSES.map(|status| (vec![("status", status.word().to_owned())], is(status == conclusion.status)))
    });
    vec![
        Family {
            name: "feedmark_run",
            help: "What the run is.",
            unit: Unit::None,
            samples: Samples::Info(words.unwrap_or_default()),
        },
        gauge("feedmark_phase", "1 for the phase that the run is in.", phase.to_vec()),
        Family {
            name: "feedmark_phase_done",
            help: "How much of the phase is over.",
            unit: Unit::Ratio,
            samples: Samples::Gauge(one(run.phase.done)),
        },
        gauge(
            "feedmark_verdict",
            "1 for the verdict; without samples until the run is over.",
            verdict.collect(),
        ),
        gauge(
            "feedmark_check_passed",
            "1 for a check of the generator that holds so far, 0 for one that tripped.",
            run.checks.iter().filter_map(check).collect(),
        ),
    ]
}

fn check(check: &Check) -> Option<(Labels, f64)> {
    let labels = vec![("check", check.id.clone()), ("what", check.name.clone())];
    Some((labels, is(check.passed?)))
}

/// Subscribers and posts.
fn of_load(run: &LiveSnapshot) -> Vec<Family> {
    let (connections, posts) = (&run.connections, &run.posts);
    let wanted = run.run.as_ref().map(|words| words.subscribers);
    vec![
        gauge(
            "feedmark_subscribers_requested",
            "Subscribers asked for.",
            wanted.map(count).into_iter().flatten().collect(),
        ),
        gauge("feedmark_subscribers_connected", "Subscribers connected now.", count(connections.connected)),
        counter("feedmark_subscribers_lost", "Subscribers that lost their connection.", connections.lost),
        counter("feedmark_subscribers_failed", "Subscribers that could not connect.", connections.failed),
        gauge("feedmark_posts_scheduled", "Posts of the whole schedule.", count(posts.scheduled)),
        counter("feedmark_posts_sent", "Posts handed to the writers.", posts.sent),
        counter(
            "feedmark_posts_acknowledged",
            "Posts answered with a status of 200 to 299.",
            posts.acknowledged,
        ),
        counter("feedmark_posts_failed", "Posts refused, or without a reply.", posts.failed),
    ]
}

/// Arrivals, their latency, and the ledger.
fn of_deliveries(run: &LiveSnapshot) -> Vec<Family> {
    let ledger = &run.ledger;
    vec![
        counter(
            "feedmark_deliveries",
            "Pairs of post and subscriber that arrived, warm-up included.",
            run.deliveries,
        ),
        Family {
            name: "feedmark_delivery_latency",
            help: "Arrival - intended time of what has arrived so far, without the warm-up.",
            unit: Unit::Seconds,
            samples: Samples::Histogram(Distribution::of(&run.delivery_histogram)),
        },
        counter("feedmark_pairs_owed", "Pairs owed, of posts past their deadline.", ledger.owed),
        counter("feedmark_pairs_delivered", "Owed pairs that arrived within the deadline.", ledger.delivered),
        counter("feedmark_pairs_late", "Owed pairs that arrived after the deadline.", ledger.late),
        gauge(
            "feedmark_pairs_missing",
            "Owed pairs past their deadline that have not come.",
            count(ledger.missing),
        ),
        gauge(
            "feedmark_pairs_under_way",
            "Pairs sent that have not arrived yet, about.",
            count(ledger.under_way),
        ),
        counter("feedmark_pairs_duplicate", "Extra copies of owed pairs.", ledger.duplicate),
        counter(
            "feedmark_pairs_reordered",
            "First copies after a later post of the same writer.",
            ledger.reordered,
        ),
        counter("feedmark_pairs_unexpected", "Deliveries that nobody was owed.", ledger.unexpected),
    ]
}

/// Generator and target.
fn of_sides(run: &LiveSnapshot) -> Vec<Family> {
    let sides = [("generator", run.generator), ("target", run.target)];
    let sides =
        || sides.iter().filter_map(|(name, process)| Some((vec![("side", (*name).to_owned())], (*process)?)));
    let latest = |figure: fn(&Point) -> Option<u64>| {
        run.latest.as_ref().and_then(figure).map(|ns| one(ns as f64 / NS_PER_S)).unwrap_or_default()
    };
    vec![
        Family {
            name: "feedmark_process_cpu",
            help: "CPU time since the process began, user and system.",
            unit: Unit::Seconds,
            samples: Samples::Counter(sides().map(|(labels, process)| (labels, process.cpu_s)).collect()),
        },
        Family {
            name: "feedmark_process_memory",
            help: "Resident memory.",
            unit: Unit::Bytes,
            samples: Samples::Gauge(
                sides().map(|(labels, process)| (labels, process.memory_bytes as f64)).collect(),
            ),
        },
        Family {
            name: "feedmark_send_lag",
            help: "Greatest lateness of the generator's own posts in the last second.",
            unit: Unit::Seconds,
            samples: Samples::Gauge(latest(|point| point.send_lag_ns)),
        },
        Family {
            name: "feedmark_hiccup",
            help: "Greatest lateness of an idle sleeper beside the generator in the last second.",
            unit: Unit::Seconds,
            samples: Samples::Gauge(latest(|point| point.hiccup_ns)),
        },
    ]
}

fn gauge(name: &'static str, help: &'static str, samples: Vec<(Labels, f64)>) -> Family {
    Family { name, help, unit: Unit::None, samples: Samples::Gauge(samples) }
}

fn counter(name: &'static str, help: &'static str, value: u64) -> Family {
    Family { name, help, unit: Unit::None, samples: Samples::Counter(count(value)) }
}

fn count(value: u64) -> Vec<(Labels, f64)> {
    one(value as f64)
}

fn one(value: f64) -> Vec<(Labels, f64)> {
    vec![(Labels::new(), value)]
}

fn is(condition: bool) -> f64 {
    f64::from(u8::from(condition))
}
