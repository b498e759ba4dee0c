// SPDX-License-Identifier: Apache-2.0
//! The container's root, and the only way to touch names inside it.
//!
//! The image and the container's volumes control everything below a root. So a name inside is never joined to a host path:
//! the kernel resolves it from a descriptor of the root (`RESOLVE_IN_ROOT`: absolute links and `..` stay inside, magic
//! links are refused), and the result is used through its descriptor.

use crate::failure::{self, Kind, Result};
use crate::sys;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat, openat2, readlinkat};
use rustix::io::Errno;
use std::cell::Cell;
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// Most links that are followed to create a missing mount point: as many as the kernel follows in a path.
const MAX_LINKS: usize = 40;

/// How often a path is resolved again because something in it is being renamed.
const WALKS: usize = 128;

/// The type of a mount point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// A directory, to mount directories on.
    Directory,
    /// A file, to mount anything else on.
    File,
}

/// A directory tree whose names are untrusted.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    shares: Cell<bool>,
}

impl Root {
    /// Wraps a descriptor of the tree's top directory, which may be a detached mount.
    pub fn new(fd: OwnedFd) -> Self {
        Self { fd, shares: Cell::new(false) }
    }

    /// Records that a mount in the tree shares its mounts with the host.
    pub fn set_shares(&self) {
        self.shares.set(true);
    }

    /// Whether something that is mounted in the tree may be mounted on the host as well.
    pub fn shares(&self) -> bool {
        self.shares.get()
    }

    /// Returns the descriptor.
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// Resolves `path` inside the root and opens it.
    ///
    /// # Errors
    /// The kernel's error; `EAGAIN` when names on the way are renamed all the time.
    pub fn open(&self, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let path = if path.iter().all(|&b| b == b'/') { b"." } else { path };
        let mut answer = Err(Errno::AGAIN);
        for _ in 0..WALKS {
            answer = openat2(&self.fd, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve);
            // EAGAIN: something was renamed meanwhile, so the kernel could not prove that the path stays inside.
            if !matches!(answer, Err(Errno::AGAIN | Errno::INTR)) {
                break;
            }
        }
        answer
    }

    /// Resolves `path` to a handle (`O_PATH`).
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn handle(&self, path: &[u8]) -> rustix::io::Result<OwnedFd> {
        self.open(path, OFlags::PATH)
    }

    /// Returns a handle of `path`, which is created with its parents if it is missing. Dangling links are followed: in some
    /// images, `/etc/resolv.conf` points into directories that only exist on a booted system.
    ///
    /// # Errors
    /// The kernel's error, with the path; `ELOOP` for too many dangling links.
    pub fn make(&self, path: &[u8], point: Point) -> Result<OwnedFd> {
        self.make_mode(path, point, Mode::from_raw_mode(0o755))
    }

    fn make_mode(&self, path: &[u8], point: Point, mode: Mode) -> Result<OwnedFd> {
        let fail = |e: Errno| failure::kernel("make mount point", String::from_utf8_lossy(path), e);
        match self.handle(path) {
            Ok(found) => return Ok(found),
            Err(Errno::NOENT) => {}
            Err(e) => return Err(fail(e)),
        }
        let mut left: VecDeque<Vec<u8>> = parts(path);
        let (mut walked, mut links) = (Vec::new(), 0);
        while let Some(part) = left.pop_front() {
            let parent = self.handle(&walked).map_err(fail)?;
            let last = left.is_empty();
            let made = match point {
                Point::File if last => make_file(parent.as_fd(), &part),
                _ => mkdirat(&parent, OsStr::from_bytes(&part), mode),
            };
            let mut here = walked.clone();
            here.push(b'/');
            here.extend(&part);
            match made {
                Ok(()) => walked = here,
                Err(Errno::EXIST) if self.handle(&here).is_ok() => walked = here,
                Err(Errno::EXIST) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(fail(Errno::LOOP));
                    }
                    let target = readlinkat(&parent, OsStr::from_bytes(&part), Vec::new()).map_err(fail)?;
                    if target.as_bytes().starts_with(b"/") {
                        walked = Vec::new();
                    }
                    parts(target.as_bytes()).into_iter().rev().for_each(|p| left.push_front(p));
                }
                Err(e) => return Err(fail(e)),
            }
        }
        self.handle(&walked).map_err(fail)
    }

    /// Reads a regular file of at most `limit` bytes; `None` when it does not exist, or is not a regular file.
    ///
    /// The type is checked by handle before the file is opened: this process may open any device, and merely opening one
    /// can rewind a tape or arm a watchdog.
    ///
    /// # Errors
    /// `InvalidArgument` when it is longer than `limit`; otherwise the kernel's error, with the path.
    pub fn read(&self, path: &[u8], limit: usize) -> Result<Option<Vec<u8>>> {
        let fail = |e: Errno| failure::kernel("read", String::from_utf8_lossy(path), e);
        let handle = match self.handle(path) {
            Ok(handle) => handle,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(e) => return Err(fail(e)),
        };
        // Checked before it is opened: opening a device of the node can have side effects.
        if FileType::from_raw_mode(fstat(&handle).map_err(fail)?.st_mode) != FileType::RegularFile {
            return Ok(None);
        }
        let file = sys::reopen(handle.as_fd(), OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY).map_err(fail)?;
        let mut bytes = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            match rustix::io::read(&file, &mut chunk) {
                Ok(0) => return Ok(Some(bytes)),
                Ok(n) if bytes.len() + n <= limit => bytes.extend_from_slice(&chunk[..n]),
                Ok(_) => return Err(too_long(path, limit)),
                Err(Errno::INTR) => {}
                Err(e) => return Err(fail(e)),
            }
        }
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn too_long(path: &[u8], limit: usize) -> failure::Failure {
    let why = format!("longer than {limit} bytes");
    failure::refused(Kind::InvalidArgument, "read", String::from_utf8_lossy(path), &why)
}

fn parts(path: &[u8]) -> VecDeque<Vec<u8>> {
    path.split(|&b| b == b'/').filter(|p| !p.is_empty() && *p != b".").map(<[u8]>::to_vec).collect()
}

fn make_file(parent: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<()> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
    openat(parent, OsStr::from_bytes(name), flags, Mode::from_raw_mode(0o644)).map(drop)
}

/// A failure with the message that the file system left in its context.
pub fn explain(context: &OwnedFd, step: &'static str, object: &str, errno: Errno) -> failure::Failure {
    let mut failure = failure::kernel(step, object, errno);
    let mut words = [0; 256];
    if let Ok(n) = rustix::io::read(context, &mut words) {
        let text = String::from_utf8_lossy(&words[..n]);
        let text = text.trim_end();
        failure.message.push_str(&format!(" ({})", text.get(2..).unwrap_or(text)));
    }
    failure
}

/// Whether a descriptor refers to a directory.
pub fn is_dir(fd: impl AsFd) -> bool {
    fstat(fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// Whether a descriptor refers to the character device `major:minor`.
pub fn is_char_device(fd: impl AsFd, major: u32, minor: u32) -> bool {
    is_node(fd, FileType::CharacterDevice, (major, minor))
}

/// Whether a descriptor refers to a file of that kind and, for a device, with that number.
pub fn is_node(fd: impl AsFd, kind: FileType, number: (u32, u32)) -> bool {
    let is_device = matches!(kind, FileType::CharacterDevice | FileType::BlockDevice);
    rustix::fs::statat(fd, "", AtFlags::EMPTY_PATH).is_ok_and(|stat| {
        let found = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
        FileType::from_raw_mode(stat.st_mode) == kind && (!is_device || found == number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    fn root(dir: &Path) -> Root {
        Root::new(rustix::fs::open(dir, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap())
    }

    #[test]
    fn links_that_lead_out_of_the_root_end_inside() {
        let dir = tempfile::tempdir().unwrap();
        symlink("/etc", dir.path().join("abs")).unwrap();
        symlink("../../../../../../etc", dir.path().join("rel")).unwrap();
        let root = root(dir.path());
        root.make(b"/abs/made", Point::File).unwrap();
        root.make(b"/rel/made-too", Point::Directory).unwrap();
        assert!(dir.path().join("etc/made").is_file() && dir.path().join("etc/made-too").is_dir());
        assert!(!Path::new("/etc/made").exists() && !Path::new("/etc/made-too").exists());
    }

    #[test]
    fn a_dangling_link_is_followed_and_its_target_made() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("etc")).unwrap();
        symlink("../run/systemd/resolve/stub.conf", dir.path().join("etc/resolv.conf")).unwrap();
        root(dir.path()).make(b"/etc/resolv.conf", Point::File).unwrap();
        assert!(dir.path().join("run/systemd/resolve/stub.conf").is_file());
    }

    #[test]
    fn links_in_a_ring_end_in_an_error() {
        let dir = tempfile::tempdir().unwrap();
        symlink("b", dir.path().join("a")).unwrap();
        symlink("a", dir.path().join("b")).unwrap();
        assert_eq!(root(dir.path()).make(b"/a/x", Point::Directory).unwrap_err().errno, libc::ELOOP);
    }

    #[test]
    fn a_device_with_the_name_of_a_file_is_not_even_opened() {
        use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passwd");
        let null = rustix::fs::makedev(1, 3);
        rustix::fs::mknodat(rustix::fs::CWD, &path, FileType::CharacterDevice, Mode::RWXU, null).unwrap();
        let watch = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        add_watch(&watch, &path, WatchFlags::OPEN).unwrap();
        let mut space = [std::mem::MaybeUninit::uninit(); 512];
        let mut events = Reader::new(&watch, &mut space);
        assert_eq!(root(dir.path()).read(b"/passwd", 100), Ok(None));
        assert_eq!(events.next().unwrap_err(), Errno::AGAIN, "it was opened");
        fs::File::open(&path).unwrap();
        assert!(events.next().is_ok(), "an open would have been seen");
    }

    #[test]
    fn reading_a_fifo_or_a_huge_file_neither_hangs_nor_fills_memory() {
        let dir = tempfile::tempdir().unwrap();
        let path = std::ffi::CString::new(dir.path().join("fifo").as_os_str().as_bytes()).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
        fs::write(dir.path().join("huge"), vec![0; 10_000]).unwrap();
        assert_eq!(root(dir.path()).read(b"/fifo", 100), Ok(None));
        assert_eq!(root(dir.path()).read(b"/none", 100), Ok(None));
        assert_eq!(root(dir.path()).read(b"/huge", 100).unwrap_err().kind(), Kind::InvalidArgument);
    }

    /// Number 254 of the "misc" devices is unused: opening it is an error, but a handle of it is not.
    #[test]
    fn a_device_in_a_files_place_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let (path, number) = (dir.path().join("passwd"), rustix::fs::makedev(10, 254));
        rustix::fs::mknodat(rustix::fs::CWD, &path, FileType::CharacterDevice, Mode::RWXU, number).unwrap();
        assert!(fs::File::open(&path).is_err());
        assert_eq!(root(dir.path()).read(b"/passwd", 100), Ok(None));
    }
}
