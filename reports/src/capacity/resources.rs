//! What the target and its host used during a step. Nothing here is a judgement.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::RunResult;
use crate::run_result::ProcessUse;
use crate::target_use::{Meaning, MetricSeries, TargetSample, TargetUse};

/// A sample is taken every second; one that is further from a moment than this is not of it.
const NEAR_NS: u64 = 1_000_000_000;

/// Seconds of commits per second that one committer can have: 1, and what was under way before. More is of several at once,
/// whose sum is no share of the time.
const ONE_COMMITTER_MAX: f64 = 1.1;

/// What the target and its host used during the steady phase of a step, or until its run ended before that; `null` is "could not
/// be seen".
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StepResources {
    /// CPUs that the target used, on average: CPU seconds per second.
    pub cpus_used: Option<f64>,
    /// CPUs that it may use: of its host, or of its affinity.
    pub cpus: Option<f64>,
    /// The share of one CPU that its busiest thread used.
    pub busiest_thread_share: Option<f64>,
    /// The share of the host's CPU time that anything used.
    pub host_cpu_share: Option<f64>,
    /// The share of the CPU time that it would have used for which a quota stopped it: the time it was stopped over that and
    /// the time it ran.
    pub throttled_share: Option<f64>,
    /// Resident memory, greatest.
    pub memory_bytes: Option<u64>,
    /// What the control group that limits it has, greatest; `null` of a group that the generator is in, too.
    pub group_memory_bytes: Option<u64>,
    /// What it may have: of its control group, or of its host.
    pub memory_limit_bytes: Option<u64>,
    /// Processes that were killed for want of memory.
    pub memory_kills: Option<u64>,
    /// Open descriptors, of the process that was nearest to what it may open when it was.
    pub descriptors: Option<u64>,
    /// What that one may open.
    pub descriptors_limit: Option<u64>,
    /// Packets that it refused a subscriber, because the buffer of the socket was full.
    pub buffer_refusals: Option<u64>,
    /// The share of the time in which it waited for the disk: commits under way, as the target says; `null` where there are
    /// several at once.
    pub storage_busy_share: Option<f64>,
    /// Time of one commit, p99.
    pub commit_p99_ns: Option<u64>,
    /// Bytes per second that it sent and received.
    pub network_bytes_per_s: Option<f64>,
    /// What the way to it carries, the least that is known of it.
    pub network_limit_bytes_per_s: Option<f64>,
    /// Bytes that it sent and received, as it says; else those that came over the subscribers' connections.
    pub network_bytes: Option<u64>,
    /// Resident memory before the first subscriber connected.
    pub memory_unconnected_bytes: Option<u64>,
    /// Resident memory when all were connected and nothing had been posted.
    pub memory_connected_bytes: Option<u64>,
    /// Memory of the kernel that connecting took, which no resident memory shows: of a control group of its own all of it,
    /// else the buffers of the TCP sockets of its network namespace.
    pub socket_memory_bytes: Option<u64>,
}

impl StepResources {
    /// From what the run recorded. Rates are means of its steady phase, or of all of it, where a target gave way before that. What
    /// was seen from outside comes before what the target says of itself.
    pub fn of(run: &RunResult) -> Self {
        let connect = span_ns(run, "connect");
        let steady = span_ns(run, "steady").or_else(|| whole_ns(run));
        let said = Said { run, steady: steady.clone() };
        let seen = Self {
            cpus_used: said.grown_per_s(Meaning::Cpu),
            cpus: said.greatest(Meaning::CpuLimit),
            memory_bytes: said.greatest(Meaning::Memory).map(whole),
            memory_limit_bytes: said.greatest(Meaning::MemoryLimit).map(whole),
            descriptors: said.greatest(Meaning::Descriptors).map(whole),
            descriptors_limit: said.greatest(Meaning::DescriptorsLimit).map(whole),
            buffer_refusals: buffer_refusals(run).or_else(|| said.grown(Meaning::Refusals).map(whole)),
            storage_busy_share: said
                .grown_per_s(Meaning::CommitTime)
                .filter(|share| *share <= ONE_COMMITTER_MAX)
                .map(|share| share.min(1.0)),
            commit_p99_ns: said.quantile(Meaning::CommitTime, 0.99).map(|seconds| whole(seconds * 1e9)),
            network_bytes_per_s: said
                .grown_per_s(Meaning::Network)
                .or_else(|| received_per_s(run, steady.as_ref())),
            network_limit_bytes_per_s: said
                .greatest(Meaning::NetworkLimit)
                .into_iter()
                .chain(run.resources.network_limit_bytes_per_s.map(|rate| rate as f64))
                .reduce(f64::min),
            network_bytes: said.grown(Meaning::Network).map(whole).or(run.resources.received_bytes),
            ..Self::default()
        };
        let (Some(target), Some(steady)) = (&run.resources.target, steady) else { return seen };
        let memory_at =
            |at_ns| nearest(&target.samples, at_ns, |sample| sample.at_ns).map(|sample| sample.memory_bytes);
        let seen = Self {
            cpus_used: cpus_used(target, &steady),
            // A process that can be sampled is on this host.
            cpus: Some(f64::from(run.host.cpus)),
            host_cpu_share: run.evidence.host_cpu_share,
            memory_bytes: greatest(&target.samples, &steady, |sample| {
                (sample.at_ns, Some(sample.memory_bytes))
            }),
            memory_limit_bytes: Some(run.host.memory_bytes),
            memory_unconnected_bytes: connect.as_ref().and_then(|connect| memory_at(connect.start)),
            memory_connected_bytes: connect.as_ref().and_then(|connect| memory_at(connect.end)),
            ..seen
        };
        match &run.resources.target_use {
            Some(used) => seen.with(used, connect, &steady),
            None => seen,
        }
    }

    /// With what was seen of its processes and its control group.
    fn with(self, used: &TargetUse, connect: Option<Range<u64>>, steady: &Range<u64>) -> Self {
        let (descriptors, descriptors_limit) = descriptors(used).unzip();
        let group_bytes = greatest(&used.samples, steady, |sample| (sample.at_ns, sample.group_memory_bytes));
        Self {
            cpus: used.cpus.map(f64::from).or(self.cpus),
            busiest_thread_share: used.busiest_thread.as_ref().map(|thread| thread.cpu_share),
            throttled_share: throttled_share(used, self.cpus_used, steady),
            // What the generator has in a group that both are in is not used up by the target.
            group_memory_bytes: group_bytes.filter(|_| !used.memory_is_shared),
            memory_limit_bytes: used.memory_limit_bytes.or(self.memory_limit_bytes),
            memory_kills: used.memory_kills,
            descriptors: descriptors.or(self.descriptors),
            descriptors_limit: descriptors_limit.or(self.descriptors_limit),
            socket_memory_bytes: connect.and_then(|connect| socket_memory(used, &connect)),
            ..self
        }
    }
}

/// What came from the target to the subscribers, which is nearly all that it sends.
fn received_per_s(run: &RunResult, steady: Option<&Range<u64>>) -> Option<f64> {
    let steady = steady?;
    Some(run.resources.received_bytes? as f64 / ((steady.end - steady.start) as f64 / 1e9))
}

/// As the replies to the posts told: those of the reference server do, and of another one that told of any.
fn buffer_refusals(run: &RunResult) -> Option<u64> {
    let told = run.deliveries.missing_by_cause.get("refused_by_full_buffer").copied();
    told.or_else(|| run.scenario.url.is_none().then_some(0))
}

/// A phase that took some time.
fn span_ns(run: &RunResult, name: &str) -> Option<Range<u64>> {
    let phase = run.phases.iter().find(|phase| phase.name == name)?;
    some_time(phase.start_ns, phase.end_ns)
}

/// From the first phase to the end of the last.
fn whole_ns(run: &RunResult) -> Option<Range<u64>> {
    some_time(run.phases.first()?.start_ns, run.phases.last()?.end_ns)
}

fn some_time(start_ns: u64, end_ns: u64) -> Option<Range<u64>> {
    (end_ns > start_ns).then_some(start_ns..end_ns)
}

/// Between the samples that are within the span, or of which one is at its very end.
fn cpus_used(process: &ProcessUse, span_ns: &Range<u64>) -> Option<f64> {
    let grown = grown(&process.samples, span_ns, |sample| (sample.at_ns, Some(sample.cpu_s)))?;
    Some(grown.by.max(0.0) / grown.length_s)
}

/// The kernel adds the time up over the run queues that had something to run: beside what they ran it does not depend on how
/// many CPUs there are.
fn throttled_share(used: &TargetUse, cpus_used: Option<f64>, span_ns: &Range<u64>) -> Option<f64> {
    let grown = grown(&used.samples, span_ns, |sample| {
        (sample.at_ns, sample.throttled_ns.map(|throttled_ns| throttled_ns as f64))
    })?;
    let stopped = grown.by.max(0.0) / 1e9 / grown.length_s;
    Some(if stopped > 0.0 { stopped / (stopped + cpus_used?) } else { 0.0 })
}

/// Open ones and their limit, both of the one sample that was nearest to its limit: each is of whichever process was nearest
/// then. Of the whole run: whoever ran out while all connected has some again when they are gone.
fn descriptors(used: &TargetUse) -> Option<(u64, u64)> {
    let known = used.samples.iter().filter_map(|sample| sample.descriptors.zip(sample.descriptors_limit));
    let share = |(open, limit): &(u64, u64)| *open as f64 / (*limit).max(1) as f64;
    known.max_by(|a, b| share(a).total_cmp(&share(b)))
}

/// What connecting added: of the kernel's memory for its own group, else of the buffers.
fn socket_memory(used: &TargetUse, connect: &Range<u64>) -> Option<u64> {
    let added = |value: fn(&TargetSample) -> Option<u64>| {
        let at = |at_ns| nearest(&used.samples, at_ns, |sample| sample.at_ns).and_then(value);
        Some(at(connect.end)?.saturating_sub(at(connect.start)?))
    };
    added(|sample| sample.kernel_memory_bytes).or_else(|| added(|sample| sample.socket_buffer_bytes))
}

/// How much a value grew, over how long.
struct Grown {
    by: f64,
    length_s: f64,
}

/// From the first sample of a span to the one nearest to its end, as far as there is something between them.
fn grown<T>(samples: &[T], span_ns: &Range<u64>, value: impl Fn(&T) -> (u64, Option<f64>)) -> Option<Grown> {
    let values = samples.iter().filter_map(|sample| Some((value(sample).0, value(sample).1?)));
    let values: Vec<(u64, f64)> = values.collect();
    let from = values.iter().find(|(at_ns, _)| *at_ns >= span_ns.start)?;
    let to = values.iter().min_by_key(|(at_ns, _)| at_ns.abs_diff(span_ns.end))?;
    let length_s = to.0.checked_sub(from.0)? as f64 / 1e9;
    (length_s > 0.0).then_some(Grown { by: to.1 - from.1, length_s })
}

/// The greatest value of a span.
fn greatest<T>(samples: &[T], span_ns: &Range<u64>, value: impl Fn(&T) -> (u64, Option<u64>)) -> Option<u64> {
    let values = samples.iter().map(value);
    values.filter(|(at_ns, _)| span_ns.contains(at_ns)).filter_map(|(_, value)| value).max()
}

/// The sample nearest to a moment, if that is near enough to be of it.
fn nearest<T>(samples: &[T], at_ns: u64, time_ns: impl Fn(&T) -> u64) -> Option<&T> {
    let nearest = samples.iter().min_by_key(|sample| time_ns(sample).abs_diff(at_ns))?;
    (time_ns(nearest).abs_diff(at_ns) <= NEAR_NS).then_some(nearest)
}

/// Bytes, nanoseconds or a number of things, of a float that a target said.
fn whole(value: f64) -> u64 {
    value.max(0.0).round() as u64
}

/// What a target says of itself.
struct Said<'a> {
    run: &'a RunResult,
    steady: Option<Range<u64>>,
}

impl Said<'_> {
    fn series(&self, meaning: Meaning) -> impl Iterator<Item = &MetricSeries> {
        self.run.resources.series.iter().filter(move |series| series.meaning == Some(meaning))
    }

    /// Of several series the sum of their greatest values.
    fn greatest(&self, meaning: Meaning) -> Option<f64> {
        let steady = self.steady.as_ref()?;
        let of_series = |series: &MetricSeries| {
            let samples = series.samples.iter().filter(|sample| steady.contains(&sample.at_ns));
            samples.map(|sample| sample.value).reduce(f64::max)
        };
        self.series(meaning).filter_map(of_series).reduce(|a, b| a + b)
    }

    fn growths(&self, meaning: Meaning) -> impl Iterator<Item = Grown> {
        let of_series = |series: &MetricSeries| {
            grown(&series.samples, self.steady.as_ref()?, |sample| (sample.at_ns, Some(sample.value)))
        };
        self.series(meaning).filter_map(of_series)
    }

    fn grown(&self, meaning: Meaning) -> Option<f64> {
        self.growths(meaning).map(|grown| grown.by).reduce(|a, b| a + b)
    }

    fn grown_per_s(&self, meaning: Meaning) -> Option<f64> {
        self.growths(meaning).map(|grown| grown.by / grown.length_s).reduce(|a, b| a + b)
    }

    fn quantile(&self, meaning: Meaning, q: f64) -> Option<f64> {
        self.series(meaning).filter_map(|series| series.quantile(q)).reduce(f64::max)
    }
}
