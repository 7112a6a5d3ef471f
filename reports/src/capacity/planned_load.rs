//! A load that somebody plans: `8000 subscribers, 3/s`.
//!
//! Invariant: a [`PlannedLoad`] prints as it is parsed; one that is wrong is refused with the place in the text.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::threshold::with_caret;
use crate::units::count;

const EXAMPLE: &str = "8000 subscribers, 3/s";
/// Longest text.
const TEXT_BYTES_MAX: usize = 100;
/// Most subscribers, as a run can be asked for.
const SUBSCRIBERS_MAX: u32 = 1_000_000;
/// Most posts per second.
const RATE_MAX: f64 = 1e6;

/// Subscribers and posts; in JSON its text.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct PlannedLoad {
    /// Subscribers, at least 1.
    pub subscribers: u32,
    /// Posts per second, more than 0.
    pub rate_per_s: f64,
}

/// Why a text is no planned load. It prints the text with a caret under the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", with_caret(text, *at, problem))]
pub struct PlannedLoadError {
    /// The text.
    pub text: String,
    /// Byte offset of what is wrong in it.
    pub at: usize,
    /// What is wrong, and what is allowed.
    pub problem: String,
}

impl FromStr for PlannedLoad {
    type Err = PlannedLoadError;

    fn from_str(text: &str) -> Result<Self, PlannedLoadError> {
        parse(text).map_err(|(at, problem)| PlannedLoadError { text: text.to_owned(), at, problem })
    }
}

fn parse(text: &str) -> Result<PlannedLoad, (usize, String)> {
    if text.len() > TEXT_BYTES_MAX {
        return Err((
            0,
            format!("a planned load has at most {TEXT_BYTES_MAX} characters: write `{EXAMPLE}`"),
        ));
    }
    // Thousands may have a comma, too.
    let noun = text.find("subscriber").unwrap_or(0);
    let comma = text[noun..].find(',').map(|comma| noun + comma);
    let comma = comma.ok_or_else(|| (text.len(), format!("the rate is missing: write `{EXAMPLE}`")))?;
    let (first, second) = (part(text, 0..comma), part(text, comma + 1..text.len()));
    let subscribers =
        first.text.strip_suffix("subscribers").or_else(|| first.text.strip_suffix("subscriber"));
    let subscribers = subscribers
        .and_then(|number| without_commas(number).parse().ok())
        .filter(|subscribers| (1..=SUBSCRIBERS_MAX).contains(subscribers))
        .ok_or_else(|| {
            let most = count(u64::from(SUBSCRIBERS_MAX));
            (
                first.at,
                format!("`{}` is no number of subscribers from 1 to {most}: write `{EXAMPLE}`", first.text),
            )
        })?;
    let rate_per_s = second
        .text
        .strip_suffix("/s")
        .map(|rate| rate.strip_suffix("posts").unwrap_or(rate))
        .and_then(|number| without_commas(number).parse::<f64>().ok())
        .filter(|rate| *rate > 0.0 && *rate <= RATE_MAX)
        .ok_or_else(|| (second.at, format!("`{}` is no rate: write `{EXAMPLE}`", second.text)))?;
    Ok(PlannedLoad { subscribers, rate_per_s })
}

fn without_commas(number: &str) -> String {
    number.trim_end().replace(',', "")
}

/// A stretch of the text without the blanks around it.
struct Part<'a> {
    at: usize,
    text: &'a str,
}

fn part(text: &str, range: std::ops::Range<usize>) -> Part<'_> {
    let stretch = &text[range.clone()];
    let blanks = stretch.len() - stretch.trim_start().len();
    Part { at: range.start + blanks, text: stretch.trim() }
}

impl fmt::Display for PlannedLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.subscribers == 1 { "subscriber" } else { "subscribers" };
        write!(f, "{} {noun}, {}/s", self.subscribers, self.rate_per_s)
    }
}

impl TryFrom<String> for PlannedLoad {
    type Error = PlannedLoadError;

    fn try_from(text: String) -> Result<Self, PlannedLoadError> {
        text.parse()
    }
}

impl From<PlannedLoad> for String {
    fn from(load: PlannedLoad) -> Self {
        load.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_planned_is_parsed_as_it_is_printed() {
        for (text, printed) in [
            ("8000 subscribers, 3/s", "8000 subscribers, 3/s"),
            ("  1 subscriber ,0.25/s ", "1 subscriber, 0.25/s"),
            ("1subscribers,1e2 /s", "1 subscriber, 100/s"),
            ("8,000 subscribers, 1,250 posts/s", "8000 subscribers, 1250/s"),
        ] {
            let load: PlannedLoad = text.parse().unwrap();
            assert_eq!(load.to_string(), printed);
            assert_eq!(printed.parse(), Ok(load));
        }
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        for (text, at, part) in [
            ("8000 subscribers", 16, "the rate is missing"),
            ("1,000,001 subscribers, 3/s", 0, "from 1 to 1,000,000"),
            ("many subscribers, 3/s", 0, "`many subscribers`"),
            ("0 subscribers, 3/s", 0, "no number"),
            ("5000000000 subscribers, 3/s", 0, "no number"),
            ("10 subscribers,  three/s", 17, "`three/s` is no rate"),
            ("10 subscribers, 0/s", 16, "no rate"),
            ("10 subscribers, inf/s", 16, "no rate"),
            ("10 subscribers, 3", 16, "no rate"),
            (", ", 0, "no number"),
        ] {
            let error = text.parse::<PlannedLoad>().unwrap_err();
            assert!(error.at == at && error.problem.contains(part), "{text}: {error:?}");
            assert!(error.problem.contains(EXAMPLE), "{text}: {error:?}");
        }
        let error = "10 subscribers, x".parse::<PlannedLoad>().unwrap_err().to_string();
        assert!(error.ends_with("\n  10 subscribers, x\n                  ^"), "{error}");
        assert!("9".repeat(101).parse::<PlannedLoad>().is_err());
    }
}
