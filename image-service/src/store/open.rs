// SPDX-License-Identifier: Apache-2.0
//! Opens a store: creates its directories, takes its lock, clears leftovers of dead pulls, and loads its records.

use crate::store::disk::{Store, Used};
use crate::store::error::Error;
use crate::store::index::Index;
use crate::store::kept::Kept;
use crate::store::staged;
use arc_swap::ArcSwap;
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

impl Store {
    /// Opens the store in `root`, creating it if absent.
    ///
    /// - Shapes: an object whose record is unusable is logged and left out of the index. An image that lost its record or a
    ///   layer is removed with all its names: otherwise it would reappear without them when another image brings the layer.
    ///
    /// # Errors
    /// [`Error::InUse`]; [`Error::File`] if a directory cannot be created or read; [`Error::Foreign`].
    pub fn open(root: PathBuf) -> Result<Self, Error> {
        make_directories(&root)?;
        let lock = lock(&root)?;
        let handle = File::open(&root).map_err(|e| Error::file("open", &root, e))?;
        let store = Self {
            handle,
            index: ArcSwap::from_pointee(Index::default()),
            kept: Mutex::new(Kept::default()),
            used: Used::default(),
            next_temp: AtomicU64::new(0),
            _lock: lock,
            root,
        };
        store.clear_temp()?;
        store.load_layers()?;
        let names = store.read_names()?;
        let index = store.load_images(&names)?;
        store.index.store(Arc::new(store.give_names(index, names)));
        Ok(store)
    }

    /// Clears `temp`. Everything in it is stale at this point.
    fn clear_temp(&self) -> Result<(), Error> {
        let left: Vec<PathBuf> =
            self.names_in("temp")?.into_iter().map(|name| self.root.join("temp").join(name)).collect();
        if left.is_empty() {
            return Ok(());
        }
        // Move it below one name first: numbers start over, and new names must not collide with old ones.
        let trash = self.root.join("temp").join(format!("old-{}-{}", std::process::id(), now_nanos()));
        fs::create_dir(&trash).map_err(|e| Error::file("create", &trash, e))?;
        for path in left {
            let target = trash.join(path.file_name().unwrap_or_default());
            match fs::rename(&path, &target) {
                // A thread of an earlier store is still deleting it.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                moved => moved.map_err(|e| Error::file("move", &path, e))?,
            }
        }
        staged::discard_in_background(trash);
        Ok(())
    }
}

fn make_directories(root: &Path) -> Result<(), Error> {
    // 0700: only root may reach setuid programs in a layer.
    let make = |path: &Path, mode| {
        fs::DirBuilder::new().recursive(true).mode(mode).create(path).map_err(|e| Error::file("create", path, e))
    };
    make(root, 0o700)?;
    for name in ["layers", "images", "names", "temp"] {
        make(&root.join(name), 0o700)?;
    }
    make(&root.join("empty"), 0o755)
}

/// How long a dying process may hold the lock: the kernel closes the files of a killed process one by one.
const DYING: Duration = Duration::from_secs(1);

fn lock(root: &Path) -> Result<File, Error> {
    let path = root.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|e| Error::file("open", &path, e))?;
    let patience = Instant::now() + DYING;
    loop {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(Errno::WOULDBLOCK) if Instant::now() < patience => std::thread::sleep(DYING / 50),
            Err(Errno::WOULDBLOCK) => return Err(Error::InUse(root.to_owned())),
            Err(errno) => return Err(Error::file("lock", &path, errno.into())),
        }
    }
}

fn now_nanos() -> u128 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |d| d.as_nanos())
}
