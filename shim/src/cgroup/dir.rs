// SPDX-License-Identifier: Apache-2.0
//! An open directory of a cgroup hierarchy. Everything in it is reached through its handle.
//!
//! A cgroup's path goes through a mount table. If something is mounted over it, it leads elsewhere: to a host file
//! behind a link, or to a FIFO that blocks forever. So a path is walked once, from the mount point down, and no walk
//! follows a link or crosses into another mount (`EXDEV`): every name found here was made by the kernel.

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, fstatfs, mkdirat, open, openat, openat2, unlinkat};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The file system types that `fstatfs` reports for cgroup v1 and cgroup2.
const MAGIC: [i64; 2] = [0x27_e0eb, 0x6367_7270];
/// Maximum number of mounts that are removed from one place.
const COVERS: usize = 64;
/// Length in bytes beyond which a path no longer grows: messages go no deeper, however deep a container nests.
const LONGEST: usize = 4096;
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A cgroup's directory in one hierarchy.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    /// For messages; its last component also names the directory for removal.
    path: PathBuf,
}

impl Dir {
    /// Opens a hierarchy at its mount point.
    ///
    /// # Errors
    /// `EXDEV` when another file system is there: mounted over it, or exposed because it was unmounted.
    pub fn root(mount_point: &Path) -> io::Result<Self> {
        let fd = open(mount_point, DIRECTORY, Mode::empty())?;
        if !MAGIC.contains(&(fstatfs(&fd)?.f_type as i64)) {
            return Err(Errno::XDEV.into());
        }
        Ok(Self { fd, path: mount_point.to_owned() })
    }

    /// Opens a directory below, at a relative path.
    ///
    /// # Errors
    /// The kernel's error; `EXDEV` for a mount on the way, `ELOOP` for a link.
    pub fn walk(&self, path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        if path.as_os_str().is_empty() {
            return self.walk(".");
        }
        let fd = self.open(path, DIRECTORY)?;
        let stays = path == Path::new(".") || self.path.as_os_str().len() > LONGEST;
        Ok(Self { fd, path: if stays { self.path.clone() } else { self.path.join(path) } })
    }

    /// Opens the parent directory.
    ///
    /// # Errors
    /// The kernel's error; `NotFound` when this directory was removed.
    pub fn parent(&self) -> io::Result<Self> {
        // Not BENEATH, because the parent is above.
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let fd = openat2(&self.fd, "..", DIRECTORY, Mode::empty(), resolve)?;
        Ok(Self { fd, path: self.path.parent().unwrap_or(&self.path).to_owned() })
    }

    /// The path where it was found.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The last component of that path.
    pub fn name(&self) -> &OsStr {
        self.path.file_name().unwrap_or_default()
    }

    /// A file's path, for messages.
    pub fn show(&self, file: &str) -> String {
        self.path.join(file).display().to_string()
    }

    /// Opens something below. Never blocks, whatever it turns out to be.
    ///
    /// # Errors
    /// The kernel's error; `EXDEV` when something is mounted over it.
    pub fn open(&self, path: impl AsRef<Path>, flags: OFlags) -> io::Result<OwnedFd> {
        // An O_PATH handle never blocks, and the kernel refuses the flag for it.
        let nonblock = if flags.contains(OFlags::PATH) { OFlags::empty() } else { OFlags::NONBLOCK };
        let flags = flags | OFlags::CLOEXEC | nonblock;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        Ok(openat2(&self.fd, path.as_ref(), flags, Mode::empty(), resolve)?)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// As [`Self::open`]; `InvalidData` when it is not UTF-8.
    pub fn read(&self, file: &str) -> io::Result<String> {
        let mut text = String::new();
        File::from(self.open(file, OFlags::RDONLY)?).read_to_string(&mut text)?;
        Ok(text)
    }

    /// Writes a value with one write(2); an empty one as a lone newline.
    ///
    /// # Errors
    /// `NotFound` for a file that this kernel does not provide.
    pub fn write(&self, file: &str, value: &str) -> io::Result<()> {
        let value = if value.is_empty() { "\n" } else { value };
        File::from(self.open(file, OFlags::WRONLY)?).write_all(value.as_bytes())
    }

    /// Creates a child group; `false` when it exists.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn make(&self, name: &OsStr) -> io::Result<bool> {
        match mkdirat(&self.fd, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Removes an empty child group.
    ///
    /// # Errors
    /// The kernel's error; `EBUSY` when it holds processes or groups.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.fd, name, AtFlags::REMOVEDIR)?)
    }

    /// The names of the direct child groups.
    pub fn names(&self) -> Vec<OsString> {
        let Ok(entries) = rustix::fs::Dir::read_from(&self.fd) else { return Vec::new() };
        let entries = entries.flatten().filter(|entry| entry.file_type() == FileType::Directory);
        let names = entries.map(|entry| OsStr::from_bytes(entry.file_name().to_bytes()).to_owned());
        names.filter(|name| name != "." && name != "..").collect()
    }

    /// Calls `see` for this group and each one below it, however deep: a container may have made them.
    pub fn each(&self, mut see: impl FnMut(&Self)) {
        let Ok(mut here) = self.walk(".") else { return };
        see(&here);
        let mut left = vec![here.names()];
        while let Some(names) = left.last_mut() {
            if let Some(name) = names.pop() {
                let Ok(below) = here.walk(&name) else { continue };
                see(&below);
                left.push(below.names());
                here = below;
            } else {
                left.pop();
                if !left.is_empty() {
                    let Ok(above) = here.parent() else { return };
                    here = above;
                }
            }
        }
    }

    /// Unmounts everything that is mounted over `name`, in this process's mount namespace. For the removal of a group,
    /// which takes any mounts on it along.
    ///
    /// # Errors
    /// The kernel's error; `EXDEV` when it is mounted over too often.
    pub fn uncover(&self, name: impl AsRef<Path>) -> io::Result<()> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for _ in 0..COVERS {
            match self.open(&name, OFlags::PATH) {
                Err(e) if e.raw_os_error() == Some(libc::EXDEV) => {}
                other => return other.map(drop),
            }
            let cover = openat(&self.fd, name.as_ref(), flags, Mode::empty())?;
            // By descriptor number, because the name would be looked up again.
            unmount(format!("/proc/self/fd/{}", cover.as_raw_fd()), UnmountFlags::DETACH)?;
        }
        Err(Errno::XDEV.into())
    }

    /// Runs `work`; if `name` is mounted over, uncovers it and runs `work` again.
    ///
    /// # Errors
    /// That of `work`, or of [`Self::uncover`].
    pub fn uncovered<T>(&self, name: impl AsRef<Path>, work: impl Fn() -> io::Result<T>) -> io::Result<T> {
        match work() {
            Err(e) if e.raw_os_error() == Some(libc::EXDEV) => self.uncover(name).and_then(|()| work()),
            other => other,
        }
    }

    /// A directory that is not in a cgroup hierarchy.
    #[cfg(test)]
    pub fn of_test(path: &Path) -> Self {
        Self { fd: open(path, DIRECTORY, Mode::empty()).expect("a directory"), path: path.to_owned() }
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Dir> for OwnedFd {
    fn from(dir: Dir) -> Self {
        dir.fd
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_file_that_is_missing_is_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let group = Dir::of_test(dir.path());
        assert_eq!(group.write("memory.max", "1").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(!dir.path().join("memory.max").exists());
        fs::write(dir.path().join("memory.max"), "").unwrap();
        group.write("memory.max", "").unwrap();
        assert_eq!(group.read("memory.max").unwrap(), "\n");
    }

    #[test]
    fn what_is_no_cgroup_file_system_is_no_hierarchy() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Dir::root(dir.path()).unwrap_err().raw_os_error(), Some(libc::EXDEV));
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let hierarchy = mounts.find(|mount| mount[2].starts_with("cgroup")).expect("there are cgroups");
        Dir::root(Path::new(hierarchy[1])).unwrap();
    }

    #[test]
    fn links_lead_nowhere_and_a_fifo_does_not_hang() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("outside"), "old").unwrap();
        let group = dir.path().join("group");
        fs::create_dir(&group).unwrap();
        symlink("../outside", group.join("link")).unwrap();
        symlink("/etc", group.join("etc")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, group.join("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        let group = Dir::of_test(&group);
        assert_eq!(group.write("link", "new").unwrap_err().raw_os_error(), Some(libc::ELOOP));
        assert!(group.write("fifo", "x").is_err() && group.read("fifo").unwrap().is_empty());
        assert!(group.walk("etc").is_err() && group.read("../outside").is_err());
        assert_eq!(fs::read_to_string(dir.path().join("outside")).unwrap(), "old");
    }

    #[test]
    fn every_group_below_is_seen_once_however_deep_it_is() {
        let dir = tempfile::tempdir().unwrap();
        for group in ["a/b/c", "a/d", "e"] {
            fs::create_dir_all(dir.path().join(group)).unwrap();
        }
        let top = Dir::of_test(dir.path());
        let mut at = top.walk("e").unwrap();
        for _ in 0..2000 {
            at.make(OsStr::new("n")).unwrap();
            at = at.walk("n").unwrap();
        }
        let mut seen = 0;
        top.each(|_| seen += 1);
        assert_eq!(seen, 6 + 2000);
    }
}
