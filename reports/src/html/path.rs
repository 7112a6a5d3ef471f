//! SVG path data, in a box that is 1000 wide and [`HEIGHT`] high and is stretched to the room there is.

use std::fmt::Write as _;

/// Height of a chart's box, which is not stretched: CSS pixels.
pub(super) const HEIGHT: f64 = 240.0;
/// Width of a chart's box.
pub(super) const WIDTH: f64 = 1000.0;

/// A point in the box, or `None` where the line breaks; both parts from 0 to 1, upwards.
pub(super) type Place = Option<(f64, f64)>;

/// With one decimal at most: a tenth of a pixel.
pub(super) fn fixed(x: f64) -> String {
    let text = format!("{x:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// `x` of the box.
pub(super) fn x(place: f64) -> String {
    fixed(place * WIDTH)
}

/// `y` of the box, which counts from above.
pub(super) fn y(place: f64) -> String {
    fixed((1.0 - place) * HEIGHT)
}

/// Straight from point to point. One that stands alone becomes a dot.
pub(super) fn line(places: &[Place]) -> String {
    let mut path = String::new();
    for (index, place) in places.iter().enumerate() {
        let Some((across, up)) = *place else { continue };
        let before = index.checked_sub(1).and_then(|before| places[before]);
        let after = places.get(index + 1).copied().flatten();
        let command = if before.is_none() { 'M' } else { 'L' };
        push(&mut path, command, across, up);
        if before.is_none() && after.is_none() {
            path.push_str("h0");
        }
    }
    path
}

/// As [`line()`], but a value holds until the next.
pub(super) fn steps(places: &[Place]) -> String {
    let mut path = String::new();
    let mut is_open = false;
    for place in places {
        let Some((across, up)) = *place else {
            is_open = false;
            continue;
        };
        if is_open {
            // A String takes whatever is written to it.
            let _ = write!(path, "H{}V{}", x(across), y(up));
        } else {
            push(&mut path, 'M', across, up);
        }
        is_open = true;
    }
    path
}

/// A dot at every point: lines of no length, which get their round ends all the same.
pub(super) fn dots(places: &[Place]) -> String {
    let mut path = String::new();
    for (across, up) in places.iter().flatten() {
        push(&mut path, 'M', *across, *up);
        path.push_str("h0");
    }
    path
}

fn push(path: &mut String, command: char, across: f64, up: f64) {
    // A String takes whatever is written to it.
    let _ = write!(path, "{command}{} {}", x(across), y(up));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_where_there_is_nothing() {
        let places = [Some((0.0, 0.0)), Some((0.5, 1.0)), None, Some((1.0, 0.25))];
        assert_eq!(line(&places), "M0 240L500 0M1000 180h0");
        assert_eq!(steps(&places), "M0 240H500V0M1000 180");
        assert_eq!(dots(&places), "M0 240h0M500 0h0M1000 180h0");
        assert_eq!([0.04, 12.0, 12.34].map(fixed), ["0", "12", "12.3"]);
    }
}
