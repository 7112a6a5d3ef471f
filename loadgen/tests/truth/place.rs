//! Where a run takes place, left behind when a test fails.

use std::ops::Deref;

use crate::bed::tell;
use crate::support::Bed;

/// A bed that is gone with its value, unless the test fails while it lives: then it stays, for whoever looks into it.
pub(crate) struct Place {
    bed: Bed,
    is_evidence: bool,
}

impl Place {
    /// `is_evidence` is false where a test is to fail.
    pub(crate) fn new(is_evidence: bool) -> Self {
        Self { bed: Bed::new(), is_evidence }
    }
}

impl Deref for Place {
    type Target = Bed;

    fn deref(&self) -> &Bed {
        &self.bed
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_evidence || !std::thread::panicking() {
            return;
        }
        // Under another name the folder is no longer the bed's to remove.
        let folder = self.bed.path();
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let kept = folder.with_file_name(format!("feedmark-truth-{}", name.trim_start_matches('.')));
        match std::fs::rename(folder, &kept) {
            Ok(()) => tell("the run folder is kept", &kept.display()),
            Err(error) => tell("the run folder is lost", &format!("{}: {error}", kept.display())),
        }
    }
}
