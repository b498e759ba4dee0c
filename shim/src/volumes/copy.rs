// SPDX-License-Identifier: Apache-2.0
//! Copies a directory of an image, with owners, modes, times, attributes, holes and hard links.
//!
//! Both sides are walked by descriptors, one name at a time, and no link is followed. The image is untrusted: the depth of
//! directories and the number of remembered hard links are bounded, and a file takes only as much space as its data.

use super::attributes::Copier;
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, SeekFrom, Stat, fstat, ftruncate, linkat, mkdirat, mknodat, openat,
    readlinkat, seek, sendfile, statat, symlinkat,
};
use rustix::io::{Errno, Result, retry_on_intr};
use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Deepest level that is entered: each level holds two descriptors.
const DEEPEST: usize = 256;
/// Most hard-linked files whose names are remembered; a link to any further one becomes a separate file.
const MOST_LINKED: usize = 1 << 16;
/// Longest path below the top that is remembered, in bytes: well below the kernel's limit.
const LONGEST: usize = 2048;
/// Most bytes that are copied in one call: signals are handled between two calls.
const PIECE: u64 = 8 << 20;

/// Identifies a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The id of an open file or directory.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn of(fd: impl AsFd) -> Result<Self> {
        Ok(Self::from(&fstat(fd)?))
    }
}

impl From<&Stat> for FileId {
    fn from(stat: &Stat) -> Self {
        Self { device: stat.st_dev, inode: stat.st_ino }
    }
}

/// An error, and the path below the top that it concerns.
pub type Failed = (Vec<u8>, Errno);

/// Copies the contents of the directory `from`, and its own owner, mode and so on, to the empty directory `to`.
/// Directories in `elsewhere` are created, but left empty.
///
/// # Errors
/// The kernel's error, with the path; `ENAMETOOLONG` for directories that are nested too deeply.
pub fn tree(from: &OwnedFd, to: &Path, elsewhere: &HashSet<FileId>) -> std::result::Result<(), Failed> {
    let at_top = |e| (b".".to_vec(), e);
    let top = directory(CWD, to).map_err(at_top)?;
    let mut copy = Copy { top, elsewhere, linked: HashMap::new(), copier: Copier::default() };
    let mut stack = vec![Level::open(from, c".", CWD, to, 0).map_err(at_top)?];
    let mut path = Vec::new();
    while let Some(level) = stack.last_mut() {
        let Some(entry) = level.entries.next() else {
            level.finish(&mut copy.copier).map_err(|e| (path.clone(), e))?;
            path.truncate(level.above);
            stack.pop();
            continue;
        };
        let entry = entry.map_err(|e| (path.clone(), e))?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let above = path.len();
        if above > 0 {
            path.push(b'/');
        }
        path.extend(name.to_bytes());
        let below = copy.entry(level, name, &path, above).map_err(|e| (path.clone(), e))?;
        match below {
            Some(_) if stack.len() >= DEEPEST => return Err((path, Errno::NAMETOOLONG)),
            Some(below) => stack.push(below),
            None => path.truncate(above),
        }
    }
    Ok(())
}

/// A directory that is being copied.
struct Level {
    entries: Dir,
    to: OwnedFd,
    /// The length of the parent's part of the path.
    above: usize,
}

impl Level {
    fn open<P: rustix::path::Arg>(
        from: impl AsFd,
        name: &CStr,
        parent: BorrowedFd<'_>,
        to: P,
        above: usize,
    ) -> Result<Self> {
        Ok(Self { entries: Dir::new(directory(from, name)?)?, to: directory(parent, to)?, above })
    }

    /// Copies the directory's own attributes. Done last: creating entries changes its times, and its mode may forbid it.
    fn finish(&mut self, copier: &mut Copier) -> Result<()> {
        let from = self.entries.fd()?;
        copier.open(from, &self.to, &fstat(from)?)
    }
}

fn directory<P: rustix::path::Arg>(parent: impl AsFd, name: P) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

struct Copy<'a> {
    top: OwnedFd,
    elsewhere: &'a HashSet<FileId>,
    /// The path below the top of each copied file that has several names.
    linked: HashMap<FileId, CString>,
    copier: Copier,
}

/// A name in a directory that is being copied.
struct Entry<'a> {
    from: BorrowedFd<'a>,
    to: BorrowedFd<'a>,
    name: &'a CStr,
    stat: Stat,
}

impl Copy<'_> {
    /// Copies an entry. If it is a directory, returns the level to continue with.
    fn entry(&mut self, level: &Level, name: &CStr, path: &[u8], above: usize) -> Result<Option<Level>> {
        let (from, to) = (level.entries.fd()?, level.to.as_fd());
        let stat = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let entry = Entry { from, to, name, stat };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => return self.directory(&entry, above),
            FileType::RegularFile => self.file(&entry, path)?,
            FileType::Symlink => {
                symlinkat(readlinkat(from, name, Vec::new())?, to, name)?;
                self.copier.named(to, name, &stat)?;
            }
            // A whiteout: overlayfs hides the file of this name in the layers below.
            FileType::CharacterDevice if stat.st_rdev == 0 => {}
            kind => {
                mknodat(to, name, kind, Mode::empty(), stat.st_rdev)?;
                self.copier.named(to, name, &stat)?;
            }
        }
        Ok(None)
    }

    fn directory(&mut self, &Entry { from, to, name, stat }: &Entry<'_>, above: usize) -> Result<Option<Level>> {
        mkdirat(to, name, Mode::RWXU)?;
        let mut level = Level::open(from, name, to, name, above)?;
        if self.elsewhere.contains(&FileId::from(&stat)) {
            return level.finish(&mut self.copier).map(|()| None);
        }
        Ok(Some(level))
    }

    fn file(&mut self, &Entry { from, to, name, stat }: &Entry<'_>, path: &[u8]) -> Result<()> {
        let id = FileId::from(&stat);
        if let Some(first) = self.linked.get(&id) {
            return linkat(&self.top, first, to, name, AtFlags::empty());
        }
        let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let source = openat(from, name, flags | OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY, Mode::empty())?;
        let target = openat(to, name, flags | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL, Mode::RUSR)?;
        data(&source, &target, u64::try_from(stat.st_size).unwrap_or(0))?;
        self.copier.open(source.as_fd(), &target, &stat)?;
        if stat.st_nlink > 1 && self.linked.len() < MOST_LINKED && path.len() <= LONGEST {
            let path = CString::new(path).map_err(|_| Errno::INVAL)?;
            self.linked.insert(id, path);
        }
        Ok(())
    }
}

/// Copies the data of a file and skips its holes.
fn data(from: &OwnedFd, to: &OwnedFd, size: u64) -> Result<()> {
    let mut at = 0;
    while at < size {
        at = match seek(from, SeekFrom::Data(at)) {
            Err(Errno::NXIO) => break, // The rest is a hole.
            other => other?,
        };
        let end = seek(from, SeekFrom::Hole(at))?;
        seek(to, SeekFrom::Start(at))?;
        while at < end {
            let piece = usize::try_from((end - at).min(PIECE)).unwrap_or(usize::MAX);
            if retry_on_intr(|| sendfile(to, from, Some(&mut at), piece))? == 0 {
                return Err(Errno::IO); // The file is shorter than its size.
            }
        }
    }
    ftruncate(to, size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{XattrFlags, makedev};
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

    fn copied(from: &Path, elsewhere: &[&str]) -> (tempfile::TempDir, std::result::Result<(), Failed>) {
        let to = tempfile::tempdir().unwrap();
        let open = |path: &Path| directory(CWD, path).unwrap();
        let elsewhere = elsewhere.iter().map(|name| FileId::of(open(&from.join(name))).unwrap()).collect();
        let done = tree(&open(from), to.path(), &elsewhere);
        (to, done)
    }

    #[test]
    fn a_copy_has_owners_modes_times_attributes_and_links_as_the_image_has_them() {
        let from = tempfile::tempdir().unwrap();
        let at = |name: &str| from.path().join(name);
        fs::create_dir(at("d")).unwrap();
        fs::write(at("d/file"), "content").unwrap();
        chown(at("d/file"), Some(70_000), Some(7)).unwrap();
        fs::set_permissions(at("d/file"), PermissionsExt::from_mode(0o6751)).unwrap();
        let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for (name, value) in [("user.note", &b"a\0b"[..]), ("security.capability", &capability)] {
            rustix::fs::setxattr(at("d/file"), name, value, XattrFlags::empty()).unwrap();
        }
        rustix::fs::setxattr(at("d"), "trusted.overlay.opaque", b"y", XattrFlags::empty()).unwrap();
        fs::hard_link(at("d/file"), at("again")).unwrap();
        symlink("/etc/passwd", at("link")).unwrap();
        for (name, kind, number) in [
            ("null", FileType::CharacterDevice, makedev(1, 3)),
            ("gone", FileType::CharacterDevice, 0),
            ("pipe", FileType::Fifo, 0),
            ("socket", FileType::Socket, 0),
        ] {
            mknodat(CWD, at(name), kind, Mode::RUSR, number).unwrap();
        }
        fs::set_permissions(at("d"), PermissionsExt::from_mode(0o500)).unwrap();
        let (to, done) = copied(from.path(), &[]);
        assert_eq!(done, Ok(()));
        for name in [".", "d", "d/file", "again", "link", "null", "pipe", "socket"] {
            let of = |top: &Path| {
                let meta = fs::symlink_metadata(top.join(name)).unwrap();
                (meta.mode(), meta.uid(), meta.gid(), meta.rdev(), meta.mtime(), meta.mtime_nsec())
            };
            assert_eq!(of(to.path()), of(from.path()), "{name}");
        }
        let copy = |name: &str| to.path().join(name);
        assert_eq!(fs::metadata(copy("again")).unwrap().ino(), fs::metadata(copy("d/file")).unwrap().ino());
        assert_eq!(fs::read_link(copy("link")).unwrap(), Path::new("/etc/passwd"));
        assert!(fs::symlink_metadata(copy("gone")).is_err(), "a whiteout is not a file");
        let mut value = [0; 64];
        for (name, wanted) in [("user.note", &b"a\0b"[..]), ("security.capability", &capability)] {
            let length = rustix::fs::getxattr(copy("d/file"), name, &mut value[..]).unwrap();
            assert_eq!(&value[..length], wanted, "{name}");
        }
        assert!(rustix::fs::getxattr(copy("d"), "trusted.overlay.opaque", &mut value[..]).is_err());
    }

    #[test]
    fn holes_stay_holes_and_what_is_between_them_is_copied() {
        let from = tempfile::tempdir().unwrap();
        let file = fs::File::create(from.path().join("sparse")).unwrap();
        file.set_len(1 << 40).unwrap();
        for at in [0, 1 << 30, (1 << 40) - 5] {
            std::os::unix::fs::FileExt::write_all_at(&file, b"words", at).unwrap();
        }
        let (to, done) = copied(from.path(), &[]);
        assert_eq!(done, Ok(()));
        let copy = fs::File::open(to.path().join("sparse")).unwrap();
        let meta = copy.metadata().unwrap();
        assert!(meta.len() == 1 << 40 && meta.blocks() < 1000, "{meta:?}");
        let mut words = [0; 5];
        for at in [0, 1 << 30, (1 << 40) - 5] {
            std::os::unix::fs::FileExt::read_exact_at(&copy, &mut words, at).unwrap();
            assert_eq!(&words, b"words", "at {at}");
        }
    }

    #[test]
    fn what_has_a_place_of_its_own_is_made_and_left_empty() {
        let from = tempfile::tempdir().unwrap();
        fs::create_dir_all(from.path().join("a/own/below")).unwrap();
        fs::set_permissions(from.path().join("a/own"), PermissionsExt::from_mode(0o711)).unwrap();
        fs::create_dir(from.path().join("b")).unwrap();
        let (to, done) = copied(from.path(), &["a/own"]);
        assert_eq!(done, Ok(()));
        let own = to.path().join("a/own");
        assert_eq!(fs::metadata(&own).unwrap().mode() & 0o7777, 0o711);
        assert!(fs::read_dir(&own).unwrap().next().is_none() && to.path().join("b").is_dir());
    }

    #[test]
    fn a_tree_that_is_too_deep_is_an_error_with_its_path() {
        let from = tempfile::tempdir().unwrap();
        let mut dir = from.path().to_owned();
        for _ in 0..DEEPEST {
            dir.push("d");
            fs::create_dir(&dir).unwrap();
        }
        let (_to, done) = copied(from.path(), &[]);
        let (path, errno) = done.unwrap_err();
        assert_eq!((path.len(), errno), (2 * DEEPEST - 1, Errno::NAMETOOLONG));
        fs::remove_dir(&dir).unwrap();
        assert_eq!(copied(from.path(), &[]).1, Ok(()));
    }
}
