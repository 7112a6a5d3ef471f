//! A metric from its name; a wrong one is refused with the place in the text.

use std::str::FromStr;

use super::{COMPLETENESS, CPU_PER_MILLION, Count, Metric, PEAK_MEMORY, Rank, Series, Side};

/// Why a text names no metric, and the part of the text that is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct MetricError {
    /// Byte offset of the part in the text.
    pub at: usize,
    /// What is wrong with it, and what is allowed.
    pub problem: String,
}

impl FromStr for Metric {
    type Err = MetricError;

    /// One or two words, separated by blanks.
    fn from_str(text: &str) -> Result<Self, MetricError> {
        let mut words = words(text);
        let end = text.trim_end().len();
        let (at, word) = words.next().unwrap_or((end, ""));
        let second = words.next();
        if let Some((at, word)) = words.next() {
            return Err(wrong(at, format!("`{word}` is one word too many: a metric is one word or two")));
        }
        let missing = |what: String| wrong(end, format!("`{word}` needs a second word: {what}"));
        if let Some(series) = Series::named(word) {
            let (at, rank) = second.ok_or_else(|| missing(RANKS.to_owned()))?;
            return Ok(Self::Latency(series, parse_rank(at, rank)?));
        }
        if let Some(side) = Side::named(word) {
            let choice = || format!("{CPU_PER_MILLION} or {PEAK_MEMORY}");
            return match second.ok_or_else(|| missing(choice()))? {
                (_, CPU_PER_MILLION) => Ok(Self::CpuPerMillion(side)),
                (_, PEAK_MEMORY) => Ok(Self::PeakMemory(side)),
                (at, other) => Err(wrong(at, format!("`{other}` is not measured: {}", choice()))),
            };
        }
        let alone = match word {
            COMPLETENESS => Self::Completeness,
            _ => Self::Count(Count::named(word).ok_or_else(|| unknown(at, word))?),
        };
        match second {
            None => Ok(alone),
            Some((at, second)) => {
                Err(wrong(at, format!("`{second}` is one word too many: `{word}` stands alone")))
            }
        }
    }
}

const RANKS: &str = "a percentile such as p50, p99 or p99.9, or max";

/// Percentiles are written with at most this many digits after the point.
const PERCENTILE_DECIMALS_MAX: usize = 4;

fn parse_rank(at: usize, word: &str) -> Result<Rank, MetricError> {
    let refused = || wrong(at, format!("`{word}` is no percentile: write {RANKS}"));
    if word == "max" {
        return Ok(Rank::Max);
    }
    let digits = word.strip_prefix('p').ok_or_else(refused)?;
    let decimals = digits.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let written_plainly = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let percentile: f64 = digits.parse().map_err(|_| refused())?;
    let allowed =
        written_plainly && decimals <= PERCENTILE_DECIMALS_MAX && percentile > 0.0 && percentile < 100.0;
    if allowed { Ok(Rank::percentile(percentile)) } else { Err(refused()) }
}

fn unknown(at: usize, word: &str) -> MetricError {
    let series = Series::ALL.iter().map(|series| series.name());
    let counts = Count::ALL.iter().map(|count| count.name());
    let sides = Side::ALL.iter().map(|side| side.name());
    let known: Vec<&str> = series.chain([COMPLETENESS]).chain(counts).chain(sides).collect();
    wrong(at, format!("`{word}` is no metric: known are {}", known.join(", ")))
}

fn wrong(at: usize, problem: String) -> MetricError {
    MetricError { at, problem }
}

/// Words with their byte offsets.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    // Every word is a part of the text, so the distance of their beginnings is its offset.
    text.split_whitespace().map(move |word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_name_is_parsed_as_it_is_printed() {
        let ranks = ["p50", "p99", "p99.9", "p99.9999", "p0.1", "max"];
        let latencies =
            Series::ALL.iter().flat_map(|series| ranks.map(|rank| format!("{} {rank}", series.name())));
        let counts = Count::ALL.iter().map(|count| count.name().to_owned());
        let sides = Side::ALL
            .iter()
            .flat_map(|side| [CPU_PER_MILLION, PEAK_MEMORY].map(|what| format!("{} {what}", side.name())));
        for name in latencies.chain(counts).chain(sides).chain([COMPLETENESS.to_owned()]) {
            assert_eq!(name.parse::<Metric>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn what_is_refused_is_named_with_its_place() {
        for (text, at, part) in [
            ("", 0, "known are delivery"),
            ("latency p99", 0, "`latency` is no metric"),
            ("delivery", 8, "needs a second word"),
            ("delivery 99", 9, "`99` is no percentile"),
            ("delivery p100", 9, "p99.9"),
            ("delivery p0", 9, "p99.9"),
            ("delivery p1e1", 9, "p99.9"),
            ("delivery p99.99999", 9, "p99.9"),
            ("  target speed", 9, "cpu_per_million or peak_memory"),
            ("missing p99", 8, "stands alone"),
            ("delivery p99 p50", 13, "too many"),
        ] {
            let error = text.parse::<Metric>().unwrap_err();
            assert!(error.problem.contains(part), "{text}: {error}");
            assert_eq!(error.at, at, "{text}: {error}");
        }
    }

    proptest! {
        /// Whatever is written, it is a metric or a place in the text that is at fault.
        #[test]
        fn any_text_is_answered(text in "\\PC{0,30}|(delivery|target|missing) \\PC{0,12}") {
            match text.parse::<Metric>() {
                Ok(metric) => prop_assert_eq!(metric.to_string().parse::<Metric>().unwrap(), metric),
                Err(error) => prop_assert!(text.is_char_boundary(error.at)),
            }
        }
    }
}
