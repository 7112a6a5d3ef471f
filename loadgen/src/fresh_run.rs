//! A run against a server that was started for it: half a pair of a gate, or a step of a capacity session.
//!
//! Invariant: a run is complete once its `run.json` is there. Must not know: what the run is for.

mod child;
mod cpus;
mod server;

use std::path::{Path, PathBuf};

use feedmark_reports::gate::is_url;
use feedmark_reports::run_set::RUN_FILE;
use feedmark_reports::{RunResult, files};

use crate::blame::Blame;
use crate::live::Live;
use crate::settings::Settings;
use server::Server;
pub use server::ServerError;

/// A run, and where it goes.
pub(crate) struct FreshRun<'a> {
    /// What errors call it.
    pub(crate) name: String,
    /// Command with `{port}`, or URL of a server that runs.
    pub(crate) target: &'a str,
    /// CPUs that a command's processes are held to; the run has the others, where there are any.
    pub(crate) cores: Option<u32>,
    /// What is measured, without a target and a seed.
    pub(crate) settings: &'a Settings,
    /// Of the schedule and of every random choice.
    pub(crate) seed: u64,
    /// Where the run looks for the floor of this host.
    pub(crate) store: Option<&'a Path>,
    /// Holds the run's folder, and the logs beside it.
    pub(crate) folder: &'a Path,
    /// The run's folder, and how its logs begin.
    pub(crate) label: &'a str,
}

/// Why there is no run.
#[derive(Debug, thiserror::Error)]
pub enum FreshRunError {
    /// A server did not come up.
    #[error("{of}: {error}")]
    Server {
        /// Which run.
        of: String,
        /// What happened.
        error: ServerError,
    },
    /// The run could not be carried out.
    #[error("{of}: the run could not be carried out: {said}")]
    Run {
        /// Which run.
        of: String,
        /// The end of what it said, and where the rest is.
        said: String,
        /// Whose fault it is.
        blame: Blame,
    },
    /// Its result cannot be read.
    #[error(transparent)]
    File(#[from] files::FileError),
}

impl FreshRun<'_> {
    /// The run's folder.
    pub(crate) fn out(&self) -> PathBuf {
        self.folder.join(self.label)
    }

    /// Starts the server, if it is ours to start, runs against it, and stops it. `look` is called some times a second.
    /// Somebody who stops us ends both at once.
    ///
    /// # Errors
    /// When there is no result.
    pub(crate) fn measure(
        &self,
        live: &mut Live,
        look: impl FnMut(&mut Live),
    ) -> Result<RunResult, FreshRunError> {
        let of_server = |error| FreshRunError::Server { of: self.name.clone(), error };
        let mut server = match is_url(self.target) {
            true => None,
            false => Some(Server::start(self, live.clock()).map_err(of_server)?),
        };
        let target = match &server {
            Some(server) => child::Target { url: server.url(), pid: server.listener() },
            None => child::Target { url: self.target.to_owned(), pid: None },
        };
        // What an earlier attempt left: it was stopped, or could not be carried out.
        let _ = std::fs::remove_dir_all(self.out());
        child::run(self, &target, live, look).map_err(|(blame, said)| FreshRunError::Run {
            of: self.name.clone(),
            said,
            blame,
        })?;
        let file = self.out().join(RUN_FILE);
        let mut run = files::read(&file)?;
        if let Some(how) = server.as_mut().and_then(Server::ended_early) {
            // The run did not start it, and knows only that nobody is there any more.
            live.note(&format!("{}: {how}", self.name));
            run.target_ended = Some(how);
            run.judge();
            files::write_atomically(&file, &run)?;
        }
        Ok(run)
    }
}

/// The complete run in a folder, if there is one.
pub(crate) fn found(folder: &Path) -> Result<Option<RunResult>, files::FileError> {
    let file = folder.join(RUN_FILE);
    if !file.exists() {
        return Ok(None);
    }
    Ok(Some(files::read(&file)?).filter(|run: &RunResult| !run.interrupted))
}
