//! A run second by second: what its interval log and its posts say, in at most [`BINS_MAX`] stretches of equal length.
//!
//! Invariants: histograms of a stretch are merged, never their percentiles; deliveries that were late or missing rank as
//! infinite in the stretch of their post's intended time; one histogram of a series is held at a time.

use hdrhistogram::Histogram;

use crate::Quantile;
use crate::hdr_files::{ReadError, Series, intervals};
use crate::post_row::{PostPhase, PostRow};
use crate::quantile::{new_histogram, value_at};

/// Stretches of a timeline: more cannot be told apart on a screen.
pub(super) const BINS_MAX: u64 = 300;
const SECOND_NS: u64 = 1_000_000_000;

/// The bands of a heat map: of equal ratio, from `low_ns` to `high_ns`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bands {
    /// How many.
    pub(super) count: usize,
    /// Lower end of the first.
    pub(super) low_ns: f64,
    /// Upper end of the last.
    pub(super) high_ns: f64,
}

/// A run in stretches.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Timeline {
    /// The stretches that anything is known of, in order.
    pub(super) bins: Vec<Bin>,
    /// Length of each.
    pub(super) width_ns: u64,
}

/// One stretch.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bin {
    /// Its start, since the start of the run.
    pub(super) start_ns: u64,
    /// Late and missing deliveries of its posts.
    pub(super) untimely: u64,
    /// What each series says, by [`Series`].
    spots: [Option<Spot>; Series::ALL.len()],
    /// Deliveries in each band.
    pub(super) heat: Vec<u64>,
}

/// A series in one stretch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spot {
    /// Values, infinite ones included.
    pub(super) count: u64,
    /// The least.
    pub(super) min: Quantile,
    /// Quantile 0.5.
    pub(super) p50: Quantile,
    /// Quantile 0.9.
    pub(super) p90: Quantile,
    /// Quantile 0.99.
    pub(super) p99: Quantile,
    /// The greatest.
    pub(super) max: Quantile,
    /// The greatest that is not infinite.
    pub(super) finite_max: Quantile,
}

impl Bin {
    /// What a series says.
    pub(super) fn spot(&self, series: Series) -> Option<&Spot> {
        self.spots[series as usize].as_ref()
    }
}

/// Infinite values of the stretches, which no histogram holds.
#[derive(Debug, Clone, Default)]
struct Infinite {
    deliveries: u64,
    first: u64,
    full: u64,
    replies: u64,
}

impl Infinite {
    fn of(&self, series: Series) -> u64 {
        match series {
            Series::Delivery => self.deliveries,
            Series::FirstDelivery => self.first,
            Series::FullFanout | Series::Spread => self.full,
            Series::ResponseTime => self.replies,
            Series::SendLag | Series::ReceiveDelay | Series::Hiccup => 0,
        }
    }
}

/// Which stretch a moment lies in.
#[derive(Debug, Clone, Copy)]
struct Grid {
    origin_ns: u64,
    width_ns: u64,
}

impl Grid {
    fn index(self, at_ns: u64) -> usize {
        (at_ns.saturating_sub(self.origin_ns) / self.width_ns).min(BINS_MAX) as usize
    }
}

impl Timeline {
    /// The judged part of a run, which was `length_ns` long, from its interval log and its posts.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub(super) fn new(
        hlog: &[u8],
        posts: &[PostRow],
        length_ns: u64,
        bands: Bands,
    ) -> Result<Self, ReadError> {
        let seconds = length_ns.div_ceil(SECOND_NS).max(1);
        let width_ns = seconds.div_ceil(BINS_MAX) * SECOND_NS;
        let mut log = intervals(hlog).peekable();
        let of_posts = posts.iter().find(|post| post.phase == PostPhase::Steady).map(|post| post.intended_ns);
        let origin_ns = match log.peek() {
            Some(Ok(first)) => first.start_ns,
            _ => of_posts.unwrap_or(0),
        };
        let grid = Grid { origin_ns, width_ns };
        let infinite = infinite(posts, grid);
        let mut building = Building { grid, bands, infinite, bins: Vec::new(), open: Default::default() };
        for interval in log {
            let interval = interval?;
            building.add(interval.series, grid.index(interval.start_ns), &interval.histogram);
        }
        Ok(Self { bins: building.finish(), width_ns })
    }
}

fn infinite(posts: &[PostRow], grid: Grid) -> Vec<Infinite> {
    let mut bins: Vec<Infinite> = Vec::new();
    for post in posts.iter().filter(|post| post.phase == PostPhase::Steady) {
        let index = grid.index(post.intended_ns);
        if bins.len() <= index {
            bins.resize(index + 1, Infinite::default());
        }
        let bin = &mut bins[index];
        bin.deliveries += u64::from(post.untimely());
        bin.first += u64::from(post.owed > 0 && post.first_latency_ns.is_none());
        bin.full += u64::from(post.owed > 0 && post.full_latency_ns.is_none());
        bin.replies += u64::from(post.complete_ns.is_none());
    }
    bins
}

struct Building {
    grid: Grid,
    bands: Bands,
    infinite: Vec<Infinite>,
    bins: Vec<Option<Bin>>,
    /// The stretch that each series is in, and its values so far.
    open: [Option<(usize, Histogram<u64>)>; Series::ALL.len()],
}

impl Building {
    fn add(&mut self, series: Series, index: usize, histogram: &Histogram<u64>) {
        let open = &mut self.open[series as usize];
        if open.as_ref().is_some_and(|(at, _)| *at != index)
            && let Some((at, done)) = open.take()
        {
            self.close(series, at, &done);
        }
        let (_, sum) = self.open[series as usize].get_or_insert_with(|| (index, new_histogram()));
        sum.add(histogram).expect("all latency histograms share their bounds");
    }

    fn close(&mut self, series: Series, index: usize, histogram: &Histogram<u64>) {
        let infinite = self.infinite.get(index).map_or(0, |infinite| infinite.of(series));
        let at = |quantile| value_at(histogram, infinite, quantile);
        let spot = Spot {
            count: histogram.len() + infinite,
            min: at(0.0),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            max: at(1.0),
            finite_max: value_at(histogram, 0, 1.0),
        };
        let heat = (series == Series::Delivery).then(|| self.bands.counts(histogram));
        let bin = self.bin(index);
        bin.spots[series as usize] = Some(spot);
        if let Some(heat) = heat {
            bin.heat = heat;
        }
    }

    fn bin(&mut self, index: usize) -> &mut Bin {
        if self.bins.len() <= index {
            self.bins.resize(index + 1, None);
        }
        let start_ns = self.grid.origin_ns + index as u64 * self.grid.width_ns;
        let untimely = self.infinite.get(index).map_or(0, |infinite| infinite.deliveries);
        let bands = self.bands.count;
        self.bins[index].get_or_insert_with(|| Bin {
            start_ns,
            untimely,
            spots: [None; Series::ALL.len()],
            heat: vec![0; bands],
        })
    }

    fn finish(mut self) -> Vec<Bin> {
        for series in Series::ALL {
            if let Some((index, done)) = self.open[series as usize].take() {
                self.close(series, index, &done);
            }
        }
        // A stretch of which nothing arrived is in no histogram.
        let none = new_histogram();
        for index in 0..self.infinite.len() {
            for series in Series::ALL {
                if self.infinite[index].of(series) > 0 && self.bin(index).spot(series).is_none() {
                    self.close(series, index, &none);
                }
            }
        }
        self.bins.into_iter().flatten().collect()
    }
}

impl Bands {
    /// The band of a value.
    fn index(&self, ns: f64) -> usize {
        let place = (ns / self.low_ns).ln() / (self.high_ns / self.low_ns).ln();
        ((place * self.count as f64).max(0.0) as usize).min(self.count - 1)
    }

    fn counts(&self, histogram: &Histogram<u64>) -> Vec<u64> {
        let mut counts = vec![0; self.count];
        for step in histogram.iter_recorded() {
            let middle = histogram.median_equivalent(step.value_iterated_to()) as f64;
            counts[self.index(middle)] += step.count_at_value();
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hdr_files::IntervalLog;
    use crate::html::tests::post;

    const MS: u64 = 1_000_000;
    const BANDS: Bands = Bands { count: 3, low_ns: 1e6, high_ns: 1e9 };

    fn log(seconds: &[(u64, Series, &[u64])]) -> Vec<u8> {
        let mut log = IntervalLog::create(Vec::new(), 1e9).unwrap();
        for (start_ns, series, values_ns) in seconds {
            let mut histogram = new_histogram();
            values_ns.iter().for_each(|ns| histogram.record(*ns).unwrap());
            log.interval(*series, *start_ns, SECOND_NS, &histogram).unwrap();
        }
        log.finish(0).unwrap()
    }

    #[test]
    fn seconds_are_merged_and_losses_rank_as_infinite() {
        let base_ns = 7_250 * MS;
        let log = log(&[
            (base_ns, Series::Delivery, &[2 * MS, 30 * MS]),
            (base_ns, Series::Hiccup, &[MS]),
            (base_ns + SECOND_NS, Series::Delivery, &[400 * MS]),
            (base_ns + 2 * SECOND_NS, Series::Delivery, &[5 * MS]),
        ]);
        let timeline = Timeline::new(&log, &[], 600 * SECOND_NS, BANDS).unwrap();
        assert_eq!(timeline.width_ns, 2 * SECOND_NS);
        let first = &timeline.bins[0];
        assert_eq!((first.start_ns, first.heat.as_slice()), (base_ns, [1, 1, 1].as_slice()));
        let spot = first.spot(Series::Delivery).unwrap();
        assert_eq!((spot.count, first.spot(Series::Hiccup).unwrap().count), (3, 1));
        assert!(matches!(spot.p50, Quantile::Ns(ns) if ns / MS == 30), "{spot:?}");
        assert_eq!(timeline.bins.len(), 2);
    }

    #[test]
    fn a_second_of_which_nothing_arrived_is_there() {
        let mut lost = post(0, 3 * SECOND_NS);
        (lost.owed, lost.delivered, lost.missing) = (10, 0, 10);
        (lost.first_latency_ns, lost.full_latency_ns) = (None, None);
        let log = log(&[(2 * SECOND_NS, Series::Delivery, &[MS])]);
        let timeline = Timeline::new(&log, &[lost], 5 * SECOND_NS, BANDS).unwrap();
        let bin = &timeline.bins[1];
        assert_eq!((bin.start_ns, bin.untimely), (3 * SECOND_NS, 10));
        assert_eq!(bin.spot(Series::Delivery).unwrap().p50, Quantile::BeyondDeadline);
        assert_eq!(bin.spot(Series::FullFanout).unwrap().max, Quantile::BeyondDeadline);
        assert_eq!(bin.spot(Series::SendLag), None);
    }

    #[test]
    fn what_is_no_log_is_an_error() {
        assert!(Timeline::new(b"nonsense\n", &[], SECOND_NS, BANDS).is_err());
        assert!(Timeline::new(b"", &[], SECOND_NS, BANDS).unwrap().bins.is_empty());
    }
}
