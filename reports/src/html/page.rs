//! The frame of every page: head, policy, style, script, contents.

use base64::Engine as _;
use maud::{DOCTYPE, Markup, PreEscaped, Render, html};
use sha2::{Digest as _, Sha256};

/// The style of every page.
pub const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// One part of a page.
pub(super) struct Section {
    /// Unique on the page.
    pub(super) id: &'static str,
    /// Its heading.
    pub(super) title: &'static str,
    /// The question that it answers.
    pub(super) question: &'static str,
    /// What it says.
    pub(super) body: Markup,
}

impl Render for Section {
    fn render(&self) -> Markup {
        html! {
            section id=(self.id) aria-labelledby={ (self.id) "-heading" } {
                h2 id={ (self.id) "-heading" } { (self.title) }
                @if !self.question.is_empty() { p.question { (self.question) } }
                (self.body)
            }
        }
    }
}

/// A whole page; `head` is what it begins with.
pub(super) fn page(title: &str, head: &Markup, sections: &[Section]) -> String {
    let main = html! {
        (head)
        nav aria-label="Contents" {
            @for section in sections { a href={ "#" (section.id) } { (section.title) } }
        }
        @for section in sections { (section) }
    };
    let footer = "This file is complete: it needs no network.";
    frame(&Frame { title, main: &main, footer, style: "", script: "", connects: false })
}

/// What pages have apart from the frame.
pub(super) struct Frame<'a> {
    pub(super) title: &'a str,
    pub(super) main: &'a Markup,
    /// A last sentence.
    pub(super) footer: &'a str,
    /// More style than every page has.
    pub(super) style: &'a str,
    /// More script than every page has.
    pub(super) script: &'a str,
    /// The script may ask where the page came from.
    pub(super) connects: bool,
}

/// A page around `main`.
pub(super) fn frame(frame: &Frame<'_>) -> String {
    let styles: Vec<&str> = [STYLE, frame.style].into_iter().filter(|text| !text.is_empty()).collect();
    let scripts: Vec<&str> = [SCRIPT, frame.script].into_iter().filter(|text| !text.is_empty()).collect();
    // Nothing but these styles and scripts, and nothing from anywhere: even if a text got out of its element, it could not run.
    let policy = format!(
        "default-src 'none'; style-src {}; script-src {};{} base-uri 'none'; form-action 'none'",
        source_hashes(&styles),
        source_hashes(&scripts),
        if frame.connects { " connect-src 'self';" } else { "" },
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (frame.title) }
                @for style in styles { style { (PreEscaped(style)) } }
            }
            body {
                header.top {
                    a.skip href="#main" { "Skip to the results" }
                    span.brand { "feedmark" }
                    fieldset.theme {
                        legend { "Colors" }
                        @for (value, label) in [("auto", "Auto"), ("light", "Light"), ("dark", "Dark")] {
                            label { input type="radio" name="theme" id={ "theme-" (value) } checked[value == "auto"]; span { (label) } }
                        }
                    }
                }
                main id="main" { (frame.main) }
                footer { p { "Made by feedmark " (env!("CARGO_PKG_VERSION")) ". " (frame.footer) } }
                @for script in scripts { script { (PreEscaped(script)) } }
            }
        }
    };
    page.into_string()
}

fn source_hashes(texts: &[&str]) -> String {
    texts.iter().map(|text| format!("'{}'", source_hash(text))).collect::<Vec<_>>().join(" ")
}

/// As a content security policy names what may be inline (CSP level 3, section 2.3.1).
fn source_hash(text: &str) -> String {
    format!("sha256-{}", base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text.as_bytes())))
}
