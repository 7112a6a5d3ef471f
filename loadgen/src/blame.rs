//! Whom the error of a run is to be blamed on, and how `feedmark run` tells the session that started it.
//!
//! An exit code says only that nothing was measured, and the log is for people. So a session gives its run the name of a file
//! (the hidden `--blame-file`) in which it leaves a word. A run that was killed, panicked or could not write leaves none:
//! that is blamed on the generator, because it says nothing of the target.

use std::path::Path;

/// Who is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The target does not take the load, or any.
    Target,
    /// The generator or its host: nothing is known of the target.
    Generator,
    /// The folder cannot be written: no other load would help.
    Folder,
}

impl Blame {
    const ALL: [Self; 3] = [Self::Target, Self::Generator, Self::Folder];

    const fn word(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Generator => "generator",
            Self::Folder => "folder",
        }
    }

    /// Leaves the word in `file`, if somebody asked for it.
    pub fn leave_in(self, file: Option<&Path>) {
        if let Some(file) = file {
            // Who reads no word blames the generator.
            let _ = std::fs::write(file, self.word());
        }
    }

    /// The word in `file`, which is taken away.
    pub(crate) fn take_from(file: &Path) -> Self {
        let word = std::fs::read_to_string(file).unwrap_or_default();
        let _ = std::fs::remove_file(file);
        Self::ALL.into_iter().find(|blame| blame.word() == word).unwrap_or(Self::Generator)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;
    use crate::folder::FolderError;
    use crate::run::RunError;
    use crate::target::TargetError;

    #[test]
    fn what_this_host_lacks_is_not_the_targets_fault() {
        let text = String::new;
        let nobody = |is_shortage| RunError::NobodyConnected { target: text(), failure: text(), is_shortage };
        let refused = |is_shortage| RunError::ProbeRefused {
            target: text(),
            path: text(),
            failure: text(),
            is_shortage,
        };
        let unreachable =
            |kind: ErrorKind| TargetError::Unreachable { url: text(), error: Error::from(kind) }.into();
        for (error, blame) in [
            (nobody(false), Blame::Target),
            (nobody(true), Blame::Generator),
            (refused(false), Blame::Target),
            (refused(true), Blame::Generator),
            (unreachable(ErrorKind::ConnectionRefused), Blame::Target),
            (unreachable(ErrorKind::NetworkUnreachable), Blame::Generator),
            (Error::from(ErrorKind::OutOfMemory).into(), Blame::Generator),
            (FolderError::NotEmpty("out".into()).into(), Blame::Folder),
        ] {
            assert_eq!(RunError::blame(&error), blame, "{error}");
        }
    }

    #[test]
    fn without_a_word_it_is_the_generator() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run.blame");
        for blame in Blame::ALL {
            blame.leave_in(Some(&file));
            assert_eq!(Blame::take_from(&file), blame);
            assert_eq!(Blame::take_from(&file), Blame::Generator);
        }
        std::fs::write(&file, "targe").unwrap();
        assert_eq!(Blame::take_from(&file), Blame::Generator);
    }
}
