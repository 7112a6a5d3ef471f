//! Scales: where on an axis a value lies, and which round values are written beside it.

/// Labels on an axis, at most about so many.
const TICKS: f64 = 6.0;
/// Steps of time that people count in, in seconds.
const TIME_STEPS_S: [f64; 14] =
    [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0];

/// How values become places from 0 (left, below) to 1 (right, above).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// In proportion.
    Linear {
        /// At 0.
        from: f64,
        /// At 1.
        to: f64,
    },
    /// Every power of ten takes the same room.
    Log {
        /// At 0; above zero.
        from: f64,
        /// At 1.
        to: f64,
    },
    /// The axis of the HDR world: every further nine of a quantile takes the same room.
    Nines {
        /// How many: 3 ends at 0.999.
        nines: f64,
    },
}

impl Scale {
    /// The place of a value; what lies outside is put at the end that it lies beyond.
    pub fn place(&self, value: f64) -> f64 {
        let place = match *self {
            Self::Linear { from, to } => (value - from) / (to - from),
            Self::Log { from, to } => (value.max(from) / from).log10() / (to / from).log10(),
            Self::Nines { nines } => -(1.0 - value).max(0.0).log10() / nines,
        };
        if place.is_nan() { 0.0 } else { place.clamp(0.0, 1.0) }
    }

    /// Round values in the range, from below.
    pub fn ticks(&self) -> Vec<f64> {
        match *self {
            Self::Linear { from, to } => multiples(from, to, round_step((to - from) / TICKS)),
            Self::Log { from, to } => powers(from, to),
            Self::Nines { nines } => {
                let halves = [0.0, 0.5, 0.9];
                let rest = (2..=nines as i32).map(|nines| 1.0 - 10_f64.powi(-nines));
                halves.into_iter().chain(rest).collect()
            }
        }
    }

    /// Round points in time in the range, in ns, as people count it: 15 s and 2 min, not 20 s and 200 s.
    pub fn time_ticks(from_ns: f64, to_ns: f64) -> Vec<f64> {
        let wanted_s = (to_ns - from_ns) / 1e9 / TICKS;
        let step_s = TIME_STEPS_S.into_iter().find(|step_s| *step_s >= wanted_s);
        let step_s =
            if wanted_s < 0.5 { round_step(wanted_s) } else { step_s.unwrap_or(round_step(wanted_s)) };
        multiples(from_ns, to_ns, step_s * 1e9)
    }
}

/// 1, 2 or 5 times a power of ten, `least` or more.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.max(f64::MIN_POSITIVE).log10().floor());
    let steps = [1.0, 2.0, 5.0].map(|digit| digit * power);
    steps.into_iter().find(|step| *step >= least * (1.0 - 1e-9)).unwrap_or(10.0 * power)
}

fn multiples(from: f64, to: f64, step: f64) -> Vec<f64> {
    if !(step > 0.0 && to > from) {
        return vec![from];
    }
    let (first, last) = ((from / step - 1e-9).ceil() as i64, (to / step + 1e-9).floor() as i64);
    (first..=last).map(|n| n as f64 * step).collect()
}

/// Powers of ten; with 2 and 5 times them where there are few, and only some where there are many.
fn powers(from: f64, to: f64) -> Vec<f64> {
    let decades = (to / from).log10();
    let digits: &[f64] = if decades <= 1.2 {
        &[1.0, 2.0, 3.0, 5.0, 7.0]
    } else if decades <= 2.2 {
        &[1.0, 2.0, 5.0]
    } else if decades <= 3.2 {
        &[1.0, 3.0]
    } else {
        &[1.0]
    };
    let every = (decades / TICKS).ceil().max(1.0) as usize;
    let exponents = (from.log10().floor() as i32..=to.log10().ceil() as i32).step_by(every);
    let all = exponents.flat_map(|exponent| digits.iter().map(move |digit| digit * 10_f64.powi(exponent)));
    all.filter(|tick| (from * (1.0 - 1e-9)..=to * (1.0 + 1e-9)).contains(tick)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn places() {
        let linear = Scale::Linear { from: 10.0, to: 30.0 };
        assert_eq!([5.0, 10.0, 20.0, 30.0, 31.0].map(|x| linear.place(x)), [0.0, 0.0, 0.5, 1.0, 1.0]);
        let log = Scale::Log { from: 1.0, to: 100.0 };
        assert_eq!([0.0, 1.0, 10.0, 100.0].map(|x| log.place(x)), [0.0, 0.0, 0.5, 1.0]);
        let nines = Scale::Nines { nines: 4.0 };
        let places = [0.0, 0.9, 0.99, 1.0].map(|x| (nines.place(x) * 1e6).round() / 1e6);
        assert_eq!(places, [0.0, 0.25, 0.5, 1.0]);
        assert_eq!(Scale::Linear { from: 0.0, to: 0.0 }.place(0.0), 0.0);
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(Scale::Linear { from: 0.0, to: 31.0 }.ticks(), [0.0, 10.0, 20.0, 30.0]);
        assert_eq!(
            Scale::Linear { from: 0.0, to: 1.0 }.ticks(),
            [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]
        );
        assert_eq!(Scale::Log { from: 2.0, to: 60.0 }.ticks(), [2.0, 5.0, 10.0, 20.0, 50.0]);
        assert_eq!(
            Scale::Log { from: 1.0, to: 1e5 }.ticks(),
            [1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0]
        );
        assert_eq!(Scale::Nines { nines: 3.0 }.ticks(), [0.0, 0.5, 0.9, 0.99, 0.999]);
        assert_eq!(Scale::time_ticks(0.0, 47e9), [0.0, 10e9, 20e9, 30e9, 40e9]);
        assert_eq!(Scale::time_ticks(3e9, 600e9), [120e9, 240e9, 360e9, 480e9, 600e9]);
        assert_eq!(Scale::time_ticks(0.0, 1.2e9), [0.0, 0.2e9, 0.4e9, 0.6e9, 0.8e9, 1e9, 1.2e9]);
    }

    proptest! {
        /// Whatever the range, labels lie in it and are few enough to be read; places lie on the axis, in order.
        #[test]
        fn any_range_has_readable_ticks(from in 1e-3..1e9_f64, factor in 1.0..1e9_f64, steps in 0..1_000_u32) {
            let to = from * factor;
            for scale in [Scale::Linear { from, to }, Scale::Log { from, to }] {
                let ticks = scale.ticks();
                prop_assert!(ticks.len() <= 12, "{scale:?}: {ticks:?}");
                prop_assert!(ticks.windows(2).all(|pair| scale.place(pair[0]) <= scale.place(pair[1])));
                let value = from + (to - from) * f64::from(steps) / 999.0;
                prop_assert!((0.0..=1.0).contains(&scale.place(value)));
            }
        }
    }
}
