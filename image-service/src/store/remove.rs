// SPDX-License-Identifier: Apache-2.0
//! Removes images and names: the record first, then the data.

use crate::image::Image;
use crate::store::disk::Store;
use crate::store::error::Error;
use gorae_digest::Digest;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The outcome of removing a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameRemoval {
    /// No image has this name.
    NoSuchName,
    /// It was removed from its image.
    Removed,
    /// It is the last name of its image, which keeps it.
    LastName,
}

impl Store {
    /// Removes an image and all its names; layers are removed if nothing else needs them.
    ///
    /// - Shapes: removing an absent image succeeds. After this returns, no reader sees the image any more.
    ///
    /// # Errors
    /// [`Error::File`] if the image's record cannot be removed.
    pub fn remove(&self, id: &str) -> Result<(), Error> {
        let Ok(digest) = Digest::parse(id) else { return Ok(()) };
        let mut kept = self.kept();
        let index = self.index.load_full();
        let Some(image) = index.image(&digest) else { return Ok(()) };
        self.remove_record(&self.image_path(&digest))?;
        for name in image.repo_tags.iter().chain(&image.repo_digests) {
            // A name without its image has no meaning and is removed at the next start.
            let _ = std::fs::remove_file(self.name_path(name));
        }
        self.index.store(Arc::new(index.without(&digest)));
        let candidates = image.needs().cloned().collect();
        self.sweep(&mut kept, candidates);
        Ok(())
    }

    /// Removes a normalised name from its image, unless it is the only one.
    ///
    /// # Errors
    /// [`Error::File`] if the record of a name cannot be removed; the names before it are removed then.
    pub fn remove_name(&self, name: &str) -> Result<NameRemoval, Error> {
        let _kept = self.kept();
        let index = self.index.load_full();
        let Some(image) = index.named(name) else { return Ok(NameRemoval::NoSuchName) };
        let going = names_that_go_with(image, name);
        if going.len() == image.repo_tags.len() + image.repo_digests.len() {
            return Ok(NameRemoval::LastName);
        }
        let Ok(id) = Digest::parse(&image.id) else { return Ok(NameRemoval::NoSuchName) };
        for (at, name) in going.iter().enumerate() {
            if let Err(error) = self.remove_record(&self.name_path(name)) {
                self.index.store(Arc::new(index.without_names(&id, &going[..at])));
                return Err(error);
            }
        }
        self.index.store(Arc::new(index.without_names(&id, &going)));
        Ok(NameRemoval::Removed)
    }

    /// Removes a record if it exists.
    fn remove_record(&self, path: &Path) -> Result<(), Error> {
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::file("remove", path, e)),
            _ => Ok(()),
        }
    }
}

/// A tag and, if it is the last one of its repository, the digest names of that repository, which came with it.
fn names_that_go_with(image: &Image, name: &str) -> Vec<String> {
    let mut going = vec![name.to_owned()];
    let Some(repository) = repository(name).filter(|_| !name.contains('@')) else { return going };
    let here = |other: &&String| other.as_str() != name && self::repository(other) == Some(repository);
    if !image.repo_tags.iter().any(|tag| here(&tag)) {
        going.extend(image.repo_digests.iter().filter(here).cloned());
    }
    going
}

/// The part of a normalised name before its tag or digest.
fn repository(name: &str) -> Option<&str> {
    let name = name.split('@').next()?;
    let tag = name.rfind(':').filter(|at| !name[*at..].contains('/'));
    Some(&name[..tag.unwrap_or(name.len())])
}
