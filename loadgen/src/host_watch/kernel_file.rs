//! A small file of the kernel, kept open and read again from its start.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// What is read of a file; the rest is cut off. The greatest of them that is needed whole has 500 bytes.
pub(crate) const BYTES_MAX: usize = 4096;

/// An open kernel file.
#[derive(Debug)]
pub(crate) struct KernelFile {
    file: File,
}

impl KernelFile {
    /// `None` if this kernel does not have it.
    pub(crate) fn open(path: impl AsRef<Path>) -> Option<Self> {
        Some(Self { file: File::open(path).ok()? })
    }

    /// What `parse` makes of the content now.
    pub(crate) fn read<T>(&self, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let mut buffer = [0; BYTES_MAX];
        let length = self.file.read_at(&mut buffer, 0).ok()?;
        parse(std::str::from_utf8(&buffer[..length]).ok()?)
    }
}
