//! The text that a server shows at `/metrics`: Prometheus' exposition format, version 0.0.4, and OpenMetrics as far as it
//! is the same (names, labels, values). Pure.
//!
//! Invariants: no text makes it panic, and whatever it says costs no more than one walk over it; lines that are no
//! samples are passed over, because a server may say what we do not know.

use std::collections::BTreeMap;

/// Labels of a sample or selector that are looked at.
const LABELS_MAX: usize = 32;

/// A sample: a name, its labels, a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<'a> {
    /// Name of the metric.
    pub name: &'a str,
    /// The labels, values as written: escaped.
    pub labels: BTreeMap<&'a str, &'a str>,
    /// The value.
    pub value: f64,
}

/// What picks samples: a name, and the labels that they have to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    name: String,
    labels: BTreeMap<String, String>,
}

/// A text is no selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no series: write its name, such as http_requests_total or http_requests_total{{code=\"500\"}}"
)]
pub struct BadSelector(String);

/// Every sample of a text, in order.
pub fn samples(text: &str) -> impl Iterator<Item = Sample<'_>> {
    text.lines().filter_map(sample)
}

/// The names of the metrics that a text declares as counters.
pub fn counters(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let mut words = line.strip_prefix("# TYPE ")?.split_ascii_whitespace();
        let name = words.next()?;
        (words.next() == Some("counter")).then_some(name)
    })
}

/// `name{label="value",...} value [timestamp]`.
fn sample(line: &str) -> Option<Sample<'_>> {
    let (name, labels, rest) = series(line.trim_start())?;
    let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Sample { name, labels, value })
}

/// A name with or without labels, and what follows.
fn series(text: &str) -> Option<(&str, BTreeMap<&str, &str>, &str)> {
    let end = text.find(|c: char| !is_name(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let Some(mut inside) = rest.trim_start().strip_prefix('{') else {
        return Some((name, BTreeMap::new(), rest));
    };
    let mut labels = BTreeMap::new();
    loop {
        inside = inside.trim_start();
        if let Some(rest) = inside.strip_prefix('}') {
            return Some((name, labels, rest));
        }
        let (label, quoted) = inside.split_once('=')?;
        let quoted = quoted.trim_start().strip_prefix('"')?;
        let end = end_of_quoted(quoted)?;
        if labels.len() == LABELS_MAX {
            return None;
        }
        labels.insert(label.trim(), &quoted[..end]);
        inside = quoted[end + 1..].trim_start();
        inside = inside.strip_prefix(',').unwrap_or(inside);
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// Where the closing quote is; a backslash takes what follows along.
fn end_of_quoted(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    })
}

impl Selector {
    /// `name`, or `name{label="value",...}`.
    ///
    /// # Errors
    /// If it is neither.
    pub fn parse(text: &str) -> Result<Self, BadSelector> {
        let bad = || BadSelector(text.escape_debug().to_string());
        let (name, labels, rest) = series(text.trim()).ok_or_else(bad)?;
        if !rest.is_empty() {
            return Err(bad());
        }
        let labels = labels.into_iter().map(|(label, value)| (label.to_owned(), value.to_owned()));
        Ok(Self { name: name.to_owned(), labels: labels.collect() })
    }

    /// The name of the metric.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Picks the sample, whose name may go on with `suffix` (as those of a histogram do). Labels that are not in the
    /// selector may have any value.
    pub fn picks(&self, sample: &Sample<'_>, suffix: &str) -> bool {
        sample.name.strip_prefix(self.name.as_str()) == Some(suffix)
            && self
                .labels
                .iter()
                .all(|(label, value)| sample.labels.get(label.as_str()) == Some(&value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "# HELP http_requests_total Requests.\n# TYPE http_requests_total counter\n\
        http_requests_total{method=\"post\",code=\"200\"} 1027 1395066363000\n\
        http_requests_total{method=\"post\",code=\"400\",} 3\n\
        msdos_file{path=\"C:\\\\DIR\\\\F.TXT\",error=\"no \\\"F}\\n\\\"\"} 1.458255915e9\n\
        metric_without_timestamp_and_labels 12.47\nsomething_weird{problem=\"division by zero\"} +Inf -3982045\n\
        \n  d_bucket{le=\"0.05\"} 24054\nd_sum 53423\nd_count 144320\n";

    #[test]
    fn reads_what_prometheus_documents() {
        let found: Vec<Sample<'_>> = samples(TEXT).collect();
        let values: Vec<f64> = found.iter().map(|sample| sample.value).collect();
        let infinity = f64::INFINITY;
        assert_eq!(values, [1027.0, 3.0, 1.458_255_915e9, 12.47, infinity, 24_054.0, 53_423.0, 144_320.0]);
        assert_eq!(found[2].labels["error"], "no \\\"F}\\n\\\"");
        assert_eq!(found[0].labels, BTreeMap::from([("method", "post"), ("code", "200")]));
        assert_eq!(counters(TEXT).collect::<Vec<_>>(), ["http_requests_total"]);
    }

    #[test]
    fn lines_that_are_no_samples_are_passed_over() {
        for line in [
            "",
            "#",
            "# EOF",
            "name",
            "name value",
            "9name 1",
            "{a=\"b\"} 1",
            "a{b=\"c} 1",
            "a{b=c} 1",
            "a{b 1",
        ] {
            assert_eq!(samples(line).count(), 0, "{line:?}");
        }
        let labels: String = (0..40).map(|i| format!("l{i}=\"x\",")).collect();
        assert_eq!(samples(&format!("name{{{labels}}} 1")).count(), 0);
    }

    #[test]
    fn a_selector_picks_by_name_and_the_labels_that_it_has() {
        let picked = |selector: &str, suffix: &str| -> Vec<f64> {
            let selector = Selector::parse(selector).unwrap();
            samples(TEXT).filter(|sample| selector.picks(sample, suffix)).map(|sample| sample.value).collect()
        };
        assert_eq!(picked("http_requests_total", ""), [1027.0, 3.0]);
        assert_eq!(picked("http_requests_total{code=\"400\"}", ""), [3.0]);
        assert_eq!(picked("http_requests_total{code=\"40\"}", ""), [0.0; 0]);
        assert_eq!(picked("http_requests", ""), [0.0; 0]);
        assert_eq!((picked("d", "_sum"), picked("d", "_bucket")), (vec![53_423.0], vec![24_054.0]));
        for bad in ["", "a b", "a{b}", "a{b=\"c\"", "a{b=\"c\"}d", "9a", "a=b"] {
            assert!(Selector::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        /// No text makes it panic; what it reads of one line is in that line.
        #[test]
        fn survives_anything(text in "([a-z_]{1,4}|[{}=,\"\\\\# \n]|[0-9.eE+-]{1,5}|NaN|Inf|\\PC){0,60}") {
            for sample in samples(&text) {
                prop_assert!(text.contains(sample.name));
                prop_assert!(sample.labels.len() <= LABELS_MAX);
            }
            let _ = (counters(&text).count(), Selector::parse(&text));
        }
    }
}
