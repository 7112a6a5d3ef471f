//! What GitHub Actions reads of a step: the summary of the job, and annotations.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

use feedmark_reports::export::{Outcome, github, markdown};

/// Longest summary of a step; GitHub refuses a longer one as a whole.
const SUMMARY_BYTES_MAX: u64 = 1 << 20;

/// Tells GitHub Actions, if that is what runs this. Annotations go to stderr, which it reads, too: stdout is the result.
///
/// # Errors
/// If the summary cannot be written.
pub(super) fn tell(outcome: &Outcome) -> Result<(), String> {
    if std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true") {
        // A stderr that is closed cannot be told.
        let _ = io::stderr().write_all(github::annotations(outcome).as_bytes());
    }
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let path = Path::new(&path);
    append(path, outcome, SUMMARY_BYTES_MAX)
        .map_err(|error| format!("cannot add to the job's summary {}: {error}", path.display()))
}

/// Adds the outcome to what earlier commands of the step have written: as much of it as there is room for.
fn append(path: &Path, outcome: &Outcome, bytes_max: u64) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    let room = bytes_max.saturating_sub(file.metadata()?.len());
    let cut = format!(
        "{}\nThe figures are left out: a summary has 1 MiB, and this one is full.\n",
        markdown::short(outcome)
    );
    let text = [markdown::render(outcome), cut].into_iter().find(|text| text.len() as u64 <= room);
    let text =
        text.ok_or_else(|| io::Error::other("it has 1 MiB already, which is all that GitHub takes"))?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use feedmark_reports::export::Kind;
    use feedmark_reports::{Status, Verdict};

    use super::*;

    #[test]
    fn a_summary_is_cut_where_it_ends() {
        let outcome = Outcome {
            kind: Kind::Run,
            verdict: Verdict { status: Status::Pass, reasons: Vec::new() },
            cases: Vec::new(),
            figures: Vec::new(),
            carried: Vec::new(),
            facts: Vec::new(),
            duration_ns: None,
            summary: format!("PASS  all is well\n\n{}\n", "figures ".repeat(100)),
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary");
        let read = || std::fs::read_to_string(&path).unwrap();
        append(&path, &outcome, SUMMARY_BYTES_MAX).unwrap();
        let whole = read();
        assert!(whole.contains("figures figures") && whole.ends_with("</details>\n"), "{whole}");
        let room_for_half = (whole.len() + whole.len() / 2) as u64;
        append(&path, &outcome, room_for_half).unwrap();
        let added = read()[whole.len()..].to_owned();
        assert!(added.contains("PASS  all is well") && added.contains("The figures are left out"), "{added}");
        assert!(!added.contains("figures figures"), "{added}");
        let full = append(&path, &outcome, whole.len() as u64).unwrap_err();
        assert!(full.to_string().contains("has 1 MiB already"), "{full}");
        assert_eq!(read().len(), whole.len() + added.len());
    }
}
