//! The median.

/// The median of `values`, which it reorders: the middle one, or the midpoint of the two in the middle.
///
/// Infinities rank like any other value. `None` when there are no values, when one of them is NaN, or
/// when the middle lies between the two infinities.
pub fn median(values: &mut [f64]) -> Option<f64> {
    if values.is_empty() || values.iter().any(|value| value.is_nan()) {
        return None;
    }
    let middle = values.len() / 2;
    let is_even = values.len().is_multiple_of(2);
    let (below, &mut upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if !is_even {
        return Some(upper);
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let midpoint = lower.midpoint(upper);
    (!midpoint.is_nan()).then_some(midpoint)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INFINITE: f64 = f64::INFINITY;

    #[test]
    fn edges() {
        for (values, expected) in [
            (vec![], None),
            (vec![3.0], Some(3.0)),
            (vec![3.0, 1.0], Some(2.0)),
            (vec![5.0, 1.0, 3.0], Some(3.0)),
            (vec![4.0, 1.0, 3.0, 2.0], Some(2.5)),
            (vec![f64::MAX, f64::MAX], Some(f64::MAX)),
            (vec![INFINITE, 1.0, 2.0], Some(2.0)),
            (vec![INFINITE, 1.0], Some(INFINITE)),
            (vec![INFINITE, -INFINITE], None),
            (vec![1.0, f64::NAN, 2.0], None),
        ] {
            assert_eq!(median(&mut values.clone()), expected, "{values:?}");
        }
    }

    proptest! {
        /// As many values lie above the median as below it.
        #[test]
        fn halves(mut values in prop::collection::vec(-1e9..1e9, 1..50)) {
            let middle = median(&mut values).unwrap();
            let below = values.iter().filter(|&&value| value < middle).count();
            let above = values.iter().filter(|&&value| value > middle).count();
            prop_assert!(below <= values.len() / 2 && above <= values.len() / 2);
        }
    }
}
