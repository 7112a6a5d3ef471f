//! `feedmark target`: the reference server, as the command of its own and as the child of a run.

use std::path::{Path, PathBuf};

use clap::Args;
use target_server::cli::ServerArgs;

use super::{FAILED, fail};

#[derive(Debug, Args)]
pub(super) struct TargetArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Folder of the store, which goes with the server: the run that made it may be gone by then
    #[arg(long, hide = true)]
    scratch: Option<PathBuf>,
}

pub(super) fn target(args: TargetArgs) -> u8 {
    let outcome = args.server.run();
    if let Some(folder) = &args.scratch {
        remove_flat(folder);
    }
    outcome.map_or_else(|error| fail(FAILED, &error), |()| 0)
}

/// Removes the files of a folder and the folder, but no folder inside it: it is made by the run for
/// the store alone. What cannot be removed, or is gone already, is left.
fn remove_flat(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let _ = std::fs::remove_file(entry.path());
    }
    let _ = std::fs::remove_dir(folder);
}
