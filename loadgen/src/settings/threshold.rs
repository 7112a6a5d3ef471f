//! A threshold as a scenario file has it: an expression, or a table with one.

use std::fmt;
use std::str::FromStr;

use feedmark_reports::threshold::{Threshold, ThresholdError};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// `"missing == 0 abort"`, or `{ expr = "missing == 0", abort = true }`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ThresholdSetting(pub Threshold);

impl FromStr for ThresholdSetting {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        text.parse().map(Self)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    expr: String,
    #[serde(default)]
    advisory: bool,
    #[serde(default)]
    abort: bool,
}

impl Table {
    /// What the table says, as an expression says it: so every rule about it is one of the grammar.
    fn expression(self) -> String {
        let word = |wanted, word| if wanted { word } else { "" };
        [self.expr.trim_end(), word(self.advisory, " advisory"), word(self.abort, " abort")].concat()
    }
}

struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = ThresholdSetting;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"an expression such as "delivery p99 < 250ms", or { expr = "...", abort = true }"#)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ThresholdSetting, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ThresholdSetting, A::Error> {
        let table = Table::deserialize(de::value::MapAccessDeserializer::new(map))?;
        self.visit_str(&table.expression())
    }
}

impl<'de> Deserialize<'de> for ThresholdSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::Settings;

    fn thresholds(text: &str) -> Result<Vec<String>, String> {
        let settings: Settings = toml::from_str(text).map_err(|error| error.to_string())?;
        Ok(settings.thresholds.unwrap_or_default().iter().map(|setting| setting.0.to_string()).collect())
    }

    #[test]
    fn a_table_says_what_an_expression_says() {
        let both = r#"thresholds = [
            "delivery p99 < 250ms",
            { expr = "missing == 0", abort = true },
            { expr = "completeness >= 99.99%", advisory = true, abort = false },
        ]"#;
        let expected = ["delivery p99 < 250ms", "missing == 0 abort", "completeness >= 99.99% advisory"];
        assert_eq!(thresholds(both).unwrap(), expected);
    }

    #[test]
    fn errors_have_a_line_and_a_caret() {
        let error = thresholds("seed = 1\nthresholds = ['missing == 0', 'delivery p99 < 250']").unwrap_err();
        assert!(error.contains("line 2") && error.contains("`250` needs a unit"), "{error}");
        assert!(error.contains("\n  delivery p99 < 250\n                    ^"), "{error}");
        let error = thresholds("thresholds = [{ expr = 'missing == 0', advisory = true, abort = true }]")
            .unwrap_err();
        assert!(error.contains("`abort`"), "{error}");
        let error = thresholds("thresholds = [{ expr = 'missing == 0', abrt = true }]").unwrap_err();
        assert!(error.contains("abrt") && error.contains("`abort`"), "{error}");
        let error = thresholds("thresholds = [5]").unwrap_err();
        assert!(error.contains("delivery p99 < 250ms"), "{error}");
    }
}
