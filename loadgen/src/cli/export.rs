//! Where pipelines look: files in the formats of their tools, and what GitHub Actions reads by itself.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use feedmark_reports::export::{Format, Outcome};
use feedmark_reports::files;

use super::{github, warn};

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Write the outcome for another tool, such as junit=junit.xml; repeatable. FORMAT is junit, markdown, openmetrics,
    /// github-action-benchmark or bencher
    #[arg(
        long,
        env = "FEEDMARK_EXPORT",
        value_name = "FORMAT=FILE",
        value_delimiter = ';',
        help_heading = "Output"
    )]
    export: Vec<Export>,
}

#[derive(Debug, Clone)]
struct Export {
    format: Format,
    file: PathBuf,
}

impl FromStr for Export {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (format, file) = text.split_once('=').filter(|(_, file)| !file.is_empty()).ok_or_else(|| {
            format!(
                "`{text}` names no file: write FORMAT=FILE, FORMAT one of {}",
                Format::ALL.map(Format::name).join(", ")
            )
        })?;
        Ok(Self { format: format.parse()?, file: file.into() })
    }
}

impl ExportArgs {
    /// What would go wrong after the run is said before it: each file has a folder, and a file of its own. `out` is made by
    /// the run.
    ///
    /// # Errors
    /// With the first file that cannot be.
    pub(super) fn check(&self, out: Option<&Path>) -> Result<(), String> {
        for (index, Export { file, .. }) in self.export.iter().enumerate() {
            let folder = match file.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                _ => Path::new("."),
            };
            let problem = match () {
                () if file.is_dir() => "is a folder: name a file".to_owned(),
                () if out == Some(folder) || folder.is_dir() => {
                    match self.export.iter().skip(index + 1).any(|other| other.file == *file) {
                        true => "is named twice: give each format a file of its own".to_owned(),
                        false => continue,
                    }
                }
                () => format!("cannot be written: make the folder {} first", folder.display()),
            };
            return Err(format!("--export: {} {problem}", file.display()));
        }
        Ok(())
    }

    /// Writes every file, and tells GitHub Actions.
    ///
    /// # Errors
    /// With all that could not be written; the others are.
    pub(super) fn deliver(&self, outcome: &Outcome) -> Result<(), String> {
        let mut problems = Vec::new();
        for Export { format, file } in &self.export {
            let text = format.render(outcome).map_err(|error| error.to_string());
            let written = text
                .and_then(|text| files::replace(file, text.as_bytes()).map_err(|error| error.to_string()));
            problems.extend(written.err());
        }
        // Nobody asked for it, so it fails nothing.
        if let Err(error) = github::tell(outcome) {
            warn(&error);
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }
}
