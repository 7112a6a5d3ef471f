//! What the server counts, in Prometheus' text form.
//!
//! One registry per server, so that several can run in one process. A broadcast touches a handful of atomics, never
//! one per subscriber. Process figures are read when asked for.

use std::sync::{Mutex, PoisonError};

use axum::http::StatusCode;
use prometheus::{
    Counter, Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder, core::Collector,
};

use crate::{faults::Kind, post::Action};

/// The content type of [`Metrics::text`].
pub(crate) use prometheus::TEXT_FORMAT;

/// From a disk with a cache that survives a power cut to one that is out of breath.
const COMMIT_BUCKETS_S: [f64; 12] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0];

/// Every figure of one server.
pub(crate) struct Metrics {
    registry: Registry,
    sockets_connected: IntGauge,
    pub(crate) sockets_total: IntCounter,
    pub(crate) store: StoreMeter,
    posts: IntCounterVec,
    emits: IntCounter,
    enqueued: IntCounter,
    refused_buffer_full: IntCounter,
    refused_closed: IntCounter,
    refused_other: IntCounter,
    broadcast_bytes: IntCounter,
    http: IntCounterVec,
    pub(crate) accept_errors: IntCounter,
    pub(crate) faults: FaultCounters,
    process: Mutex<ProcessMeter>,
}

/// Faults that happened, counted where they do.
#[derive(Clone)]
pub(crate) struct FaultCounters([IntCounter; Kind::ALL.len()]);

impl FaultCounters {
    pub(crate) fn count(&self, kind: Kind) {
        self.0[kind as usize].inc();
    }
}

/// Writes, counted by the store.
#[derive(Clone)]
pub(crate) struct StoreMeter {
    pub(crate) commits: IntCounter,
    pub(crate) writes: IntCounter,
    pub(crate) waiting: IntGauge,
    pub(crate) commit_seconds: Histogram,
}

struct ProcessMeter {
    cpu_seconds: Counter,
    resident_bytes: IntGauge,
}

/// What became of one broadcast.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Fanout {
    pub(crate) enqueued: u64,
    pub(crate) refused_buffer_full: u64,
    pub(crate) refused_closed: u64,
    pub(crate) refused_other: u64,
}

impl Fanout {
    pub(crate) fn refused(&self) -> u64 {
        self.refused_buffer_full + self.refused_closed + self.refused_other
    }
}

impl Metrics {
    /// Registers everything; an error here is a wrong name in this file.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let refused =
            labelled(&registry, "feed_deliveries_refused_total", "Deliveries refused, by cause.", "cause")?;
        let posts =
            labelled(&registry, "feed_posts_total", "Posts stored, by what happened to them.", "action")?;
        let http =
            labelled(&registry, "feed_http_requests_total", "REST requests answered, by status.", "class")?;
        let faults =
            labelled(&registry, "feed_faults_total", "Faults that happened on command, by kind.", "kind")?;
        // A line that is there from the start reads 0, not "never heard of".
        for action in [Action::Create, Action::Update, Action::Delete] {
            posts.with_label_values(&[action.word()]);
        }
        for class in ["2xx", "4xx", "5xx"] {
            http.with_label_values(&[class]);
        }
        Ok(Self {
            sockets_connected: gauge(&registry, "feed_sockets_connected", "Sockets connected now.")?,
            sockets_total: counter(&registry, "feed_sockets_total", "Sockets connected since the start.")?,
            store: StoreMeter {
                commits: counter(&registry, "feed_store_commits_total", "Transactions committed.")?,
                writes: counter(&registry, "feed_store_writes_total", "Writes in those transactions.")?,
                waiting: gauge(&registry, "feed_store_writes_waiting", "Writes not committed yet.")?,
                commit_seconds: {
                    let help = "Time of a commit, from its first statement to the disk's word.";
                    let options = HistogramOpts::new("feed_store_commit_seconds", help);
                    register(&registry, Histogram::with_opts(options.buckets(COMMIT_BUCKETS_S.to_vec()))?)?
                },
            },
            posts,
            emits: counter(&registry, "feed_emits_total", "Broadcasts emitted.")?,
            enqueued: counter(
                &registry,
                "feed_deliveries_enqueued_total",
                "Deliveries put into a socket's queue.",
            )?,
            refused_buffer_full: refused.with_label_values(&["buffer_full"]),
            refused_closed: refused.with_label_values(&["closed"]),
            refused_other: refused.with_label_values(&["other"]),
            broadcast_bytes: counter(
                &registry,
                "feed_broadcast_bytes_total",
                "Broadcast packets enqueued, in bytes.",
            )?,
            http,
            accept_errors: counter(
                &registry,
                "feed_accept_errors_total",
                "Connections that could not be accepted.",
            )?,
            faults: FaultCounters(Kind::ALL.map(|kind| faults.with_label_values(&[kind.word()]))),
            process: Mutex::new(ProcessMeter {
                cpu_seconds: {
                    let help = "CPU time of this process, user and system, in seconds.";
                    register(&registry, Counter::new("feed_process_cpu_seconds_total", help)?)?
                },
                resident_bytes: gauge(&registry, "feed_process_resident_memory_bytes", "Resident memory.")?,
            }),
            registry,
        })
    }

    /// Counts one broadcast of a packet of `packet_bytes`.
    pub(crate) fn count_emit(&self, action: Action, fanout: Fanout, packet_bytes: u64) {
        self.posts.with_label_values(&[action.word()]).inc();
        self.emits.inc();
        self.enqueued.inc_by(fanout.enqueued);
        self.refused_buffer_full.inc_by(fanout.refused_buffer_full);
        self.refused_closed.inc_by(fanout.refused_closed);
        self.refused_other.inc_by(fanout.refused_other);
        self.broadcast_bytes.inc_by(fanout.enqueued.saturating_mul(packet_bytes));
    }

    /// Counts one REST answer.
    pub(crate) fn count_http(&self, status: StatusCode) {
        let class = match status.as_u16() / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        self.http.with_label_values(&[class]).inc();
    }

    /// Everything, as Prometheus reads it.
    pub(crate) fn text(&self, sockets_connected: usize) -> Result<Vec<u8>, prometheus::Error> {
        self.sockets_connected.set(i64::try_from(sockets_connected).unwrap_or(i64::MAX));
        self.read_process();
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }

    /// Where there is no procfs the two figures stay zero.
    fn read_process(&self) {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(stat) = procfs::process::Process::myself().and_then(|myself| myself.stat()) else { return };
        let seconds = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
        process.cpu_seconds.inc_by((seconds - process.cpu_seconds.get()).max(0.0));
        let bytes = stat.rss.saturating_mul(procfs::page_size());
        process.resident_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
    register(registry, IntCounter::new(name, help)?)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    register(registry, IntGauge::new(name, help)?)
}

fn labelled(
    registry: &Registry,
    name: &str,
    help: &str,
    label: &str,
) -> Result<IntCounterVec, prometheus::Error> {
    register(registry, IntCounterVec::new(Opts::new(name, help), &[label])?)
}
