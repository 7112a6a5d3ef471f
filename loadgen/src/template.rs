//! The body of a post: text with placeholders, filled anew for every post.
//!
//! `{{marker}}` is what subscribers look for, `{{seq}}` the index of the post, `{{now}}` the wall
//! clock in ms since the Unix epoch, `{{text:N}}` N bytes of random letters. The random text is a
//! function of (seed, sequence): the same seed posts the same bytes.

use std::fmt::Write as _;

use feedmark_core::marker::Marker;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Greatest `N` of `{{text:N}}`.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// Letters of the random text; a marker needs digits, so the text never looks like one.
const LETTERS: &[u8] = b"abcdefghij lmnopqrstuvwxyz";

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Marker,
    Seq,
    Now,
    Text(usize),
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// On an unknown or unclosed placeholder, and on a template without `{{marker}}`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((name, behind)) = after.split_once("}}") else {
                let shown: String = after.chars().take(20).collect();
                return Err(format!("the placeholder `{{{{{shown}` is not closed: it needs `}}}}`"));
            };
            parts.push(Part::Literal(before.to_owned()));
            parts.push(parse_placeholder(name.trim())?);
            rest = behind;
        }
        parts.push(Part::Literal(rest.to_owned()));
        parts.retain(|part| *part != Part::Literal(String::new()));
        if !parts.contains(&Part::Marker) {
            return Err("the body has no {{marker}}: without it no delivery can be told from another".into());
        }
        Ok(Self { parts })
    }

    /// The body of one post.
    pub fn render(&self, marker: Marker, seed: u64, now_ms: u64) -> String {
        let mut body = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => body.push_str(text),
                Part::Text(length) => push_random_text(&mut body, *length, seed, marker.seq),
                // A String takes whatever is written to it.
                Part::Marker => drop(write!(body, "{marker}")),
                Part::Seq => drop(write!(body, "{}", marker.seq)),
                Part::Now => drop(write!(body, "{now_ms}")),
            }
        }
        body
    }
}

fn parse_placeholder(name: &str) -> Result<Part, String> {
    match (name, name.strip_prefix("text:")) {
        ("marker", _) => Ok(Part::Marker),
        ("seq", _) => Ok(Part::Seq),
        ("now", _) => Ok(Part::Now),
        (_, Some(length)) => match length.trim().parse() {
            Ok(length) if length <= TEXT_BYTES_MAX => Ok(Part::Text(length)),
            _ => Err(format!("`{{{{{name}}}}}` needs a number of bytes from 0 to {TEXT_BYTES_MAX}")),
        },
        _ => Err(format!(
            "`{{{{{name}}}}}` is no placeholder: {{{{marker}}}}, {{{{seq}}}}, {{{{now}}}} and {{{{text:N}}}} are"
        )),
    }
}

fn push_random_text(body: &mut String, length: usize, seed: u64, seq: u32) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(u64::from(seq) + 1);
    body.extend((0..length).map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())])));
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKER: Marker = Marker { run: 1, writer: 2, seq: 3 };

    #[test]
    fn placeholders_are_filled() {
        let template = Template::parse(r#"{"title":"{{ marker }}","n":{{seq}},"at":{{now}}}"#).unwrap();
        let body = template.render(MARKER, 7, 1_700);
        assert_eq!(body, r#"{"title":"fmk1-00000001-0002-00000003","n":3,"at":1700}"#);
    }

    #[test]
    fn random_text_has_its_length_and_follows_the_seed() {
        let template = Template::parse("{{marker}}{{text:300}}").unwrap();
        let body = template.render(MARKER, 7, 0);
        assert_eq!(body.len(), MARKER.to_string().len() + 300);
        assert_eq!(body, template.render(MARKER, 7, 0));
        assert_ne!(body, template.render(MARKER, 8, 0));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, part) in [
            ("{}", "{{marker}}"),
            ("{{marker}} {{makrer}}", "{{makrer}}"),
            ("{{marker", "{{marker"),
            ("{{marker}}{{text:many}}", "{{text:many}}"),
            ("{{marker}}{{text:99999999}}", "{{text:99999999}}"),
        ] {
            let error = Template::parse(text).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
