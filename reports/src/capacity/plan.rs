//! What a session is asked for: written before anything is measured, and compared when it is resumed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::frontier::SUBSCRIBER_COUNTS_MIN;
use super::length::{STEADY_NS_MIN, took_ns};
use crate::gate::{difference, is_url};
use crate::run_result::ScenarioRecord;

/// Most searches of a session.
pub const SEARCHES_MAX: usize = 32;

/// What was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Command with `{port}`, URL, or the words "reference server".
    pub target: String,
    /// What each step measures, but for load and length; its target is `null`, and its thresholds are what has to hold. Its
    /// subscribers or its rate are what stays fixed, and where nothing is known yet, what is thought possible.
    pub scenario: ScenarioRecord,
    /// What is watched of the target, because the limit is named and costs are told from it.
    #[serde(default)]
    pub watched: Watched,
    /// What is searched for.
    pub vary: Vary,
    /// Numbers of subscribers of a frontier, upwards; else empty.
    pub subscriber_counts: Vec<u32>,
    /// Cores that the target is held to, which goes with whatever is searched for; several numbers, upwards, are a search
    /// for each. Empty leaves it alone.
    pub core_counts: Vec<u32>,
    /// Greatest load to try: posts/s or subscribers.
    pub load_max: f64,
    /// Seed of the first step; each one has the next.
    pub seed: u64,
}

/// What each step is told to watch of its target, beside what it finds by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Watched {
    /// Control group, as /proc/PID/cgroup shows it.
    pub target_cgroup: Option<String>,
    /// Path or URL at which it tells its figures.
    pub target_metrics: Option<String>,
    /// Series of these, each with what it is, where somebody says so.
    pub series: Vec<String>,
}

/// What is searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Vary {
    /// Posts per second at a fixed number of subscribers.
    Rate,
    /// Subscribers at a fixed rate.
    Subscribers,
    /// Posts per second at each of several numbers of subscribers: the frontier.
    Both,
}

/// What a search keeps fixed: of subscribers and rate the one that is not `null`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fixed {
    /// Subscribers; `null` where they are searched for.
    pub subscribers: Option<u32>,
    /// Posts per second; `null` where they are searched for.
    pub rate_per_s: Option<f64>,
    /// Cores that the target is held to; `null` leaves it alone.
    pub cores: Option<u32>,
}

impl Fixed {
    /// Subscribers and posts per second at `load`.
    pub fn with(&self, load: f64) -> (u32, f64) {
        match (self.subscribers, self.rate_per_s) {
            (Some(subscribers), _) => (subscribers, load),
            (None, rate) => (load as u32, rate.unwrap_or_default()),
        }
    }

    /// The part of (subscribers, posts per second) that is searched for.
    pub fn load(&self, subscribers: u32, rate_per_s: f64) -> f64 {
        if self.varies_subscribers() { f64::from(subscribers) } else { rate_per_s }
    }

    /// Subscribers are searched for, and not a rate.
    pub const fn varies_subscribers(&self) -> bool {
        self.subscribers.is_none()
    }
}

/// Why a plan cannot be answered.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// Too few points for a frontier.
    #[error(
        "{0} numbers of subscribers make no frontier: give {SUBSCRIBER_COUNTS_MIN} or more, each once, upwards (--subscribers-list)"
    )]
    TooFewSubscriberCounts(usize),
    /// Not a list of numbers of cores.
    #[error("numbers of cores are whole, from 1, and given upwards, each once")]
    BadCoreCounts,
    /// Not implemented by intent: it multiplies the time.
    #[error(
        "several numbers of cores go with a rate at one number of subscribers: give one number, or search for the rate alone"
    )]
    SeveralCoresWithAnotherAxis,
    /// They would be ignored.
    #[error(
        "several numbers of subscribers are searched with --vary both: give it, or one number by --subscribers"
    )]
    SubscriberCountsWithAnotherAxis,
    /// Nobody would wait for it.
    #[error("{0} searches are more than the {SEARCHES_MAX} of a session: give fewer numbers")]
    TooManySearches(usize),
    /// Nothing could be tried.
    #[error("the greatest load to try is {0}: give more than 0")]
    NoLoad(f64),
    /// The fixed half of the load is nothing.
    #[error("{0} posts/s to {1} subscribers are no load: give more than 0 of both")]
    NoScenarioLoad(f64, u32),
}

impl Plan {
    /// Refuses what could not be answered.
    ///
    /// # Errors
    /// When there are too few or too many numbers, or no load.
    pub fn check(&self) -> Result<(), PlanError> {
        let upwards = |counts: &[u32]| {
            counts.iter().all(|count| *count > 0) && counts.is_sorted_by(|one, other| one < other)
        };
        let (subscribers, cores) = (&*self.subscriber_counts, &*self.core_counts);
        let scenario = &self.scenario;
        let is_frontier = self.vary == Vary::Both;
        if is_frontier && (subscribers.len() < SUBSCRIBER_COUNTS_MIN || !upwards(subscribers)) {
            return Err(PlanError::TooFewSubscriberCounts(subscribers.len()));
        }
        if !is_frontier && !subscribers.is_empty() {
            return Err(PlanError::SubscriberCountsWithAnotherAxis);
        }
        if cores.len() > 1 && self.vary != Vary::Rate {
            return Err(PlanError::SeveralCoresWithAnotherAxis);
        }
        if !upwards(cores) {
            return Err(PlanError::BadCoreCounts);
        }
        if self.searches().len() > SEARCHES_MAX {
            return Err(PlanError::TooManySearches(self.searches().len()));
        }
        if !(self.load_max.is_finite() && self.load_max > 0.0) {
            return Err(PlanError::NoLoad(self.load_max));
        }
        let has_load =
            scenario.rate_per_s.is_finite() && scenario.rate_per_s > 0.0 && scenario.subscribers > 0;
        if has_load {
            Ok(())
        } else {
            Err(PlanError::NoScenarioLoad(scenario.rate_per_s, scenario.subscribers))
        }
    }

    /// What a step takes at the least, about, before the first one has shown it.
    pub fn step_ns_min(&self) -> u64 {
        took_ns(self, &[], STEADY_NS_MIN)
    }

    /// The searches, in the order in which they are made.
    pub fn searches(&self) -> Vec<Fixed> {
        let none = Fixed { subscribers: None, rate_per_s: None, cores: self.core_counts.first().copied() };
        let scenario = &self.scenario;
        match self.vary {
            Vary::Subscribers => vec![Fixed { rate_per_s: Some(scenario.rate_per_s), ..none }],
            Vary::Both => {
                let at = |count: &u32| Fixed { subscribers: Some(*count), ..none };
                self.subscriber_counts.iter().map(at).collect()
            }
            Vary::Rate => {
                let one = Fixed { subscribers: Some(scenario.subscribers), ..none };
                match &*self.core_counts {
                    [] => vec![one],
                    counts => counts.iter().map(|cores| Fixed { cores: Some(*cores), ..one }).collect(),
                }
            }
        }
    }

    /// What speaks against trusting the answer, and cannot be helped.
    pub fn notes(&self) -> Vec<String> {
        let url = is_url(&self.target).then(|| {
            "note: a url cannot be started afresh: what earlier steps left in its memory, caches and data is part of \
             every later one"
                .to_owned()
        });
        url.into_iter().collect()
    }

    /// The first field, by name, in which `other` asks for something else, and both values.
    pub fn difference(&self, other: &Self) -> Option<(String, String, String)> {
        difference(self, other)
    }
}
