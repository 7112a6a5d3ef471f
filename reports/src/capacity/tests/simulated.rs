//! A server whose truth is known: a step of it is a pure function of what is measured.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::super::step::{Readings, overload_estimate};
use super::super::{CapacityResult, Measure, Next, Outcome, Plan, Role, Step, StepResources};
use crate::Quantile;

/// It takes `1 / (a + s N)` posts per second of one core, give or take the noise of a step.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    /// `a`.
    pub(crate) fixed_s: f64,
    /// `s`.
    pub(crate) per_subscriber_s: f64,
    /// Beyond so many subscribers each costs so many times as much: no low load shows it.
    pub(crate) knee: Option<(u32, f64)>,
    /// Of cores: contention and coherency.
    pub(crate) scaling: (f64, f64),
    /// Standard deviation of the logarithm of what it takes, from step to step.
    pub(crate) noise: f64,
    /// What a probe sees is so many times what is true.
    pub(crate) misread: f64,
    /// Beyond so many deliveries per second the generator is not trustworthy.
    pub(crate) generator_max: f64,
    /// Share of the steps that something disturbs, so that they are INVALID.
    pub(crate) disturbed: f64,
    /// What starting it and connecting take, by search; over and over where there are more searches.
    pub(crate) starting_s: Vec<f64>,
    /// What it used at its end.
    pub(crate) resources: StepResources,
    /// Of all that is random.
    pub(crate) seed: u64,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            fixed_s: 500e-6,
            per_subscriber_s: 4e-6,
            knee: None,
            scaling: (0.03, 0.0006),
            noise: 0.015,
            misread: 1.0,
            generator_max: f64::INFINITY,
            disturbed: 0.0,
            starting_s: vec![2.0],
            resources: StepResources {
                cpus: Some(2.0),
                busiest_thread_share: Some(0.97),
                memory_bytes: Some(80_000_000),
                memory_limit_bytes: Some(8_000_000_000),
                descriptors: Some(1_012),
                descriptors_limit: Some(1_048_576),
                buffer_refusals: Some(0),
                throttled_share: Some(0.0),
                network_bytes: Some(9_000_000),
                memory_unconnected_bytes: Some(20_000_000),
                memory_connected_bytes: Some(36_000_000),
                socket_memory_bytes: Some(4_096_000),
                ..StepResources::default()
            },
            seed: 1,
        }
    }
}

impl Server {
    /// What a post occupies it for.
    fn post_s(&self, subscribers: u32) -> f64 {
        let (from, factor) = self.knee.unwrap_or((u32::MAX, 1.0));
        let (below, above) = (subscribers.min(from), subscribers.saturating_sub(from));
        self.fixed_s + self.per_subscriber_s * (f64::from(below) + factor * f64::from(above))
    }

    /// The greatest rate.
    pub(crate) fn rate_max(&self, subscribers: u32, cores: Option<u32>) -> f64 {
        let (contention, coherency) = self.scaling;
        let p = f64::from(cores.unwrap_or(1));
        let speedup = p / (1.0 + contention * (p - 1.0) + coherency * p * (p - 1.0));
        speedup / self.post_s(subscribers)
    }

    /// The most subscribers (without a knee).
    pub(crate) fn subscribers_max(&self, rate_per_s: f64) -> f64 {
        (1.0 / rate_per_s - self.fixed_s) / self.per_subscriber_s
    }

    /// The session, until it is done or has so many steps.
    pub(crate) fn session(&self, plan: &Plan, budget_ns: Option<u64>, steps_max: usize) -> CapacityResult {
        let planned_loads = vec!["800 subscribers, 15/s".parse().unwrap()];
        self.resumed(CapacityResult::planned(plan.clone(), budget_ns, planned_loads, "0.1.0"), steps_max)
    }

    /// The session goes on.
    pub(crate) fn resumed(&self, mut capacity: CapacityResult, steps_max: usize) -> CapacityResult {
        while capacity.steps.len() < steps_max
            && let Next::Measure(measure) = capacity.next()
        {
            capacity.steps.push(self.measure(&measure));
            assert!(capacity.steps.len() < 2_000, "it has no end");
        }
        capacity.judge();
        capacity
    }

    /// One step.
    pub(crate) fn measure(&self, measure: &Measure) -> Step {
        let mut random =
            ChaCha8Rng::seed_from_u64(self.seed.wrapping_mul(1_000_003).wrapping_add(measure.seed));
        let Measure { subscribers, rate_per_s, cores, .. } = *measure;
        let takes = self.rate_max(subscribers, cores) * (self.noise * normal(&mut random)).exp();
        let used = rate_per_s / takes;
        let is_saturated = used > 1.0;
        let is_invalid = f64::from(subscribers) * rate_per_s > self.generator_max
            || random.random::<f64>() < self.disturbed;
        let (outcome, reasons) = match (is_invalid, is_saturated) {
            (true, _) => {
                (Outcome::Invalid, vec!["V5: a thread of the generator used 97 % of a CPU".to_owned()])
            }
            (false, true) => {
                (Outcome::Fail, vec![format!("latency grows by {:.2} s per s", 1.0 - 1.0 / used)])
            }
            (false, false) => (Outcome::Pass, Vec::new()),
        };
        let around_s =
            self.starting_s[measure.search as usize % self.starting_s.len()] + 4.0 * random.random::<f64>();
        let deliveries =
            (rate_per_s.min(takes) * measure.steady_ns as f64 / 1e9) as u64 * u64::from(subscribers);
        Step {
            search: measure.search,
            role: measure.role,
            subscribers,
            rate_per_s,
            cores,
            steady_ns: measure.steady_ns,
            is_short: measure.is_short,
            took_ns: measure.warmup_ns + measure.steady_ns + 10_000_000_000 + (around_s * 1e9) as u64,
            run_id: format!("{:08x}", measure.seed),
            outcome,
            is_saturated,
            is_slow: false,
            target_ended: None,
            reasons,
            readings: self.readings(measure, used, deliveries, &mut random),
            resources: StepResources {
                cpus_used: Some(1.9 * used.min(1.0)),
                busiest_thread_share: self.resources.busiest_thread_share.map(|share| share * used.min(1.0)),
                network_bytes: Some(deliveries * 180),
                ..self.resources.clone()
            },
        }
    }

    fn readings(&self, measure: &Measure, used: f64, deliveries: u64, random: &mut ChaCha8Rng) -> Readings {
        let mut read = |s: f64| s * self.misread * (0.03 * normal(random)).exp();
        let spread_s = self.per_subscriber_s * f64::from(measure.subscribers);
        let (first_s, slope_s) = (read(self.fixed_s), read(self.per_subscriber_s));
        // Of a queue with one server, about.
        let waits_s = self.post_s(measure.subscribers) * used.min(0.99) / (1.0 - used.min(0.99)) / 2.0;
        let ns = |s: f64| Quantile::Ns((s * 1e9) as u64);
        let slope = if used > 1.0 { 1.0 - 1.0 / used } else { 0.0 };
        Readings {
            deliveries,
            delivered_share: Some((1.0 / used).min(1.0)),
            delivery_p50_ns: ns(first_s + spread_s / 2.0 + waits_s),
            delivery_p99_ns: ns(first_s + spread_s + 4.0 * waits_s),
            full_fanout_p50_ns: ns(first_s + spread_s + waits_s),
            full_fanout_p99_ns: ns(first_s + spread_s + 5.0 * waits_s),
            first_delivery_p50_ns: ns(first_s),
            service_time_p50_ns: ns(first_s + spread_s),
            slope_ns_per_rank: Some(slope_s * 1e9),
            latency_slope_s_per_s: Some(slope),
            overload_estimate_per_s: (used > 1.0).then(|| overload_estimate(measure.rate_per_s, slope)),
            little_difference: Some(0.004),
            connect_storm_ns: 412_000_000,
            cpu_s_per_million_deliveries: Some(13.0 + 0.1 * normal(random)),
        }
    }

    /// It is a step that was measured for something else than to read costs.
    pub(crate) fn counts(step: &Step) -> bool {
        step.role != Role::Probe && step.outcome.is_valid()
    }
}

/// Box and Muller.
pub(crate) fn normal(random: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.random::<f64>()).cos()
}
