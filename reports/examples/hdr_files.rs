//! Writes `run.hlog`, `run.hgrm` and `run.json` of a made-up run into the folder given, for
//! `scripts/interop/read_hdr.py` and `read_hdr.mjs` to read back.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use feedmark_reports::hdr_files::{IntervalLog, Series, write_hgrm};
use feedmark_reports::quantile::{encode, new_histogram};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("give the folder to write into")?);
    let count: u64 = std::env::args().nth(2).map_or(Ok(20_000), |n| n.parse())?;
    let beyond_deadline = 3;
    std::fs::create_dir_all(&folder)?;

    let mut log =
        IntervalLog::create(BufWriter::new(File::create(folder.join("run.hlog"))?), 1_760_000_000.25)?;
    let mut total = new_histogram();
    let mut state: u64 = 42;
    for second in 0..10 {
        let mut interval = new_histogram();
        // The fourth second is silent: an interval without a value must be readable, too.
        for _ in 0..if second == 3 { 0 } else { count / 9 } {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // From a few ns to minutes, so that every part of the histogram is visited.
            let magnitude = 2 + (state >> 59);
            interval.record(((state >> 20) & ((1 << (magnitude + 5)) - 1)) + 1)?;
        }
        total.add(&interval)?;
        for series in Series::ALL {
            log.interval(series, second * 1_000_000_000, 1_000_000_000, &interval)?;
        }
    }
    log.finish(beyond_deadline)?;
    write_hgrm(BufWriter::new(File::create(folder.join("run.hgrm"))?), &total, beyond_deadline)?;

    let delivery = serde_json::json!({
        "count": total.len() + beyond_deadline,
        "beyond_deadline": beyond_deadline,
        "hdr": encode(&total),
    });
    let run = serde_json::json!({ "latency_ns": { "delivery": delivery } });
    std::fs::write(folder.join("run.json"), serde_json::to_vec_pretty(&run)?)?;
    Ok(())
}
