//! What to change on a host so that it can do more, as commands; only what limits something.

use feedmark_reports::units::{count, duration};
use schemars::JsonSchema;
use serde::Serialize;

use super::host::{ClockFacts, HostLimits};
use crate::scenario::Scenario;

/// A limit counts as one when it leaves no room for this many times the subscribers asked for.
const ROOM: u64 = 10;
/// What open files, and the queue of connections that wait to be accepted, are raised to, at least.
const OPEN_FILES_WANTED: u64 = 65_536;
const QUEUE_WANTED: u64 = 4096;
/// Local ports that can be had: those below 1024 are for servers.
const PORTS_WANTED: (u64, u64) = (1024, 65_535);
/// A clock whose reading costs more than this is one that asks the kernel, or a slow device.
const READING_NS_MAX: f64 = 500.0;
/// The clock source that the CPU reads by itself.
const FAST_SOURCE: &str = "tsc";

/// One thing to change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Advice {
    /// What it limits.
    pub reason: String,
    /// The command, for a root shell.
    pub command: String,
}

/// What limits, the most common first.
pub fn advice(limits: &HostLimits, clock: &ClockFacts, scenario: &Scenario) -> Vec<Advice> {
    let subscribers = u64::from(scenario.subscribers) * ROOM;
    let open_files = open_files(limits, subscribers + u64::from(scenario.in_flight_max));
    [
        open_files,
        local_ports(limits, subscribers),
        queue(limits, subscribers),
        governor(limits),
        source(clock),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn open_files(limits: &HostLimits, wanted: u64) -> Option<Advice> {
    let wanted = wanted.max(1).next_power_of_two();
    (limits.open_files_hard < wanted).then(|| Advice {
        reason: format!(
            "the hard limit of {} open files leaves little room for more subscribers; in the shell that starts \
             feedmark:",
            count(limits.open_files_hard)
        ),
        command: format!("ulimit -n {}", wanted.max(OPEN_FILES_WANTED)),
    })
}

fn local_ports(limits: &HostLimits, wanted: u64) -> Option<Advice> {
    let ports = limits.local_ports?.count();
    let (first, last) = PORTS_WANTED;
    (ports < wanted && ports < last - first).then(|| Advice {
        reason: format!(
            "{} local ports are as many subscribers to a target on another host (on loopback, feedmark uses more \
             addresses):",
            count(ports)
        ),
        command: format!("sysctl -w net.ipv4.ip_local_port_range=\"{first} {last}\""),
    })
}

/// Of a target on this host.
fn queue(limits: &HostLimits, wanted: u64) -> Option<Advice> {
    let wanted = wanted.min(QUEUE_WANTED);
    let short = |(name, value): (&'static str, Option<u64>)| {
        value.filter(|&value| value < wanted).map(|value| Advice {
            reason: format!(
                "a target on this host has {} connections wait at most while many arrive:",
                count(value)
            ),
            command: format!("sysctl -w {name}={QUEUE_WANTED}"),
        })
    };
    let handshakes = limits.tcp_max_syn_backlog.filter(|_| limits.tcp_syncookies == Some(false));
    short(("net.core.somaxconn", limits.somaxconn))
        .or_else(|| short(("net.ipv4.tcp_max_syn_backlog", handshakes)))
}

fn governor(limits: &HostLimits) -> Option<Advice> {
    let governor = limits.cpu_governor.as_deref().filter(|governor| *governor != "performance")?;
    Some(Advice {
        reason: format!("the CPU governor `{governor}` changes the clock rate while it is measured:"),
        command: "echo performance | tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor".to_owned(),
    })
}

fn source(clock: &ClockFacts) -> Option<Advice> {
    let slow = clock.reading_ns > READING_NS_MAX && clock.source.as_deref() != Some(FAST_SOURCE);
    (slow && clock.sources.iter().any(|source| source == FAST_SOURCE)).then(|| Advice {
        reason: format!("one reading of the clock takes {}:", duration(clock.reading_ns as u64)),
        command: format!(
            "echo {FAST_SOURCE} > /sys/devices/system/clocksource/clocksource0/current_clocksource"
        ),
    })
}

#[cfg(test)]
mod tests {
    use feedmark_reports::Quantile;

    use super::*;
    use crate::settings::Settings;
    use crate::source::LocalPorts;

    fn commands(change: impl FnOnce(&mut HostLimits, &mut ClockFacts)) -> Vec<String> {
        let mut limits = HostLimits {
            open_files_soft: 1024,
            open_files_hard: 1 << 20,
            local_ports: Some(LocalPorts(32_768, 60_999)),
            somaxconn: Some(4096),
            tcp_max_syn_backlog: Some(128),
            tcp_syncookies: Some(true),
            timer_slack_ns: Some(50_000),
            cpu_governor: None,
        };
        let mut clock = ClockFacts {
            resolution_ns: Some(1),
            reading_ns: 25.0,
            pairing_error_p99_ns: Quantile::Ns(30),
            source: Some("tsc".into()),
            sources: vec!["tsc".into(), "hpet".into()],
        };
        change(&mut limits, &mut clock);
        let scenario = Scenario::resolve(Settings::default(), 2).unwrap();
        advice(&limits, &clock, &scenario).into_iter().map(|advice| advice.command).collect()
    }

    #[test]
    fn a_host_with_room_is_left_alone() {
        assert_eq!(commands(|_, _| ()), Vec::<String>::new());
        assert_eq!(
            commands(|limits, _| limits.cpu_governor = Some("performance".into())),
            Vec::<String>::new()
        );
    }

    #[test]
    fn what_limits_is_told_as_a_command() {
        assert_eq!(commands(|limits, _| limits.open_files_hard = 4096), ["ulimit -n 65536"]);
        assert_eq!(
            commands(|limits, _| limits.local_ports = Some(LocalPorts(60_000, 60_999))),
            ["sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\""]
        );
        assert_eq!(commands(|limits, _| limits.somaxconn = Some(128)), ["sysctl -w net.core.somaxconn=4096"]);
        assert_eq!(
            commands(|limits, _| limits.tcp_syncookies = Some(false)),
            ["sysctl -w net.ipv4.tcp_max_syn_backlog=4096"]
        );
        assert!(
            commands(|limits, _| limits.cpu_governor = Some("powersave".into()))[0].contains("performance")
        );
        let slow = |clock: &mut ClockFacts| (clock.reading_ns, clock.source) = (1500.0, Some("hpet".into()));
        assert!(commands(|_, clock| slow(clock))[0].starts_with("echo tsc > "));
        let without = commands(|_, clock| {
            slow(clock);
            clock.sources.retain(|source| source != "tsc");
        });
        assert_eq!(without, Vec::<String>::new(), "what is not there cannot be chosen");
    }
}
