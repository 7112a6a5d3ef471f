//! Metrics as Prometheus scrapes them: OpenMetrics text with classic buckets, or protobuf with native buckets, too.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, MetricEncoder, NativeHistogram, NativeHistogramBuckets, NoLabelSet,
    prometheus_protobuf, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit as ClientUnit};

use super::LiveSnapshot;
use super::distribution::{Distribution, LIMITS_S, SCHEMA};
use super::metrics::{Family, Samples, Unit, families};

/// Values up to this are in the zero bucket; no latency is.
const ZERO_THRESHOLD_S: f64 = 1e-9;
const NO_BUCKETS: NativeHistogramBuckets<'static> = NativeHistogramBuckets { spans: &[], deltas: &[] };

/// How an exposition is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposition {
    /// OpenMetrics text 1.0.0.
    Text,
    /// Delimited `io.prometheus.client.MetricFamily` messages.
    Protobuf,
}

impl Exposition {
    /// The one that an `Accept` header asks for: text unless it names the protobuf.
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("proto=io.prometheus.client.MetricFamily") { Self::Protobuf } else { Self::Text }
    }

    /// Its `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }

    /// The run's metrics.
    ///
    /// # Panics
    /// Never: memory takes any text, and the families are well formed.
    pub fn render(self, run: &LiveSnapshot) -> Vec<u8> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Scrape(families(run))));
        match self {
            Self::Text => {
                let mut written = String::new();
                text::encode(&mut written, &registry).expect("a String takes any text");
                written.into_bytes()
            }
            Self::Protobuf => prometheus_protobuf::encode_to_vec(&registry).expect("a Vec takes any message"),
        }
    }
}

/// What one scrape gives.
#[derive(Debug)]
struct Scrape(Vec<Family>);

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|family| encode(family, &mut encoder))
    }
}

fn encode(family: &Family, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let unit = match family.unit {
        Unit::None => None,
        Unit::Seconds => Some(ClientUnit::Seconds),
        Unit::Bytes => Some(ClientUnit::Bytes),
        // The library's own word is the plural.
        Unit::Ratio => family.unit.word().map(|word| ClientUnit::Other(word.to_owned())),
    };
    let kind = match family.samples {
        Samples::Counter(_) => MetricType::Counter,
        Samples::Gauge(_) => MetricType::Gauge,
        Samples::Histogram(_) => MetricType::Histogram,
        Samples::Info(_) => MetricType::Info,
    };
    let mut metric = encoder.encode_descriptor(family.name, family.help, unit.as_ref(), kind)?;
    match &family.samples {
        Samples::Counter(samples) => samples.iter().try_for_each(|(labels, value)| match labels.is_empty() {
            true => metric.encode_counter::<NoLabelSet, _, f64>(value, None),
            false => metric.encode_family(labels)?.encode_counter::<NoLabelSet, _, f64>(value, None),
        }),
        Samples::Gauge(samples) => samples.iter().try_for_each(|(labels, value)| match labels.is_empty() {
            true => metric.encode_gauge(value),
            false => metric.encode_family(labels)?.encode_gauge(value),
        }),
        Samples::Histogram(distribution) => encode_histogram(distribution, metric),
        Samples::Info(labels) => metric.encode_info(labels),
    }
}

fn encode_histogram(distribution: &Distribution, mut metric: MetricEncoder<'_>) -> fmt::Result {
    let limits = LIMITS_S.iter().copied().chain([f64::INFINITY]);
    let fixed: Vec<(f64, u64)> = limits.zip(distribution.fixed.iter().copied()).collect();
    let (spans, deltas) = distribution.spans();
    let native = NativeHistogram {
        schema: SCHEMA,
        zero_threshold: ZERO_THRESHOLD_S,
        zero_count: 0,
        negative: NO_BUCKETS,
        positive: NativeHistogramBuckets { spans: &spans, deltas: &deltas },
        created: None,
    };
    let Distribution { sum_s, count, .. } = *distribution;
    metric.encode_histogram_with_native::<NoLabelSet>(sum_s, count, &fixed, None, native)
}
