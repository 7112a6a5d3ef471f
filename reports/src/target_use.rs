//! What the target may use and what it used, beside its CPU time and memory, on the run's time axis: its processes, its
//! control group, and what it says of itself at `/metrics`. Nothing here is a judgement; `null` is "could not be seen".

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The processes of a target on this host, and the control group that they are in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TargetUse {
    /// Most processes at once.
    pub processes_max: u32,
    /// Most processes at once that were found beyond those that are watched: what they used is not counted.
    pub processes_left_out_max: u32,
    /// CPUs that its processes may run on: their affinity, and at most those of the host.
    pub cpus: Option<u32>,
    /// Memory that it may have: the least limit of its control group and those above it.
    pub memory_limit_bytes: Option<u64>,
    /// Its memory is limited by a group that the generator is in, too: what the group has is not all the target's.
    pub memory_is_shared: bool,
    /// Processes of its group that were killed for want of memory while the run went on; of a group that the generator is in,
    /// too, one, when nothing of the target is left.
    pub memory_kills: Option<u64>,
    /// The thread that used the most CPU time of the steady phase.
    pub busiest_thread: Option<BusiestThread>,
    /// Once a second.
    pub samples: Vec<TargetSample>,
}

/// A thread and what it used of the steady phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BusiestThread {
    /// Its name.
    pub name: String,
    /// The share of one CPU.
    pub cpu_share: f64,
}

/// The target at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TargetSample {
    /// Since the start of the run.
    pub at_ns: u64,
    /// Greatest share of one CPU that a thread of it used since the sample before.
    pub busiest_thread_share: Option<f64>,
    /// Time for which CPU quotas held it back since the start of the run, summed over the CPUs.
    pub throttled_ns: Option<u64>,
    /// Descriptors that are open in the process that is nearest to what it may open.
    pub descriptors: Option<u64>,
    /// What that process may open.
    pub descriptors_limit: Option<u64>,
    /// Memory of the control group that limits it, without the files that the kernel would drop first.
    pub group_memory_bytes: Option<u64>,
    /// Of a control group without the generator: memory of the kernel for it, buffers of sockets included.
    pub kernel_memory_bytes: Option<u64>,
    /// Buffers of the TCP sockets of its network namespace, those of the generator included where it is the same one.
    pub socket_buffer_bytes: Option<u64>,
}

/// One series of a target's `/metrics`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricSeries {
    /// Its name, with those of its labels that were asked for; of several the sum is taken.
    pub selector: String,
    /// What it is, where that was said or its name is well known.
    #[serde(default)]
    pub meaning: Option<Meaning>,
    /// It only grows: what it grew by says something, not its value.
    pub is_counter: bool,
    /// Once a second, as long as the target answered; of a histogram the sum of its observations.
    pub samples: Vec<MetricSample>,
    /// Of a histogram: how many observations of the steady phase were at most so great, by their upper bounds, without
    /// the infinite one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<Bucket>,
    /// Of a histogram: observations of the steady phase.
    #[serde(default)]
    pub observations: Option<f64>,
}

/// A value of a series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricSample {
    /// Since the start of the run.
    pub at_ns: u64,
    /// As the target said it.
    pub value: f64,
}

/// A bucket of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bucket {
    /// Its upper bound.
    pub at_most: f64,
    /// Observations up to there.
    pub count: f64,
}

/// What a series is to the target, so that a limit can be named from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Meaning {
    /// CPU seconds used, a counter.
    Cpu,
    /// CPUs that it may use.
    CpuLimit,
    /// Bytes of memory.
    Memory,
    /// Bytes of memory that it may have.
    MemoryLimit,
    /// Open descriptors.
    Descriptors,
    /// Descriptors that it may open.
    DescriptorsLimit,
    /// Packets that it refused because the buffer of a socket was full, a counter.
    Refusals,
    /// Seconds of the commits of one committer, a histogram or a counter.
    CommitTime,
    /// Bytes sent or received, a counter.
    Network,
    /// Bytes per second that the way to it carries.
    NetworkLimit,
}

impl Meaning {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Cpu,
        Self::CpuLimit,
        Self::Memory,
        Self::MemoryLimit,
        Self::Descriptors,
        Self::DescriptorsLimit,
        Self::Refusals,
        Self::CommitTime,
        Self::Network,
        Self::NetworkLimit,
    ];

    /// Its word, as in `run.json` and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::CpuLimit => "cpu-limit",
            Self::Memory => "memory",
            Self::MemoryLimit => "memory-limit",
            Self::Descriptors => "descriptors",
            Self::DescriptorsLimit => "descriptors-limit",
            Self::Refusals => "refusals",
            Self::CommitTime => "commit-time",
            Self::Network => "network",
            Self::NetworkLimit => "network-limit",
        }
    }
}

impl MetricSeries {
    /// The value at a moment, of the sample nearest to it, if there is any.
    pub fn at(&self, at_ns: u64) -> Option<MetricSample> {
        self.samples.iter().min_by_key(|sample| sample.at_ns.abs_diff(at_ns)).copied()
    }

    /// The quantile's upper bound: that of the first bucket with so many of the observations of the steady phase.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let wanted = self.observations.filter(|count| *count > 0.0)? * q;
        self.buckets.iter().find(|bucket| bucket.count >= wanted).map(|bucket| bucket.at_most)
    }
}
