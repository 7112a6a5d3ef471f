//! What a comparison says in words and cells, whatever it is written on.
//!
//! Invariant: every text that came from a user or a run is cleaned and bounded here.

use super::{Comparison, Figure, MetricChange, RunList, Unavailable, Word};
use crate::Status;
use crate::terminal::clean;
use crate::units::{self, counted};

/// Heads of the columns of [`Comparison::rows`].
pub(crate) const HEAD: [&str; 6] = ["figure", "base", "candidate", "change", "95 % interval", "word"];

const NAME_COLUMNS_MAX: usize = 120;

impl Comparison {
    fn count(&self, word: Word) -> usize {
        self.metrics.iter().filter(|metric| metric.word == word).count()
    }

    /// What is to be said before any number: which figures have changed, how many have not, and what the runs cannot tell.
    pub(crate) fn findings(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        for word in [Word::Worse, Word::Better] {
            let named = self.metrics.iter().filter(|metric| metric.word == word);
            let names: Vec<&str> = named.map(|metric| metric.metric.as_str()).collect();
            if !names.is_empty() {
                // The first of them stands behind its word already.
                let lead = if word == self.word { String::new() } else { format!("{}: ", word.name()) };
                sentences.push(lead + &names.join(", "));
            }
        }
        let rest = [Word::Same, Word::Unresolved].map(|word| (word, self.count(word)));
        let rest = rest.iter().filter(|(_, count)| *count > 0);
        let rest: Vec<String> = rest.map(|(word, count)| format!("{count} {}", word.name())).collect();
        if !rest.is_empty() {
            sentences.push(rest.join(", "));
        }
        sentences.extend(self.too_few_runs.clone());
        sentences
    }

    /// Differences of the runs: first those that `--force` overruled, then those that may explain a change.
    pub(crate) fn differences_named(&self) -> [Vec<String>; 2] {
        [true, false].map(|forbids| {
            let of_kind = self.differences.iter().filter(|difference| difference.forbids == forbids);
            of_kind.map(ToString::to_string).collect()
        })
    }

    /// A row for every figure.
    pub(crate) fn rows(&self) -> Vec<[String; 6]> {
        self.metrics.iter().map(MetricChange::row).collect()
    }

    /// Why figures have no number or no interval, each reason once.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
        for metric in &self.metrics {
            let Some(reason) = metric.reason.as_deref() else { continue };
            match reasons.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, metrics)) => metrics.push(&metric.metric),
                None => reasons.push((reason, vec![&metric.metric])),
            }
        }
        reasons.into_iter().map(|(reason, metrics)| format!("{}: {reason}", metrics.join(", "))).collect()
    }
}

impl RunList {
    /// What the user called them, for people.
    pub(crate) fn title(&self) -> String {
        clean(&self.name, NAME_COLUMNS_MAX)
    }

    /// How many, from when, and what they concluded themselves.
    pub(crate) fn description(&self) -> Vec<String> {
        let started =
            |run: Option<&super::RunName>| run.map_or(String::new(), |run| clean(&run.started_at, 40));
        let mut parts = vec![counted(self.runs.len() as u64, "run", "runs")];
        let oldest = self.runs.iter().min_by(|a, b| a.started_at.cmp(&b.started_at));
        let newest = self.runs.iter().max_by(|a, b| a.started_at.cmp(&b.started_at));
        parts.push(match self.runs.len() {
            1 => started(oldest),
            _ => format!("{} to {}", started(oldest), started(newest)),
        });
        for status in [Status::Pass, Status::Unresolved, Status::Fail, Status::Invalid] {
            let runs = self.runs.iter().filter(|run| run.status == status).count();
            if runs > 0 {
                parts.push(format!("{runs} {}", status.word()));
            }
        }
        parts
    }
}

impl MetricChange {
    fn row(&self) -> [String; 6] {
        let is_exact = self.unit.is_exact();
        let change = match self.change {
            Some(change) => units::change(change),
            // From nothing to something: the two numbers say it.
            None if is_exact => String::new(),
            None => "n/a".to_owned(),
        };
        let interval = match self.interval {
            Some(interval) => units::change_interval(interval.low, interval.high),
            None if is_exact => "exact".to_owned(),
            None => "n/a".to_owned(),
        };
        let [base, candidate] = [&self.base, &self.candidate].map(|figures| self.shown(figures.overall));
        [self.metric.clone(), base, candidate, change, interval, self.word.name().to_owned()]
    }

    fn shown(&self, figure: Figure) -> String {
        match figure {
            Figure::Number(number) => self.unit.show(number),
            Figure::Unavailable(Unavailable::BeyondDeadline) => "> deadline".to_owned(),
            Figure::Unavailable(Unavailable::TooFewSamples | Unavailable::NotMeasured) => "n/a".to_owned(),
        }
    }
}
