//! A heat map: how many values fell into each band of each stretch of time, as shades.

use std::fmt::Write as _;

use maud::{Markup, Render, html};

use super::path::{HEIGHT, WIDTH, fixed};

/// Shades; the style has one color for each.
pub const SHADES: usize = 7;

/// Cells of equal height, column by column.
#[derive(Debug, Clone, PartialEq)]
pub struct Heat {
    /// Bands, from below.
    pub rows: usize,
    /// Columns from the left.
    pub columns: Vec<Column>,
}

/// One stretch of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its start, as a place from 0 to 1.
    pub from: f64,
    /// Its end.
    pub to: f64,
    /// Values in each band, from below.
    pub counts: Vec<u64>,
}

impl Heat {
    /// The shade of a count: logarithmic, because a thin tail matters, and none for none.
    fn shade(&self, count: u64, greatest: u64) -> Option<usize> {
        let ratio = (count as f64).ln_1p() / (greatest as f64).ln_1p();
        (count > 0).then_some(((ratio * SHADES as f64).ceil() as usize).clamp(1, SHADES) - 1)
    }

    /// One path for each shade: neighbours above each other of the same shade are one rectangle.
    fn paths(&self) -> [String; SHADES] {
        let mut paths = [const { String::new() }; SHADES];
        let greatest = self.columns.iter().flat_map(|column| &column.counts).copied().max().unwrap_or(0);
        let cell = HEIGHT / self.rows.max(1) as f64;
        for column in &self.columns {
            let shades: Vec<_> = column.counts.iter().map(|count| self.shade(*count, greatest)).collect();
            let mut row = 0;
            for run in shades.chunk_by(|a, b| a == b) {
                let (from, rows) = (row, run.len());
                row += rows;
                let Some(shade) = run[0] else { continue };
                let (left, width) = (fixed(column.from * WIDTH), fixed((column.to - column.from) * WIDTH));
                let (top, height) = (fixed(HEIGHT - (from + rows) as f64 * cell), fixed(rows as f64 * cell));
                // A String takes whatever is written to it.
                let _ = write!(paths[shade], "M{left} {top}h{width}v{height}h-{width}z");
            }
        }
        paths
    }
}

impl Render for Heat {
    fn render(&self) -> Markup {
        html! {
            @for (shade, path) in self.paths().iter().enumerate().filter(|(_, path)| !path.is_empty()) {
                path class={ "heat h" (shade) } d=(path) {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_neighbours_are_one_rectangle_and_nothing_is_drawn_for_none() {
        let column = |from: f64, counts: &[u64]| Column { from, to: from + 0.5, counts: counts.to_vec() };
        let heat =
            Heat { rows: 4, columns: vec![column(0.0, &[0, 100, 100, 1]), column(0.5, &[100, 0, 0, 0])] };
        let paths = heat.paths();
        assert_eq!(paths[SHADES - 1], "M0 60h500v120h-500zM500 180h500v60h-500z");
        assert_eq!(paths[1], "M0 0h500v60h-500z");
        assert_eq!(paths.iter().filter(|path| !path.is_empty()).count(), 2);
    }
}
