// SPDX-License-Identifier: Apache-2.0
//! The image service as the daemon uses it.

use crate::config::Config;
use crate::error::Error;
use crate::gc::Collected;
use crate::image::{Held, Image};
use crate::pull::progress::Watch;
use crate::pull::{self, Flights, Outcome, Parts};
use crate::registry::{self, Credentials, credentials};
use crate::store::{NameRemoval, Usage};
use futures_util::FutureExt as _;
use gorae_digest::Digest;
use gorae_image_formats::reference::{Reference, without_userinfo};
use gorae_proto::cri::AuthConfig;
use std::path::PathBuf;
use std::sync::Arc;

/// The images of a node. Cheap to clone; all clones share one store.
#[derive(Debug, Clone)]
pub struct Images {
    parts: Arc<Parts>,
    /// Pulls in flight, by reference and credentials.
    pulls: Arc<Flights<(String, Digest), Outcome, ()>>,
}

impl Images {
    /// Opens the store, creating it if absent, and removes leftovers of dead pulls. Does not touch the network.
    ///
    /// # Errors
    /// [`Error::Store`] if the directory cannot be used or another process uses it.
    pub fn open(config: Config) -> Result<Self, Error> {
        Ok(Self { parts: Arc::new(Parts::open(config)?), pulls: Arc::new(Flights::new()) })
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.parts.config
    }

    /// Pulls an image. Every pull contacts the registry. Pulls of the same reference with the same credentials share one
    /// download, and all pulls share the layers in flight.
    ///
    /// - Cancel: when the last caller drops its future, downloads stop and unpacked data is removed.
    ///
    /// # Errors
    /// [`Error`]; a failed pull leaves nothing on disk.
    pub async fn pull(&self, reference: &str, auth: Option<&AuthConfig>) -> Result<Arc<Image>, Error> {
        let reference = parse(reference)?;
        let given = auth.map(|auth| Credentials::read(auth, reference.host())).transpose();
        let credentials = given.map_err(|malformed| Error::Registry {
            image: reference.to_string(),
            source: Box::new(registry::Error::Credentials(malformed)),
        })?;
        let key = (reference.to_string(), credentials::fingerprint(auth));
        let joined = self.pulls.join(key, || {
            let work = pull::run(Arc::clone(&self.parts), reference, credentials.flatten());
            (work.map(|result| result.map_err(Arc::new)).boxed(), ())
        });
        joined.share.await.map_err(Error::Shared)
    }

    /// Finds an image by id (with or without `sha256:`), name (completed as usual), digest name or unique id prefix. No I/O.
    ///
    /// # Errors
    /// [`Error::Ambiguous`] for a prefix of several ids.
    pub fn find(&self, any: &str) -> Result<Option<Arc<Image>>, Error> {
        Ok(self.parts.store.find(any)?)
    }

    /// All images, ordered by id. No I/O.
    pub fn list(&self) -> Vec<Arc<Image>> {
        self.parts.store.list()
    }

    /// Removes an image and all its names; `any` is as in [`Images::find`]. Removing an absent image succeeds.
    ///
    /// Blocks briefly on disk I/O. Layer data is removed in the background, and only if nothing holds it.
    ///
    /// # Errors
    /// [`Error::Ambiguous`], [`Error::Store`].
    pub fn remove(&self, any: &str) -> Result<(), Error> {
        match self.find(any)? {
            Some(image) => Ok(self.parts.store.remove(&image.id)?),
            None => Ok(()),
        }
    }

    /// Removes one name of an image that has other names. Blocks briefly on disk I/O.
    ///
    /// # Errors
    /// [`Error::Store`]. Text that is not a valid name is treated as an unknown name.
    pub fn remove_name(&self, name: &str) -> Result<NameRemoval, Error> {
        match parse(name) {
            Ok(reference) => Ok(self.parts.store.remove_name(&reference.to_string())?),
            Err(_) => Ok(NameRemoval::NoSuchName),
        }
    }

    /// Keeps an image's layers for `owner` until [`Images::release`], even if the image is removed.
    ///
    /// # Errors
    /// [`Error::Absent`], [`Error::Ambiguous`].
    pub fn hold(&self, image_id: &str, owner: &str) -> Result<Held, Error> {
        let absent = || Error::Absent(without_userinfo(image_id).chars().take(100).collect());
        let image = self.find(image_id)?.ok_or_else(absent)?;
        self.parts.store.hold(&image.id, owner).ok_or_else(absent)
    }

    /// Keeps layer directories of an earlier [`Held`] for `owner`. The daemon does this for each container at startup.
    ///
    /// # Errors
    /// [`Error::Store`] for a path that is not a layer, or if a layer is missing (the others are held then).
    pub fn hold_layers(&self, layers: &[PathBuf], owner: &str) -> Result<(), Error> {
        Ok(self.parts.store.hold_layers(layers, owner)?)
    }

    /// Releases everything that `owner` holds and removes layers that nothing needs any more. Idempotent.
    pub fn release(&self, owner: &str) {
        self.parts.store.release(owner);
    }

    /// Removes layers that nothing needs. Call this once after a restart, when all holds have been restored.
    pub fn collect(&self) -> Collected {
        self.parts.store.collect()
    }

    /// Disk use of all layers, from running totals: no I/O.
    pub fn usage(&self) -> Usage {
        self.parts.store.usage()
    }

    /// Follows the pull of a reference that is in flight, or the next one.
    ///
    /// # Errors
    /// [`Error::Reference`].
    pub fn progress(&self, reference: &str) -> Result<Watch, Error> {
        Ok(self.parts.board.watch(&parse(reference)?.to_string()))
    }
}

fn parse(reference: &str) -> Result<Reference, Error> {
    let given = || without_userinfo(reference).chars().take(300).collect();
    Reference::parse(reference).map_err(|source| Error::Reference { given: given(), source })
}
