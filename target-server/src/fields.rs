//! Takes the fields of a JSON object apart, and collects every complaint before refusing.
//!
//! Pure: no HTTP request, no store. Lengths are counted in characters (Unicode scalar values).

use email_address::{EmailAddress, Options};
use serde_json::{Map, Value};

use crate::problem::{FieldProblem, Problem};

/// Values longer than this are not echoed.
const ECHO_CHARS_MAX: usize = 200;
/// The longest address that mail can carry (RFC 5321, 4.5.3.1.3, without the brackets).
const EMAIL_CHARS_MAX: usize = 254;

/// What a text has to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TextRule {
    pub(crate) field: &'static str,
    pub(crate) chars_min: usize,
    pub(crate) chars_max: usize,
    /// Whether spaces around it do not count and are not kept.
    pub(crate) trimmed: bool,
    /// Never echoed.
    pub(crate) secret: bool,
}

pub(crate) const TITLE: TextRule = text("title", 5, 200);
pub(crate) const CONTENT: TextRule = text("content", 5, 100_000);
pub(crate) const IMAGE_URL: TextRule = text("imageUrl", 1, 2_000);
pub(crate) const NAME: TextRule = text("name", 1, 100);
pub(crate) const STATUS: TextRule = text("status", 1, 200);
pub(crate) const PASSWORD: TextRule =
    TextRule { field: "password", chars_min: 5, chars_max: 200, trimmed: false, secret: true };
const EMAIL: TextRule = text("email", 1, EMAIL_CHARS_MAX);

const fn text(field: &'static str, chars_min: usize, chars_max: usize) -> TextRule {
    TextRule { field, chars_min, chars_max, trimmed: true, secret: false }
}

/// The fields of one body, and what is wrong with them so far.
pub(crate) struct Fields {
    values: Map<String, Value>,
    problems: Vec<FieldProblem>,
}

impl Fields {
    pub(crate) fn new(values: Map<String, Value>) -> Self {
        Self { values, problems: Vec::new() }
    }

    /// A text that has to be there. What is returned is only of use if [`Self::finish`] agrees.
    pub(crate) fn text(&mut self, rule: &TextRule) -> String {
        match self.values.remove(rule.field) {
            None => {
                self.complain(rule, "is missing".to_owned(), None);
                String::new()
            }
            Some(value) => self.check(rule, value),
        }
    }

    /// `None`: not there. `Some(None)`: null.
    pub(crate) fn optional_text(&mut self, rule: &TextRule) -> Option<Option<String>> {
        match self.values.remove(rule.field) {
            None => None,
            Some(Value::Null) => Some(None),
            Some(value) => Some(Some(self.check(rule, value))),
        }
    }

    /// An address, in lower case.
    pub(crate) fn email(&mut self) -> String {
        let problems_before = self.problems.len();
        let email = self.text(&EMAIL).to_lowercase();
        if self.problems.len() == problems_before && !is_address(&email) {
            let value = Value::String(email.clone());
            self.complain(&EMAIL, "is not an email address".to_owned(), Some(value));
        }
        email
    }

    /// Refuses with everything that was wrong.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        if self.problems.is_empty() { Ok(()) } else { Err(Problem::invalid(self.problems)) }
    }

    fn check(&mut self, rule: &TextRule, value: Value) -> String {
        let Value::String(text) = value else {
            self.complain(rule, format!("is {}: give a text", kind(&value)), Some(value));
            return String::new();
        };
        let kept = if rule.trimmed { text.trim() } else { &text };
        let chars = kept.chars().count();
        if chars < rule.chars_min {
            let least = rule.chars_min;
            self.complain(
                rule,
                format!("has {chars} characters: at least {least} are needed"),
                Some(text.into()),
            );
            return String::new();
        }
        if chars > rule.chars_max {
            let most = rule.chars_max;
            self.complain(
                rule,
                format!("has {chars} characters: at most {most} are allowed"),
                Some(text.into()),
            );
            return String::new();
        }
        kept.to_owned()
    }

    fn complain(&mut self, rule: &TextRule, what: String, value: Option<Value>) {
        let echoed = value.filter(|value| !rule.secret && is_short(value));
        let message = format!("{} {what}", rule.field);
        self.problems.push(FieldProblem { field: rule.field, message, value: echoed });
    }
}

/// A bare `local@domain`.
fn is_address(text: &str) -> bool {
    let bare = Options::default().without_display_text().without_domain_literal();
    EmailAddress::parse_with_options(text, bare).is_ok()
}

/// Nested values may be of any size, so only plain ones are echoed.
fn is_short(value: &Value) -> bool {
    match value {
        Value::String(text) => text.chars().nth(ECHO_CHARS_MAX).is_none(),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
        Value::Array(_) | Value::Object(_) => false,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn fields(body: Value) -> Fields {
        let Value::Object(values) = body else { panic!("not an object: {body}") };
        Fields::new(values)
    }

    fn complaint(rule: &TextRule, value: Value) -> Option<FieldProblem> {
        let mut fields = fields(json!({ rule.field: value }));
        fields.text(rule);
        fields.problems.pop()
    }

    #[test]
    fn lengths_are_counted_in_characters_after_trimming() {
        for (text, ok) in [
            ("12345", true),
            ("1234", false),
            ("  1234  ", false),
            ("\t12345\n", true),
            ("", false),
            ("äöüß€", true),
            ("👍👍👍👍", false),
            ("👍👍👍👍👍", true),
        ] {
            assert_eq!(complaint(&TITLE, json!(text)).is_none(), ok, "{text:?}");
        }
        assert!(complaint(&TITLE, json!("x".repeat(TITLE.chars_max))).is_none());
        assert!(complaint(&TITLE, json!("x".repeat(TITLE.chars_max + 1))).is_some());
        assert!(complaint(&PASSWORD, json!("  x  ")).is_none(), "a password is taken as it is");
    }

    #[test]
    fn a_wrong_type_is_named() {
        for (value, kind) in [
            (json!(null), "null"),
            (json!(true), "a boolean"),
            (json!(1), "a number"),
            (json!([1]), "a list"),
            (json!({"a": 1}), "an object"),
        ] {
            let problem = complaint(&TITLE, value).unwrap();
            assert_eq!((problem.field, problem.message), ("title", format!("title is {kind}: give a text")));
        }
    }

    #[test]
    fn passwords_and_long_values_are_not_echoed() {
        assert_eq!(complaint(&PASSWORD, json!("1234")).unwrap().value, None);
        assert_eq!(complaint(&TITLE, json!("1234")).unwrap().value, Some(json!("1234")));
        assert_eq!(complaint(&TITLE, json!("x".repeat(201))).unwrap().value, None);
        assert_eq!(complaint(&TITLE, json!([[[]]])).unwrap().value, None);
    }

    #[test]
    fn every_field_that_is_wrong_is_in_the_refusal() {
        let mut fields = fields(json!({"title": "abc", "imageUrl": 7}));
        fields.text(&TITLE);
        fields.text(&CONTENT);
        fields.optional_text(&IMAGE_URL);
        let named: Vec<_> = fields.problems.iter().map(|problem| problem.field).collect();
        assert_eq!(named, ["title", "content", "imageUrl"]);
        assert!(fields.finish().is_err());
    }

    #[test]
    fn an_image_is_absent_or_taken_away_or_given() {
        assert_eq!(fields(json!({})).optional_text(&IMAGE_URL), None);
        assert_eq!(fields(json!({"imageUrl": null})).optional_text(&IMAGE_URL), Some(None));
        let given = fields(json!({"imageUrl": " images/a.png "})).optional_text(&IMAGE_URL);
        assert_eq!(given, Some(Some("images/a.png".to_owned())));
    }

    #[test]
    fn addresses() {
        for (email, ok) in [
            ("a@example.com", true),
            (" Ada.L+feed@Example.COM ", true),
            ("a@b", true),
            ("", false),
            ("a", false),
            ("@example.com", false),
            ("a@", false),
            ("a b@example.com", false),
            ("a@exa mple.com", false),
            ("a@@example.com", false),
            ("Ada <a@example.com>", false),
        ] {
            let mut fields = fields(json!({ "email": email }));
            let taken = fields.email();
            assert_eq!(fields.problems.is_empty(), ok, "{email:?}");
            if ok {
                assert_eq!(taken, email.trim().to_lowercase());
            }
        }
    }

    proptest! {
        /// A text is taken exactly when its trimmed length is within the rule, and then it is the trimmed text.
        #[test]
        fn a_text_is_taken_exactly_within_its_bounds(text in "\\PC{0,12}", pad in "[ \t\n]{0,3}") {
            let rule = TextRule { chars_max: 9, ..TITLE };
            let mut fields = fields(json!({ "title": format!("{pad}{text}{pad}") }));
            let taken = fields.text(&rule);
            let trimmed = text.trim();
            let fits = (rule.chars_min..=rule.chars_max).contains(&trimmed.chars().count());
            prop_assert_eq!(fields.problems.is_empty(), fits);
            if fits {
                prop_assert_eq!(taken, trimmed);
            }
        }

        /// No text makes the address check panic.
        #[test]
        fn any_text_may_claim_to_be_an_address(text in any::<String>()) {
            let mut fields = fields(json!({ "email": text }));
            fields.email();
        }
    }
}
