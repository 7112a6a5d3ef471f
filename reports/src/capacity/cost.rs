//! What things cost the target: the table that capacity is paid by.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::frontier::Estimate;
use super::prediction::Prediction;
use super::{Frontier, Outcome, Role, SearchResult, Step};
use crate::stats::median::median;
use crate::units::{bytes, count, counted, seconds};

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// What is paid for.
    pub name: String,
    /// Unit of the values.
    pub unit: CostUnit,
    /// The figure.
    pub value: f64,
    /// Lower end; `null` of a single figure.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// What the figure and its ends are.
    pub basis: String,
}

/// What a cost is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CostUnit {
    /// Seconds, of CPU time or of time.
    Seconds,
    /// Bytes.
    Bytes,
}

impl CostUnit {
    /// An amount for people.
    pub fn shown(self, value: f64) -> String {
        match self {
            Self::Seconds => seconds(value),
            Self::Bytes => bytes(value.max(0.0).round() as u64),
        }
    }
}

/// The table; what could not be seen is left out.
pub(super) fn costs(steps: &[Step], searches: &[SearchResult], frontier: Option<&Frontier>) -> Vec<Cost> {
    let sample = sample(steps, searches);
    let per_million = |step: &Step| {
        let millions = step.readings.deliveries as f64 / 1e6;
        Some(step.resources.network_bytes? as f64 / millions).filter(|cost| cost.is_finite())
    };
    let per_subscriber = |bytes: f64, step: &Step| bytes / f64::from(step.subscribers.max(1));
    let resident = |step: &Step| {
        let (before, after) =
            (step.resources.memory_unconnected_bytes?, step.resources.memory_connected_bytes?);
        Some(per_subscriber(after as f64 - before as f64, step))
    };
    let in_kernel = |step: &Step| Some(per_subscriber(step.resources.socket_memory_bytes? as f64, step));
    let storm = |step: &Step| Some(step.readings.connect_storm_ns as f64 / 1e9);
    let (s, b) = (CostUnit::Seconds, CostUnit::Bytes);
    let storm_name = sample.first().map(|step| {
        format!("connecting {}", counted(u64::from(step.subscribers), "subscriber", "subscribers"))
    });
    let of_steps = [
        of_steps("CPU per million deliveries", s, &sample, &|step| {
            step.readings.cpu_s_per_million_deliveries
        }),
        of_steps("network per million deliveries", b, &sample, &per_million),
        of_steps("resident memory per idle subscriber", b, &sample, &resident),
        of_steps("kernel socket memory per idle subscriber", b, &sample, &in_kernel),
        storm_name.and_then(|name| of_steps(&name, s, &sample, &storm)),
    ];
    of_steps.into_iter().flatten().chain(of_post(steps, frontier)).collect()
}

/// The verifications of the last search that has a capacity; where none has, the steps at the greatest load that held in the
/// last search in which one did. Steps of one load alone: the name of a cost tells it.
fn sample<'a>(steps: &'a [Step], searches: &[SearchResult]) -> Vec<&'a Step> {
    let of_last = |load: &dyn Fn(&SearchResult) -> Option<f64>| {
        let index = searches.iter().rposition(|search| load(search).is_some())?;
        Some((index, load(&searches[index])?))
    };
    let verified = of_last(&|search| search.verified);
    let Some((index, load)) = verified.or_else(|| of_last(&|search| search.bracket.held)) else {
        return Vec::new();
    };
    let is_one = |step: &&Step| {
        step.search as usize == index
            && step.outcome == Outcome::Pass
            && step.load(&searches[index].fixed) == load
            && if verified.is_some() { step.role == Role::Verify } else { step.role != Role::Probe }
    };
    steps.iter().filter(is_one).collect()
}

/// The median over the steps, and the range of them.
fn of_steps(name: &str, unit: CostUnit, steps: &[&Step], of: &dyn Fn(&Step) -> Option<f64>) -> Option<Cost> {
    let mut values: Vec<f64> = steps.iter().filter_map(|step| of(step)).collect();
    let value = median(&mut values)?;
    let basis = format!("median and range of {}", counted(values.len() as u64, "step", "steps"));
    let low = values.iter().copied().reduce(f64::min);
    let high = values.iter().copied().reduce(f64::max);
    Some(Cost { name: name.to_owned(), unit, value, low, high, basis })
}

/// `a` and `s`: from the frontier with their intervals, else as the last probe saw them.
fn of_post(steps: &[Step], frontier: Option<&Frontier>) -> Vec<Cost> {
    let names = ["per post", "per post and subscriber"];
    let unit = CostUnit::Seconds;
    if let Some(frontier) = frontier {
        let basis =
            format!("frontier over {} numbers of subscribers, 95 %", count(frontier.points.len() as u64));
        let of = |(name, estimate): (&str, Estimate)| {
            let Estimate { value, low, high } = estimate;
            Cost {
                name: name.to_owned(),
                unit,
                value,
                low: Some(low),
                high: Some(high),
                basis: basis.clone(),
            }
        };
        return names.into_iter().zip([frontier.fixed_s, frontier.per_subscriber_s]).map(of).collect();
    }
    let probe = steps.iter().rfind(|step| step.role == Role::Probe && step.outcome.is_valid());
    let Some(prediction) = probe.and_then(Prediction::of) else { return Vec::new() };
    let of = |(name, value): (&str, f64)| {
        let basis = "as latencies at a low load show it".to_owned();
        Cost { name: name.to_owned(), unit, value, low: None, high: None, basis }
    };
    names.into_iter().zip([prediction.fixed_s, prediction.per_subscriber_s]).map(of).collect()
}
