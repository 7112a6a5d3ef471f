//! OpenMetrics text: the verdict, every case, and every figure that the samples support.
//!
//! Source: the OpenMetrics specification 1.0. Written out by hand, because the libraries are for what is scraped: they keep
//! their samples in no order, and have no word for a quantile that is infinite.

use super::outcome::{Figure, Outcome};
use crate::Status;
use crate::capacity::Fixed;
use crate::metric::{Metric, Rank};
use crate::terminal::clean;

const LABEL_COLUMNS_MAX: usize = 200;
const NS_PER_S: f64 = 1e9;
const PERCENT: f64 = 100.0;

const STATUSES: [Status; 4] = [Status::Pass, Status::Fail, Status::Invalid, Status::Unresolved];

/// A family of samples.
struct Family {
    name: &'static str,
    /// The end of the name.
    unit: Option<&'static str>,
    help: &'static str,
}

const VERDICT: Family = Family { name: "feedmark_verdict", unit: None, help: "1 for the verdict." };
const CASE: Family =
    Family { name: "feedmark_case_passed", unit: None, help: "1 for a case that holds, 0 for any other." };
const FAMILIES: [Family; 5] = [
    Family {
        name: "feedmark_latency_seconds",
        unit: Some("seconds"),
        help: "Quantiles over what was owed; +Inf is late or missing. Quantile 1 is the greatest.",
    },
    Family { name: "feedmark_unwanted", unit: None, help: "Things that should not happen." },
    Family {
        name: "feedmark_completeness_ratio",
        unit: Some("ratio"),
        help: "Owed deliveries that came in time.",
    },
    Family {
        name: "feedmark_cpu_per_million_deliveries_seconds",
        unit: Some("seconds"),
        help: "CPU time per million deliveries.",
    },
    Family { name: "feedmark_peak_memory_bytes", unit: Some("bytes"), help: "Greatest resident memory." },
];

const CARRIED_RATE: Family = Family {
    name: "feedmark_capacity_posts_per_second",
    unit: None,
    help: "Greatest rate that held in every verification.",
};
const CARRIED_SUBSCRIBERS: Family = Family {
    name: "feedmark_capacity_subscribers",
    unit: None,
    help: "Most subscribers that held in every verification.",
};

pub(super) fn render(outcome: &Outcome) -> String {
    let mut text = head(&VERDICT);
    for status in STATUSES {
        let labels = [("status", status.word().to_owned())];
        let is_it = f64::from(u8::from(outcome.verdict.status == status));
        text.push_str(&sample(&VERDICT, &labels, is_it));
    }
    text.push_str(&head(&CASE));
    let mut seen = Vec::new();
    for case in &outcome.cases {
        let name = clean(&case.name, LABEL_COLUMNS_MAX);
        // The same threshold written twice is one series.
        if seen.contains(&name) {
            continue;
        }
        let passed = f64::from(u8::from(case.status == Status::Pass));
        text.push_str(&sample(&CASE, &[("case", name.clone())], passed));
        seen.push(name);
    }
    for family in &FAMILIES {
        let figures: Vec<&Figure> =
            outcome.figures.iter().filter(|figure| name_of(figure.metric) == family.name).collect();
        if !figures.is_empty() {
            text.push_str(&head(family));
        }
        for figure in figures {
            let (labels, value) = sample_of(figure);
            text.push_str(&sample(family, &labels, value));
        }
    }
    for (family, of_subscribers) in [(CARRIED_RATE, false), (CARRIED_SUBSCRIBERS, true)] {
        let carried =
            outcome.carried.iter().filter(|carried| carried.fixed.varies_subscribers() == of_subscribers);
        let samples: String =
            carried.map(|carried| sample(&family, &kept_fixed(&carried.fixed), carried.held)).collect();
        if !samples.is_empty() {
            text.push_str(&head(&family));
            text.push_str(&samples);
        }
    }
    text.push_str("# EOF\n");
    text
}

fn kept_fixed(fixed: &Fixed) -> Vec<(&'static str, String)> {
    let kept = [
        ("subscribers", fixed.subscribers.map(|subscribers| subscribers.to_string())),
        ("posts_per_second", fixed.rate_per_s.map(|rate| rate.to_string())),
        ("cores", fixed.cores.map(|cores| cores.to_string())),
    ];
    kept.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

const fn name_of(metric: Metric) -> &'static str {
    let [latency, count, completeness, cpu, memory] = &FAMILIES;
    match metric {
        Metric::Latency(..) => latency.name,
        Metric::Count(_) => count.name,
        Metric::Completeness => completeness.name,
        Metric::CpuPerMillion(_) => cpu.name,
        Metric::PeakMemory(_) => memory.name,
    }
}

/// Labels and value in the unit of the family.
fn sample_of(figure: &Figure) -> (Vec<(&'static str, String)>, f64) {
    let value = if figure.is_beyond { f64::INFINITY } else { figure.value };
    match figure.metric {
        Metric::Latency(series, rank) => {
            let quantile = match rank {
                // As the percentile is written, so that 0.999 is not 0.9990000000000001.
                Rank::Quantile(quantile) => ((quantile * 1e8).round() / 1e8).to_string(),
                Rank::Max => "1".to_owned(),
            };
            (vec![("series", series.name().to_owned()), ("quantile", quantile)], value / NS_PER_S)
        }
        Metric::Count(count) => (vec![("what", count.name().to_owned())], value),
        Metric::Completeness => (Vec::new(), value / PERCENT),
        Metric::CpuPerMillion(side) | Metric::PeakMemory(side) => {
            (vec![("side", side.name().to_owned())], value)
        }
    }
}

fn head(family: &Family) -> String {
    let Family { name, unit, help } = family;
    let unit = unit.map_or(String::new(), |unit| format!("# UNIT {name} {unit}\n"));
    format!("# TYPE {name} gauge\n{unit}# HELP {name} {help}\n")
}

fn sample(family: &Family, labels: &[(&str, String)], value: f64) -> String {
    let labels: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}=\"{}\"", label(value))).collect();
    let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    let value = if value.is_infinite() { "+Inf".to_owned() } else { value.to_string() };
    format!("{}{labels} {value}\n", family.name)
}

/// Of a text without control characters.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
