//! Colors, or none: nothing is said by a color alone.

use ratatui::style::{Color, Modifier, Style};

/// The styles of the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Palette {
    /// What stands beside a figure.
    pub(super) dim: Style,
    /// A figure.
    pub(super) strong: Style,
    /// What is under way.
    pub(super) accent: Style,
    /// As it should be.
    pub(super) good: Style,
    /// As it should not be.
    pub(super) bad: Style,
    /// The sparklines: median, quantile 0.99, greatest.
    pub(super) lines: [Style; 3],
}

impl Palette {
    /// The terminal's own colors.
    pub fn colored() -> Self {
        let color = |color: Color| Style::new().fg(color);
        Self {
            dim: Style::new().add_modifier(Modifier::DIM),
            strong: Style::new().add_modifier(Modifier::BOLD),
            accent: color(Color::Cyan),
            good: color(Color::Green),
            bad: color(Color::Red).add_modifier(Modifier::BOLD),
            lines: [color(Color::Green), color(Color::Yellow), color(Color::Magenta)],
        }
    }

    /// No color.
    pub fn plain() -> Self {
        let plain = Style::new();
        Self {
            dim: Style::new().add_modifier(Modifier::DIM),
            strong: Style::new().add_modifier(Modifier::BOLD),
            accent: plain,
            good: plain,
            bad: Style::new().add_modifier(Modifier::BOLD),
            lines: [plain; 3],
        }
    }
}
