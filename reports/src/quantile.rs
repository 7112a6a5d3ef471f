//! Quantiles over what was owed, and what may be said of them.
//!
//! A missing or late delivery counts as +infinity (METHOD section 1): quantiles rank over everything
//! that was owed, so losses push the tail beyond the deadline instead of making it look better.
//! A quantile that the effective samples cannot support is not available (METHOD section 4, V9).

use base64::Engine as _;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer as HdrDeserializer, Serializer as _, V2DeflateSerializer};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Least value of every latency histogram, 1 ns.
pub const HISTOGRAM_LOW_NS: u64 = 1;
/// Greatest value of every latency histogram, 1 h.
pub const HISTOGRAM_HIGH_NS: u64 = 3_600_000_000_000;
/// Significant decimal digits of every latency histogram.
pub const HISTOGRAM_DIGITS: u8 = 3;
/// Samples that must lie beyond a quantile before it is printed (METHOD V9).
pub const SAMPLES_BEYOND_MIN: f64 = 10.0;

/// A quantile's value, if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantile {
    /// Nanoseconds.
    Ns(u64),
    /// The rank falls on an infinite sample: a delivery that was late or never came, a reply that never came.
    BeyondDeadline,
    /// Too few effective samples to say.
    NotAvailable,
}

const BEYOND_DEADLINE: &str = "beyond_deadline";

impl Serialize for Quantile {
    /// An integer, `"beyond_deadline"`, or `null`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Ns(ns) => serializer.serialize_u64(*ns),
            Self::BeyondDeadline => serializer.serialize_str(BEYOND_DEADLINE),
            Self::NotAvailable => serializer.serialize_none(),
        }
    }
}

impl<'de> Deserialize<'de> for Quantile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Wire {
            Ns(u64),
            Word(String),
        }
        match Option::<Wire>::deserialize(deserializer)? {
            None => Ok(Self::NotAvailable),
            Some(Wire::Ns(ns)) => Ok(Self::Ns(ns)),
            Some(Wire::Word(word)) if word == BEYOND_DEADLINE => Ok(Self::BeyondDeadline),
            Some(Wire::Word(word)) => Err(serde::de::Error::custom(format!(
                "`{word}` is no quantile: allowed are an integer, \"{BEYOND_DEADLINE}\" and null"
            ))),
        }
    }
}

impl JsonSchema for Quantile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Quantile".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Nanoseconds; \"beyond_deadline\" where the rank falls on a delivery that was late or missing, or a reply that never came; \
                            null where the samples cannot support it.",
            "anyOf": [
                { "type": "integer", "minimum": 0 },
                { "const": BEYOND_DEADLINE },
                { "type": "null" },
            ],
        })
    }
}

/// One latency series in short, with the histogram behind it. Values are nanoseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LatencySummary {
    /// Samples ranked over, late and missing ones included.
    pub count: u64,
    /// Of these, infinite ones, which are not in `hdr`: deliveries that were late or missing, posts that
    /// were not sent (send lag), replies that never came (service and response time).
    pub beyond_deadline: u64,
    /// Independent samples that the count is worth: the posts, which their deliveries share their fate with.
    pub effective_samples: f64,
    /// Least value.
    pub min: Quantile,
    /// Quantile 0.5.
    pub p50: Quantile,
    /// Quantile 0.9.
    pub p90: Quantile,
    /// Quantile 0.99.
    pub p99: Quantile,
    /// Quantile 0.999.
    pub p999: Quantile,
    /// Greatest value.
    pub max: Quantile,
    /// The histogram: HDR V2 deflate, base64. It holds every value, supported quantile or not.
    pub hdr: String,
}

impl LatencySummary {
    /// Summarizes a histogram in ns, to which `beyond_deadline` samples of infinite length belong.
    ///
    /// # Panics
    /// When the histogram does not have the `HISTOGRAM_*` bounds.
    pub fn new(histogram: &Histogram<u64>, beyond_deadline: u64, effective_samples: f64) -> Self {
        assert_shared_bounds(histogram);
        let at = |quantile: f64| -> Quantile {
            if !is_supported(effective_samples, quantile) {
                return Quantile::NotAvailable;
            }
            value_at(histogram, beyond_deadline, quantile)
        };
        let recorded = histogram.len();
        Self {
            count: recorded + beyond_deadline,
            beyond_deadline,
            effective_samples,
            min: value_at(histogram, beyond_deadline, 0.0),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: value_at(histogram, beyond_deadline, 1.0),
            hdr: encode(histogram),
        }
    }

    /// The value at `quantile` in [0, 1], whether or not the samples support printing it: for comparing with a
    /// limit, and for tests. Not available where `hdr` cannot be read.
    pub fn value_at(&self, quantile: f64) -> Quantile {
        decode(&self.hdr)
            .map_or(Quantile::NotAvailable, |histogram| value_at(&histogram, self.beyond_deadline, quantile))
    }
}

/// True when `effective_samples` leave enough of them beyond `quantile` to print it (METHOD V9).
pub fn is_supported(effective_samples: f64, quantile: f64) -> bool {
    // The tolerance takes back what binary fractions lose: 100 * (1 - 0.9) is 10 here, too.
    effective_samples * (1.0 - quantile) >= SAMPLES_BEYOND_MIN - 1e-6
}

/// The highest of p50, p90 and p99 that `effective_samples` support, with its name; p50 where they support none.
pub fn highest_supported(effective_samples: f64) -> (&'static str, f64) {
    let supported = |(_, quantile): &(&str, f64)| is_supported(effective_samples, *quantile);
    [("p99", 0.99), ("p90", 0.9)].into_iter().find(supported).unwrap_or(("p50", 0.5))
}

/// The effective samples that `quantile` in [0, 1) needs before it is printed (METHOD V9).
pub fn effective_samples_needed(quantile: f64) -> f64 {
    (SAMPLES_BEYOND_MIN / (1.0 - quantile) - 1e-6).ceil()
}

/// The value at `quantile` in [0, 1], ranked over the histogram and `beyond_deadline` infinities.
///
/// The rank is `ceil(quantile * count)`, at least 1; 0 gives the least value, 1 the greatest.
pub fn value_at(histogram: &Histogram<u64>, beyond_deadline: u64, quantile: f64) -> Quantile {
    let recorded = histogram.len();
    let count = recorded + beyond_deadline;
    if count == 0 {
        return Quantile::NotAvailable;
    }
    // The subtraction takes back what rounding adds to a product that is a whole number (0.9 * 10).
    let rank = ((quantile * count as f64 - 1e-6).ceil() as u64).clamp(1, count);
    if rank > recorded {
        return Quantile::BeyondDeadline;
    }
    match rank {
        1 if quantile <= 0.0 => Quantile::Ns(histogram.min()),
        rank if rank == recorded && quantile >= 1.0 => Quantile::Ns(histogram.max()),
        rank => {
            let mut seen = 0;
            for step in histogram.iter_recorded() {
                seen += step.count_since_last_iteration();
                if seen >= rank {
                    return Quantile::Ns(histogram.highest_equivalent(step.value_iterated_to()));
                }
            }
            Quantile::Ns(histogram.max())
        }
    }
}

/// An empty histogram with the bounds that every latency series shares, so that any two merge.
///
/// # Panics
/// Never: the bounds are constants that the library accepts.
pub fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(HISTOGRAM_LOW_NS, HISTOGRAM_HIGH_NS, HISTOGRAM_DIGITS)
        .expect("the constant bounds are valid")
}

/// Holds a histogram to the bounds that every latency series shares.
///
/// # Panics
/// When they differ: such a histogram does not merge with the others without loss.
pub fn assert_shared_bounds(histogram: &Histogram<u64>) {
    let found = (histogram.low(), histogram.high(), histogram.sigfig());
    let shared = (HISTOGRAM_LOW_NS, HISTOGRAM_HIGH_NS, HISTOGRAM_DIGITS);
    assert_eq!(found, shared, "latency histograms share (low ns, high ns, digits): use new_histogram()");
}

/// HDR V2 deflate in base64, as it stands in `run.json` and in the lines of an `.hlog`.
///
/// # Panics
/// Never: writing into memory cannot fail.
pub fn encode(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new()
        .serialize(histogram, &mut bytes)
        .expect("a histogram within the shared bounds can be written to memory");
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Why the text of a histogram cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no hdr histogram: {0}; allowed is V2 deflate in base64, as feedmark writes it")]
pub struct DecodeError(String);

/// Reads what [`encode`] wrote.
///
/// # Errors
/// When the text is not base64, not HDR V2 deflate, or has other bounds than the shared ones.
pub fn decode(hdr: &str) -> Result<Histogram<u64>, DecodeError> {
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(hdr)
        .map_err(|error| DecodeError(format!("bad base64: {error}")))?;
    let histogram: Histogram<u64> = HdrDeserializer::new()
        .deserialize(&mut bytes.as_slice())
        .map_err(|error| DecodeError(format!("bad content: {error:?}")))?;
    let found = (histogram.low(), histogram.high(), histogram.sigfig());
    if found != (HISTOGRAM_LOW_NS, HISTOGRAM_HIGH_NS, HISTOGRAM_DIGITS) {
        return Err(DecodeError(format!("its (low ns, high ns, digits) are {found:?}")));
    }
    Ok(histogram)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_to(n: u64) -> Histogram<u64> {
        let mut histogram = new_histogram();
        (1..=n).for_each(|v| histogram.record(v).unwrap());
        histogram
    }

    #[test]
    fn ranks_over_what_was_owed() {
        let survivors = one_to(998);
        assert_eq!(value_at(&survivors, 2, 0.5), Quantile::Ns(500));
        assert_eq!(value_at(&survivors, 2, 0.998), Quantile::Ns(998));
        assert_eq!(value_at(&survivors, 2, 0.999), Quantile::BeyondDeadline);
        assert_eq!(value_at(&survivors, 2, 1.0), Quantile::BeyondDeadline);
        assert_eq!(value_at(&survivors, 0, 1.0), Quantile::Ns(998));
        assert_eq!(value_at(&new_histogram(), 0, 0.5), Quantile::NotAvailable);
        assert_eq!(value_at(&new_histogram(), 1, 0.0), Quantile::BeyondDeadline);
    }

    #[test]
    fn prints_only_what_the_samples_support() {
        let summary = LatencySummary::new(&one_to(600), 0, 600.0);
        assert_eq!(summary.p90, Quantile::Ns(540));
        assert_eq!(summary.p99, Quantile::NotAvailable);
        assert_eq!(summary.max, Quantile::Ns(600));
        assert_eq!(LatencySummary::new(&one_to(1000), 0, 1000.0).p99, Quantile::Ns(990));
    }

    /// Binary fractions must not cost a quantile: 100 * (1 - 0.9) is a little less than 10.
    #[test]
    fn the_least_sufficient_count_suffices() {
        for quantile in [0.5, 0.9, 0.99, 0.999] {
            let needed = effective_samples_needed(quantile);
            assert!(is_supported(needed, quantile), "{needed} for {quantile}");
            assert!(!is_supported(needed - 1.0, quantile), "{needed} for {quantile}");
        }
        assert_eq!([0.5, 0.9, 0.99, 0.999].map(effective_samples_needed), [20.0, 100.0, 1_000.0, 10_000.0]);
    }

    #[test]
    #[should_panic(expected = "share (low ns, high ns, digits)")]
    fn other_bounds_are_our_own_error() {
        LatencySummary::new(&Histogram::new_with_bounds(1, 1_000_000, 3).unwrap(), 0, 0.0);
    }

    #[test]
    fn decodes_what_it_encoded_and_nothing_else() {
        let histogram = one_to(5_000);
        assert_eq!(decode(&encode(&histogram)).unwrap(), histogram);
        let other = encode(&Histogram::new_with_bounds(1, 1_000_000, 3).unwrap());
        for (text, expected) in [
            ("*", "bad base64"),
            ("", "bad content"),
            ("AAAA", "bad content"),
            (other.as_str(), "(1, 1000000, 3)"),
        ] {
            let error = decode(text).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("allowed is"), "{text}: {error}");
        }
    }

    #[test]
    fn a_quantile_survives_json() {
        for (quantile, json) in [
            (Quantile::Ns(7), "7"),
            (Quantile::BeyondDeadline, "\"beyond_deadline\""),
            (Quantile::NotAvailable, "null"),
        ] {
            assert_eq!(serde_json::to_string(&quantile).unwrap(), json);
            assert_eq!(serde_json::from_str::<Quantile>(json).unwrap(), quantile);
        }
        let error = serde_json::from_str::<Quantile>("\"fast\"").unwrap_err().to_string();
        assert!(error.contains("`fast` is no quantile"), "{error}");
    }
}
