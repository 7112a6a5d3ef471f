//! Every step as a row, for people's own tools.
//!
//! Invariant: a text field is quoted, and cannot begin what a spreadsheet takes for a formula.

use super::{CapacityResult, Step};
use crate::Quantile;

const HEAD: &str = "step,search,role,subscribers,rate_per_s,cores,outcome,saturated,short,steady_ns,took_ns,\
deliveries,delivered_share,delivery_p50_ns,delivery_p99_ns,full_fanout_p50_ns,full_fanout_p99_ns,slope_ns_per_rank,\
latency_slope_s_per_s,overload_estimate_per_s,little_difference,connect_storm_ns,cpu_s_per_million_deliveries,cpus_used,\
memory_bytes,socket_memory_bytes,run_id,reasons,host_cpu_share,busiest_thread_share,throttled_share,group_memory_bytes,\
memory_limit_bytes,memory_kills,descriptors,descriptors_limit,storage_busy_share,commit_p99_ns,buffer_refusals,\
network_bytes_per_s,network_limit_bytes_per_s";

/// Renders the steps; every line ends in `\n`.
pub fn csv(capacity: &CapacityResult) -> String {
    let rows = capacity.steps.iter().enumerate().map(|(index, step)| row(index + 1, step));
    [HEAD.to_owned()].into_iter().chain(rows).map(|line| line + "\n").collect()
}

fn row(number: usize, step: &Step) -> String {
    let (readings, resources) = (&step.readings, &step.resources);
    [
        number.to_string(),
        step.search.to_string(),
        step.role.name().to_owned(),
        step.subscribers.to_string(),
        step.rate_per_s.to_string(),
        known(step.cores),
        step.outcome.name().to_owned(),
        step.is_saturated.to_string(),
        step.is_short.to_string(),
        step.steady_ns.to_string(),
        step.took_ns.to_string(),
        readings.deliveries.to_string(),
        known(readings.delivered_share),
        quantile(readings.delivery_p50_ns),
        quantile(readings.delivery_p99_ns),
        quantile(readings.full_fanout_p50_ns),
        quantile(readings.full_fanout_p99_ns),
        known(readings.slope_ns_per_rank),
        known(readings.latency_slope_s_per_s),
        known(readings.overload_estimate_per_s),
        known(readings.little_difference),
        readings.connect_storm_ns.to_string(),
        known(readings.cpu_s_per_million_deliveries),
        known(resources.cpus_used),
        known(resources.memory_bytes),
        known(resources.socket_memory_bytes),
        text(&step.run_id),
        text(&step.reasons.join(" | ")),
        known(resources.host_cpu_share),
        known(resources.busiest_thread_share),
        known(resources.throttled_share),
        known(resources.group_memory_bytes),
        known(resources.memory_limit_bytes),
        known(resources.memory_kills),
        known(resources.descriptors),
        known(resources.descriptors_limit),
        known(resources.storage_busy_share),
        known(resources.commit_p99_ns),
        known(resources.buffer_refusals),
        known(resources.network_bytes_per_s),
        known(resources.network_limit_bytes_per_s),
    ]
    .join(",")
}

/// Empty where it is not known.
fn known(value: Option<impl ToString>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}

/// `inf` beyond the deadline, empty where there were too few samples.
fn quantile(quantile: Quantile) -> String {
    match quantile {
        Quantile::Ns(ns) => ns.to_string(),
        Quantile::BeyondDeadline => "inf".to_owned(),
        Quantile::NotAvailable => String::new(),
    }
}

fn text(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let is_formula = text.trim_start().starts_with(['=', '+', '-', '@']);
    format!("\"{}{}\"", if is_formula { "'" } else { "" }, text.replace('"', "\"\""))
}
