//! `feedmark capacity`.

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use feedmark_reports::capacity::{CapacityResult, Plan, PlannedLoad, STEADY_NS_MIN, Vary, Watched};
use feedmark_reports::export::Outcome;
use feedmark_reports::gate::{PORT, is_url};
use feedmark_reports::run_result::ScenarioRecord;
use feedmark_reports::units::{counted, flag_duration};
use feedmark_reports::{markdown, terminal};

use super::export::ExportArgs;
use super::live;
use super::{FAILED, INTERRUPTED, USAGE, concluded, fail, print, report, resolve_with_settings, style};
use crate::capacity::{self, Capacity, REFERENCE, Session};
use crate::limits::available_cpus;
use crate::settings::{Settings, ThresholdSetting};
use crate::units::{RATE_PER_S_MAX, Rate, SUBSCRIBERS_MAX, Span, Subscribers};

/// What only the reference server has.
const OF_REFERENCE: [(&str, &str); 2] = [("target_args", "--target-args"), ("fault", "--fault")];

#[derive(Debug, Args)]
pub(super) struct CapacityArgs {
    /// Scenario file; flags override what it says. Its rate or its subscribers stay fixed, and the other one is where the
    /// search begins
    scenario: Option<PathBuf>,
    /// What has to hold, such as "full_fanout p99 < 400ms" or "missing == 0", like --threshold; repeatable (docs/gates.md)
    #[arg(long = "slo", value_name = "EXPR", help_heading = "Capacity")]
    slos: Vec<ThresholdSetting>,
    /// What is searched for
    #[arg(long, value_name = "AXIS", default_value = "rate", help_heading = "Capacity")]
    vary: Axis,
    /// Numbers of subscribers for --vary both, 4 or more, upwards
    #[arg(long, value_name = "N,N", value_delimiter = ',', help_heading = "Capacity")]
    subscribers_list: Vec<Subscribers>,
    /// Hold the target to so many CPUs; several numbers are a search for each
    #[arg(long, value_name = "N,N", value_delimiter = ',', help_heading = "Capacity")]
    cores: Vec<u32>,
    /// Greatest load to try: a rate such as 500/s, or with --vary subscribers a number [default: what can be asked for]
    #[arg(long, value_name = "LOAD", help_heading = "Capacity")]
    load_max: Option<String>,
    /// What the steps may take together [default: as long as it needs]
    #[arg(long, value_name = "TIME", help_heading = "Capacity")]
    budget: Option<Span>,
    /// A load of which to say whether it fits, such as "8000 subscribers, 3/s"; repeatable
    #[arg(long = "plan", value_name = "LOAD", help_heading = "Capacity")]
    planned_loads: Vec<PlannedLoad>,
    /// Command with {port} that is started afresh for every step; it may have {scratch}, an empty folder that goes with it
    /// [default: the reference server; --url drives a server that runs]
    #[arg(long, value_name = "CMD", help_heading = "Target")]
    target: Option<String>,
    #[command(flatten)]
    settings: Settings,
    /// Folder of the session; one that was stopped, or whose budget was spent, goes on there [default: runs/<time>-capacity]
    #[arg(short, long, env = "FEEDMARK_OUT", value_name = "DIR", help_heading = "Output")]
    out: Option<PathBuf>,
    /// Folder in which calibrate keeps the floor [default: $XDG_DATA_HOME/feedmark, or ~/.local/share/feedmark]
    #[arg(long, env = "FEEDMARK_STORE", value_name = "DIR", help_heading = "Output")]
    store: Option<PathBuf>,
    #[command(flatten)]
    export: ExportArgs,
    /// Print capacity.json instead of the summary
    #[arg(long, conflicts_with = "markdown", help_heading = "Output")]
    json: bool,
    /// Print Markdown instead of the summary
    #[arg(long, help_heading = "Output")]
    markdown: bool,
    /// No progress on stderr
    #[arg(short, long, help_heading = "Output")]
    quiet: bool,
    /// No colors (NO_COLOR works too)
    #[arg(long, help_heading = "Output")]
    no_color: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Axis {
    /// Posts per second at a number of subscribers
    Rate,
    /// Subscribers at a rate
    Subscribers,
    /// Posts per second at each of several numbers of subscribers
    Both,
}

pub(super) fn capacity(args: CapacityArgs) -> u8 {
    let capacity = match asked(&args) {
        Ok(capacity) => capacity,
        Err(error) => return fail(USAGE, &error),
    };
    if let Err(error) = args.export.check(args.out.as_deref()) {
        return fail(USAGE, &error);
    }
    let mut live = match live::lines(args.quiet) {
        Ok(live) => live,
        Err(error) => return fail(FAILED, &error),
    };
    let answer = capacity::run(&capacity, args.out.as_deref(), &mut live);
    drop(live);
    let Session { result, folder, is_interrupted } = match answer {
        Ok(answer) => answer,
        Err(error) => return fail(error.exit_code(), &error),
    };
    let exported = args.export.deliver(&Outcome::of_capacity(&result));
    report::leave_in(&folder);
    let shown = show(&args, &result).and_then(|()| match args.json || args.markdown {
        true => Ok(()),
        false => print(&format!("\nresults: {}\n", folder.display())),
    });
    match shown {
        Ok(()) if is_interrupted => {
            let code = concluded(INTERRUPTED, exported);
            let steps = counted(result.steps.len() as u64, "step", "steps");
            let folder = folder.display();
            fail(
                code,
                &format!(
                    "interrupted after {steps}: the same command with --out {folder} goes on from there"
                ),
            )
        }
        Ok(()) => concluded(result.verdict.status.exit_code(), exported),
        Err(error) => fail(FAILED, &format!("{error}: the results are in {}", folder.display())),
    }
}

/// What is meant by what was typed.
fn asked(args: &CapacityArgs) -> Result<Capacity, String> {
    if args.settings.duration.is_some() {
        return Err(
            "--duration is what the session decides, step by step: leave it out (--budget bounds all steps)"
                .to_owned(),
        );
    }
    if args.settings.url.is_some() && args.target.is_some() {
        return Err("--target and --url are two targets: give one".to_owned());
    }
    let mut flags = args.settings.clone();
    if !args.slos.is_empty() {
        flags.thresholds.get_or_insert_default().extend(args.slos.iter().cloned());
    }
    let of_steps = |settings: &mut Settings| {
        settings.duration = Some(Span::from_ns(STEADY_NS_MIN));
        if args.target.is_some() {
            settings.url = None;
        }
    };
    let (mut settings, scenario) = resolve_with_settings(of_steps, flags, args.scenario.as_deref())?;
    let target = target(args, &settings)?;
    let vary = match args.vary {
        Axis::Rate => Vary::Rate,
        Axis::Subscribers => Vary::Subscribers,
        Axis::Both => Vary::Both,
    };
    // It is the plan's target, if it is one.
    settings.url = None;
    let plan = Plan {
        target,
        scenario: ScenarioRecord { url: None, ..scenario.record() },
        watched: Watched {
            target_cgroup: settings.target_cgroup.clone(),
            target_metrics: settings.target_metrics.clone(),
            series: settings.series.clone().unwrap_or_default(),
        },
        vary,
        subscriber_counts: args.subscribers_list.iter().map(|count| count.get()).collect(),
        core_counts: cores(&args.cores)?,
        load_max: load_max(args.load_max.as_deref(), vary)?,
        seed: scenario.seed,
    };
    plan.check().map_err(|error| error.to_string())?;
    let step_ns = plan.step_ns_min();
    if let Some(budget) = args.budget.filter(|budget| budget.ns() < step_ns) {
        return Err(format!(
            "--budget: `{budget}` is less than one step takes, about {}; an answer takes twelve to twenty of them",
            flag_duration(step_ns)
        ));
    }
    Ok(Capacity {
        plan,
        budget_ns: args.budget.map(Span::ns),
        planned_loads: args.planned_loads.clone(),
        settings,
        store: args.store.clone(),
    })
}

/// The command, the URL, or the words for the reference server.
fn target(args: &CapacityArgs, settings: &Settings) -> Result<String, String> {
    let Some(target) = args.target.as_ref().or(settings.url.as_ref()) else {
        return Ok(REFERENCE.to_owned());
    };
    if let Some((_, flag)) = OF_REFERENCE.into_iter().find(|(name, _)| settings.is_set(name)) {
        return Err(format!("{flag} is for the reference server: put it into the command of --target"));
    }
    let is_command = args.target.is_some();
    if is_command && is_url(target) {
        return Err(format!("--target: `{target}` is a url, which nobody can start: give it by --url"));
    }
    if is_command && !target.contains(PORT) {
        return Err(format!(
            "--target: `{target}` has no {PORT}: write a command that listens on it, such as `./server --port {PORT}`"
        ));
    }
    if is_command && settings.target_pid.is_some() {
        return Err("--target-pid is for a server that runs: that of a command is found".to_owned());
    }
    if !is_command && !args.cores.is_empty() {
        return Err("--cores holds a server that it starts to them: give its command by --target".to_owned());
    }
    Ok(target.clone())
}

/// No more than there are.
fn cores(counts: &[u32]) -> Result<Vec<u32>, String> {
    let there = available_cpus();
    match counts.iter().find(|count| **count > there) {
        Some(count) => Err(format!("--cores: `{count}` are more than the {there} that may be used here")),
        None => Ok(counts.to_vec()),
    }
}

/// In the unit of what is searched for.
fn load_max(text: Option<&str>, vary: Vary) -> Result<f64, String> {
    let wrong = |error| format!("--load-max: {error}");
    match (text, vary) {
        (None, Vary::Subscribers) => Ok(f64::from(SUBSCRIBERS_MAX)),
        (None, _) => Ok(RATE_PER_S_MAX),
        (Some(text), Vary::Subscribers) => {
            text.parse().map(|count: Subscribers| f64::from(count.get())).map_err(wrong)
        }
        (Some(text), _) => text.parse().map(Rate::per_s).map_err(wrong),
    }
}

fn show(args: &CapacityArgs, result: &CapacityResult) -> Result<(), String> {
    if args.json {
        let json = serde_json::to_string_pretty(result)
            .map_err(|error| format!("cannot print the result as JSON: {error}"))?;
        return print(&format!("{json}\n"));
    }
    if args.markdown {
        return print(&markdown::capacity(result));
    }
    print(&terminal::capacity::capacity(result, &style(args.no_color)))
}
