// SPDX-License-Identifier: Apache-2.0
//! A file system that stops answering, like a network file system whose server is gone. A process that touches it then
//! waits in the kernel where no signal reaches it, not even SIGKILL, until the server is back.
//!
//! One directory of files whose contents are thrown away, served by a thread of the test through /dev/fuse.

use anyhow::{Context, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::poll::{PollFd, PollFlags, poll};
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

// linux/fuse.h
const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const SETATTR: u32 = 4;
const OPEN: u32 = 14;
const READ: u32 = 15;
const WRITE: u32 = 16;
const RELEASE: u32 = 18;
const FLUSH: u32 = 25;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const RELEASEDIR: u32 = 29;
const CREATE: u32 = 35;
const INTERRUPT: u32 = 36;
const BATCH_FORGET: u32 = 42;
/// Bytes of the header of a request.
const HEADER: usize = 40;
/// No page cache: each read and write is a request.
const DIRECT_IO: u32 = 1;
/// Largest request: a write of 128 KiB and what stands before it.
const REQUEST: usize = (128 << 10) + 4096;
const ROOT: u64 = 1;

/// The mounted file system; dropping it fails all requests that still wait, and unmounts it.
#[derive(Debug)]
pub struct HungDisk {
    place: PathBuf,
    control: Arc<Control>,
    server: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Control {
    hangs: AtomicBool,
    ends: AtomicBool,
    waiting: AtomicUsize,
}

impl HungDisk {
    /// Mounts one that still answers.
    ///
    /// # Errors
    /// When the kernel has no FUSE.
    pub fn mount() -> Result<HungDisk> {
        crate::place::assert_own_namespaces();
        let device = File::options().read(true).write(true).open("/dev/fuse").context("open /dev/fuse")?;
        let place = tempfile::Builder::new().prefix("gorae-hung-").tempdir()?.keep();
        let options = format!("fd={},rootmode=40755,user_id=0,group_id=0,allow_other", device.as_raw_fd());
        mount(Some("hung"), &place, Some("fuse"), MsFlags::empty(), Some(options.as_str())).context("mount fuse")?;
        let control = Arc::new(Control::default());
        let server = Server { device, control: control.clone(), files: HashMap::new(), held: Vec::new() };
        let disk = HungDisk { place, control, server: Some(std::thread::spawn(move || server.serve())) };
        // Returns once the kernel's first request has been answered: it must not count as a request that waits.
        std::fs::metadata(&disk.place).context("look at the mounted file system")?;
        Ok(disk)
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.place
    }

    /// Mounts it over another place as well, until the returned value is dropped.
    ///
    /// # Errors
    /// The kernel's for the mount.
    pub fn over(&self, place: &Path) -> Result<Cover> {
        let flags = MsFlags::MS_BIND;
        mount(Some(&self.place), place, None::<&str>, flags, None::<&str>)
            .with_context(|| format!("bind the hung disk over {}", place.display()))?;
        Ok(Cover(place.to_owned()))
    }

    /// From now on no request is answered.
    pub fn hang(&self) {
        self.control.hangs.store(true, Ordering::SeqCst);
    }

    /// The server is back: everything is answered, including the requests that waited.
    pub fn come_back(&self) {
        self.control.hangs.store(false, Ordering::SeqCst);
    }

    /// How many requests wait for an answer that does not come.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.control.waiting.load(Ordering::SeqCst)
    }
}

/// A place that shows a [`HungDisk`].
#[derive(Debug)]
pub struct Cover(PathBuf);

impl Drop for Cover {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

impl Drop for HungDisk {
    fn drop(&mut self) {
        self.control.ends.store(true, Ordering::SeqCst);
        // Its end closes the device, and that fails every request.
        let _ = self.server.take().map(JoinHandle::join);
        let _ = umount2(&self.place, MntFlags::MNT_DETACH);
        let _ = std::fs::remove_dir(&self.place);
    }
}

struct Server {
    device: File,
    control: Arc<Control>,
    /// Numbers of the files by name; the root is [`ROOT`].
    files: HashMap<Vec<u8>, u64>,
    held: Vec<Vec<u8>>,
}

impl Server {
    fn serve(mut self) {
        let mut buffer = vec![0; REQUEST];
        while !self.control.ends.load(Ordering::SeqCst) {
            let readable = poll(&mut [PollFd::new(self.device.as_fd(), PollFlags::POLLIN)], 10u8);
            if readable.is_ok_and(|n| n > 0) {
                // ENODEV: it was unmounted under us.
                let Ok(length) = self.device.read(&mut buffer) else { return };
                self.held.push(buffer[..length].to_vec());
            }
            if !self.control.hangs.load(Ordering::SeqCst) {
                for request in std::mem::take(&mut self.held) {
                    self.answer(&request);
                }
            }
            self.control.waiting.store(self.held.len(), Ordering::SeqCst);
        }
    }

    fn answer(&mut self, request: &[u8]) {
        let (operation, unique, node) = (u32_at(request, 4), u64_at(request, 8), u64_at(request, 16));
        let body = match operation {
            FORGET | BATCH_FORGET | INTERRUPT => return,
            INIT => Ok(init()),
            LOOKUP => match self.files.get(name(&request[HEADER..])) {
                Some(&file) => Ok(entry(file)),
                None => Err(libc::ENOENT),
            },
            GETATTR | SETATTR => Ok([vec![0; 16], attributes(node)].concat()),
            CREATE => {
                let next = ROOT + 1 + self.files.len() as u64;
                let file = *self.files.entry(name(&request[HEADER + 16..]).to_vec()).or_insert(next);
                Ok([entry(file), opened()].concat())
            }
            OPEN | OPENDIR => Ok(opened()),
            READ | RELEASE | RELEASEDIR | FLUSH => Ok(Vec::new()),
            WRITE => Ok([&request[HEADER + 16..HEADER + 20], &[0; 4]].concat()),
            _ => Err(libc::ENOSYS),
        };
        let (error, body) = body.map_or_else(|errno| (-errno, Vec::new()), |body| (0, body));
        let length = 16 + body.len() as u32;
        let head = [&length.to_ne_bytes()[..], &error.to_ne_bytes(), &unique.to_ne_bytes(), &body].concat();
        // ENOENT: the process that asked has been killed.
        let _ = self.device.write(&head);
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// The name at the start of a request's body.
fn name(bytes: &[u8]) -> &[u8] {
    bytes.split(|&b| b == 0).next().unwrap_or_default()
}

/// `struct fuse_init_out` of protocol 7.31.
fn init() -> Vec<u8> {
    let words = [7u32, 31, 0, 0, 0, 128 << 10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// `struct fuse_entry_out`: nothing of it may be kept by the kernel.
fn entry(file: u64) -> Vec<u8> {
    [&file.to_ne_bytes()[..], &[0; 32], &attributes(file)].concat()
}

/// `struct fuse_attr`: a directory for the root, an empty file for everything else.
fn attributes(node: u64) -> Vec<u8> {
    let mode = if node == ROOT { libc::S_IFDIR | 0o755 } else { libc::S_IFREG | 0o644 };
    let words = [mode, 1u32, 0, 0, 0, 4096, 0];
    let tail = words.iter().flat_map(|word| word.to_ne_bytes());
    node.to_ne_bytes().into_iter().chain([0; 52]).chain(tail).collect()
}

/// `struct fuse_open_out`.
fn opened() -> Vec<u8> {
    [&[0; 8][..], &DIRECT_IO.to_ne_bytes(), &[0; 4]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn it_answers_until_it_hangs_and_again_when_it_is_back() {
        let disk = HungDisk::mount().unwrap();
        let file = disk.path().join("a");
        std::fs::write(&file, "x").unwrap();
        assert!(file.exists() && !disk.path().join("b").exists());
        disk.hang();
        let (begun, there) = (Instant::now(), file.clone());
        let writer = std::thread::spawn(move || std::fs::write(there, "y"));
        while disk.waiting() == 0 {
            assert!(begun.elapsed() < Duration::from_secs(5), "no request waits");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(!writer.is_finished());
        disk.come_back();
        writer.join().unwrap().unwrap();
    }
}
