//! Values as people write them: `20/s`, `30s`, `64KiB`. Parsed alike on the command line, in the
//! environment and in scenario files; an error says what was written and what is allowed.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Events per second, written with their unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate(f64);

/// Most events per second that anyone may ask for.
pub const RATE_PER_S_MAX: f64 = 1_000_000.0;

impl Rate {
    /// Events per second, above 0.
    pub const fn per_s(self) -> f64 {
        self.0
    }

    /// # Panics
    /// If the rate is not one that [`Rate::from_str`] would take; for constants.
    pub fn new(per_s: f64) -> Self {
        assert!(per_s > 0.0 && per_s <= RATE_PER_S_MAX);
        Self(per_s)
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let allowed = || format!("`{text}` is not a rate: write a number and a unit, such as 20/s or 90/min");
        let (number, unit) = text.split_once('/').ok_or_else(allowed)?;
        let seconds = match unit.trim() {
            "s" | "sec" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            _ => return Err(allowed()),
        };
        let number: f64 = number.trim().parse().map_err(|_| allowed())?;
        let per_s = number / seconds;
        if per_s > 0.0 && per_s <= RATE_PER_S_MAX {
            Ok(Self(per_s))
        } else {
            Err(format!("`{text}` is out of range: a rate is above 0 and at most {RATE_PER_S_MAX}/s"))
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.0)
    }
}

/// A length of time, written with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(Duration);

/// Longest time that anyone may ask for.
pub const SPAN_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

impl Span {
    /// Nanoseconds.
    pub const fn ns(self) -> u64 {
        self.0.as_nanos() as u64
    }

    /// As the standard library has it.
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// So many nanoseconds.
    pub const fn from_ns(ns: u64) -> Self {
        Self(Duration::from_nanos(ns))
    }

    /// A constant number of seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let duration = humantime::parse_duration(text).map_err(|_| {
            format!("`{text}` is not a duration: write a number and a unit, such as 30s, 500ms or 2m")
        })?;
        if duration > SPAN_MAX {
            return Err(format!("`{text}` is too long: at most 7 days"));
        }
        Ok(Self(duration))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

/// A number of bytes, written with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(u64);

/// Most bytes that anyone may ask for.
pub const SIZE_BYTES_MAX: u64 = 1 << 30;

impl Size {
    /// Bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// A constant number of bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let allowed = || {
            format!(
                "`{text}` is not a size: write a whole number and a unit, such as 300B, 64KiB or 1MB (at most 1GiB)"
            )
        };
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let unit = match text[digits..].trim() {
            "B" => 1,
            "kB" | "KB" => 1000,
            "KiB" => 1024,
            "MB" => 1_000_000,
            "MiB" => 1 << 20,
            "GB" => 1_000_000_000,
            "GiB" => 1 << 30,
            _ => return Err(allowed()),
        };
        let number: u64 = text[..digits].parse().map_err(|_| allowed())?;
        number.checked_mul(unit).filter(|&bytes| bytes <= SIZE_BYTES_MAX).map(Self).ok_or_else(allowed)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}B", self.0)
    }
}

/// A number of subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "i64")]
pub struct Subscribers(u32);

/// Most subscribers of one run.
pub const SUBSCRIBERS_MAX: u32 = 1_000_000;

impl Subscribers {
    /// How many.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// A constant number.
    pub const fn new(count: u32) -> Self {
        Self(count)
    }
}

impl TryFrom<i64> for Subscribers {
    type Error = String;

    fn try_from(count: i64) -> Result<Self, String> {
        match u32::try_from(count) {
            Ok(count @ 1..=SUBSCRIBERS_MAX) => Ok(Self(count)),
            _ => Err(format!("`{count}` is no number of subscribers: 1 to {SUBSCRIBERS_MAX} are allowed")),
        }
    }
}

impl FromStr for Subscribers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let count: i64 = text.replace('_', "").parse().map_err(|_| {
            format!("`{text}` is no number of subscribers: 1 to {SUBSCRIBERS_MAX} are allowed")
        })?;
        Self::try_from(count)
    }
}

/// Reads a value as people write it. A bare number gets the error that says which unit is missing.
struct Written<T>(PhantomData<T>);

impl<T: FromStr<Err = String>> Visitor<'_> for Written<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number and its unit in quotes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

macro_rules! as_written {
    ($($type:ty),*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Written(PhantomData))
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}
as_written!(Rate, Span, Size);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_as_people_write_them() {
        assert_eq!("20/s".parse::<Rate>().unwrap().per_s(), 20.0);
        assert_eq!("90/min".parse::<Rate>().unwrap().per_s(), 1.5);
        assert_eq!("0.5/s".parse::<Rate>().unwrap().per_s(), 0.5);
        assert_eq!("1m 30s".parse::<Span>().unwrap(), Span::seconds(90));
        for rate in ["20/s", "0.1/s", "7/h"] {
            let rate: Rate = rate.parse().unwrap();
            assert_eq!(rate.to_string().parse(), Ok(rate));
        }
        assert_eq!("64KiB".parse::<Size>().unwrap().bytes(), 65_536);
        assert_eq!("300B".parse::<Size>().unwrap().bytes(), 300);
        assert_eq!("19_000".parse::<Subscribers>().unwrap().get(), 19_000);
    }

    #[test]
    fn what_is_refused_is_named() {
        for text in ["20", "20/day", "/s", "x/s", "-1/s", "0/s", "NaN/s", "inf/s", "9e9/s", ""] {
            let error = text.parse::<Rate>().unwrap_err();
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
        for text in ["30", "soon", "9000d", ""] {
            assert!(text.parse::<Span>().unwrap_err().contains(&format!("`{text}`")));
        }
        for text in ["300", "B", "1.5MB", "99999999999999999999B", "2GiB", "1 parsec", "\u{e9}B"] {
            assert!(text.parse::<Size>().unwrap_err().contains(&format!("`{text}`")));
        }
        for text in ["0", "-5", "1000001", "many"] {
            assert!(text.parse::<Subscribers>().unwrap_err().contains("allowed"));
        }
    }
}
