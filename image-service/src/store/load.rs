// SPDX-License-Identifier: Apache-2.0
//! Opens a store: takes its lock, reads its records into the index, clears what dead pulls left.

use crate::image::{Image, Top};
use crate::store::disk::{Store, Used};
use crate::store::error::Error;
use crate::store::index::Index;
use crate::store::kept::{Kept, KeptLayer};
use crate::store::record::{self, ImageRecord, LayerRecord, NameRecord, Unreadable};
use crate::store::{commit, staged, top};
use arc_swap::ArcSwap;
use gorae_digest::Digest;
use rustix::fs::FlockOperation;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

impl Store {
    /// Opens the store in `root`, making it when absent.
    ///
    /// - Shapes: an object whose record cannot be used is said in the log and not in the index. An image that lost its
    ///   record or a layer goes with all its names: it would come back without them when another image brings the layer.
    ///
    /// # Errors
    /// [`Error::InUse`]; [`Error::File`] when a directory cannot be made or read; [`Error::Foreign`].
    pub fn open(root: PathBuf) -> Result<Self, Error> {
        make_directories(&root)?;
        let lock = lock(&root)?;
        let handle = File::open(&root).map_err(|e| file_error("open", &root, e))?;
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

    /// Whatever is in `temp` now belongs to nobody.
    fn clear_temp(&self) -> Result<(), Error> {
        let left: Vec<PathBuf> =
            self.names_in("temp")?.into_iter().map(|name| self.root.join("temp").join(name)).collect();
        if left.is_empty() {
            return Ok(());
        }
        // Set apart under one name first: numbers start anew and the old names must not be met again.
        let trash = self.root.join("temp").join(format!("old-{}-{}", std::process::id(), now_nanos()));
        fs::create_dir(&trash).map_err(|e| file_error("make", &trash, e))?;
        for path in left {
            let target = trash.join(path.file_name().unwrap_or_default());
            match fs::rename(&path, &target) {
                // A thread of a store that was here before is still deleting it.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                moved => moved.map_err(|e| file_error("move", &path, e))?,
            }
        }
        staged::discard_in_background(trash);
        Ok(())
    }

    fn load_layers(&self) -> Result<(), Error> {
        let mut kept = self.kept();
        for name in self.names_in("layers")? {
            let path = self.root.join("layers").join(&name);
            match read_layer(&path, &name) {
                Ok((diff_id, record)) => {
                    self.count(record.usage);
                    kept.layers.insert(diff_id, KeptLayer { usage: record.usage, implied: record.implied });
                }
                // Without it images that are fine would be taken for lost.
                Err(Unreadable::File(source))
                    if !matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
                {
                    return Err(file_error("read", &path, source));
                }
                Err(error) => lose("layer", &path, error)?,
            }
        }
        Ok(())
    }

    fn load_images(&self, names: &[(PathBuf, NameRecord)]) -> Result<Index, Error> {
        let mut kept = self.kept();
        let mut index = Index::default();
        for name in self.names_in("images")? {
            let path = self.root.join("images").join(&name);
            let read = read_image(&path, &name, &kept).and_then(|found| {
                self.restore_top(&mut kept, &found.1.layers, &found.1.top).map_err(Unreadable::Top)?;
                Ok(found)
            });
            match read {
                Ok((id, image)) => index = index.with(&id, image, &[]),
                // It may be read again when the disk is well; until then its names and layers wait for it.
                Err(error @ Unreadable::File(_)) => {
                    lose("image", &path, error)?;
                    kept.has_unread_images = true;
                }
                Err(error) => lose_image(&path, &name, names, error)?,
            }
        }
        Ok(index)
    }

    /// Every name that can be read, with its file.
    fn read_names(&self) -> Result<Vec<(PathBuf, NameRecord)>, Error> {
        let mut names = Vec::new();
        for name in self.names_in("names")? {
            let path = self.root.join("names").join(&name);
            let found = record::read::<NameRecord>(&path).and_then(|record| {
                let own = Digest::of(record.name.as_bytes()).hex() == name.to_string_lossy();
                if own { Ok(record) } else { Err(Unreadable::Misplaced("its file is another name's")) }
            });
            match found {
                Ok(record) => names.push((path, record)),
                Err(error) => lose("image name", &path, error)?,
            }
        }
        Ok(names)
    }

    /// Gives the images their names, and removes those whose image is gone: what a crash between removing an image and
    /// its names leaves, and what a lost image leaves.
    fn give_names(&self, mut index: Index, names: Vec<(PathBuf, NameRecord)>) -> Index {
        for (path, record) in names {
            let id = Digest::parse(&record.image).ok();
            let image = id.and_then(|id| Some((index.image(&id)?.as_ref().clone(), id)));
            match image {
                Some((image, id)) => index = index.with(&id, image, &[record.name]),
                None if self.has_image_record(&record) => {}
                None => drop(fs::remove_file(&path)),
            }
        }
        index
    }

    fn has_image_record(&self, name: &NameRecord) -> bool {
        Digest::parse(&name.image).is_ok_and(|id| fs::symlink_metadata(self.image_path(&id)).is_ok())
    }

    fn names_in(&self, directory: &str) -> Result<Vec<OsString>, Error> {
        let path = self.root.join(directory);
        let entries = fs::read_dir(&path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        Ok(entries.map_err(|e| file_error("read", &path, e))?.into_iter().map(|entry| entry.file_name()).collect())
    }
}

/// Gives an object up whose record cannot be used, with a word in the log.
///
/// # Errors
/// When that says nothing against the record (no descriptor, no memory left) or another program has written it. Going
/// on would take the object for unneeded and delete its data.
fn lose(what: &str, path: &Path, error: Unreadable) -> Result<(), Error> {
    match error {
        Unreadable::File(source)
            if matches!(source.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM)) =>
        {
            Err(file_error("read", path, source))
        }
        Unreadable::Foreign(foreign) => Err(Error::Foreign(foreign)),
        error => {
            tracing::warn!(path = %path.display(), %error, "{what} is lost");
            Ok(())
        }
    }
}

/// Gives up an image that a pull has to bring again, by its names. Its record goes, as [`Store::remove`] begins; its layers
/// go with the next collection.
fn lose_image(
    path: &Path,
    file: &std::ffi::OsStr,
    names: &[(PathBuf, NameRecord)],
    error: Unreadable,
) -> Result<(), Error> {
    // What was never an image of this store is not ours to remove.
    let Some(id) = file.to_str().and_then(Digest::from_file_name).map(|id| id.to_string()) else {
        return lose("image", path, error);
    };
    let own = names.iter().filter(|(_, record)| record.image == id).map(|(_, record)| record.name.as_str());
    let mut own: Vec<&str> = own.collect();
    own.sort_unstable();
    lose(&format!("image {id} ({}) has to be pulled again: it", own.join(", ")), path, error)?;
    if let Err(error) = fs::remove_file(path) {
        tracing::warn!(path = %path.display(), %error, "cannot remove the record of a lost image");
    }
    Ok(())
}

fn read_layer(path: &Path, name: &std::ffi::OsStr) -> Result<(Digest, LayerRecord), Unreadable> {
    let diff_id =
        name.to_str().and_then(Digest::from_file_name).ok_or(Unreadable::Misplaced("its name is no digest"))?;
    let record: LayerRecord = record::read(&path.join("record"))?;
    if record.diff_id != diff_id.to_string() {
        return Err(Unreadable::Misplaced("it describes another layer"));
    }
    if !fs::symlink_metadata(path.join("fs"))?.is_dir() {
        return Err(Unreadable::Misplaced("the layer has no files"));
    }
    Ok((diff_id, record))
}

fn read_image(path: &Path, name: &std::ffi::OsStr, kept: &Kept) -> Result<(Digest, Image), Unreadable> {
    let id = name.to_str().and_then(Digest::from_file_name).ok_or(Unreadable::Misplaced("its name is no digest"))?;
    let record: ImageRecord = record::read(path)?;
    if Digest::of(record.config.as_bytes()) != id {
        return Err(Unreadable::Misplaced("its config is another image's"));
    }
    let config = gorae_image_formats::image_config::read_config(&record.config).map_err(Unreadable::Config)?;
    let layers = record.layers.iter().map(|layer| Digest::parse(layer)).collect::<Result<Vec<_>, _>>();
    let layers = layers.map_err(|_| Unreadable::Misplaced("a layer's diff id is no digest"))?;
    if !layers.iter().all(|layer| kept.layers.contains_key(layer)) {
        return Err(Unreadable::Misplaced("a layer of it is missing or damaged"));
    }
    let top = match record.top {
        record::Top::Unknown => Top::Unknown,
        record::Top::Nothing => Top::Nothing,
        record::Top::Tree => Top::Tree(top::name(&layers)),
    };
    let image = commit::assemble(&id, record.config.len(), Arc::new(config), (layers, top), kept);
    Ok((id, image))
}

fn make_directories(root: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt as _;
    // 0700: nobody but root may run a setuid program out of a layer.
    let make = |path: &Path, mode| {
        fs::DirBuilder::new().recursive(true).mode(mode).create(path).map_err(|e| file_error("make", path, e))
    };
    make(root, 0o700)?;
    for name in ["layers", "images", "names", "temp"] {
        make(&root.join(name), 0o700)?;
    }
    make(&root.join("empty"), 0o755)
}

/// How long a process that is ending may hold the lock: the kernel lets go of a killed one's files one by one.
const DYING: Duration = Duration::from_secs(1);

fn lock(root: &Path) -> Result<File, Error> {
    let path = root.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|e| file_error("open", &path, e))?;
    let patience = Instant::now() + DYING;
    loop {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < patience => std::thread::sleep(DYING / 50),
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(Error::InUse(root.to_owned())),
            Err(errno) => return Err(file_error("lock", &path, errno.into())),
        }
    }
}

fn now_nanos() -> u128 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |d| d.as_nanos())
}

fn file_error(what: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::File { what, path: path.to_owned(), source }
}
