//! T28: whether anybody looks makes no difference to what is measured.

use feedmark_reports::{RunResult, Status};

use crate::bed::{Disturbed, MS_NS, Patience, quantile_of, reported_ns, row, scaled, tell, until_valid};
use crate::place::Place;
use crate::support::{FEEDMARK, finish};

/// A healthy run of the default bed, but for its length.
const ARGUMENTS: &str = "-c 500 -r 20/s --deadline 2s";
/// Most of one core that all views together may use in any second.
const CPU_SHARE_MAX: f64 = 0.05;

/// What is compared of a run, each in its own unit.
fn figures(result: &RunResult) -> [f64; 3] {
    let delivery = &result.latency_ns.delivery;
    let cpu = result.resources.generator.cpu_s_per_million_deliveries.unwrap();
    [reported_ns(delivery, 0.5), reported_ns(delivery, 0.9), cpu]
}

/// A run with every view there is, or with none: on a terminal of its own, which util-linux' `script` makes.
fn run(seed: u32, is_seen: bool) -> RunResult {
    let duration = scaled("10s", "5s");
    let views = if is_seen { "--view full --csv rows.csv --jsonl rows.jsonl" } else { "--quiet" };
    until_valid(|| {
        let place = Place::new(true);
        let inside = format!(
            "stty rows 40 cols 120; \
             TERM=xterm {FEEDMARK} run --out out --target-args '--store memory' --seed {seed} -d {duration} {ARGUMENTS} {views} > stdout"
        );
        let mut command = place.command("script");
        command.args(["--quiet", "--return", "--command", &inside, "/dev/null"]);
        let shown = finish(command).stdout;
        assert_eq!(shown.contains("\u{1b}[?1049h"), is_seen, "{shown:?}");
        assert_eq!(place.path().join("rows.csv").exists(), is_seen);
        let result = place.result();
        if result.verdict.status == Status::Invalid {
            return Err(Disturbed::new(result, place));
        }
        Ok(result)
    })
}

/// The middle one of each figure's ratios.
fn medians(ratios: &[Vec<f64>; 3]) -> [f64; 3] {
    ratios.each_ref().map(|ratios| {
        let mut sorted = ratios.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        quantile_of(&sorted, 0.5)
    })
}

#[test]
fn t28_a_view_costs_the_measurement_nothing() {
    // More, while there is patience, only if seen and unseen differ.
    let pairs = scaled(12, 3);
    // A shared host moves the median of so many pairs by less than this, as a rule.
    let within = scaled(0.10, 0.30);
    let (mut ratios, mut share_max) = ([const { Vec::new() }; 3], 0.0f64);
    let alike = |ratio: &f64| (ratio - 1.0).abs() <= within;
    let patience = Patience::new();
    for pair in 0.. {
        if pair >= pairs && (medians(&ratios).iter().all(alike) || patience.is_over()) {
            break;
        }
        let first = pair % 2 == 0;
        let one = run(pair, first);
        let other = run(pair, !first);
        let (seen, unseen) = if first { (one, other) } else { (other, one) };
        let of_view = |result: &RunResult| {
            let views = result.evidence.threads.iter().filter(|thread| thread.name == "view");
            views.map(|thread| thread.cpu_share_max).reduce(f64::max)
        };
        assert_eq!(of_view(&unseen), None, "nobody looked");
        share_max = share_max.max(of_view(&seen).expect("somebody looked"));
        for ((ratios, seen), unseen) in ratios.iter_mut().zip(figures(&seen)).zip(figures(&unseen)) {
            ratios.push(seen / unseen);
        }
        tell("T28", &format!("p50 {:.3} ms unseen", figures(&unseen)[0] / MS_NS));
    }
    assert!(0.0 < share_max && share_max <= CPU_SHARE_MAX, "a view used {share_max} of a core");
    let medians = medians(&ratios);
    for (what, ratio) in ["delivery p50", "delivery p90", "generator CPU"].into_iter().zip(&medians) {
        assert!(alike(ratio), "{what} with views is {ratio} of that without");
    }
    let [p50, p90, cpu] = medians.map(|ratio| (ratio - 1.0) * 100.0);
    row(
        "T28",
        format!(
            "delivery p50 {p50:+.1} %, p90 {p90:+.1} %, generator CPU {cpu:+.1} % with views, which used {:.1} % of a core",
            share_max * 100.0
        ),
        format!("nothing ({} pairs of runs)", ratios[0].len()),
    );
}
