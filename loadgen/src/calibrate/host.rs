//! What of the host decides how well it can measure: its clock, its sleeps, its limits.

use std::path::Path;

use feedmark_reports::Quantile;
use feedmark_reports::quantile::{new_histogram, value_at};
use nix::sys::resource::{Resource, getrlimit};
use nix::time::{ClockId, clock_getres};
use schemars::JsonSchema;
use serde::Serialize;

use crate::clock::RunClock;
use crate::source::LocalPorts;

/// Readings of which one's cost is the mean.
const READINGS: u64 = 100_000;
/// Pairings of this clock with the one that stamps arrivals.
const PAIRINGS: u64 = 1_000;
/// Sleeps, and the time from one to the next.
const SLEEPS: u64 = 1_000;
const SLEEP_EVERY_NS: u64 = 1_000_000;

/// The clock that everything is measured with.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ClockFacts {
    /// Step of the clock; `null` if the system does not tell.
    pub resolution_ns: Option<u64>,
    /// Cost of one reading.
    pub reading_ns: f64,
    /// A receive stamp is placed on this clock with this error at most, p99 of the pairings.
    pub pairing_error_p99_ns: Quantile,
    /// What the kernel reads it from; `null` if it does not tell.
    pub source: Option<String>,
    /// What it could read it from.
    pub sources: Vec<String>,
}

impl ClockFacts {
    /// Takes some milliseconds.
    pub fn measure(clock: RunClock) -> Self {
        let start_ns = clock.now_ns();
        let end_ns = (0..READINGS).fold(start_ns, |_, _| clock.now_ns());
        let mut errors = new_histogram();
        for _ in 0..PAIRINGS {
            errors.saturating_record((clock.pair().width_ns / 2).max(1));
        }
        let of_kernel =
            |name: &str| first_line(&Path::new("/sys/devices/system/clocksource/clocksource0").join(name));
        let sources = of_kernel("available_clocksource").unwrap_or_default();
        Self {
            resolution_ns: clock_getres(ClockId::CLOCK_MONOTONIC)
                .ok()
                .map(|step| step.tv_sec() as u64 * 1_000_000_000 + step.tv_nsec() as u64),
            reading_ns: (end_ns - start_ns) as f64 / READINGS as f64,
            pairing_error_p99_ns: value_at(&errors, 0, 0.99),
            source: of_kernel("current_clocksource"),
            sources: sources.split_whitespace().map(str::to_owned).collect(),
        }
    }
}

/// How late an absolute-time sleep wakes while nothing is measured.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub struct Sleeps {
    /// Its median.
    pub late_p50_ns: Quantile,
    /// Its quantile 0.99.
    pub late_p99_ns: Quantile,
}

impl Sleeps {
    /// Takes about a second.
    pub fn measure(clock: RunClock) -> Self {
        let mut late = new_histogram();
        for _ in 0..SLEEPS {
            let until_ns = clock.now_ns() + SLEEP_EVERY_NS;
            clock.sleep_until(until_ns);
            late.saturating_record((clock.now_ns() - until_ns).max(1));
        }
        Self { late_p50_ns: value_at(&late, 0, 0.5), late_p99_ns: value_at(&late, 0, 0.99) }
    }
}

/// Limits of the host and of this process; `null` is "the system does not tell".
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct HostLimits {
    /// Open files, soft limit, as this process was started with; it raises it to the hard one.
    pub open_files_soft: u64,
    /// Open files, hard limit.
    pub open_files_hard: u64,
    /// First and last local port (`net.ipv4.ip_local_port_range`).
    pub local_ports: Option<LocalPorts>,
    /// Connections that may wait to be accepted (`net.core.somaxconn`).
    pub somaxconn: Option<u64>,
    /// Connections that may wait for the end of their handshake (`net.ipv4.tcp_max_syn_backlog`).
    pub tcp_max_syn_backlog: Option<u64>,
    /// With them (`net.ipv4.tcp_syncookies`) a full queue of handshakes refuses nobody.
    pub tcp_syncookies: Option<bool>,
    /// How much later a sleep may end so that it ends together with others.
    pub timer_slack_ns: Option<u64>,
    /// What decides the clock rate of the CPUs.
    pub cpu_governor: Option<String>,
}

impl HostLimits {
    /// As they are; read before anything raises them.
    pub fn read() -> Self {
        let (open_files_soft, open_files_hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or_default();
        let number = |path: &str| first_line(Path::new(path))?.parse::<u64>().ok();
        let setting = |name: &str| number(&format!("/proc/sys/net/{name}"));
        Self {
            open_files_soft,
            open_files_hard,
            local_ports: LocalPorts::read(),
            somaxconn: setting("core/somaxconn"),
            tcp_max_syn_backlog: setting("ipv4/tcp_max_syn_backlog"),
            tcp_syncookies: setting("ipv4/tcp_syncookies").map(|mode| mode > 0),
            timer_slack_ns: number("/proc/self/timerslack_ns"),
            cpu_governor: first_line(Path::new("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
        }
    }
}

fn first_line(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().next().map(|line| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_and_sleeps_of_this_host_are_measured() {
        let clock = RunClock::start();
        let facts = ClockFacts::measure(clock);
        assert!(facts.resolution_ns.is_some_and(|ns| ns > 0));
        assert!(facts.reading_ns > 0.0);
        assert!(matches!(facts.pairing_error_p99_ns, Quantile::Ns(_)));
        assert!(matches!(Sleeps::measure(clock).late_p99_ns, Quantile::Ns(ns) if ns > 0));
    }
}
