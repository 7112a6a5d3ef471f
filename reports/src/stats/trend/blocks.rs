//! A series cut into blocks of equal time, one median each.

use crate::stats::median::median;

/// The medians of `n` blocks of equal length that together fill `[0, span_ns)`.
///
/// `values` are (ns since the start of the span, value) in any order; values outside of the span
/// belong to no block. A block without values, or with a NaN, has no median. Infinite values (a missing
/// delivery is +infinity) rank as such, so a block that lost over half of its deliveries has an infinite
/// median. Holds all values in memory: `values` and `n` must be bounded.
pub fn blocks(values: impl Iterator<Item = (u64, f64)>, span_ns: u64, n: usize) -> Vec<Option<f64>> {
    let mut members = vec![Vec::new(); n];
    for (at_ns, value) in values.filter(|&(at_ns, _)| at_ns < span_ns) {
        let index = u128::from(at_ns) * n as u128 / u128::from(span_ns);
        if let Some(block) = members.get_mut(index as usize) {
            block.push(value);
        }
    }
    members.iter_mut().map(|block| median(block)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INFINITE: f64 = f64::INFINITY;

    #[test]
    fn edges() {
        let at = [(0, 1.0), (4, 3.0), (5, 10.0), (9, 20.0), (10, 99.0), (u64::MAX, 99.0)];
        for (values, span_ns, n, expected) in [
            (&at[..], 10, 2, vec![Some(2.0), Some(15.0)]),
            (&at[..], 10, 1, vec![Some(6.5)]),
            (&at[..], 10, 0, vec![]),
            (&at[..], 0, 2, vec![None, None]),
            (&[], 10, 2, vec![None, None]),
            (&[(9, 1.0)], 10, 3, vec![None, None, Some(1.0)]),
            (&[(0, 1.0), (1, INFINITE), (2, INFINITE)], 10, 2, vec![Some(INFINITE), None]),
            (&[(0, 1.0), (1, f64::NAN)], 10, 1, vec![None]),
            (&[(u64::MAX - 1, 1.0)], u64::MAX, 3, vec![None, None, Some(1.0)]),
        ] {
            assert_eq!(blocks(values.iter().copied(), span_ns, n), expected, "{values:?}, {span_ns}, {n}");
        }
    }

    proptest! {
        /// Every value inside of the span is in exactly one block, in order of time.
        #[test]
        fn blocks_follow_time(mut times in prop::collection::vec(0..1_000u64, 1..200), n in 1..20usize) {
            let medians = blocks(times.iter().map(|&at_ns| (at_ns, at_ns as f64)), 1_000, n);
            let found: Vec<f64> = medians.iter().flatten().copied().collect();
            prop_assert!(found.is_sorted());
            times.sort_unstable_by_key(|&at_ns| at_ns as usize * n / 1_000);
            times.dedup_by_key(|&mut at_ns| at_ns as usize * n / 1_000);
            prop_assert_eq!(found.len(), times.len());
        }
    }
}
