//! `feedmark calibrate`.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use feedmark_reports::quantile::{effective_samples_needed, is_supported};
use feedmark_reports::run_result::ArrivalLaw;
use feedmark_reports::units::{count, counted, duration, flag_duration, number, short_duration};
use feedmark_reports::validity::Label;
use feedmark_reports::{Quantile, Status};

use super::live;
use super::{FAILED, INTERRUPTED, USAGE, fail, print, resolve_without};
use crate::calibrate::{self, Calibration, IN_FLIGHT_TOGETHER, QuantilesNs, Resolves};
use crate::floor::Store;
use crate::interrupt;
use crate::settings::Settings;
use crate::source::LocalPorts;

#[derive(Debug, Args)]
pub(super) struct CalibrateArgs {
    /// Scenario file, of which the load counts; flags override what it says
    scenario: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    /// Folder that keeps the floor [default: $XDG_DATA_HOME/feedmark, or ~/.local/share/feedmark]
    #[arg(long, env = "FEEDMARK_STORE", value_name = "DIR", help_heading = "Output")]
    store: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long, help_heading = "Output")]
    json: bool,
    /// No progress on stderr
    #[arg(short, long, help_heading = "Output")]
    quiet: bool,
}

pub(super) fn calibrate(args: CalibrateArgs) -> u8 {
    if let Some(setting) = of_a_target(&args.settings) {
        return fail(
            USAGE,
            &format!("{setting} is for a target, and calibrate drives a null target of its own: drop it"),
        );
    }
    let scenario = match resolve_without(drop_target, args.settings, args.scenario.as_deref()) {
        Ok(scenario) => scenario,
        Err(error) => return fail(USAGE, &error),
    };
    let store = match Store::find(args.store.as_deref()) {
        Ok(store) => store,
        Err(error) => return fail(USAGE, &error),
    };
    let mut live = match live::lines(args.quiet) {
        Ok(live) => live,
        Err(error) => return fail(FAILED, &error),
    };
    let calibration = calibrate::calibrate(&scenario, &store, &mut live);
    drop(live);
    let calibration = match calibration {
        Ok(calibration) => calibration,
        Err(error) if interrupt::stop_asked() => return fail(INTERRUPTED, &error),
        Err(error) => return fail(error.exit_code(), &error),
    };
    let shown = match args.json {
        true => json(&calibration),
        false => Ok(text(&calibration)),
    };
    if let Err(error) = shown.and_then(|text| print(&text)) {
        return fail(FAILED, &error);
    }
    match calibration.interrupted {
        true => INTERRUPTED,
        false => calibration.verdict.status.exit_code(),
    }
}

/// The first setting that names a target, as a flag or in the environment.
fn of_a_target(flags: &Settings) -> Option<&'static str> {
    let settings = [
        ("url", "--url"),
        ("target_args", "--target-args"),
        ("fault", "--fault"),
        ("target_pid", "--target-pid"),
        ("target_cgroup", "--target-cgroup"),
        ("target_metrics", "--target-metrics"),
        ("series", "--series"),
        ("thresholds", "--threshold"),
    ];
    settings.into_iter().find(|(name, _)| flags.is_set(name)).map(|(_, flag)| flag)
}

/// What a scenario says of its target, which the null target does not need.
fn drop_target(settings: &mut Settings) {
    settings.url = None;
    settings.target_args = None;
    settings.fault = None;
    settings.target_pid = None;
    settings.target_cgroup = None;
    settings.target_metrics = None;
    settings.series = None;
    settings.post_path = None;
    settings.header = None;
    settings.event = None;
    settings.namespace = None;
    settings.socket_path = None;
    settings.auth = None;
    settings.thresholds = None;
}

fn json(calibration: &Calibration) -> Result<String, String> {
    serde_json::to_string_pretty(calibration)
        .map(|json| json + "\n")
        .map_err(|error| format!("cannot print the calibration as JSON: {error}"))
}

/// The verdict if it is not PASS, a labelled line per fact, then what to change and where the floor is.
fn text(calibration: &Calibration) -> String {
    let mut text = verdict(calibration);
    text.push_str("what this host can resolve\n");
    for (name, value) in measured(calibration).into_iter().chain(of_the_host(calibration)) {
        // A String takes whatever is written to it.
        let _ = writeln!(text, "  {name:<16}{value}");
    }
    text.push_str(match calibration.advice.is_empty() {
        true => "what to change\n  no setting of this host limits this load\n",
        false => "what to change, as root\n",
    });
    for advice in &calibration.advice {
        let _ = writeln!(text, "  {}\n    {}", advice.reason, advice.command);
    }
    if let Some(file) = &calibration.stored_in {
        let _ = writeln!(text, "stored in {file}: runs with this load on this host use it");
    }
    text
}

fn verdict(calibration: &Calibration) -> String {
    let status = calibration.verdict.status;
    let mut text = match status {
        Status::Pass => String::new(),
        _ => format!("{}: the floor is not stored\n", status.word()),
    };
    for reason in &calibration.verdict.reasons {
        let _ = writeln!(text, "  {reason}");
    }
    text
}

fn measured(calibration: &Calibration) -> Vec<(&'static str, String)> {
    let Calibration { host, load, resolves, .. } = calibration;
    let law = match load.arrivals {
        ArrivalLaw::Poisson => "Poisson",
        ArrivalLaw::Constant => "constant",
    };
    let mut lines = vec![
        ("host", format!("{}, {}, {}", host.cpu, counted(u64::from(host.cpus), "CPU", "CPUs"), host.os)),
        (
            "load",
            format!(
                "{} x {}/s = {} deliveries/s, {law} arrivals, bodies of {} B, {}",
                counted(u64::from(load.subscribers), "subscriber", "subscribers"),
                number(load.rate_per_s),
                number(f64::from(load.subscribers) * load.rate_per_s),
                count(load.body_bytes),
                counted(u64::from(load.threads), "thread", "threads"),
            ),
        ),
        (
            "priority",
            match load.real_time {
                true => "real-time for pacer and writers: for runs that have it, too (root, or CAP_SYS_NICE)",
                false => "none: for runs without a real-time priority (root and CAP_SYS_NICE give one)",
            }
            .to_owned(),
        ),
        (
            "floor",
            format!(
                "{}, from {}",
                quantiles(&calibration.delivery),
                counted(calibration.posts, "post", "posts")
            ),
        ),
    ];
    lines.extend(needs(calibration).map(|needs| ("", needs)));
    lines.push((
        "resolves",
        match resolves {
            Some(Resolves { quantile, delivery_ns }) => format!(
                "a delivery {quantile} of {} or more; a run below that is labelled {}",
                duration(*delivery_ns),
                Label::FloorLimited.word()
            ),
            None => "unknown: the run did not pass".to_owned(),
        },
    ));
    lines.push((
        "greatest rate",
        match (calibration.deliveries_per_s_max, calibration.deliveries_per_s_together_max) {
            (Some(alone), Some(together)) => format!(
                "{} deliveries/s post by post, {} with {IN_FLIGHT_TOGETHER} posts in flight, written together",
                count(alone as u64),
                count(together as u64)
            ),
            _ => "not measured".to_owned(),
        },
    ));
    lines.push(("send lag", two(&calibration.send_lag)));
    lines.push(("receive delay", two(&calibration.receive_delay)));
    for group in &calibration.hiccups {
        let late = &group.late_ns;
        lines.push((
            "hiccups",
            format!(
                "p50 {}, p99.9 {}, max {}, beside {}",
                shown(late.p50),
                shown(late.p999),
                shown(late.max),
                group.group
            ),
        ));
    }
    lines
}

fn of_the_host(calibration: &Calibration) -> Vec<(&'static str, String)> {
    let Calibration { clock, sleep, limits, .. } = calibration;
    let ns = |ns: u64| format!("{} ns", count(ns));
    let resolution = clock.resolution_ns.map_or("unknown".to_owned(), ns);
    let error = match clock.pairing_error_p99_ns {
        Quantile::Ns(error_ns) => ns(error_ns),
        other => shown(other),
    };
    let source = clock.source.as_deref().map_or(String::new(), |source| format!(" ({source})"));
    let slack =
        limits.timer_slack_ns.map_or(String::new(), |ns| format!(", timer slack {}", short_duration(ns)));
    let setting = |value: Option<u64>| value.map_or("unknown".to_owned(), count);
    vec![
        (
            "clock",
            format!(
                "resolution {resolution}, one reading {}{source}, stamps placed within {}",
                ns(clock.reading_ns as u64),
                error
            ),
        ),
        (
            "receive stamps",
            match calibration.kernel_stamps {
                true => "by the kernel".to_owned(),
                false => "by the program, after it has read: the receive delay counts as latency".to_owned(),
            },
        ),
        (
            "sleep",
            format!("wakes p50 {}, p99 {} late{slack}", shown(sleep.late_p50_ns), shown(sleep.late_p99_ns)),
        ),
        (
            "open files",
            format!(
                "{} soft (feedmark raises it), {} hard: up to {}",
                count(limits.open_files_soft),
                count(limits.open_files_hard),
                counted(calibration.subscribers_max, "subscriber", "subscribers")
            ),
        ),
        (
            "local ports",
            format!(
                "{} per source address: as many subscribers to another host, more on loopback",
                setting(limits.local_ports.map(LocalPorts::count))
            ),
        ),
        (
            "accept queue",
            format!(
                "net.core.somaxconn {}, net.ipv4.tcp_max_syn_backlog {}",
                setting(limits.somaxconn),
                setting(limits.tcp_max_syn_backlog)
            ),
        ),
    ]
}

fn quantiles(of: &QuantilesNs) -> String {
    format!(
        "p50 {}, p90 {}, p99 {}, max {}",
        shown(of.p50_ns),
        shown(of.p90_ns),
        shown(of.p99_ns),
        shown(of.max_ns)
    )
}

fn two(of: &QuantilesNs) -> String {
    format!("p50 {}, p99 {}", shown(of.p50_ns), shown(of.p99_ns))
}

fn shown(quantile: Quantile) -> String {
    match quantile {
        Quantile::Ns(ns) => duration(ns),
        Quantile::BeyondDeadline => "beyond the deadline".to_owned(),
        Quantile::NotAvailable => "n/a".to_owned(),
    }
}

/// What the quantiles that print n/a would need.
fn needs(calibration: &Calibration) -> Option<String> {
    let lacking = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)]
        .into_iter()
        .filter(|(_, quantile)| !is_supported(calibration.posts as f64, *quantile));
    let needs: Vec<String> = lacking
        .map(|(name, quantile)| {
            let posts = effective_samples_needed(quantile);
            // A Poisson schedule has fewer than its mean in half of all runs: two deviations more.
            let steady_s = ((posts + 2.0 * posts.sqrt()) / calibration.load.rate_per_s).ceil();
            format!(
                "{name} needs {} posts (-d {})",
                count(posts as u64),
                flag_duration(steady_s as u64 * 1_000_000_000)
            )
        })
        .collect();
    (!needs.is_empty()).then(|| format!("n/a: {}", needs.join(", ")))
}
