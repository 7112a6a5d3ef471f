//! Metrics as OpenTelemetry takes them: one cumulative request of OTLP 1, protobuf.
//!
//! Made from the protocol's messages, not with the SDK: its instruments take one value at a time, and what is here
//! are histograms already.

use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;

use super::LiveSnapshot;
use super::distribution::{Distribution, LIMITS_S};
use super::metrics::{Family, Labels, Samples, Unit, families};
use crate::terminal::clean;

/// Longest text of a collector that is repeated.
const WHY_COLUMNS_MAX: usize = 200;
const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

/// When what a request says was counted, in ns since the Unix epoch.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Counting began.
    pub start_ns: u64,
    /// It is now.
    pub now_ns: u64,
}

/// The body of a request to `/v1/metrics`.
pub fn request(run: &LiveSnapshot, times: Times) -> Vec<u8> {
    let mut attributes = vec![attribute("service.name", "feedmark")];
    attributes.extend(run.run.as_ref().map(|words| attribute("service.instance.id", &words.run_id)));
    let scope = InstrumentationScope {
        name: "feedmark".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let metrics = families(run).iter().map(|family| metric_of(family, times)).collect();
    let scope_metrics = vec![ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() }];
    let resource = Some(Resource { attributes, ..Resource::default() });
    let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

/// How many points a collector refused, and why, by its reply; `None` if it took all, or does not say.
pub fn refused(reply: &[u8]) -> Option<(i64, String)> {
    let partial = ExportMetricsServiceResponse::decode(reply).ok()?.partial_success?;
    (partial.rejected_data_points > 0)
        .then_some((partial.rejected_data_points, clean(&partial.error_message, WHY_COLUMNS_MAX)))
}

/// Named as Prometheus names it. Its OTLP receiver adds the unit's word to a name that has it not, and for `1` that is
/// `ratio` at every gauge: so what only counts things has no unit.
fn metric_of(family: &Family, times: Times) -> Metric {
    let unit = match family.unit {
        Unit::None => "",
        Unit::Seconds => "s",
        Unit::Bytes => "By",
        Unit::Ratio => "1",
    };
    let data = match &family.samples {
        Samples::Counter(samples) => metric::Data::Sum(Sum {
            data_points: samples.iter().map(|(labels, value)| number(labels, *value, times)).collect(),
            aggregation_temporality: CUMULATIVE,
            is_monotonic: true,
        }),
        Samples::Gauge(samples) => metric::Data::Gauge(Gauge {
            data_points: samples.iter().map(|(labels, value)| number(labels, *value, times)).collect(),
        }),
        Samples::Info(labels) => metric::Data::Gauge(Gauge { data_points: vec![number(labels, 1.0, times)] }),
        Samples::Histogram(distribution) => metric::Data::Histogram(Histogram {
            data_points: vec![histogram(distribution, times)],
            aggregation_temporality: CUMULATIVE,
        }),
    };
    Metric {
        name: family.full_name(),
        description: family.help.to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn number(labels: &Labels, value: f64, times: Times) -> NumberDataPoint {
    NumberDataPoint {
        attributes: labels.iter().map(|(name, value)| attribute(name, value)).collect(),
        start_time_unix_nano: times.start_ns,
        time_unix_nano: times.now_ns,
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

fn histogram(distribution: &Distribution, times: Times) -> HistogramDataPoint {
    HistogramDataPoint {
        start_time_unix_nano: times.start_ns,
        time_unix_nano: times.now_ns,
        count: distribution.count,
        sum: Some(distribution.sum_s),
        bucket_counts: distribution.fixed.clone(),
        explicit_bounds: LIMITS_S.to_vec(),
        ..HistogramDataPoint::default()
    }
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = Some(any_value::Value::StringValue(value.to_owned()));
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value }), ..KeyValue::default() }
}
