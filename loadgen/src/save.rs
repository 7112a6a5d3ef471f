//! The files of a run: `run.json`, `run.hlog`, `run.hgrm`, `posts.csv`, and `misses.csv` where something was missed.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use feedmark_core::recorder::INTERVAL_NS;
use feedmark_reports::files::{self, FileError};
use feedmark_reports::hdr_files::{IntervalLog, IntervalLogError, Series, write_hgrm};
use feedmark_reports::run_set::RUN_FILE;
use serde::Serialize;

use crate::run::FinishedRun;

/// Why the results are not where they should be.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// `run.json`.
    #[error(transparent)]
    Json(#[from] FileError),
    /// `run.hlog`.
    #[error("cannot write run.hlog: {0}")]
    Hlog(#[from] IntervalLogError),
    /// `run.hgrm`.
    #[error("cannot write run.hgrm: {0}")]
    Hgrm(#[from] io::Error),
    /// `posts.csv` or `misses.csv`.
    #[error("cannot write {0}: {1}")]
    Table(&'static str, csv::Error),
}

/// Writes everything to the run's folder. If that fails (a full disk), everything goes to a folder
/// among the temporary files instead, so that what was measured is kept.
///
/// # Errors
/// With the folder that was used instead, or `None` if that failed too.
pub fn save(run: &mut FinishedRun) -> Result<(), (SaveError, Option<PathBuf>)> {
    let folder = run.folder.clone();
    save_in(run, &folder).map_err(|error| {
        let prefix = format!("feedmark-run-{}-", run.result.run_id);
        let refuge = tempfile::Builder::new().prefix(&prefix).tempdir().ok();
        let saved = refuge.filter(|refuge| save_in(run, refuge.path()).is_ok());
        (error, saved.map(tempfile::TempDir::keep))
    })
}

fn save_in(run: &mut FinishedRun, folder: &Path) -> Result<(), SaveError> {
    // The figures first: whoever has run.json can make the rest again.
    files::write_atomically(&folder.join(RUN_FILE), &run.result)?;
    write_hlog(run, &folder.join("run.hlog"))?;
    let mut writer = BufWriter::new(File::create(folder.join("run.hgrm"))?);
    let beyond = run.result.latency_ns.delivery.beyond_deadline;
    write_hgrm(&mut writer, run.series.delivery.total(), beyond)?;
    writer.flush()?;
    write_table(folder, "posts.csv", &run.rows.posts)?;
    if !run.rows.misses.is_empty() {
        write_table(folder, "misses.csv", &run.rows.misses)?;
    }
    Ok(())
}

/// A row per item, with a head.
pub(crate) fn write_table(
    folder: &Path,
    name: &'static str,
    rows: &[impl Serialize],
) -> Result<(), SaveError> {
    let table_error = |error| SaveError::Table(name, error);
    let mut writer = csv::Writer::from_path(folder.join(name)).map_err(table_error)?;
    rows.iter().try_for_each(|row| writer.serialize(row)).map_err(table_error)?;
    writer.flush().map_err(|error| table_error(error.into()))
}

/// Second by second, every series of the second.
fn write_hlog(run: &mut FinishedRun, path: &Path) -> Result<(), SaveError> {
    let series = &mut run.series;
    let start_unix_s = series.started_realtime_ns as f64 / 1e9;
    let mut log = IntervalLog::create(BufWriter::new(File::create(path)?), start_unix_s)?;
    let base_ns = series.base_ns;
    let mut all = [
        (Series::Delivery, series.delivery.intervals().peekable()),
        (Series::FirstDelivery, series.first.intervals().peekable()),
        (Series::FullFanout, series.full.intervals().peekable()),
        (Series::Spread, series.spread.intervals().peekable()),
        (Series::ResponseTime, series.response.intervals().peekable()),
        (Series::SendLag, series.send_lag.intervals().peekable()),
        (Series::ReceiveDelay, series.receive_delay.intervals().peekable()),
        (Series::Hiccup, series.hiccups.intervals().peekable()),
    ];
    while let Some(second) = all.iter_mut().filter_map(|(_, intervals)| Some(intervals.peek()?.0)).min() {
        for (name, intervals) in &mut all {
            if let Some((index, histogram)) = intervals.next_if(|(index, _)| *index == second) {
                log.interval(*name, base_ns + index * INTERVAL_NS, INTERVAL_NS, &histogram)?;
            }
        }
    }
    log.finish(run.result.latency_ns.delivery.beyond_deadline)?;
    Ok(())
}
