//! `feedmark check`: the plan of a scenario, with the arithmetic, before anything is started.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use feedmark_core::schedule::Arrivals;
use feedmark_reports::threshold::Threshold;
use feedmark_reports::units::{bytes, count, counted, number, short_duration};

use super::{FAILED, USAGE, fail, printed, resolve};
use crate::limits::{Limits, Needs};
use crate::scenario::{Driver, Scenario};
use crate::settings::Settings;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Scenario file; flags override what it says
    scenario: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

pub(super) fn check(args: CheckArgs) -> u8 {
    let scenario = match resolve(args.settings, args.scenario.as_deref()) {
        Ok(scenario) => scenario,
        Err(error) => return fail(USAGE, &error),
    };
    let limits = match Limits::read_and_raise() {
        Ok(limits) => limits,
        Err(error) => return fail(FAILED, &format!("cannot read the limits of this host: {error}")),
    };
    match limits.check(&scenario) {
        Ok(needs) => printed(&plan(&scenario, &limits, &needs)),
        Err(error) => fail(USAGE, &error),
    }
}

/// The resolved plan; every line a fact that the run will keep.
fn plan(scenario: &Scenario, limits: &Limits, needs: &Needs) -> String {
    let subscribers = u64::from(scenario.subscribers);
    let (offsets_ns, warmup_posts) = scenario.schedule();
    let steady_posts = offsets_ns.len() as u64 - u64::from(warmup_posts);
    let law = match scenario.arrivals {
        Arrivals::Poisson => "Poisson",
        Arrivals::Constant => "constant",
    };
    let target = scenario.url.as_ref().map_or("the reference server, started by the run", |url| url.as_str());
    let connect = scenario.connect_rate_per_s.map_or_else(
        || "as fast as the target accepts".to_owned(),
        |rate| {
            format!("{}/s, about {}", number(rate), short_duration((subscribers as f64 / rate * 1e9) as u64))
        },
    );
    let total_ns = scenario.warmup_ns + scenario.duration_ns + scenario.deadline_ns;
    let lines = [
        ("target", target.to_owned()),
        ("posts to", scenario.post_path.clone()),
        ("subscribers", format!("{}, connected {connect}", count(subscribers))),
        ("listening for", format!("event `{}` in namespace `{}`", scenario.event, scenario.namespace)),
        (
            "phases",
            format!(
                "warm-up {}, steady {}, drain {}: {} and the time to connect",
                short_duration(scenario.warmup_ns),
                short_duration(scenario.duration_ns),
                short_duration(scenario.deadline_ns),
                short_duration(total_ns)
            ),
        ),
        (
            "posts",
            format!(
                "{}/s, {law} arrivals, seed {}: {} in the steady phase",
                number(scenario.rate_per_s),
                scenario.seed,
                count(steady_posts)
            ),
        ),
        (
            "deliveries",
            format!(
                "{} x {}/s = {}/s, {} in the steady phase",
                counted(subscribers, "subscriber", "subscribers"),
                number(scenario.rate_per_s),
                number(subscribers as f64 * scenario.rate_per_s),
                count(subscribers * steady_posts)
            ),
        ),
        ("descriptors", format!("{} of {}", count(needs.descriptors), count(limits.descriptors_max))),
        (
            "memory",
            format!("about {} of {} free", bytes(needs.memory_bytes), bytes(limits.memory_available_bytes)),
        ),
        ("local ports", format!("{} of {} per source address", count(subscribers), count(limits.ports))),
        (
            "threads",
            format!(
                "{} for subscribers{}, on {}",
                scenario.threads,
                if scenario.driver == Driver::Engine { "" } else { " of rust_socketio" },
                counted(u64::from(limits.cpus), "CPU", "CPUs")
            ),
        ),
    ];
    let thresholds =
        scenario.thresholds.iter().map(|threshold| ("threshold", allowed(threshold, scenario, steady_posts)));
    lines.into_iter().chain(thresholds).fold(String::from("valid\n"), |mut text, (name, value)| {
        // A String takes whatever is written to it.
        let _ = writeln!(text, "  {name:<14}{value}");
        text
    })
}

/// The threshold, and whether the run is long enough for it to hold.
fn allowed(threshold: &Threshold, scenario: &Scenario, steady_posts: u64) -> String {
    let (posts, place) = match threshold.window {
        None => (steady_posts, "the steady phase"),
        Some(window) => ((scenario.rate_per_s * window.ns() as f64 / 1e9) as u64, "a window"),
    };
    match threshold.posts_needed() {
        Some(needed) if needed > posts => format!(
            "{threshold}: cannot hold, it takes {} without a miss, and {place} has about {}",
            counted(needed, "post", "posts"),
            count(posts)
        ),
        Some(needed) => format!("{threshold}, from {} on", counted(needed, "post", "posts")),
        None => threshold.to_string(),
    }
}
