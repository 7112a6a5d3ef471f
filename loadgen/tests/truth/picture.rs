//! The picture of `docs/method.md`: one freeze of a second, as a closed loop reports it and as feedmark does.

use std::fmt::Write as _;

use crate::bed::{Run, quantile_of};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 36.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 46.0;
/// The axis goes to 1 - 10^-4.
const DECADES: f64 = 4.0;
const GREATEST_MS: f64 = 1_050.0;

/// Writes the picture where `FEEDMARK_TRUTH_PICTURE` says; nowhere without it. `run` had a single writer.
pub(crate) fn draw(run: &Run) {
    let Some(path) = std::env::var_os("FEEDMARK_TRUTH_PICTURE") else { return };
    let mut intended: Vec<u64> = run.steady().map(|post| post.full_latency_ns.unwrap()).collect();
    // What a writer sees that starts its watch when it sends.
    let mut closed: Vec<u64> = run
        .steady()
        .map(|post| post.full_latency_ns.unwrap().saturating_sub(post.sent_ns.unwrap() - post.intended_ns))
        .collect();
    intended.sort_unstable();
    closed.sort_unstable();
    std::fs::write(path, svg(&intended, &closed)).unwrap();
}

fn svg(intended: &[u64], closed: &[u64]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\" \
         role=\"img\" aria-label=\"Latency over percentile: the closed loop's p99 is far below feedmark's\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"15\" fill=\"#222\">One freeze of 1 s in {} posts at 100 posts/s: full fan-out by percentile</text>\n",
        intended.len()
    );
    for tick_ms in [0.0, 200.0, 400.0, 600.0, 800.0, 1_000.0] {
        let y = y_of(tick_ms);
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {y:.1}H{:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#555\">{tick_ms} ms</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            y + 4.0
        );
    }
    for (quantile, label) in
        [(0.0, "0"), (0.5, "50"), (0.9, "90"), (0.99, "99"), (0.999, "99.9"), (0.9999, "99.99")]
    {
        let x = x_of(quantile);
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {TOP}V{:.1}\" stroke=\"#eee\"/><text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">{label} %</text>",
            HEIGHT - BOTTOM,
            HEIGHT - BOTTOM + 20.0
        );
    }
    // The lower curve's label stands to the right, below which nothing else runs.
    let curves = [
        ("closed loop (from the actual send)", "#c0392b", closed, 42.0, 10.0, "start"),
        ("feedmark (from the intended time)", "#1f5fa8", intended, 18.0, -10.0, "end"),
    ];
    for (name, color, values, below_top, aside, anchor) in curves {
        let points: Vec<String> = (0..=400)
            .map(|step| 1.0 - 10_f64.powf(-DECADES * f64::from(step) / 400.0))
            .map(|quantile| {
                format!("{:.1},{:.1}", x_of(quantile), y_of(quantile_of(values, quantile) as f64 / 1e6))
            })
            .collect();
        let p99 = quantile_of(values, 0.99) as f64 / 1e6;
        let (x, y) = (x_of(0.99), y_of(p99));
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{color}\" stroke-width=\"2.5\" points=\"{}\"/>\n\
             <circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{color}\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" fill=\"{color}\">p99 {p99:.1} ms</text>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" fill=\"{color}\">{name}</text>",
            points.join(" "),
            x + aside,
            y - 8.0,
            LEFT + 10.0,
            TOP + below_top + 14.0,
        );
    }
    svg + "</svg>\n"
}

/// The percentile axis of HDR histograms: equal steps for each nine.
fn x_of(quantile: f64) -> f64 {
    LEFT + (WIDTH - LEFT - RIGHT) * (-(1.0 - quantile).log10() / DECADES).clamp(0.0, 1.0)
}

fn y_of(ms: f64) -> f64 {
    HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (ms / GREATEST_MS).clamp(0.0, 1.0)
}
