//! `key=value` pairs, taken out one by one, until none may be left.
//!
//! The flag form (`kind=delay,law=fixed,by=20ms`) and the JSON form (`{"kind":"delay",…}`) become the same pairs here,
//! so there is one grammar behind both.

use std::{collections::BTreeMap, ops::Range, time::Duration};

/// What is wrong with the description of a fault: the offending key or value, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadFault(pub(super) String);

/// The pairs of one fault, as they were typed.
pub(super) type Pairs = BTreeMap<String, String>;

/// Splits the flag form.
pub(super) fn split(text: &str) -> Result<Pairs, BadFault> {
    let mut pairs = Pairs::new();
    for part in text.split(',').map(str::trim) {
        let Some((key, value)) = part.split_once('=') else {
            return Err(BadFault(format!(
                "{part:?} is no key=value: give for example kind=drop,share=0.001"
            )));
        };
        let (key, value) = (key.trim(), value.trim());
        if pairs.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(BadFault(format!("{key} is given twice: give it once")));
        }
    }
    Ok(pairs)
}

/// What is left of the pairs, and which keys were asked for.
pub(super) struct Keys<'a> {
    left: BTreeMap<&'a str, &'a str>,
    asked: Vec<&'static str>,
}

impl<'a> Keys<'a> {
    pub(super) fn new(pairs: &'a Pairs) -> Self {
        let left = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        Self { left, asked: Vec::new() }
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<&'a str> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.left.remove(key)
    }

    /// The value of `key` as `read` understands it; the error names the key, the value and `allowed`.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        allowed: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, BadFault> {
        let Some(text) = self.text(key) else { return Ok(None) };
        match read(text) {
            Some(value) => Ok(Some(value)),
            None => Err(BadFault(format!("{key} is {text}: give {allowed}"))),
        }
    }

    /// Like [`Keys::optional`], for a key that must be there.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        allowed: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, BadFault> {
        let value = self.optional(key, allowed, read)?;
        value.ok_or_else(|| BadFault(format!("{key} is missing: give {allowed}")))
    }

    pub(super) fn time(&mut self, key: &'static str) -> Result<Option<u64>, BadFault> {
        self.optional(key, TIME, read_time)
    }

    pub(super) fn required_time(&mut self, key: &'static str) -> Result<u64, BadFault> {
        self.required(key, TIME, read_time)
    }

    pub(super) fn share(&mut self, key: &'static str) -> Result<Option<f64>, BadFault> {
        self.optional(key, "a share from 0 to 1, such as 0.001", |text| {
            text.parse().ok().filter(|share| (0.0..=1.0).contains(share))
        })
    }

    pub(super) fn range(&mut self, key: &'static str) -> Result<Option<Range<u64>>, BadFault> {
        self.optional(key, "a range whose end is not part of it, such as 601..701", |text| {
            let (from, to) = text.split_once("..")?;
            let range = from.parse().ok()?..to.parse().ok()?;
            (!range.is_empty()).then_some(range)
        })
    }

    /// A count of at least 1.
    pub(super) fn count(&mut self, key: &'static str) -> Result<Option<u64>, BadFault> {
        self.optional(key, "a whole number from 1", |text| text.parse().ok().filter(|count| *count >= 1))
    }

    /// Refuses what nobody asked for.
    pub(super) fn finish(self, of: &str) -> Result<(), BadFault> {
        match self.left.keys().next() {
            None => Ok(()),
            Some(key) => {
                Err(BadFault(format!("{key} means nothing for {of}: give {}", self.asked.join(", "))))
            }
        }
    }
}

const TIME: &str = "a time with its unit, such as 20us, 100ms or 1s";
/// Longer than any run, and far from the end of the clock.
const TIME_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

fn read_time(text: &str) -> Option<u64> {
    let time = humantime::parse_duration(text).ok().filter(|time| *time <= TIME_MAX)?;
    u64::try_from(time.as_nanos()).ok()
}
