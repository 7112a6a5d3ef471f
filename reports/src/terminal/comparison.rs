//! A comparison: what has changed, what may explain it, every figure, and where in the distribution it changed.

use super::Style;
use super::latency::cell;
use super::layout::{Page, Paint};
use crate::Quantile;
use crate::comparison::{Comparison, HEAD, QuantileShift, Word};
use crate::metric::Rank;
use crate::units::{duration, signed_duration};

/// Names that are longer are broken between their words, so that the table keeps to 80 columns.
const NAME_COLUMNS_MAX: usize = 18;
/// Characters of a bar on either side of its axis.
const BAR_COLUMNS: usize = 11;

/// Renders a comparison; every line ends in `\n`.
pub fn comparison(comparison: &Comparison, style: &Style) -> String {
    let mut page = Page::new(style);
    let word = comparison.word;
    let paint = match word {
        Word::Worse => Paint::Red,
        Word::Better | Word::Same => Paint::Green,
        Word::Unresolved => Paint::Yellow,
    };
    page.headline(&word.name().to_uppercase(), paint, &comparison.findings());
    page.blank();
    for (label, list) in [("base", &comparison.base), ("candidate", &comparison.candidate)] {
        page.section(label, &[[vec![list.title()], list.description()].concat()]);
    }
    for (label, differences) in ["overruled", "differences"].into_iter().zip(comparison.differences_named()) {
        if !differences.is_empty() {
            page.section(
                label,
                &differences.into_iter().map(|difference| vec![difference]).collect::<Vec<_>>(),
            );
        }
    }
    page.blank();
    page.table(&HEAD, &comparison.rows().into_iter().map(|row| broken(row).to_vec()).collect::<Vec<_>>());
    for reason in comparison.reasons() {
        page.remark(&[reason]);
    }
    page.blank();
    quantile_shift(&mut page, &comparison.delivery_shift);
    page.into_text()
}

/// The quantile shift alone, as plain text.
pub(crate) fn quantile_shift_text(comparison: &Comparison) -> String {
    let mut page = Page::new(&Style { color: false, width: 80 });
    quantile_shift(&mut page, &comparison.delivery_shift);
    page.into_text()
}

fn broken(mut row: [String; 6]) -> [String; 6] {
    if row[0].len() > NAME_COLUMNS_MAX {
        row[0] = row[0].replacen(' ', "\n  ", 1);
    }
    row
}

fn quantile_shift(page: &mut Page, shifts: &[QuantileShift]) {
    let known = |quantile: Quantile| quantile != Quantile::NotAvailable;
    let shown: Vec<&QuantileShift> =
        shifts.iter().filter(|shift| known(shift.base) && known(shift.candidate)).collect();
    if shown.is_empty() {
        return page.remark(&["delivery: no quantile of both sides to set beside each other".to_owned()]);
    }
    let greatest =
        shown.iter().filter_map(|shift| shift.shift_ns).map(i64::unsigned_abs).max().unwrap_or_default();
    let rows: Vec<Vec<String>> = shown
        .into_iter()
        .map(|shift| {
            vec![
                Rank::Quantile(shift.quantile).to_string(),
                cell(shift.base, "> deadline"),
                cell(shift.candidate, "> deadline"),
                shift.shift_ns.map_or_else(|| "n/a".to_owned(), signed_duration),
                bar(shift.shift_ns.unwrap_or_default(), greatest),
            ]
        })
        .collect();
    page.table(&["delivery", "base", "candidate", "shift", &scale(greatest)], &rows);
    page.remark(&[
        "where in the distribution it changed, not whether: all deliveries of a side together".to_owned()
    ]);
}

/// What stands above the bars: their ends, and 0 above the axis.
fn scale(greatest: u64) -> String {
    let [left, right] = match greatest {
        0 => [String::new(), String::new()],
        _ => ["-", "+"].map(|sign| format!("{sign}{}", duration(greatest))),
    };
    format!("{left:<BAR_COLUMNS$}0{right:>BAR_COLUMNS$}")
}

/// A bar from the axis in the middle to the left or to the right; `greatest` fills its side.
fn bar(value: i64, greatest: u64) -> String {
    let share = value.unsigned_abs() as f64 / greatest.max(1) as f64;
    let halves = (share * 2.0 * BAR_COLUMNS as f64).round() as usize;
    let blocks = "█".repeat(halves / 2);
    let half = |block: &'static str| if halves % 2 == 1 { block } else { "" };
    let (left, right) = match value {
        ..0 => (format!("{}{blocks}", half("▐")), String::new()),
        _ => (String::new(), format!("{blocks}{}", half("▌"))),
    };
    format!("{left:>BAR_COLUMNS$}│{right:<BAR_COLUMNS$}")
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr as _;

    use super::*;

    #[test]
    fn the_scale_has_its_0_above_the_axis() {
        for (greatest, expected) in [
            (0, "           0           "),
            (1_370_000, "-1.37 ms   0   +1.37 ms"),
            (999, "-0.999 µs  0  +0.999 µs"),
            (3_600_000_000_000, "-3,600 s   0   +3,600 s"),
        ] {
            assert_eq!(scale(greatest), expected);
        }
    }

    #[test]
    fn bars_are_of_one_width_and_of_the_right_length() {
        for (value, greatest, expected) in [
            (0, 0, "           │           "),
            (22, 22, "           │███████████"),
            (-22, 22, "███████████│           "),
            (1, 22, "           │▌          "),
            (-3, 22, "         ▐█│           "),
            (i64::MIN, 1 << 63, "███████████│           "),
        ] {
            assert_eq!(bar(value, greatest), expected, "{value} of {greatest}");
            assert_eq!(bar(value, greatest).width(), 2 * BAR_COLUMNS + 1);
        }
    }
}
