//! A run as its sections see it: made once, read by all.

use super::axis::Axis;
use super::chart::{Band, BandKind};
use super::stall::{Stall, longest, stalls};
use super::timeline::{Bands, Bin, Spot, Timeline};
use crate::hdr_files::{ReadError, Series};
use crate::post_row::{PostPhase, PostRow};
use crate::quantile::decode;
use crate::run_folder::{HLOG_FILE, RunFolder};
use crate::run_result::Phase;
use crate::units::{counted, duration, short_duration};
use crate::{LatencySummary, Quantile, RunResult};

/// Bands of the heat map.
const HEAT_BANDS: usize = 40;
/// Stalls that are marked, the longest: more would paint the chart red.
pub(super) const STALLS_MARKED_MAX: usize = 100;
/// A pause of the generator that is marked.
const HICCUP_NS_MIN: u64 = 20_000_000;

/// A run, ready to be shown.
pub(super) struct View<'a> {
    pub(super) folder: &'a RunFolder,
    pub(super) result: &'a RunResult,
    /// `None` without an interval log.
    pub(super) timeline: Option<Timeline>,
    /// Bands of the timeline's heat.
    pub(super) bands: Bands,
    pub(super) stalls: Vec<Stall>,
    /// Start of the warm-up and end of the drain: the ends of the time axis of all charts.
    pub(super) from_ns: u64,
    pub(super) to_ns: u64,
    pub(super) time: Axis,
}

impl<'a> View<'a> {
    pub(super) fn new(folder: &'a RunFolder) -> Result<Self, ReadError> {
        let result = &folder.result;
        let bands = heat_bands(&result.latency_ns.delivery);
        let timeline = folder
            .file(HLOG_FILE)
            .map(|log| Timeline::new(log, &folder.posts, steady_length_ns(result), bands))
            .transpose()?;
        let start = |name: &str| result.phases.iter().find(|phase| phase.name == name).map(|p| p.start_ns);
        let from_ns = start("warm-up").unwrap_or(0);
        let to_ns = result.phases.last().map_or(from_ns, |phase| phase.end_ns);
        let stalls = stalls(&folder.posts);
        Ok(Self { folder, result, timeline, bands, stalls, from_ns, to_ns, time: Axis::time(from_ns, to_ns) })
    }

    /// The posts that are judged.
    pub(super) fn judged(&self) -> impl Iterator<Item = &'a PostRow> {
        self.folder.posts.iter().filter(|post| post.phase == PostPhase::Steady)
    }

    /// The stretches of the run.
    pub(super) fn bins(&self) -> &[Bin] {
        self.timeline.as_ref().map_or(&[], |timeline| &timeline.bins)
    }

    /// Half the length of a stretch: values are drawn in its middle.
    pub(super) fn middle_ns(&self, bin: &Bin) -> f64 {
        (bin.start_ns + self.timeline.as_ref().map_or(0, |timeline| timeline.width_ns) / 2) as f64
    }

    /// Share of the time axis that a stretch takes.
    pub(super) fn row_width(&self) -> f64 {
        let width_ns = self.timeline.as_ref().map_or(0, |timeline| timeline.width_ns);
        self.time.scale.place(self.from_ns.saturating_add(width_ns) as f64)
    }

    /// How long a stretch is, in words.
    pub(super) fn every(&self) -> String {
        let width_ns = self.timeline.as_ref().map_or(0, |timeline| timeline.width_ns);
        if width_ns == 1_000_000_000 { "second".to_owned() } else { short_duration(width_ns) }
    }

    /// A quantile as it is printed.
    pub(super) fn quantile(&self, quantile: Quantile) -> String {
        quantile_text(quantile, &self.beyond())
    }

    /// What stands for a delivery that was late or missing.
    pub(super) fn beyond(&self) -> String {
        format!("> {}", short_duration(self.result.scenario.deadline_ns))
    }

    /// The points of one figure of a series, stretch by stretch.
    pub(super) fn points(&self, series: Series, of: fn(&Spot) -> Quantile) -> Vec<(f64, Option<f64>)> {
        let value = |bin: &Bin| match of(bin.spot(series)?) {
            Quantile::Ns(ns) => Some(ns as f64),
            _ => None,
        };
        self.bins().iter().map(|bin| (self.middle_ns(bin), value(bin))).collect()
    }

    /// The stretch that a moment lies in.
    pub(super) fn bin_at(&self, at_ns: f64) -> Option<&Bin> {
        let half_ns = self.timeline.as_ref().map_or(0, |timeline| timeline.width_ns) as f64 / 2.0;
        self.bins().iter().find(|bin| (self.middle_ns(bin) - at_ns).abs() <= half_ns)
    }

    /// The steady phase; `None` of a run that did not come so far.
    pub(super) fn steady(&self) -> Option<&'a Phase> {
        steady(self.result)
    }

    /// How long it was.
    pub(super) fn steady_length_ns(&self) -> u64 {
        steady_length_ns(self.result)
    }

    /// Phases, stalls and pauses of the generator.
    pub(super) fn marks(&self) -> Vec<Band> {
        let phase = |phase: &Phase| Band {
            from: phase.start_ns as f64,
            to: phase.end_ns as f64,
            kind: if phase.name == "steady" { BandKind::Steady } else { BandKind::Phase },
            label: phase.name.clone(),
            meaning: phase.name.clone(),
        };
        let stall = |stall: &&Stall| Band {
            from: stall.from_ns as f64,
            to: stall.to_ns as f64,
            kind: BandKind::Stall,
            label: "stall".to_owned(),
            meaning: format!("stall: {}", stall_text(stall)),
        };
        let phases =
            self.result.phases.iter().filter(|p| ["warm-up", "steady", "drain"].contains(&p.name.as_str()));
        let stalls = longest(&self.stalls, STALLS_MARKED_MAX);
        phases.map(phase).chain(stalls.iter().map(stall)).chain(self.hiccups()).collect()
    }

    /// Stretches in which the generator itself was paused for long.
    pub(super) fn hiccups(&self) -> Vec<Band> {
        let hiccup = |bin: &Bin| match bin.spot(Series::Hiccup)?.max {
            Quantile::Ns(ns) if ns >= HICCUP_NS_MIN => Some(Band {
                from: bin.start_ns as f64,
                to: bin.start_ns as f64,
                kind: BandKind::Mark,
                label: String::new(),
                meaning: format!(
                    "the generator itself was paused for {} in this {}",
                    duration(ns),
                    self.every()
                ),
            }),
            _ => None,
        };
        self.bins().iter().filter_map(hiccup).collect()
    }
}

fn steady(result: &RunResult) -> Option<&Phase> {
    result.phases.iter().find(|phase| phase.name == "steady")
}

/// As long as it was, and not as planned: a run may have been interrupted.
fn steady_length_ns(result: &RunResult) -> u64 {
    let planned_ns = result.scenario.duration_ns;
    // What the end of a phase was late would make a minute's seconds stretches of two.
    steady(result).map_or(planned_ns, |phase| phase.end_ns.saturating_sub(phase.start_ns).min(planned_ns))
}

/// A stall in words.
pub(super) fn stall_text(stall: &Stall) -> String {
    let posts = counted(stall.posts, "post", "posts");
    format!("for {} nobody got any of {posts}", duration(stall.to_ns - stall.from_ns))
}

/// A quantile as it is printed, with the words for an infinite one.
pub(super) fn quantile_text(quantile: Quantile, infinite: &str) -> String {
    match quantile {
        Quantile::Ns(ns) => duration(ns),
        Quantile::BeyondDeadline => infinite.to_owned(),
        Quantile::NotAvailable => "n/a".to_owned(),
    }
}

/// From the least to the greatest delivery of the run.
fn heat_bands(delivery: &LatencySummary) -> Bands {
    let (low_ns, high_ns) = match decode(&delivery.hdr) {
        Ok(histogram) if !histogram.is_empty() => (histogram.min().max(1) as f64, histogram.max() as f64),
        _ => (1e6, 1e7),
    };
    // Deliveries that are all alike still need a band with some height.
    Bands { count: HEAT_BANDS, low_ns, high_ns: high_ns.max(low_ns * 1.5) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::tests::folder_of;
    use crate::sample;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_run_that_was_interrupted_early_has_its_seconds() {
        let mut result = sample::run();
        result.interrupted = true;
        result.scenario.duration_ns = 3_600 * S;
        let steady = result.phases.iter_mut().find(|phase| phase.name == "steady").unwrap();
        steady.end_ns = steady.start_ns + 100 * S;
        let folder = folder_of(result, 100, 10);
        let view = View::new(&folder).unwrap();
        assert_eq!((view.every(), view.bins().len()), ("second".to_owned(), 100));
    }

    #[test]
    fn a_phase_that_ended_late_has_no_longer_stretches() {
        let mut result = sample::run();
        result.scenario.duration_ns = 300 * S;
        let steady = result.phases.iter_mut().find(|phase| phase.name == "steady").unwrap();
        steady.end_ns = steady.start_ns + 300 * S + 1_000;
        assert_eq!(View::new(&folder_of(result, 300, 10)).unwrap().every(), "second");
    }
}
