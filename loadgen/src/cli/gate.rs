//! `feedmark gate`.

use std::path::{Path, PathBuf};

use clap::Args;
use feedmark_reports::export::Outcome;
use feedmark_reports::gate::{self as rule, GateResult, GatedMetric, LOOKS, PORT, Plan, Rule, is_url};
use feedmark_reports::metric::{Metric, Rank, Series, Side};
use feedmark_reports::terminal;

use super::export::ExportArgs;
use super::live;
use super::{FAILED, USAGE, concluded, fail, print, report, resolve_with_settings, style};
use crate::gate::{self, Gate, recorded};
use crate::limits::available_cpus;
use crate::scenario::Scenario;
use crate::settings::Settings;

#[derive(Debug, Args)]
pub(super) struct GateArgs {
    /// Scenario file, without its target; flags override what it says
    scenario: Option<PathBuf>,
    /// What the candidate is compared with: a command with {port}, started afresh for every run, the URL of a server that
    /// runs, or a folder of earlier runs. A command may have {scratch}, an empty folder that goes with the server
    #[arg(long, value_name = "CMD|URL|DIR", help_heading = "Gate")]
    base: String,
    /// What is to be gated: a command or a URL
    #[arg(long, value_name = "CMD|URL", help_heading = "Gate")]
    candidate: String,
    /// What is gated, and what it may get worse by, such as 'delivery p50 10%'; repeatable
    /// [default: delivery p50, full_fanout p50 and, of commands, target cpu_per_million; 10%]
    #[arg(long = "metric", value_name = "METRIC", help_heading = "Gate")]
    metrics: Vec<GatedMetric>,
    /// Numbers of pairs after which the gate looks for an answer
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_values_t = LOOKS, help_heading = "Gate")]
    pairs: Vec<u32>,
    #[command(flatten)]
    settings: Settings,
    /// Folder of the gate; one that was stopped goes on there [default: runs/<time>-gate]
    #[arg(short, long, env = "FEEDMARK_OUT", value_name = "DIR", help_heading = "Output")]
    out: Option<PathBuf>,
    /// Folder in which calibrate keeps the floor [default: $XDG_DATA_HOME/feedmark, or ~/.local/share/feedmark]
    #[arg(long, env = "FEEDMARK_STORE", value_name = "DIR", help_heading = "Output")]
    store: Option<PathBuf>,
    #[command(flatten)]
    export: ExportArgs,
    /// Print gate.json instead of the summary
    #[arg(long, help_heading = "Output")]
    json: bool,
    /// No progress on stderr
    #[arg(short, long, help_heading = "Output")]
    quiet: bool,
    /// No colors (NO_COLOR works too)
    #[arg(long, help_heading = "Output")]
    no_color: bool,
}

pub(super) fn gate(args: GateArgs) -> u8 {
    let gate = match asked(&args) {
        Ok(gate) => gate,
        Err(error) => return fail(USAGE, &error),
    };
    if let Err(error) = args.export.check(args.out.as_deref()) {
        return fail(USAGE, &error);
    }
    let mut live = match live::lines(args.quiet) {
        Ok(live) => live,
        Err(error) => return fail(FAILED, &error),
    };
    let answer = gate::run(&gate, args.out.as_deref(), &mut live);
    drop(live);
    let (result, folder) = match answer {
        Ok(answer) => answer,
        Err(error) => return fail(error.exit_code(), &error),
    };
    let exported = args.export.deliver(&Outcome::of_gate(&result));
    report::leave_in(&folder);
    let shown = show(&result, args.json, args.no_color).and_then(|()| match args.json {
        true => Ok(()),
        false => print(&format!("\nresults: {}\n", folder.display())),
    });
    match shown {
        Ok(()) => concluded(result.verdict.status.exit_code(), exported),
        Err(error) => fail(FAILED, &format!("{error}: the results are in {}", folder.display())),
    }
}

/// What is meant by what was typed.
fn asked(args: &GateArgs) -> Result<Gate, String> {
    let of_target = [
        ("url", "--url"),
        ("target_args", "--target-args"),
        ("fault", "--fault"),
        ("target_pid", "--target-pid"),
        ("target_cgroup", "--target-cgroup"),
    ];
    if let Some((_, flag)) = of_target.into_iter().find(|(name, _)| args.settings.is_set(name)) {
        return Err(format!(
            "{flag} is for one target, and a gate has two: put it into --base and --candidate"
        ));
    }
    let (mut settings, scenario) =
        resolve_with_settings(drop_target, args.settings.clone(), args.scenario.as_deref())?;
    let earlier = Some(Path::new(&args.base)).filter(|folder| folder.is_dir());
    for (flag, side) in [("--base", &args.base), ("--candidate", &args.candidate)] {
        match is_url(side) {
            true => {
                let driven = Settings { url: Some(side.clone()), ..settings.clone() };
                Scenario::resolve(driven, available_cpus()).map_err(|error| format!("{flag}: {error}"))?;
            }
            false if side.contains(PORT) || flag == "--base" && earlier.is_some() => {}
            false => {
                return Err(format!(
                    "{flag}: `{side}` has no {PORT}: write a command that listens on it, such as `./server --port \
                     {PORT}`, or the http:// URL of a server that runs"
                ));
            }
        }
    }
    let metrics = match args.metrics.is_empty() {
        true => default_metrics(!is_url(&args.base) && !is_url(&args.candidate)),
        false => args.metrics.clone(),
    };
    let rule = Rule::new(metrics, args.pairs.clone()).map_err(|error| error.to_string())?;
    // Every pair has a seed of its own.
    settings.seed = None;
    let plan = Plan {
        base: args.base.clone(),
        candidate: args.candidate.clone(),
        scenario: scenario.record(),
        seed: scenario.seed,
        metrics: rule.metrics().iter().map(ToString::to_string).collect(),
        looks: rule.looks().to_vec(),
    };
    let recorded = earlier.map_or_else(|| Ok(Vec::new()), |folder| recorded::read(folder, &plan));
    Ok(Gate {
        recorded: recorded.map_err(|error| error.to_string())?,
        plan,
        rule,
        settings,
        store: args.store.clone(),
    })
}

/// What a scenario says of its target, of which a gate has two.
fn drop_target(settings: &mut Settings) {
    settings.url = None;
    settings.target_args = None;
    settings.fault = None;
    settings.target_pid = None;
    settings.target_cgroup = None;
}

/// METHOD section 5; the CPU time only of processes that are known.
fn default_metrics(processes_known: bool) -> Vec<GatedMetric> {
    let median = |series| Metric::Latency(series, Rank::percentile(50.0));
    let metrics = [median(Series::Delivery), median(Series::FullFanout)];
    let cpu = processes_known.then_some(Metric::CpuPerMillion(Side::Target));
    let gated = |metric| GatedMetric { metric, allowed: rule::ALLOWED };
    metrics.into_iter().chain(cpu).map(gated).collect()
}

fn show(result: &GateResult, json: bool, no_color: bool) -> Result<(), String> {
    if json {
        let json = serde_json::to_string_pretty(result)
            .map_err(|error| format!("cannot print the result as JSON: {error}"))?;
        return print(&format!("{json}\n"));
    }
    print(&terminal::gate::gate(result, &style(no_color)))
}
