//! The text of a threshold, read from left to right; an error knows the byte at which reading stopped.

use std::fmt;
use std::str::FromStr;

use unicode_width::UnicodeWidthChar as _;

use super::{Amount, Operator, Role, Scale, Threshold, can_abort, has_windows};
use super::{TIME_NS_MAX, WINDOW_NS_MIN};
use crate::metric::{Metric, Unit};

/// Longest expression: the longest that means something has half of it.
const TEXT_BYTES_MAX: usize = 200;
/// Stands for what a terminal would obey instead of printing.
const REPLACEMENT: char = '\u{fffd}';
const SIGNS: [char; 4] = ['<', '>', '=', '!'];

const TIMES: &[Scale] = &[
    Scale { name: "ns", size: 1.0 },
    Scale { name: "us", size: 1e3 },
    Scale { name: "ms", size: 1e6 },
    Scale { name: "s", size: 1e9 },
    Scale { name: "m", size: 6e10 },
];
const CPU_TIMES: &[Scale] = &[Scale { name: "ms", size: 1e-3 }, Scale { name: "s", size: 1.0 }];
const SIZES: &[Scale] = &[
    Scale { name: "B", size: 1.0 },
    Scale { name: "kB", size: 1e3 },
    Scale { name: "KB", size: 1e3 },
    Scale { name: "KiB", size: 1024.0 },
    Scale { name: "MB", size: 1e6 },
    Scale { name: "MiB", size: 1_048_576.0 },
    Scale { name: "GB", size: 1e9 },
    Scale { name: "GiB", size: 1_073_741_824.0 },
];
const PERCENT: &[Scale] = &[Scale { name: "%", size: 1.0 }];
const NUMBER: &[Scale] = &[Scale { name: "", size: 1.0 }];

const fn scales(unit: Unit) -> &'static [Scale] {
    match unit {
        Unit::Ns => TIMES,
        Unit::CpuSeconds => CPU_TIMES,
        Unit::Bytes => SIZES,
        Unit::Percent => PERCENT,
        Unit::Count => NUMBER,
    }
}

/// Why a text is no threshold. It prints the text with a caret under the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThresholdError {
    /// The text.
    pub text: String,
    /// Byte offset of what is wrong in it.
    pub at: usize,
    /// What is wrong, and what is allowed.
    pub problem: String,
}

impl std::error::Error for ThresholdError {}

impl fmt::Display for ThresholdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&with_caret(&self.text, self.at, &self.problem))
    }
}

/// The problem, the text, and a caret under the byte `at` of it.
pub(crate) fn with_caret(text: &str, at: usize, problem: &str) -> String {
    let printable = |c: char| match c.width() {
        Some(width) if width > 0 => c,
        _ => REPLACEMENT,
    };
    let problem: String = problem.chars().map(printable).collect();
    let shown: String = text.chars().take(TEXT_BYTES_MAX).map(printable).collect();
    let before: usize = text[..at].chars().map(|c| printable(c).width().unwrap_or_default()).sum();
    format!("{problem}\n  {shown}\n  {:before$}^", "")
}

impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        parse(text).map_err(|(at, problem)| ThresholdError { text: text.to_owned(), at, problem })
    }
}

/// Where, and what.
type Problem = (usize, String);

fn parse(text: &str) -> Result<Threshold, Problem> {
    if text.len() > TEXT_BYTES_MAX {
        let at = (0..=TEXT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        return Err((at, format!("a threshold has at most {TEXT_BYTES_MAX} characters")));
    }
    let sign_at = text.find(SIGNS).unwrap_or(text.len());
    let metric: Metric =
        text[..sign_at].parse().map_err(|error: crate::metric::MetricError| (error.at, error.problem))?;
    let mut reader = Reader { text, at: sign_at };
    let operator = operator(&mut reader, metric)?;
    let limit_at = reader.skip_blanks();
    let limit = amount(&mut reader, scales(metric.unit()), "the limit")?;
    can_hold(metric, operator, limit).map_err(|problem| (limit_at, problem))?;
    let window = window(&mut reader, metric)?;
    let role = role(&mut reader, metric, window.is_some())?;
    let (at, rest) = reader.word();
    match rest {
        "" => Ok(Threshold { metric, operator, limit, window, role }),
        "over" | "advisory" | "abort" => {
            Err((at, format!("`{rest}` is in the wrong place: METRIC OP LIMIT over TIME advisory|abort")))
        }
        _ => Err((
            at,
            format!("`{rest}` is not understood here: `over 10s`, `advisory` or `abort` may follow"),
        )),
    }
}

/// The text, and how far it has been read.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) -> usize {
        self.at = self.text.len() - self.rest().trim_start().len();
        self.at
    }

    /// As many characters as are `wanted`.
    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !wanted(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    /// The next word, and where it begins; empty at the end.
    fn word(&mut self) -> (usize, &'a str) {
        let at = self.skip_blanks();
        (at, self.take(|c| !c.is_whitespace()))
    }

    /// Reads the word if it is the next one.
    fn word_is(&mut self, wanted: &str) -> Option<usize> {
        let before = self.at;
        let (at, word) = self.word();
        if word == wanted {
            return Some(at);
        }
        self.at = before;
        None
    }
}

fn operator(reader: &mut Reader<'_>, metric: Metric) -> Result<Operator, Problem> {
    let at = reader.at;
    let sign = reader.take(|c| SIGNS.contains(&c));
    let operator = Operator::ALL.into_iter().find(|operator| operator.sign() == sign);
    let operator = operator.ok_or_else(|| match sign {
        "" => (at, "an operator is missing: write < <= == >= or >".to_owned()),
        _ => (at, format!("`{sign}` is no operator: write < <= == >= or >")),
    })?;
    let refused = |why: &str| Err((at, format!("`{metric} {sign}` makes no sense: {why}")));
    match (metric.unit(), operator) {
        (Unit::Percent, Operator::Below | Operator::AtMost) => {
            refused("more of it is better, so write >= or >")
        }
        (Unit::Percent, _) | (Unit::Count, Operator::Equal) => Ok(operator),
        (_, Operator::Above | Operator::AtLeast) => refused("less of it is better, so write < or <="),
        (_, Operator::Equal) => refused("a measured value is never exactly the limit, so write < or <="),
        (_, Operator::Below | Operator::AtMost) => Ok(operator),
    }
}

/// A number and one of the units.
fn amount(reader: &mut Reader<'_>, units: &'static [Scale], what: &str) -> Result<Amount, Problem> {
    let at = reader.skip_blanks();
    let digits = reader.take(|c| c.is_ascii_digit() || c == '.');
    let number: Option<f64> = digits.parse().ok().filter(|number: &f64| number.is_finite());
    let example = match units {
        [Scale { name: "", .. }] => "a number such as 0".to_owned(),
        _ => format!("a number and a unit ({})", names(units)),
    };
    let number = number.ok_or_else(|| (at, format!("{what} is missing here: write {example}")))?;
    let after_number = reader.at;
    let unit_at = reader.skip_blanks();
    let name = reader.take(|c| !c.is_whitespace());
    if let Some(unit) = units.iter().find(|unit| !name.is_empty() && unit.name == name) {
        return Ok(Amount { number, unit: *unit });
    }
    if let [unit @ Scale { name: "", .. }] = units {
        // What follows is a word of its own only behind a blank.
        reader.at = after_number;
        return match name {
            _ if unit_at > after_number || name.is_empty() => Ok(Amount { number, unit: *unit }),
            _ => Err((unit_at, format!("`{name}` has no place here: a count has no unit"))),
        };
    }
    Err(match name {
        "" | "over" | "advisory" | "abort" => {
            (after_number, format!("`{digits}` needs a unit: {}", names(units)))
        }
        _ => (unit_at, format!("`{name}` is no unit of this: write {}", names(units))),
    })
}

fn names(units: &[Scale]) -> String {
    let names: Vec<&str> = units.iter().map(|unit| unit.name).collect();
    names.join(", ")
}

/// Refuses limits that nothing can keep to, and those that nobody means.
fn can_hold(metric: Metric, operator: Operator, limit: Amount) -> Result<(), String> {
    let value = limit.value();
    let below_nothing = value <= 0.0 && operator == Operator::Below;
    match metric.unit() {
        Unit::Count if value.fract() != 0.0 => Err(format!("`{limit}` is no count: write a whole number")),
        _ if below_nothing => Err(format!("nothing is less than {limit}: write a greater limit")),
        Unit::Ns if limit.ns() == 0 || limit.ns() > TIME_NS_MAX => {
            Err(format!("`{limit}` is out of range: a latency is at least 1ns and at most 60m"))
        }
        Unit::Percent if value > 100.0 || value >= 100.0 && operator == Operator::Above => {
            Err("there is no more than 100%: write a lower limit".to_owned())
        }
        _ => Ok(()),
    }
}

fn window(reader: &mut Reader<'_>, metric: Metric) -> Result<Option<Amount>, Problem> {
    let Some(at) = reader.word_is("over") else { return Ok(None) };
    if !has_windows(metric) {
        return Err((at, format!("`{metric}` is known for the whole run alone: leave `over` out")));
    }
    let length_at = reader.skip_blanks();
    let length = amount(reader, TIMES, "the length of the windows")?;
    match length.ns() {
        WINDOW_NS_MIN..=TIME_NS_MAX => Ok(Some(length)),
        _ => Err((length_at, format!("`{length}` is no length for a window: at least 1s, at most 60m"))),
    }
}

fn role(reader: &mut Reader<'_>, metric: Metric, windows: bool) -> Result<Role, Problem> {
    if reader.word_is("advisory").is_some() {
        return Ok(Role::Advises);
    }
    let Some(at) = reader.word_is("abort") else { return Ok(Role::Decides) };
    match can_abort(metric, windows) {
        true => Ok(Role::Aborts),
        false if can_abort(metric, false) => {
            Err((at, format!("`{metric}` cannot end the run by its windows: leave `abort` or `over` out")))
        }
        false => Err((at, format!("`{metric}` is known at the end of the run alone: leave `abort` out"))),
    }
}
