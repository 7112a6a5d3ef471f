//! What gives way first: one name, with the evidence and a sentence.
//!
//! A limit that says no outright (memory, descriptors) comes before one that makes things slow, and what makes everything
//! slow (CPU) before what is slow with it (full buffers). The generator is not in the list: what it cannot drive is no
//! capacity.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Step, StepResources};
use crate::units::{bytes, count, number, percent};

/// From this share of a limit on, descriptors and memory are used up.
const USED_UP: f64 = 0.95;
/// From this share on, CPUs, a thread, the disk or the network have no room left for a burst.
pub(super) const BUSY: f64 = 0.9;
/// The same of the host as a whole, which others use, too.
pub(super) const HOST_BUSY: f64 = 0.97;
/// A host that is used up is the target's limit if it used this share of it or more itself: what others use up is none of its.
const HOST_PART: f64 = 0.25;
/// A quota that stops the target for this share of the time that it would have run is felt.
const THROTTLED: f64 = 0.02;

/// What gave way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// It had all the memory that it may have, or was killed for it.
    Memory,
    /// It had opened all that it may open.
    Descriptors,
    /// A quota stopped it.
    CpuQuota,
    /// Its CPUs, or the one that a serial part of it runs on, were busy all the time.
    TargetCpu,
    /// It waited for the disk.
    Storage,
    /// The way to it was full.
    Network,
    /// It refused packets because the buffers of sockets were full.
    SocketBuffers,
    /// It ended.
    TargetEnded,
    /// Nothing was used up: a post to so many takes longer than the thresholds allow.
    Latency,
    /// It took less than it was offered, or lost something, and nothing that could be seen was used up.
    Unknown,
}

impl Limit {
    /// Its name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Descriptors => "descriptors",
            Self::CpuQuota => "CPU quota",
            Self::TargetCpu => "target CPU",
            Self::Storage => "storage",
            Self::Network => "network",
            Self::SocketBuffers => "socket buffers",
            Self::TargetEnded => "target ended",
            Self::Latency => "latency",
            Self::Unknown => "unknown",
        }
    }
}

/// The limit of a search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NamedLimit {
    /// What gave way.
    pub name: Limit,
    /// Why that, in one sentence.
    pub sentence: String,
    /// Everything that was looked at, at the least load that failed; what could not be seen is left out.
    pub evidence: Vec<Gauge>,
}

/// Something that can be used up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gauge {
    /// The limit that it stands for.
    pub limit: Limit,
    /// What was used, in words, with its unit.
    pub used: String,
    /// Share of what there is; of refusals and kills their number.
    pub share: f64,
    /// From here on it is used up.
    pub used_up_from: f64,
    /// It was.
    pub is_used_up: bool,
}

impl NamedLimit {
    /// From the step that failed at the least load.
    pub fn of(failed: &Step) -> Self {
        let evidence = gauges(&failed.resources);
        // Of one that ended, what there was none of any more says why; that others were busy does not.
        let says_why = |gauge: &&Gauge| {
            failed.target_ended.is_none() || matches!(gauge.limit, Limit::Memory | Limit::Descriptors)
        };
        let used_up = evidence.iter().filter(says_why).find(|gauge| gauge.is_used_up);
        let (name, sentence) = match (used_up, &failed.target_ended) {
            (Some(gauge), _) => (gauge.limit, format!("{}: {}", gauge.limit.name(), gauge.used)),
            (None, Some(how)) => (Limit::TargetEnded, format!("{}: {how}", Limit::TargetEnded.name())),
            (None, None) => not_used_up(failed, &evidence),
        };
        Self { name, sentence, evidence }
    }
}

fn not_used_up(failed: &Step, evidence: &[Gauge]) -> (Limit, String) {
    let because = failed.reasons.first().map_or("it failed", String::as_str);
    let seen: Vec<&str> = evidence.iter().map(|gauge| gauge.used.as_str()).collect();
    let seen = if seen.is_empty() {
        "nothing of the target could be seen".to_owned()
    } else {
        format!("nothing was used up ({})", seen.join(", "))
    };
    let limit = if failed.is_slow && !failed.is_saturated { Limit::Latency } else { Limit::Unknown };
    (limit, format!("{}: {because}; {seen}", limit.name()))
}

/// All that could be seen, gravest first.
pub(crate) fn gauges(resources: &StepResources) -> Vec<Gauge> {
    let gauge = |limit, used_up_from: f64, share: Option<f64>, used: &dyn Fn(f64) -> String| {
        let share = share.filter(|share| share.is_finite())?;
        Some(Gauge { limit, used: used(share), share, used_up_from, is_used_up: share >= used_up_from })
    };
    let of_number = |used: Option<u64>, limit: Option<u64>| Some(used? as f64 / limit? as f64);
    let of_amount = |used: Option<f64>, limit: Option<f64>| Some(used? / limit?);
    let whole = |n: Option<u64>| n.unwrap_or_default();
    let amount = |x: Option<f64>| x.unwrap_or_default();
    let StepResources {
        cpus_used,
        cpus,
        memory_limit_bytes,
        descriptors,
        descriptors_limit,
        network_bytes_per_s,
        network_limit_bytes_per_s,
        commit_p99_ns,
        ..
    } = *resources;
    // Where it is limited by a group, all that the group has counts.
    let memory_bytes = resources.group_memory_bytes.or(resources.memory_bytes);
    let commits = commit_p99_ns
        .map_or(String::new(), |ns| format!(", a commit took {} (p99)", crate::units::duration(ns)));
    let cpu = Limit::TargetCpu;
    let takes_part = of_amount(cpus_used, cpus).is_some_and(|share| share >= HOST_PART);
    let host = resources.host_cpu_share.filter(|_| takes_part);
    [
        gauge(Limit::Memory, 1.0, resources.memory_kills.map(|kills| kills as f64), &|kills| {
            format!("{} killed for want of memory", processes(kills))
        }),
        gauge(Limit::Memory, USED_UP, of_number(memory_bytes, memory_limit_bytes), &|_| {
            format!("{} of {} of memory", bytes(whole(memory_bytes)), bytes(whole(memory_limit_bytes)))
        }),
        gauge(Limit::Descriptors, USED_UP, of_number(descriptors, descriptors_limit), &|_| {
            format!("{} of {} descriptors", count(whole(descriptors)), count(whole(descriptors_limit)))
        }),
        gauge(Limit::CpuQuota, THROTTLED, resources.throttled_share, &|share| {
            format!("stopped by its quota for {} of the time that it would have run", percent(share))
        }),
        gauge(cpu, BUSY, of_amount(cpus_used, cpus), &|_| {
            format!("{} of {} CPUs", digits(amount(cpus_used)), number(amount(cpus)))
        }),
        gauge(cpu, BUSY, resources.busiest_thread_share, &|share| {
            format!("its busiest thread used {} of a CPU", percent(whole_percent(share)))
        }),
        gauge(cpu, HOST_BUSY, host, &|share| {
            format!("all CPUs of the host were busy for {} of the time", percent(whole_percent(share)))
        }),
        gauge(Limit::Storage, BUSY, resources.storage_busy_share, &|share| {
            format!("waiting for the disk for {} of the time{commits}", percent(whole_percent(share)))
        }),
        gauge(Limit::Network, BUSY, of_amount(network_bytes_per_s, network_limit_bytes_per_s), &|_| {
            let [used, limit] =
                [network_bytes_per_s, network_limit_bytes_per_s].map(|rate| bytes(amount(rate) as u64));
            format!("{used}/s of {limit}/s of network")
        }),
        gauge(
            Limit::SocketBuffers,
            1.0,
            resources.buffer_refusals.map(|refusals| refusals as f64),
            &|refusals| {
                format!("{} packets refused because the buffer of a socket was full", count(refusals as u64))
            },
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn processes(kills: f64) -> String {
    crate::units::counted(kills as u64, "process", "processes")
}

/// Two decimals.
fn digits(x: f64) -> String {
    number((x * 100.0).round() / 100.0)
}

/// Whole per cents.
fn whole_percent(share: f64) -> f64 {
    (share * 100.0).round() / 100.0
}
