// SPDX-License-Identifier: Apache-2.0
//! A log file as one stream of whole lines, across rotation.
//!
//! Rotation renames the log, and a new file takes its name. The writer may still append to the old file after the new one
//! has appeared, but never after the first byte of the new one. So the reader moves on only when the new file is not
//! empty. A file that has become shorter was truncated in place, and is read again from its start.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Bytes read at a time.
const BLOCK: usize = 64 << 10;

/// The longest line: the daemon's records are far shorter, and a file that is not a log must not fill the memory.
const MAX_LINE: usize = 16 << 20;

/// An open log and the position in it.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    file: File,
    /// The beginning of a line whose end is not written yet.
    rest: Vec<u8>,
}

impl Source {
    /// Opens a log for reading from `offset`.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path, offset: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self { path: path.to_owned(), file, rest: Vec::new() })
    }

    /// Passes every line that is complete by now to `each`, without its line end.
    ///
    /// # Errors
    /// When the log cannot be read, a line is longer than 16 MiB, or `each` fails.
    pub fn drain(&mut self, each: &mut impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        loop {
            self.restart_if_cut()?;
            self.read_to_end(each)?;
            match self.successor()? {
                Some(next) => {
                    // The writer may have added something between that read and the check for the new file.
                    self.read_to_end(each)?;
                    self.file = next;
                    self.rest.clear();
                }
                None => return Ok(()),
            }
        }
    }

    fn read_to_end(&mut self, each: &mut impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut block = vec![0; BLOCK];
        loop {
            let n = match self.file.read(&mut block) {
                Ok(0) => return Ok(()),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.split(&block[..n], each)?;
        }
    }

    fn split(&mut self, mut bytes: &[u8], each: &mut impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        while let Some(end) = bytes.iter().position(|&b| b == b'\n') {
            if self.rest.is_empty() {
                each(&bytes[..end])?;
            } else {
                self.rest.extend_from_slice(&bytes[..end]);
                each(&self.rest)?;
                self.rest.clear();
            }
            bytes = &bytes[end + 1..];
        }
        if self.rest.len() + bytes.len() > MAX_LINE {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a line is longer than {MAX_LINE} bytes, so this is not a log"),
            ));
        }
        self.rest.extend_from_slice(bytes);
        Ok(())
    }

    fn restart_if_cut(&mut self) -> io::Result<()> {
        if self.file.metadata()?.len() < self.file.stream_position()? {
            self.file.rewind()?;
            self.rest.clear();
        }
        Ok(())
    }

    /// The file that has the name now, if it is a different one and not empty.
    fn successor(&self) -> io::Result<Option<File>> {
        let next = match File::open(&self.path) {
            Ok(next) => next,
            // Between the rename and the new file, no file has this name.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let (now, then) = (next.metadata()?, self.file.metadata()?);
        let other = (now.dev(), now.ino()) != (then.dev(), then.ino());
        Ok((other && now.len() > 0).then_some(next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    fn lines(source: &mut Source) -> Vec<String> {
        let mut found = Vec::new();
        source
            .drain(&mut |line| {
                found.push(String::from_utf8_lossy(line).into_owned());
                Ok(())
            })
            .expect("drains");
        found
    }

    fn add(path: &Path, text: &str) {
        let mut file = File::options().append(true).create(true).open(path).expect("opens");
        file.write_all(text.as_bytes()).expect("writes");
    }

    #[test]
    fn a_line_is_passed_once_and_only_when_it_is_whole() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("log");
        add(&path, "one\ntw");
        let mut source = Source::open(&path, 0).expect("opens");
        assert_eq!(lines(&mut source), ["one"]);
        assert!(lines(&mut source).is_empty());
        add(&path, "o\nthree\n");
        assert_eq!(lines(&mut source), ["two", "three"]);
    }

    #[test]
    fn rotation_loses_nothing_even_while_the_old_file_grows() {
        let dir = tempfile::tempdir().expect("dir");
        let (path, old) = (dir.path().join("log"), dir.path().join("log.1"));
        add(&path, "one\n");
        let mut source = Source::open(&path, 0).expect("opens");
        assert_eq!(lines(&mut source), ["one"]);
        fs::rename(&path, &old).expect("renames");
        assert!(lines(&mut source).is_empty());
        File::create(&path).expect("new file");
        add(&old, "two\n");
        assert_eq!(lines(&mut source), ["two"]);
        add(&old, "three\n");
        add(&path, "four\n");
        assert_eq!(lines(&mut source), ["three", "four"]);
    }

    #[test]
    fn a_file_truncated_in_place_is_read_from_its_start() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("log");
        add(&path, "one\ntwo\n");
        let mut source = Source::open(&path, 0).expect("opens");
        assert_eq!(lines(&mut source), ["one", "two"]);
        fs::write(&path, "new\n").expect("cuts");
        assert_eq!(lines(&mut source), ["new"]);
    }

    #[test]
    fn long_lines_cross_blocks() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("log");
        let long = "x".repeat(3 * BLOCK + 7);
        add(&path, &format!("{long}\nend\n"));
        assert_eq!(lines(&mut Source::open(&path, 0).expect("opens")), [long, "end".to_owned()]);
    }
}
