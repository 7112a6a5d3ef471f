//! The files behind a page, in it: compressed, as links that need no network and no script.
//!
//! Invariant: what would make a page larger than [`PAGE_BYTES_MAX`] is named, with its size, and left in the run folder; of the interval
//! log one with longer intervals is embedded then.

use std::io::Write as _;

use base64::Engine as _;
use flate2::{Compression, GzBuilder};
use maud::{Markup, html};

use super::page::Section;
use super::view::View;
use crate::hdr_files::coarser;
use crate::run_folder::HLOG_FILE;
use crate::units::bytes;

/// What a page may weigh with its files: it is promised to be smaller than 2 MB, and their names take some of it, too.
const PAGE_BYTES_MAX: usize = 1_900_000;

/// No file of a run packs better: what would not fit even so is not tried.
const PACKED_RATIO_MAX: usize = 30;
/// Intervals of the log where its seconds take too much, in seconds.
const COARSER_S: [u64; 6] = [5, 10, 20, 30, 60, 600];

/// A file as it is offered.
struct Download {
    name: String,
    size: u64,
    meaning: &'static str,
    /// The data of its link; `None` of what is too large.
    data: Option<String>,
}

/// Bytes that are left for the links of a page that is like this without them.
pub(super) fn room_beside(page: &str) -> usize {
    PAGE_BYTES_MAX.saturating_sub(page.len())
}

pub(super) fn section(view: &View<'_>, mut room: usize) -> Section {
    let mut downloads = Vec::new();
    // The log is the only one that can be made smaller, so it comes last.
    let (logs, others): (Vec<_>, Vec<_>) = view.folder.files.iter().partition(|(name, _)| *name == HLOG_FILE);
    for (name, content) in others {
        downloads.push(offered(name, content, &mut room));
    }
    for (name, content) in logs {
        let whole = offered(name, content, &mut room);
        if whole.data.is_none() {
            downloads.extend(coarse(view, content, &mut room));
        }
        downloads.push(whole);
    }
    offer(&downloads)
}

/// Files that are made for a page of which they are all.
pub(super) fn of_files(files: &[(&str, Vec<u8>)], mut room: usize) -> Section {
    let downloads: Vec<Download> =
        files.iter().map(|(name, content)| offered(name, content, &mut room)).collect();
    offer(&downloads)
}

fn offer(downloads: &[Download]) -> Section {
    let body: Markup = html! {
        ul.downloads {
            @for download in downloads {
                li {
                    @match &download.data {
                        Some(data) => {
                            a download={ (download.name) ".gz" } data-name=(download.name) href={ "data:application/gzip;base64," (data) } { (download.name) }
                        }
                        None => { b { (download.name) } }
                    }
                    " " small { (bytes(download.size)) ", " (download.meaning) }
                }
            }
        }
        p.remark { "Unpacked by the page's script; without it, as " code { ".gz" } "." }
    };
    Section { id: "downloads", title: "Downloads", question: "Where is the data behind all this?", body }
}

/// A file, embedded if there is room for it.
fn offered(name: &str, content: &[u8], room: &mut usize) -> Download {
    let is_hopeless = content.len() / PACKED_RATIO_MAX > *room;
    let packed =
        (!is_hopeless).then(|| base64::engine::general_purpose::STANDARD.encode(compressed(content)));
    let data = packed.filter(|data| data.len() <= *room);
    *room -= data.as_ref().map_or(0, String::len);
    let meaning =
        if data.is_some() { meaning(name) } else { "too large for this page: it is in the run folder" };
    Download { name: name.to_owned(), size: content.len() as u64, meaning, data }
}

/// The log with the shortest intervals that fit.
fn coarse(view: &View<'_>, log: &[u8], room: &mut usize) -> Option<Download> {
    let beyond = view.result.latency_ns.delivery.beyond_deadline;
    COARSER_S.into_iter().find_map(|seconds| {
        let coarse = coarser(log, seconds * 1_000_000_000, beyond)?;
        let name = format!("run-{seconds}s.hlog");
        let download = offered(&name, &coarse, room);
        download
            .data
            .is_some()
            .then_some(Download { meaning: "HDR interval log with longer intervals", ..download })
    })
}

fn meaning(name: &str) -> &'static str {
    match name {
        "run.json" | "capacity.json" => "everything that this page says, with a schema",
        "steps.csv" => "a row per step",
        "run.hlog" => "HDR interval log, second by second",
        "run.hgrm" => "percentile distribution of delivery",
        "posts.csv" => "a row per post",
        _ => "a row per delivery that was late or missing",
    }
}

/// The same bytes for the same file: without a name or a time.
fn compressed(content: &[u8]) -> Vec<u8> {
    let mut writer = GzBuilder::new().write(Vec::new(), Compression::best());
    writer.write_all(content).and_then(|()| writer.finish()).expect("memory takes whatever is written to it")
}
